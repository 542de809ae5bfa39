// The pixels of a drawing, as the model will see them: levels row by row, channels together.
//
// They are kept here and never read back from a canvas, whose pixels some browsers blur against tracking.

const MOST_UNDONE = 50;
const SOFTNESS = 0.75; // part of the radius within which a soft brush fades, to either side of its edge

export class Pixels {
  /** Begin with what is shown; what it was painted on is where `clear` leads back to. */
  constructor({ width, height, channels }, ground, shown) {
    Object.assign(this, { width, height, channels, ground, levels: shown.slice(), before: [] });
    this.strength = new Float32Array(width * height); // with which every pixel is painted since `keep`, from 0 to 1
  }

  /** Remember what is there now, for `undo`; what is painted from here on is one stroke. */
  keep() {
    this.before.push(this.levels.slice());
    if (this.before.length > MOST_UNDONE) this.before.shift();
    this.strength.fill(0);
  }

  /** Take the last change back; returns whether there was one. */
  undo() {
    if (!this.before.length) return false;
    this.levels = this.before.pop();
    return true;
  }

  clear() {
    this.keep();
    this.levels = this.ground.slice();
  }

  /** Paint a pixel over what was there before the stroke, however often the stroke comes by. */
  set(x, y, colour, strength = 1) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const pixel = y * this.width + x;
    if (strength <= this.strength[pixel]) return;
    this.strength[pixel] = strength;
    const [first, before] = [pixel * this.channels, this.before.at(-1)];
    for (let channel = 0; channel < this.channels; channel++) {
      const level = before[first + channel];
      this.levels[first + channel] = Math.round(level + strength * (colour[channel] - level));
    }
  }

  /** Paint what a round brush covers on its way between two places, in pixels with fractions. */
  stroke([fromX, fromY], [toX, toY], brush) {
    const steps = Math.max(1, Math.ceil(2 * Math.max(Math.abs(toX - fromX), Math.abs(toY - fromY))));
    for (let step = 0; step <= steps; step++) {
      const part = step / steps;
      this.dab([fromX + part * (toX - fromX), fromY + part * (toY - fromY)], brush);
    }
  }

  dab(place, { size, soft, colour }) {
    if (!soft) for (const [x, y] of covered(place, size)) this.set(x, y, colour);
    else for (const [x, y, strength] of softened(place, size)) this.set(x, y, colour, strength);
  }

  /** Paint a rectangle of whole pixels, both corners included. */
  fill(one, other, colour) {
    const { left, top, width, height } = between(one, other);
    for (let y = top; y < top + height; y++) for (let x = left; x < left + width; x++) this.set(x, y, colour);
  }

  image() {
    const image = new ImageData(this.width, this.height);
    for (let pixel = 0; pixel < this.width * this.height; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        image.data[4 * pixel + channel] = this.levels[pixel * this.channels + (this.channels === 1 ? 0 : channel)];
      }
      image.data[4 * pixel + 3] = 255;
    }
    return image;
  }

  base64() {
    let text = "";
    for (let at = 0; at < this.levels.length; at += 8192) {
      text += String.fromCharCode(...this.levels.subarray(at, at + 8192));
    }
    return btoa(text);
  }
}

/** Return the pixels below a round brush; one of an even size lies on a corner of pixels, so that it is symmetric. */
export function covered([x, y], size) {
  const first = (place) => (size % 2 ? Math.floor(place) - (size - 1) / 2 : Math.round(place) - size / 2);
  const [left, top] = [first(x), first(y)];
  const found = [];
  for (let down = 0; down < size; down++) {
    for (let across = 0; across < size; across++) {
      const far = Math.hypot(across + 0.5 - size / 2, down + 0.5 - size / 2);
      if (far <= size / 2) found.push([left + across, top + down]);
    }
  }
  return found;
}

/** Return the pixels below a soft brush, each with its strength: half of it where the edge of a hard one would be. */
export function softened([x, y], size) {
  const [radius, found] = [size / 2, []];
  const reach = (1 + SOFTNESS) * radius;
  for (let row = Math.floor(y - reach); row <= y + reach; row++) {
    for (let column = Math.floor(x - reach); column <= x + reach; column++) {
      const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const strength = Math.min(1, 0.5 + (radius - far) / (2 * SOFTNESS * radius));
      if (strength > 0) found.push([column, row, strength]);
    }
  }
  return found;
}

/** Return the rectangle that has two pixels in opposite corners. */
export function between([x, y], [otherX, otherY]) {
  const [left, top] = [Math.min(x, otherX), Math.min(y, otherY)];
  return { left, top, width: Math.abs(x - otherX) + 1, height: Math.abs(y - otherY) + 1 };
}

export function equal(one, other) {
  return one?.length === other?.length && one.every((level, at) => level === other[at]);
}
