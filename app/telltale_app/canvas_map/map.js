// A map of training images: what a person does with pointer, wheel and keys, and what the page is told of it. Where
// points of another kind lie among them, a person chooses among those, and the training images are their ground.
//
// The page learns of three things, as trigger values: `rows`, the points that were clicked or lassoed (an empty list
// when none is any more), and `opened`, the row to open (-1 for the image itself). Pointing, zooming and moving stay
// here, so the page does not run for them. Maps that are linked have the same rows at other places: what is pointed at
// on one is marked on the others.

import { Dots } from "./dots.js";
import { drawImages, drawLabels, drawLists, drawOutline, drawOutlines, drawPicked } from "./drawing.js";
import { drawPictures, pictureSide } from "./drawing.js";
import { Grid, View, unpack } from "./places.js";
import { save } from "./saving.js";

const REACH = 14; // pixels between the pointer and a dot that it still means
const STILL = 4; // pixels that a click may move
const MOST_PICTURES = 90; // in view; where there are more points, they are dots
const KEPT_PICTURES = 1500;
const STEP = 1.4;
const GLYPHS = { circle: "●", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼", star: "★", "star-diamond": "✦" };
const SERVER = new URL("../../../", import.meta.url); // this file lies at _stcore/bidi-components/NAME/ below the pages
const USUAL_LETTER = 16; // pixels of the page's letters, by which everything else is measured
const maps = new WeakMap();
const onThePage = new Set();

export default function show({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".map");
  if (!maps.has(root)) maps.set(root, new TrainingMap(root));
  const map = maps.get(root);
  const turn = map.update(data, setTriggerValue);
  return () => map.turn === turn && map.close(); // a later call has taken it over otherwise
}

class TrainingMap {
  constructor(root) {
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    [this.root, this.field, this.over] = [root, part("field"), part("over")];
    [this.tip, this.legend, this.list, this.said] = [part("tip"), part("legend"), part("list"), part("said")];
    this.context = this.over.getContext("2d");
    this.dots = new Dots(part("dots"));
    this.view = new View();
    this.pictures = new Map();
    [this.turn, this.outline, this.cursor, this.hovered, this.touching] = [0, [], -1, -1, REACH];
    this.menu = root.querySelector("details");
    onThePage.add(this);
    this.tools = Object.fromEntries([...root.querySelectorAll("[data-tool]")].map((tool) => [tool.dataset.tool, tool]));
    // A finger scrolls the page until a person says that it shall draw or move.
    this.choose(matchMedia("(pointer: coarse)").matches ? "" : "lasso");
    this.listen();
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.field);
  }

  listen() {
    const on = (event, act, options) => this.over.addEventListener(event, act.bind(this), options);
    on("pointerdown", this.press);
    on("pointermove", this.move);
    on("pointerup", this.release);
    on("pointercancel", this.leave);
    on("pointerleave", this.leave);
    on("wheel", this.wheel, { passive: false });
    on("keydown", this.key);
    on("blur", this.forget);
    for (const [name, tool] of Object.entries(this.tools)) tool.addEventListener("click", () => this.use(name));
    for (const form of this.menu.querySelectorAll("button")) form.addEventListener("click", () => this.save(form));
  }

  close() {
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
    maps.delete(this.root);
    onThePage.delete(this);
  }

  /** Take what the page has sent; a map that is the same keeps its view. Returns the number of this call. */
  update(bytes, tell) {
    this.tell = tell;
    if (!this.map || !equal(bytes, this.bytes)) this.take(bytes);
    this.resize();
    return ++this.turn;
  }

  take(bytes) {
    const [before, thumbnails] = [this.map?.map, this.map?.thumbnails];
    [this.bytes, this.map] = [bytes, unpack(bytes)];
    if (thumbnails !== this.map.thumbnails) this.pictures.clear(); // other models have other images of the same ids
    this.dots.take(this.map);
    if (before !== this.map.map) {
      this.grid = new Grid(this.map.places);
      this.choosable = this.map.first ? new Grid(this.map.places, this.map.first) : this.grid;
      this.view.fit(this.grid.box);
    }
    if (before !== this.map.map || !this.map.selected) this.outline = [];
    this.entries = this.named();
    [this.cursor, this.hovered, this.tip.hidden] = [-1, -1, true];
    this.describe();
  }

  /** Return everything that is marked, in the order of the keys: the images, then every list. */
  named() {
    const images = this.map.images.map(({ name, place }) => ({ row: -1, place, words: name }));
    const listed = this.map.lists.flatMap(({ name, rows }) =>
      rows.map((row, at) => ({ row, place: this.placeOf(row), words: `${name} ${at + 1}: ${this.words(row)}` })),
    );
    return [...images, ...listed];
  }

  describe() {
    const item = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    this.over.setAttribute("aria-label", this.map.said);
    this.list.replaceChildren(...this.entries.map(({ words }) => item("li", words)));
    this.legend.replaceChildren(
      ...[...this.map.images, ...this.map.lists].map(({ name, colour, symbol }) => {
        const glyph = item("span", `${GLYPHS[symbol] ?? "●"} `);
        [glyph.style.color, glyph.ariaHidden] = [colour, "true"];
        const entry = document.createElement("span");
        entry.append(glyph, name);
        return entry;
      }),
    );
  }

  placeOf(row) {
    return [this.map.places[2 * row], this.map.places[2 * row + 1]];
  }

  words(row) {
    if (this.map.words.length && row >= this.map.first) return this.map.words[row - this.map.first];
    return `class ${this.map.looks[this.map.classes[row]].name}, image ${this.map.ids[row]}`;
  }

  /** Return the picture of an image, which may still be on its way. */
  picture(id, urgent = false) {
    let picture = this.pictures.get(id);
    if (!picture) {
      picture = new Image();
      picture.alt = "";
      if (urgent) picture.fetchPriority = "high";
      picture.onload = () => this.draw();
      picture.src = new URL(`${this.map.thumbnails}${id}.png`, SERVER);
      if (this.pictures.size >= KEPT_PICTURES) this.pictures.delete(this.pictures.keys().next().value);
      this.pictures.set(id, picture);
    }
    return picture;
  }

  resize() {
    const { clientWidth, clientHeight } = this.field;
    if (!clientWidth || !this.map) return;
    this.ratio = Math.min(2, window.devicePixelRatio || 1);
    this.view.larger = parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_LETTER;
    this.view.resize(clientWidth, clientHeight);
    for (const { canvas } of [this.context, this.dots.context]) {
      const [width, height] = [Math.round(clientWidth * this.ratio), Math.round(clientHeight * this.ratio)];
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    }
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.paint();
    });
  }

  paint() {
    const { context, map, view } = this;
    const theme = this.theme();
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    const near = this.near();
    this.touching = near ? pictureSide(view, near.length) / 2 : REACH;
    if (near) this.dots.clear();
    else this.dots.draw(map, view, this.ratio);
    this.drawMarks(context, near, theme);
    drawOutline(context, this.outline, view, theme.text);
    const pointed = this.hovered >= 0 ? this.placeOf(this.hovered) : this.entries[this.cursor]?.place;
    if (!pointed) return;
    context.beginPath();
    context.arc(view.across(pointed[0]), view.down(pointed[1]), 12 * view.larger, 0, 2 * Math.PI);
    [context.lineWidth, context.strokeStyle] = [2.5, theme.text];
    context.stroke();
  }

  /** Draw all that lies above the dots: pictures in their place, where some rows are near, outlines, lists, names. */
  drawMarks(context, near, theme) {
    const { map, view } = this;
    if (near) drawPictures(context, map, view, near, (id) => this.picture(id), theme.ground);
    drawOutlines(context, map, view);
    drawPicked(context, map, view, theme.text);
    drawLists(context, map, view, theme.ground);
    drawLabels(context, map, view, theme);
    drawImages(context, map, view, theme.ground);
  }

  theme() {
    const style = getComputedStyle(this.root);
    return { text: style.color, ground: style.getPropertyValue("--st-background-color"), font: style.fontFamily };
  }

  /** Return the rows in view where they are few enough to be shown as pictures; null where they are dots. */
  near() {
    return this.map.thumbnails ? this.grid.within(this.view.seen(), MOST_PICTURES) : null;
  }

  // With the pointer.

  press(event) {
    if (event.button !== 0) return;
    const moves = this.mode === "move" || (this.mode === "lasso" && event.shiftKey);
    this.held = { mode: moves ? "move" : this.mode, x: event.offsetX, y: event.offsetY, far: false };
    if (event.isTrusted && this.mode) this.over.setPointerCapture(event.pointerId);
  }

  move(event) {
    const [x, y] = [event.offsetX, event.offsetY];
    if (!this.held) {
      this.point(x, y);
      return;
    }
    if (!this.held.far && Math.hypot(x - this.held.x, y - this.held.y) < STILL) return;
    if (!this.held.far && this.held.mode === "lasso") this.outline = [this.view.place(this.held.x, this.held.y)];
    this.held.far = true;
    this.forget();
    if (this.held.mode === "lasso") this.outline.push(this.view.place(x, y));
    else if (this.held.mode === "move") {
      this.view.pan(x - this.held.x, y - this.held.y);
      [this.held.x, this.held.y] = [x, y];
    }
    this.draw();
  }

  release(event) {
    const held = this.held;
    this.held = null;
    if (!held) return;
    if (!held.far) this.click(event.offsetX, event.offsetY);
    else if (held.mode === "lasso") this.select(this.choosable.inside(this.outline));
  }

  leave() {
    this.held = null;
    this.forget();
  }

  click(x, y) {
    const row = this.under(x, y, this.choosable);
    this.outline = [];
    this.point(x, y);
    this.select(row < 0 ? [] : [row]);
  }

  select(rows) {
    if (rows.length || this.map.selected) this.tell("rows", rows);
    if (!rows.length) this.outline = [];
    this.draw();
  }

  under(x, y, grid) {
    return grid.nearest(...this.view.place(x, y), this.touching / this.view.scale);
  }

  /** Show what lies under the pointer; the page does not run for it. */
  point(x, y) {
    let row = this.under(x, y, this.choosable);
    if (row < 0) row = this.under(x, y, this.grid);
    if (row === this.hovered) return;
    if (row < 0) {
      this.forget();
      return;
    }
    this.mark(row);
    for (const other of this.linked()) other.mark(row);
  }

  /** Ring one row and say what it is. */
  mark(row) {
    [this.hovered, this.cursor] = [row, -1];
    this.tellOf(this.words(row), this.placeOf(row), this.map.thumbnails ? this.map.ids[row] : null);
    this.draw();
  }

  /** Return the other maps that have the same rows at other places. */
  linked() {
    const { linked } = this.map;
    return [...onThePage].filter((other) => other !== this && linked && other.map?.linked === linked);
  }

  /** Show words, and a picture where there is one, beside a place. */
  tellOf(words, place, id) {
    const said = Object.assign(document.createElement("span"), { textContent: words });
    this.tip.replaceChildren(...(id === null ? [] : [this.picture(id, true)]), said);
    this.tip.hidden = false;
    const [x, y] = [this.view.across(place[0]), this.view.down(place[1])];
    this.tip.style.left = x > this.view.width / 2 ? "auto" : `${x + 16}px`;
    this.tip.style.right = x > this.view.width / 2 ? `${this.view.width - x + 16}px` : "auto";
    this.tip.style.top = `${Math.max(4, Math.min(this.view.height - 96, y - 44))}px`;
  }

  forget() {
    for (const map of [this, ...this.linked()]) map.unmark();
  }

  unmark() {
    if (this.hovered < 0 && this.cursor < 0 && this.tip.hidden) return;
    [this.hovered, this.cursor, this.tip.hidden] = [-1, -1, true];
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
  }

  zoom(factor, x, y) {
    this.view.zoom(factor, x, y);
    this.forget();
    this.draw();
  }

  // With the keys and the buttons.

  key(event) {
    const acts = {
      ArrowRight: () => this.step(1),
      ArrowDown: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      ArrowUp: () => this.step(-1),
      Enter: () => this.entries[this.cursor] && this.tell("opened", this.entries[this.cursor].row),
      "+": () => this.use("in"),
      "=": () => this.use("in"),
      "-": () => this.use("out"),
      0: () => this.use("all"),
      Escape: () => (this.forget(), this.select([])),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  }

  step(by) {
    const count = this.entries.length;
    this.reach(this.cursor < 0 ? (by > 0 ? 0 : count - 1) : (this.cursor + by + count) % count);
    this.said.textContent = this.entries[this.cursor].words;
  }

  /** Go to one of the entries, here and on the maps that have the same. */
  reach(cursor) {
    for (const map of [this, ...this.linked()]) map.arrive(cursor);
  }

  /** Mark one of the entries, and show what it is. */
  arrive(cursor) {
    if (!this.entries[cursor]) return;
    [this.cursor, this.hovered] = [cursor, -1];
    const { row, place, words } = this.entries[cursor];
    this.view.reveal(...place);
    this.tellOf(words, place, row >= 0 && this.map.thumbnails ? this.map.ids[row] : null);
    this.draw();
  }

  use(tool) {
    if (tool === "lasso" || tool === "move") this.choose(this.mode === tool ? "" : tool);
    if (tool === "in") this.magnify(STEP);
    if (tool === "out") this.magnify(1 / STEP);
    if (tool === "all") {
      this.view.fit(this.grid.box);
      this.forget();
      this.draw();
    }
  }

  /** Zoom around the marked image that was reached, else around the middle. */
  magnify(factor) {
    const cursor = this.cursor;
    const reached = this.entries[cursor];
    if (!reached) this.zoom(factor);
    else {
      this.zoom(factor, this.view.across(reached.place[0]), this.view.down(reached.place[1]));
      this.reach(cursor);
    }
  }

  save(form) {
    this.menu.open = false;
    save(this, form.dataset.save);
  }

  choose(mode) {
    this.mode = mode;
    this.over.style.touchAction = mode ? "none" : "pan-y";
    this.over.style.cursor = { lasso: "crosshair", move: "grab" }[mode] ?? "default";
    for (const name of ["lasso", "move"]) this.tools[name].setAttribute("aria-pressed", String(mode === name));
  }
}

function equal(one, other) {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}
