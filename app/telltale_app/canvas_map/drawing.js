// Draws a map: tens of thousands of dots pixel by pixel on one canvas, and on a second one above it all that is few.

const MUTED = 0.22; // opacity of the dots of classes that are not involved
const WAITING = 0.5; // of dots that can be chosen and are not shown now
const SHOWN = 0.8;
const TURN = 2 * Math.PI;
const CORNERS = { square: [4, 1, 0.125], diamond: [4, 1, 0], pentagon: [5, 1, 0], hexagon: [6, 1, 0] };
Object.assign(CORNERS, { "triangle-up": [3, 1, 0], "triangle-down": [3, 1, 0.5] });
Object.assign(CORNERS, { star: [5, 0.45, 0], "star-diamond": [4, 0.5, 0], cross: [4, 0.4, 0], x: [4, 0.4, 0.125] });

/** Add the outline of a marker to a context's path. */
export function trace(context, symbol, x, y, radius) {
  context.beginPath();
  if (!(symbol in CORNERS)) {
    context.arc(x, y, radius, 0, TURN);
    return;
  }
  const [points, waist, turned] = CORNERS[symbol];
  const steps = waist < 1 ? 2 * points : points;
  for (let step = 0; step < steps; step++) {
    const length = radius * 1.15 * (waist < 1 && step % 2 ? waist : 1);
    const angle = TURN * (step / steps + turned - 0.25);
    context.lineTo(x + length * Math.cos(angle), y + length * Math.sin(angle));
  }
  context.closePath();
}

/** Return a marker's pixels: their offsets in rows of a width, and their colours as the canvas stores them. */
function sprite(colour, symbol, radius, opacity, width) {
  const reach = Math.ceil(radius * 1.2) + 1;
  const side = 2 * reach + 1;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalAlpha = opacity;
  context.fillStyle = colour;
  trace(context, symbol, reach + 0.5, reach + 0.5, radius);
  context.fill();
  const pixels = new Uint32Array(context.getImageData(0, 0, side, side).data.buffer);
  const opaque = [...pixels.keys()].filter((at) => pixels[at] !== 0);
  const offsets = opaque.map((at) => (Math.floor(at / side) - reach) * width + (at % side) - reach);
  return { reach, offsets: Int32Array.from(offsets), colours: Uint32Array.from(opaque, (at) => pixels[at]) };
}

/** The dots. Fifty thousand calls that draw a picture each would take longer than a frame; writing pixels does not. */
export class Dots {
  constructor(canvas) {
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.made = "";
  }

  /** Take another map: muted classes are drawn first, the others above them, and what can be chosen above all. */
  take({ classes, looks, first }) {
    this.looks = looks;
    this.order = new Int32Array(classes.length);
    let at = 0;
    for (const involved of [false, true]) {
      for (let row = 0; row < (first || classes.length); row++) {
        if (looks[classes[row]].involved === involved) this.order[at++] = row;
      }
    }
    while (at < classes.length) this.order[at] = at++;
    this.made = "";
  }

  draw({ places, classes }, view, ratio) {
    const { canvas } = this.context;
    const [width, height] = [canvas.width, canvas.height];
    const deep = Math.sqrt(view.scale / view.whole);
    const usual = classes.length > 20000 ? 1.6 : classes.length > 4000 ? 2.2 : 3;
    const radius = Math.round(2 * Math.min(5, usual * Math.max(1, deep * 0.7))) / 2;
    this.make(radius * ratio, width, height);
    const pixels = this.pixels.fill(0);
    const scale = view.scale * ratio;
    const left = (view.width * ratio) / 2 - view.x * scale;
    const top = (view.height * ratio) / 2 + view.y * scale;
    const { order, sprites } = this;
    for (let drawn = 0; drawn < order.length; drawn++) {
      const row = order[drawn];
      const { reach, offsets, colours } = sprites[classes[row]];
      const x = Math.round(left + places[2 * row] * scale);
      const y = Math.round(top - places[2 * row + 1] * scale);
      if (!(x >= reach && y >= reach && x < width - reach && y < height - reach)) continue;
      const centre = y * width + x;
      for (let at = 0; at < offsets.length; at++) pixels[centre + offsets[at]] = colours[at];
    }
    this.context.putImageData(this.image, 0, 0);
  }

  clear() {
    this.context.clearRect(0, 0, this.context.canvas.width, this.context.canvas.height);
  }

  /** Make the markers of every class anew, where their size or the canvas has changed. */
  make(radius, width, height) {
    const wanted = `${radius} ${width} ${height}`;
    if (this.made === wanted) return;
    this.made = wanted;
    this.image = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    const known = new Map(); // of a thousand classes, all may look alike
    this.sprites = this.looks.map(({ colour, symbol, involved, waiting }) => {
      const key = `${colour} ${symbol} ${involved} ${waiting}`;
      const opacity = involved ? SHOWN : waiting ? WAITING : MUTED;
      if (!known.has(key)) known.set(key, sprite(colour, symbol, radius, opacity, width));
      return known.get(key);
    });
  }
}

/** Draw one ringed marker. */
export function mark(context, { colour, symbol }, x, y, radius, ring) {
  trace(context, symbol, x, y, radius);
  context.lineWidth = 3;
  context.strokeStyle = ring;
  context.stroke();
  context.fillStyle = colour;
  context.fill();
}

/** Return the side of pictures that stand in the place of dots, so that many leave room for each other. */
export function pictureSide(view, count) {
  return Math.min(64, Math.max(26, 0.7 * Math.sqrt((view.width * view.height) / Math.max(1, count))));
}

/** Draw pictures in the place of dots, each in a frame of its class's colour; a dot where one has not come yet. */
export function drawPictures(context, map, view, rows, pictureOf, ring) {
  const side = pictureSide(view, rows.length);
  for (const row of rows) {
    const [x, y] = [view.across(map.places[2 * row]), view.down(map.places[2 * row + 1])];
    const look = map.looks[map.classes[row]];
    const picture = pictureOf(map.ids[row]);
    if (!picture.complete || !picture.naturalWidth) {
      mark(context, look, x, y, 5, ring);
      continue;
    }
    context.fillStyle = look.colour;
    context.fillRect(x - side / 2 - 2, y - side / 2 - 2, side + 4, side + 4);
    context.imageSmoothingEnabled = picture.naturalWidth > side;
    context.drawImage(picture, x - side / 2, y - side / 2, side, side);
  }
}

/** Draw a closed line around where each of some classes lies. */
export function drawOutlines(context, { outlines }, view) {
  context.lineWidth = 2;
  for (const { colour, corners } of outlines) {
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(view.across(x), view.down(y));
    context.closePath();
    context.strokeStyle = colour;
    context.stroke();
  }
}

/** Draw what connects an image to the training images of its lists, and their marks. */
export function drawLists(context, map, view, ring) {
  const at = (row) => [view.across(map.places[2 * row]), view.down(map.places[2 * row + 1])];
  const centre = map.images[map.chosen];
  context.lineWidth = 1.25;
  context.globalAlpha = 0.7;
  for (const { colour, rows, joined } of map.lists) {
    if (!joined) continue;
    context.strokeStyle = colour;
    context.beginPath();
    for (const row of rows) {
      context.moveTo(view.across(centre.place[0]), view.down(centre.place[1]));
      context.lineTo(...at(row));
    }
    context.stroke();
  }
  context.globalAlpha = 1;
  for (const list of map.lists) for (const row of list.rows) mark(context, list, ...at(row), list.radius, ring);
}

/** Draw the images themselves; nothing may hide them. */
export function drawImages(context, { images }, view, ring) {
  for (const image of images) mark(context, image, view.across(image.place[0]), view.down(image.place[1]), 10, ring);
}

/** Write every class at the middle of its points, those that are involved first; nothing over what stands there. */
export function drawLabels(context, map, view, { text, ground, font }) {
  const taken = [];
  const labelled = map.looks.filter((look) => look.labelled);
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const look of labelled.sort((one, other) => Number(other.involved) - Number(one.involved))) {
    context.font = `${look.involved ? 600 : 400} 13px ${font}`;
    const width = context.measureText(look.name).width;
    const [x, y] = [view.across(look.place[0]) - width / 2, view.down(look.place[1])];
    const box = [x - 14, y - 9, x + width, y + 9];
    const covers = (other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1];
    if (taken.some(covers)) continue;
    taken.push(box);
    context.globalAlpha = look.involved ? 1 : 0.75;
    context.lineWidth = 4;
    context.strokeStyle = ground;
    context.strokeText(look.name, x, y);
    context.fillStyle = text;
    context.fillText(look.name, x, y);
    mark(context, look, x - 8, y, 4.5, ground);
  }
  context.globalAlpha = 1;
}

/** Draw a selection's outline, corners given as places on the map. */
export function drawOutline(context, outline, view, colour) {
  if (outline.length < 2) return;
  context.beginPath();
  for (const [x, y] of outline) context.lineTo(view.across(x), view.down(y));
  context.closePath();
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.setLineDash([5, 4]);
  context.stroke();
  context.setLineDash([]);
}
