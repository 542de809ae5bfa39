// What the server sends of a map, and where its points lie: on the map, on the screen, in a cell, inside an outline.

/** Read one packed map: a length, a JSON header, float32 places, int32 ids, uint16 classes (see packed_map.py). */
export function unpack(bytes) {
  const buffer = bytes.slice().buffer; // typed arrays must begin at a multiple of their size
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  return {
    ...header,
    places: new Float32Array(buffer, start, 2 * header.count),
    ids: new Int32Array(buffer, start + 8 * header.count, header.count),
    classes: new Uint16Array(buffer, start + 12 * header.count, header.count),
  };
}

/** Return the smallest box around points, [left, bottom, right, top]; a unit box where there are none. */
export function boundsOf(places) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < places.length; at += 2) {
    if (places[at] < box[0]) box[0] = places[at];
    if (places[at] > box[2]) box[2] = places[at];
    if (places[at + 1] < box[1]) box[1] = places[at + 1];
    if (places[at + 1] > box[3]) box[3] = places[at + 1];
  }
  return box[0] <= box[2] ? box : [0, 0, 1, 1];
}

/** Points in square cells, so that the one under the pointer is found among a few instead of among all. */
export class Grid {
  /** Take the points from a row on; the cells cover all. */
  constructor(places, from = 0) {
    this.places = places;
    const count = places.length / 2;
    this.box = boundsOf(places);
    this.side = Math.max(1, Math.ceil(Math.sqrt((count - from) / 2)));
    this.width = (this.box[2] - this.box[0]) / this.side || 1;
    this.height = (this.box[3] - this.box[1]) / this.side || 1;
    this.starts = new Int32Array(this.side * this.side + 1);
    const cells = new Int32Array(count);
    for (let row = from; row < count; row++) {
      cells[row] = this.row(places[2 * row + 1]) * this.side + this.column(places[2 * row]);
      this.starts[cells[row] + 1]++;
    }
    for (let cell = 0; cell < this.starts.length - 1; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.rows = new Int32Array(count - from);
    for (let row = from; row < count; row++) this.rows[next[cells[row]]++] = row;
  }

  column(x) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((x - this.box[0]) / this.width)));
  }

  row(y) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((y - this.box[1]) / this.height)));
  }

  /** Call `found` with every point inside a box, by its row, until it returns true. */
  visit([left, bottom, right, top], found) {
    for (let line = this.row(bottom); line <= this.row(top); line++) {
      const first = line * this.side + this.column(left);
      const last = line * this.side + this.column(right);
      for (let at = this.starts[first]; at < this.starts[last + 1]; at++) {
        const row = this.rows[at];
        const x = this.places[2 * row];
        const y = this.places[2 * row + 1];
        if (x >= left && x <= right && y >= bottom && y <= top && found(row)) return;
      }
    }
  }

  /** Return the row of the point nearest to a place and within a radius; -1 where there is none. */
  nearest(x, y, radius) {
    let best = -1;
    let least = radius * radius;
    this.visit([x - radius, y - radius, x + radius, y + radius], (row) => {
      const distance = (this.places[2 * row] - x) ** 2 + (this.places[2 * row + 1] - y) ** 2;
      if (distance <= least) [least, best] = [distance, row];
    });
    return best;
  }

  /** Return the rows inside a box, in no order; null where there are more than `most`. */
  within(box, most) {
    const rows = [];
    this.visit(box, (row) => rows.push(row) > most);
    return rows.length > most ? null : rows;
  }

  /** Return the rows inside a closed outline of [x, y] corners, ascending. */
  inside(outline) {
    const rows = [];
    this.visit(boundsOf(outline.flat()), (row) => {
      if (surrounds(outline, this.places[2 * row], this.places[2 * row + 1])) rows.push(row);
    });
    return rows.sort((one, other) => one - other);
  }
}

/** Whether an outline goes around a place: a ray from there to the right crosses it an odd number of times. */
function surrounds(outline, x, y) {
  let odd = false;
  for (let at = 0, before = outline.length - 1; at < outline.length; before = at++) {
    const [x1, y1] = outline[at];
    const [x2, y2] = outline[before];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) odd = !odd;
  }
  return odd;
}

const ROOM = 24; // pixels left around the points
const DEEPEST = 400; // times the whole map

/** The part of the map that is on the screen; both axes have the same scale, as distances have no axes. */
export class View {
  constructor() {
    [this.width, this.height, this.x, this.y, this.scale, this.whole] = [1, 1, 0, 0, 1, 1];
    this.larger = 1; // times their usual size are marks and letters, as the page's own letters are
  }

  /** Show everything inside a box. */
  fit(box) {
    this.box = box;
    const across = Math.max(1, this.width - 2 * ROOM) / (box[2] - box[0] || 1);
    const down = Math.max(1, this.height - 2 * ROOM) / (box[3] - box[1] || 1);
    this.scale = this.whole = Math.min(across, down);
    [this.x, this.y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  }

  /** Take another size on the screen; a view of everything stays one. */
  resize(width, height) {
    const all = this.scale === this.whole;
    [this.width, this.height] = [width, height];
    if (this.box && all) this.fit(this.box);
  }

  across(x) {
    return this.width / 2 + (x - this.x) * this.scale;
  }

  down(y) {
    return this.height / 2 - (y - this.y) * this.scale;
  }

  /** Return the place on the map under a point of the screen. */
  place(across, down) {
    return [this.x + (across - this.width / 2) / this.scale, this.y - (down - this.height / 2) / this.scale];
  }

  /** Return the box of the map that is on the screen, [left, bottom, right, top]. */
  seen() {
    return [...this.place(0, this.height), ...this.place(this.width, 0)];
  }

  pan(across, down) {
    this.x -= across / this.scale;
    this.y += down / this.scale;
  }

  /** Zoom so that what lies under a point of the screen stays there. */
  zoom(factor, across = this.width / 2, down = this.height / 2) {
    const [x, y] = this.place(across, down);
    this.scale = Math.min(this.whole * DEEPEST, Math.max(this.whole / 2, this.scale * factor));
    this.x = x - (across - this.width / 2) / this.scale;
    this.y = y + (down - this.height / 2) / this.scale;
  }

  /** Bring a place into the screen's inner part, if it is not there. */
  reveal(x, y) {
    const off = (at, size) => at < size * 0.1 || at > size * 0.9;
    if (off(this.across(x), this.width) || off(this.down(y), this.height)) [this.x, this.y] = [x, y];
  }
}
