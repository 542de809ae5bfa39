// Pictures of the same pixels, looked at together: the pixel under the pointer is marked and read out in every one of a
// group, and all are moved and enlarged as one. Nothing of this is told to the page.

import { ARROWS, fit } from "../telltale.canvas/canvas.js"; // as the server hands them out

const MOST = 16; // times that a picture is enlarged
const STEP = 1.3;
const CHANNELS = ["R", "G", "B"];
const groups = new Map();
const pictures = new WeakMap();

export default function show({ data, parentElement }) {
  const root = parentElement.querySelector(".linked");
  if (!pictures.has(root)) pictures.set(root, new Picture(root));
  const picture = pictures.get(root);
  const turn = picture.take(data);
  return () => picture.turn === turn && picture.close(); // a later call has taken it over otherwise
}

/** What the pictures of one name share: the marked pixel, and the part that is seen. */
class Group {
  constructor(name) {
    [this.name, this.members, this.pixel] = [name, new Set(), null];
    this.whole();
  }

  whole() {
    [this.scale, this.left, this.top] = [1, 0, 0];
  }

  mark(pixel) {
    this.pixel = pixel;
    this.draw();
  }

  /** Enlarge around a pixel, which stays where it is. */
  zoom(factor, [x, y]) {
    const scale = Math.min(MOST, Math.max(1, this.scale * factor));
    this.left = x - ((x - this.left) * this.scale) / scale;
    this.top = y - ((y - this.top) * this.scale) / scale;
    this.scale = scale;
    this.keepInside();
  }

  move(x, y) {
    [this.left, this.top] = [this.left + x, this.top + y];
    this.keepInside();
  }

  keepInside() {
    for (const { width, height } of this.members) {
      this.left = Math.min(width - width / this.scale, Math.max(0, this.left));
      this.top = Math.min(height - height / this.scale, Math.max(0, this.top));
    }
    this.draw();
  }

  /** Move so far that the marked pixel is seen. */
  reveal([x, y]) {
    const { width, height } = this.members.values().next().value;
    const [across, down] = [width / this.scale, height / this.scale];
    this.left = Math.min(x, Math.max(this.left, x + 1 - across));
    this.top = Math.min(y, Math.max(this.top, y + 1 - down));
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.members.forEach((member) => member.draw()));
  }
}

class Picture {
  constructor(root) {
    [this.root, this.turn] = [root, 0];
    [this.canvas, this.said] = [root.querySelector("canvas"), root.querySelector("output")];
    this.context = this.canvas.getContext("2d");
    this.source = document.createElement("canvas");
    const on = (event, act, options) => this.canvas.addEventListener(event, act.bind(this), options);
    on("pointerdown", (event) => (this.held = this.at(event)));
    on("pointermove", this.point);
    on("pointerup", this.letGo);
    on("pointerleave", this.leave);
    on("wheel", this.wheel, { passive: false });
    on("dblclick", () => (this.group.whole(), this.group.draw()));
    on("keydown", this.key);
    on("blur", () => this.group.mark(null));
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.canvas);
  }

  close() {
    this.watcher.disconnect();
    this.part();
    pictures.delete(this.root);
  }

  /** Take a picture as the page packs it: a line of JSON, the bytes that are shown, the levels that are read out. */
  take(bytes) {
    const end = bytes.indexOf(10);
    const about = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    const { width, height, channels, group, said, signed, side } = about;
    const count = width * height * channels;
    Object.assign(this, { width, height, channels, signed });
    const shown = bytes.subarray(end + 1, end + 1 + count);
    this.levels = new Int16Array(bytes.slice(end + 1 + count).buffer);
    [this.source.width, this.source.height] = [width, height];
    this.source.getContext("2d").putImageData(opaque(shown, width, height, channels), 0, 0);
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.root.style.maxWidth = side ? `${side}px` : "";
    this.canvas.setAttribute("aria-label", said);
    this.join(group);
    this.resize();
    return ++this.turn;
  }

  /** Leave the group, which ends with its last picture: another one begins whole. */
  part() {
    this.group?.members.delete(this);
    if (this.group && !this.group.members.size) groups.delete(this.group.name);
  }

  join(name) {
    if (this.group?.name === name) return;
    this.part();
    if (!groups.has(name)) groups.set(name, new Group(name));
    this.group = groups.get(name);
    this.group.members.add(this);
    this.group.keepInside();
  }

  resize() {
    fit(this.canvas);
    this.draw();
  }

  draw() {
    const { scale, left, top, pixel } = this.group;
    const { context, canvas } = this;
    const size = (canvas.width * scale) / this.width; // of one pixel of the picture on the screen
    context.imageSmoothingEnabled = size < 1;
    context.drawImage(this.source, left, top, this.width / scale, this.height / scale, 0, 0, canvas.width, canvas.height);
    this.said.textContent = pixel && this.holds(pixel) ? this.words(pixel) : "";
    if (!pixel || !this.holds(pixel)) return;
    const [x, y] = [(pixel[0] - left) * size, (pixel[1] - top) * size];
    const grown = Math.max(0, 8 - size) / 2; // a mark that can be seen on pixels that cannot
    for (const [colour, wide] of [["#000", 4], ["#fff", 2]]) {
      [context.strokeStyle, context.lineWidth] = [colour, wide];
      context.strokeRect(x - grown, y - grown, size + 2 * grown, size + 2 * grown);
    }
  }

  holds([x, y]) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height;
  }

  words([x, y]) {
    const first = (y * this.width + x) * this.channels;
    const levels = [...this.levels.subarray(first, first + this.channels)];
    const numbers = levels.map((level) => (this.signed && level > 0 ? `+${level}` : `${level}`).replace("-", "−"));
    if (this.channels === 1) return `${x}, ${y}: ${numbers[0]}`;
    return `${x}, ${y}: ${numbers.map((number, channel) => `${CHANNELS[channel]} ${number}`).join(" ")}`;
  }

  /** Return the place below the pointer, in pixels of the picture, with fractions. */
  at(event) {
    const { scale, left, top } = this.group;
    const box = this.canvas.getBoundingClientRect();
    const across = this.width / scale / box.width;
    return [left + (event.clientX - box.left) * across, top + (event.clientY - box.top) * across];
  }

  point(event) {
    const place = this.at(event);
    if (this.held && this.group.scale > 1) this.group.move(this.held[0] - place[0], this.held[1] - place[1]);
    else this.group.mark(place.map(Math.floor));
  }

  letGo() {
    this.held = null;
  }

  leave() {
    this.letGo();
    if (document.activeElement !== this.canvas && this.root.getRootNode().activeElement !== this.canvas) {
      this.group.mark(null);
    }
  }

  /** Enlarge by the wheel where the picture was clicked before, or Ctrl is held: the page scrolls otherwise. */
  wheel(event) {
    const chosen = this.root.getRootNode().activeElement === this.canvas;
    if (!chosen && !event.ctrlKey) return;
    event.preventDefault();
    this.group.zoom(event.deltaY < 0 ? STEP : 1 / STEP, this.at(event));
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const [x, y] = this.group.pixel ?? [this.width >> 1, this.height >> 1];
    if (event.key in ARROWS) {
      const [right, down] = ARROWS[event.key];
      const next = this.group.pixel ? [x + right, y + down] : [x, y];
      if (!this.holds(next)) return;
      this.group.reveal(next);
      this.group.mark(next);
    } else if (event.key === "+" || event.key === "-") {
      this.group.zoom(event.key === "+" ? STEP : 1 / STEP, [x, y]);
    } else if (event.key === "Escape" || event.key === "0") {
      this.group.whole();
      this.group.mark(null);
    } else return;
    event.preventDefault();
  }
}

function opaque(shown, width, height, channels) {
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = shown[pixel * channels + (channels === 1 ? 0 : channel)];
    }
    image.data[4 * pixel + 3] = 255;
  }
  return image;
}
