// A photograph with the square that the model sees, which is moved and resized on it, with pointer or keys. The page
// learns of one thing, as a trigger value: `square`, [left, top, side] in the photograph's pixels, once it is let go.

import { ARROWS, fit } from "../telltale.canvas/canvas.js"; // as the server hands them out

const REACH = 22; // pixels of the page around a corner at which it is taken hold of
const HANDLE = 12;
const SETTLING = 500; // milliseconds after the last key
const CORNERS = [[0, 0], [1, 0], [0, 1], [1, 1]];
const crops = new WeakMap();

export default function show({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".crop");
  if (!crops.has(root)) crops.set(root, new Crop(root));
  const crop = crops.get(root);
  const turn = crop.take(data, setTriggerValue);
  return () => crop.turn === turn && crop.close(); // a later call has taken it over otherwise
}

class Crop {
  constructor(root) {
    [this.root, this.turn, this.held, this.picture] = [root, 0, null, null];
    this.canvas = root.querySelector("canvas");
    this.said = root.querySelector("[role=status]");
    this.context = this.canvas.getContext("2d");
    const on = (event, act) => this.canvas.addEventListener(event, act.bind(this));
    on("pointerdown", this.press);
    on("pointermove", this.move);
    on("pointerup", this.release);
    on("pointercancel", this.giveUp);
    // A finger that begins beside the square scrolls the page.
    this.canvas.addEventListener(
      "touchstart",
      (event) => event.touches.length === 1 && this.under(this.at(event.touches[0])) && event.preventDefault(),
      { passive: false },
    );
    on("keydown", this.key);
    on("blur", this.settle);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.canvas);
  }

  close() {
    this.watcher.disconnect();
    clearTimeout(this.waiting);
    cancelAnimationFrame(this.frame);
    crops.delete(this.root);
  }

  /** Take what the page has sent: a line of JSON and the photograph, made small, as PNG. */
  take(bytes, tell) {
    const end = bytes.indexOf(10);
    const { photo, size, square, box, smallest, said } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    Object.assign(this, { tell, size, smallest });
    this.canvas.setAttribute("aria-label", said);
    this.canvas.style.aspectRatio = `${size[0]} / ${size[1]}`;
    if (photo !== this.photo) this.load(photo, bytes.slice(end + 1));
    if (this.held === null && !this.waiting) [this.square, this.box, this.sent] = [square, box, square];
    this.resize();
    return ++this.turn;
  }

  async load(photo, png) {
    [this.photo, this.picture, this.held] = [photo, null, null];
    clearTimeout(this.waiting);
    this.waiting = null;
    const picture = await createImageBitmap(new Blob([png], { type: "image/png" }));
    if (photo !== this.photo) return;
    this.picture = picture;
    this.draw();
  }

  resize() {
    fit(this.canvas);
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.picture && this.paint());
  }

  paint() {
    const { context, canvas, picture, box } = this;
    const scale = canvas.width / this.size[0];
    const [left, top, right, bottom] = box.map((edge) => edge * scale);
    const part = [left, top, right - left, bottom - top];
    const [across, down] = [picture.width / this.size[0], picture.height / this.size[1]];
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    context.fillStyle = "rgb(0 0 0 / 65%)";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(
      picture, box[0] * across, box[1] * down, (box[2] - box[0]) * across, (box[3] - box[1]) * down, ...part,
    );
    const ratio = canvas.width / (canvas.clientWidth || canvas.width);
    for (const [colour, wide] of [["#000", 4], ["#ffc400", 2]]) {
      [context.strokeStyle, context.lineWidth] = [colour, wide * ratio];
      context.strokeRect(...part);
    }
    const side = HANDLE * ratio;
    [context.fillStyle, context.strokeStyle, context.lineWidth] = ["#ffc400", "#000", ratio];
    for (const [rightwards, downwards] of CORNERS) {
      const [x, y] = [rightwards ? right - side : left, downwards ? bottom - side : top];
      context.fillRect(x, y, side, side);
      context.strokeRect(x, y, side, side);
    }
  }

  // With the pointer.

  /** Return the place below the pointer, in pixels of the photograph, with fractions. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.size[0] / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale, scale];
  }

  /** Return what lies there: a corner, "inside" or nothing. */
  under([x, y, scale]) {
    const [left, top, side] = this.square;
    const reach = Math.min(REACH * scale, side / 3);
    const corner = CORNERS.find(
      ([right, down]) => Math.abs(x - left - right * side) <= reach && Math.abs(y - top - down * side) <= reach,
    );
    if (corner) return corner;
    return x >= left && y >= top && x <= left + side && y <= top + side ? "inside" : null;
  }

  press(event) {
    if (event.button !== 0 || this.held !== null) return;
    const place = this.at(event);
    const under = this.under(place);
    if (!under) return;
    this.held = { pointer: event.pointerId, under, place, square: this.square };
    if (event.isTrusted) this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const place = this.at(event);
    if (this.held === null) {
      const under = this.under(place);
      const slope = under && under[0] === under[1] ? "nwse-resize" : "nesw-resize";
      this.canvas.style.cursor = under === "inside" ? "move" : under ? slope : "default";
    } else if (event.pointerId === this.held.pointer) {
      const { under, square, place: from } = this.held;
      const [right, down] = [place[0] - from[0], place[1] - from[1]];
      if (under === "inside") this.put([square[0] + right, square[1] + down, square[2]]);
      else this.pull(square, under, right, down);
    }
  }

  /** Resize from a corner; the opposite one stays where it is. */
  pull([left, top, side], [rightwards, downwards], right, down) {
    const wished = side + ((rightwards ? right : -right) + (downwards ? down : -down)) / 2;
    const room = Math.min(rightwards ? this.size[0] - left : left + side, downwards ? this.size[1] - top : top + side);
    const next = Math.round(Math.min(room, Math.max(this.smallest, wished)));
    this.put([rightwards ? left : left + side - next, downwards ? top : top + side - next, next]);
  }

  /** Show the nearest square within the photograph. */
  put([left, top, side]) {
    const within = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));
    const next = within(side, this.smallest, Math.min(...this.size));
    const [x, y] = [within(left, 0, this.size[0] - next), within(top, 0, this.size[1] - next)];
    [this.square, this.box] = [[x, y, next], [x, y, x + next, y + next]];
    this.draw();
  }

  release(event) {
    if (event.pointerId !== this.held?.pointer) return;
    this.held = null;
    this.settle();
  }

  giveUp(event) {
    if (event.pointerId !== this.held?.pointer) return;
    this.put(this.held.square);
    this.held = null;
  }

  // With the keys.

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || this.held !== null) return;
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.min(...this.size) / 50));
    const [left, top, side] = this.square;
    if (event.key in ARROWS) {
      const [right, down] = ARROWS[event.key];
      this.put([left + right * step, top + down * step, side]);
    } else if (event.key === "+" || event.key === "-") {
      const larger = event.key === "+" ? step : -step;
      this.put([left - larger / 2, top - larger / 2, side + larger]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y, across] = this.square;
    this.said.textContent = `${across} × ${across} pixels, ${x} from the left and ${y} from the top`;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.settle(), SETTLING);
  }

  /** Tell the page where the square has come to rest. */
  settle() {
    clearTimeout(this.waiting);
    this.waiting = null;
    if (String(this.square) === String(this.sent)) return;
    this.sent = this.square;
    this.tell("square", this.square);
  }
}
