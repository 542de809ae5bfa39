// A canvas's context that writes down as SVG what a map draws on it; it knows no more than that.

const NUMBERS = 100; // places of pixels are kept to this part of one

/** Takes the place of a canvas's context. */
export class SvgContext {
  /** Take a size in pixels, and a true context that measures text. */
  constructor(width, height, measuring) {
    [this.width, this.height, this.measuring, this.parts, this.path] = [width, height, measuring, [], []];
    [this.globalAlpha, this.lineWidth, this.fillStyle, this.strokeStyle, this.dash] = [1, 1, "#000", "#000", []];
  }

  beginPath() {
    this.path = [];
  }

  moveTo(x, y) {
    this.path.push(`M${short(x)} ${short(y)}`);
  }

  lineTo(x, y) {
    this.path.push(`${this.path.length ? "L" : "M"}${short(x)} ${short(y)}`);
  }

  /** Add a whole circle; a map draws no other arc. */
  arc(x, y, radius) {
    const [r, across] = [short(radius), short(2 * radius)];
    this.path.push(`M${short(x - radius)} ${short(y)}a${r} ${r} 0 1 0 ${across} 0a${r} ${r} 0 1 0 -${across} 0`);
  }

  closePath() {
    this.path.push("Z");
  }

  fill() {
    this.write("path", { d: this.path.join(""), fill: this.fillStyle });
  }

  stroke() {
    this.write("path", { d: this.path.join(""), ...this.line() });
  }

  fillRect(x, y, width, height) {
    this.write("rect", { x: short(x), y: short(y), width: short(width), height: short(height), fill: this.fillStyle });
  }

  drawImage(picture, x, y, width, height) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    const place = { x: short(x), y: short(y), width: short(width), height: short(height) };
    const style = this.imageSmoothingEnabled ? {} : { style: "image-rendering: pixelated" };
    this.write("image", { href: canvas.toDataURL(), ...place, ...style });
  }

  setLineDash(dash) {
    this.dash = dash;
  }

  measureText(text) {
    this.measuring.font = this.font;
    return this.measuring.measureText(text);
  }

  fillText(text, x, y) {
    this.write("text", { ...this.letters(x, y), fill: this.fillStyle }, text);
  }

  strokeText(text, x, y) {
    this.write("text", { ...this.letters(x, y), ...this.line() }, text);
  }

  letters(x, y) {
    return { x: short(x), y: short(y), "dominant-baseline": "central", style: `font: ${this.font}` };
  }

  line() {
    const dashed = this.dash.length ? { "stroke-dasharray": this.dash.join(" ") } : {};
    const joined = this.lineJoin === "round" ? { "stroke-linejoin": "round" } : {};
    return { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, ...dashed, ...joined };
  }

  write(tag, attributes, text = "") {
    const seen = this.globalAlpha < 1 ? { ...attributes, opacity: this.globalAlpha } : attributes;
    const written = Object.entries(seen).map(([name, value]) => ` ${name}="${escaped(value)}"`);
    this.parts.push(`<${tag}${written.join("")}${text ? `>${escaped(text)}</${tag}>` : "/>"}`);
  }

  toString() {
    const size = `width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}"`;
    return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n${this.parts.join("\n")}\n</svg>\n`;
  }
}

function short(number) {
  return Math.round(number * NUMBERS) / NUMBERS;
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(value) {
  return String(value).replace(/[&<>"]/g, (sign) => ENTITIES[sign]);
}
