// A map as a file: as it is seen now (PNG, SVG) on a see-through ground, or every point of it (CSV).

import { SvgContext } from "./svg.js";

const FORMS = { png, svg, csv };
const COLUMNS = ["image", "class", "x", "y", "marked", "said"];

/** Offer a map to the person as a file of one of the forms. */
export async function save(map, form) {
  const address = URL.createObjectURL(await FORMS[form](map));
  Object.assign(document.createElement("a"), { href: address, download: `${map.map.file}.${form}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000); // a browser may read it only once the person has agreed
}

function png({ dots, context }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [context.canvas.width, context.canvas.height];
  const together = canvas.getContext("2d");
  for (const layer of [dots.context, context]) together.drawImage(layer.canvas, 0, 0);
  return new Promise((made) => canvas.toBlob(made, "image/png"));
}

function svg(map) {
  const drawing = new SvgContext(map.view.width, map.view.height, map.context);
  const near = map.near();
  if (!near) map.dots.trace(drawing, map.map, map.view);
  map.drawMarks(drawing, near, map.theme());
  return new Blob([drawing.toString()], { type: "image/svg+xml" });
}

function csv({ map }) {
  const marked = new Map();
  for (const { name, rows } of map.lists) {
    for (const row of rows) marked.set(row, [...(marked.get(row) ?? []), name]);
  }
  const lines = Array.from(map.ids, (id, row) => {
    const words = map.words.length && row >= map.first ? map.words[row - map.first] : "";
    const [x, y] = [map.places[2 * row], map.places[2 * row + 1]];
    return [id, map.looks[map.classes[row]].name, x, y, (marked.get(row) ?? []).join(", "), words];
  });
  const images = map.images.map(({ name, place }) => ["", "", ...place, name, ""]);
  const text = [COLUMNS, ...lines, ...images].map((line) => line.map(cell).join(",")).join("\r\n");
  return new Blob([text, "\r\n"], { type: "text/csv" });
}

/** Write one cell; text that a spreadsheet would run gets an apostrophe, as in every table of the pages. */
function cell(value) {
  const text = typeof value === "string" && /^'*[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
