// A canvas to draw on, with pointer or keys. The page learns of one thing, as a trigger value: `drawn`, the pixels in
// base64, when "Use this drawing" is pressed.

import { ARROWS, fit } from "../telltale.canvas/canvas.js"; // as the server hands them out
import { Pixels, between, covered, equal } from "./pixels.js";

const WIDEST = 448; // of the canvas on the page; every pixel is enlarged by the same whole factor where there is room
const MIDDLE = 0.5; // from a pixel's corner
const canvases = new WeakMap();

export default function show({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".drawing");
  if (!canvases.has(root)) canvases.set(root, new DrawingCanvas(root));
  const canvas = canvases.get(root);
  const turn = canvas.take(data, setTriggerValue);
  return () => canvas.turn === turn && canvas.close(); // a later call has taken it over otherwise
}

class DrawingCanvas {
  constructor(root) {
    [this.root, this.turn, this.place, this.held, this.corner, this.byKeys] = [root, 0, null, null, null, false];
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    [this.canvas, this.size, this.measure] = [part("canvas"), part("size"), part("measure")];
    [this.palette, this.said] = [part("colours"), part("said")];
    this.context = this.canvas.getContext("2d");
    this.source = document.createElement("canvas");
    this.tools = [...root.querySelectorAll("[data-tool]")];
    for (const tool of this.tools) tool.addEventListener("click", () => this.choose(tool.dataset.tool));
    for (const button of root.querySelectorAll("[data-act]")) {
      button.addEventListener("click", () => this[button.dataset.act]());
    }
    this.size.addEventListener("input", () => this.resizeBrush());
    this.listen();
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.canvas);
  }

  listen() {
    const on = (event, act) => this.canvas.addEventListener(event, act.bind(this));
    on("pointerdown", this.press);
    on("pointermove", this.move);
    on("pointerup", this.release);
    on("pointercancel", this.giveUp);
    on("pointerleave", this.leave);
    on("keydown", this.key);
    on("keyup", (event) => event.key === "Shift" && (this.walking = false));
    on("blur", this.leave);
  }

  close() {
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
    canvases.delete(this.root);
  }

  /** Take what the page has sent. What was painted since stays, unless the page shows another image than it was given. */
  take(bytes, tell) {
    this.tell = tell;
    const end = bytes.indexOf(10);
    const about = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    const count = about.width * about.height * about.channels;
    const ground = bytes.slice(end + 1, end + 1 + count);
    const shown = bytes.slice(end + 1 + count, end + 1 + 2 * count);
    const same = equal(ground, this.pixels?.ground) && (equal(shown, this.shown) || equal(shown, this.given));
    this.shown = shown;
    this.canvas.setAttribute("aria-label", about.said);
    if (!same) this.begin(about, new Pixels(about, ground, shown));
    return ++this.turn;
  }

  begin(about, pixels) {
    const { width, height, channels } = about;
    const other = this.pixels?.channels !== channels || this.pixels.width !== width;
    [this.pixels, this.given, this.held, this.corner, this.place] = [pixels, null, null, null, null];
    [this.walking, this.last] = [false, null];
    [this.source.width, this.source.height] = [width, height];
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.canvas.style.maxWidth = `${Math.max(1, Math.floor(WIDEST / Math.max(width, height))) * width}px`;
    if (other) {
      const side = Math.min(width, height);
      this.size.max = Math.max(2, Math.round(side / 3));
      this.size.value = Math.max(1, Math.round(side / 8));
      this.offer(about.colours, about.first);
      this.choose(channels === 1 ? "soft" : "sticker");
    }
    this.resizeBrush();
    this.resize();
  }

  /** Offer these colours, each [name, levels]. */
  offer(colours, first) {
    const buttons = colours.map(([name, levels]) => {
      const shade = levels.length === 1 ? [levels[0], levels[0], levels[0]] : levels;
      const button = Object.assign(document.createElement("button"), { type: "button", title: name, ariaLabel: name });
      button.style.setProperty("--shade", `rgb(${shade.join(" ")})`);
      button.addEventListener("click", () => pick(button, levels));
      return button;
    });
    const pick = (chosen, levels) => {
      this.colour = levels;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
      this.draw();
    };
    this.palette.replaceChildren(...buttons);
    const at = colours.findIndex(([name]) => name === first);
    pick(buttons[at], colours[at][1]);
  }

  choose(tool) {
    [this.tool, this.corner] = [tool, null];
    for (const button of this.tools) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.size.disabled = tool === "sticker";
    this.draw();
  }

  resizeBrush() {
    this.measure.textContent = `${this.size.value} px`;
    this.draw();
  }

  resize() {
    fit(this.canvas);
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.pixels && this.paint());
  }

  paint() {
    const { context, canvas, pixels, source } = this;
    source.getContext("2d").putImageData(pixels.image(), 0, 0);
    context.imageSmoothingEnabled = canvas.width < pixels.width;
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    if (!this.place) return;
    const side = canvas.width / pixels.width;
    context.beginPath();
    if (this.tool === "sticker") {
      const { left, top, width, height } = between(this.corner ?? this.place.map(Math.floor), this.place.map(Math.floor));
      context.rect(left * side, top * side, width * side, height * side);
      if (this.corner) {
        context.fillStyle = this.shade();
        context.fill();
      }
    } else this.outline(side);
    for (const [colour, wide] of [["#000", 4], ["#fff", 2]]) {
      [context.strokeStyle, context.lineWidth] = [colour, wide];
      context.stroke();
    }
  }

  /** Go around the pixels that the brush would cover. */
  outline(side) {
    const below = covered(this.place, this.brush().size);
    const has = new Set(below.map(String));
    for (const [x, y] of below) {
      for (const [right, down, from, to] of [
        [0, -1, [0, 0], [1, 0]],
        [0, 1, [0, 1], [1, 1]],
        [-1, 0, [0, 0], [0, 1]],
        [1, 0, [1, 0], [1, 1]],
      ]) {
        if (has.has(String([x + right, y + down]))) continue;
        this.context.moveTo((x + from[0]) * side, (y + from[1]) * side);
        this.context.lineTo((x + to[0]) * side, (y + to[1]) * side);
      }
    }
  }

  shade() {
    const [first, second = first, third = first] = this.colour;
    return `rgb(${first} ${second} ${third})`;
  }

  brush() {
    return { size: Number(this.size.value), soft: this.tool === "soft", colour: this.colour };
  }

  // With the pointer: mouse, finger or pen.

  /** Return the place below the pointer, in pixels of the image, with fractions. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.pixels.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  /** Return the nearest pixel of the image. */
  inside([x, y]) {
    const { width, height } = this.pixels;
    return [Math.min(width - 1, Math.max(0, Math.floor(x))), Math.min(height - 1, Math.max(0, Math.floor(y)))];
  }

  press(event) {
    if (event.button !== 0 || this.held !== null) return;
    this.held = event.pointerId;
    if (event.isTrusted) this.canvas.setPointerCapture(event.pointerId);
    this.place = this.at(event);
    if (this.tool === "sticker") this.corner = this.inside(this.place);
    else {
      this.keep();
      this.pixels.dab(this.place, this.brush());
    }
    this.draw();
  }

  /** Begin what one undo takes back. */
  keep() {
    this.walking = false;
    this.pixels.keep();
  }

  move(event) {
    if (this.held !== null && event.pointerId !== this.held) return;
    this.byKeys = false;
    const place = this.at(event);
    if (this.held !== null && this.tool !== "sticker") this.pixels.stroke(this.place, place, this.brush());
    this.place = this.held !== null && this.tool === "sticker" ? this.inside(place) : place;
    this.draw();
  }

  release(event) {
    if (event.pointerId !== this.held) return;
    this.held = null;
    if (this.corner) this.stick();
    this.tellPainted();
  }

  /** A second finger zooms the page: what the first one has begun is taken back. */
  giveUp(event) {
    if (event.pointerId !== this.held) return;
    if (this.tool !== "sticker") this.pixels.undo();
    [this.held, this.corner, this.place] = [null, null, null];
    this.draw();
  }

  leave() {
    if (this.held !== null) return;
    if (this.root.getRootNode().activeElement === this.canvas && this.byKeys) return;
    if (this.byKeys) this.last = this.place; // where the cursor is when the keys come back from the buttons
    [this.place, this.corner] = [null, null];
    this.draw();
  }

  stick() {
    this.keep();
    this.pixels.fill(this.corner, this.inside(this.place), this.colour);
    this.corner = null;
    this.draw();
  }

  // With the keys and the buttons.

  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") this.undo();
    else if (event.altKey || event.ctrlKey || event.metaKey) return;
    else if (event.key in ARROWS) this.step(ARROWS[event.key], event.shiftKey);
    else if (event.key === " " || event.key === "Enter") this.act();
    else if (event.key === "Escape" && this.corner) this.corner = null;
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  /** Move the cursor by a pixel; with a brush and Shift it paints on its way, all of which one undo takes back. */
  step([right, down], paints) {
    const from = this.cursor();
    const to = this.inside([from[0] + right, from[1] + down]).map((pixel) => pixel + MIDDLE);
    this.place = to;
    const { width, height } = this.pixels;
    const where = `Column ${Math.floor(to[0]) + 1} of ${width}, row ${Math.floor(to[1]) + 1} of ${height}`;
    if (paints && this.tool !== "sticker") {
      if (!this.walking) this.keep();
      this.walking = true;
      this.pixels.stroke(from, to, this.brush());
    }
    this.tellOf(where);
  }

  cursor() {
    const { width, height } = this.pixels;
    this.byKeys = true;
    this.place = this.inside(this.place ?? this.last ?? [width / 2, height / 2]).map((pixel) => pixel + MIDDLE);
    return this.place;
  }

  act() {
    const place = this.cursor();
    if (this.tool !== "sticker") {
      this.keep();
      this.pixels.dab(place, this.brush());
      this.tellPainted();
    } else if (this.corner) {
      this.stick();
      this.tellPainted();
    } else {
      this.corner = this.inside(place);
      this.tellOf("The sticker's first corner. Move to the opposite one and press Space again.");
    }
  }

  undo() {
    if (this.held !== null) return; // a stroke is under way
    this.walking = false;
    this.tellOf(this.pixels.undo() ? "Taken back." : "There is nothing to take back.");
  }

  clear() {
    if (this.held !== null) return;
    this.walking = false;
    this.pixels.clear();
    this.tellOf("Cleared. Undo brings it back.");
  }

  use() {
    this.given = this.pixels.levels.slice();
    this.tell("drawn", this.pixels.base64());
    this.tellOf("Sent: it is read below.");
  }

  tellPainted() {
    this.tellOf(this.tool === "sticker" ? "A sticker is on it." : "Painted.");
  }

  tellOf(words) {
    this.said.textContent = words;
    this.draw();
  }
}
