// Draws the dots of a map, tens of thousands of them, pixel by pixel on a canvas of their own.

import { trace } from "./drawing.js";

const MUTED = 0.22; // opacity of the dots of classes that are not involved
const WAITING = 0.5; // of dots that can be chosen and are not shown now
const SHOWN = 0.8;

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

function opacityOf({ involved, waiting }) {
  return involved ? SHOWN : waiting ? WAITING : MUTED;
}

/** Return the radius of a dot, in half pixels: the more there are, the smaller, and larger close up. */
function dotRadius(count, view) {
  const deep = Math.sqrt(view.scale / view.whole);
  const usual = count > 20000 ? 1.6 : count > 4000 ? 2.2 : 3;
  return Math.round(2 * view.larger * Math.min(5, usual * Math.max(1, deep * 0.7))) / 2;
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
    this.make(dotRadius(classes.length, view) * ratio, width, height);
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

  /** Draw each dot by itself, for a context that writes down what is drawn. */
  trace(context, { places, classes }, view) {
    const radius = dotRadius(classes.length, view);
    for (const row of this.order) {
      const look = this.looks[classes[row]];
      [context.globalAlpha, context.fillStyle] = [opacityOf(look), look.colour];
      trace(context, look.symbol, view.across(places[2 * row]), view.down(places[2 * row + 1]), radius);
      context.fill();
    }
    context.globalAlpha = 1;
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
      const opacity = opacityOf({ involved, waiting });
      if (!known.has(key)) known.set(key, sprite(colour, symbol, radius, opacity, width));
      return known.get(key);
    });
  }
}
