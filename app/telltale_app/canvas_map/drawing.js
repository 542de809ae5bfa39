// Draws what is few on a map, on the canvas above its dots: pictures, outlines, lists, names, the images themselves.

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
      mark(context, look, x, y, 5 * view.larger, ring);
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
  for (const list of map.lists) for (const row of list.rows) mark(context, list, ...at(row), list.radius * view.larger, ring);
}

/** Draw the images themselves; nothing may hide them. */
export function drawImages(context, { images }, view, ring) {
  for (const image of images) {
    mark(context, image, view.across(image.place[0]), view.down(image.place[1]), 10 * view.larger, ring);
  }
}

/** Write every class at the middle of its points, those that are involved first; nothing over what stands there. */
export function drawLabels(context, map, view, { text, ground, font }) {
  const taken = [];
  const { larger } = view;
  const labelled = map.looks.filter((look) => look.labelled);
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const look of labelled.sort((one, other) => Number(other.involved) - Number(one.involved))) {
    context.font = `${look.involved ? 600 : 400} ${13 * larger}px ${font}`;
    const width = context.measureText(look.name).width;
    const [x, y] = [view.across(look.place[0]) - width / 2, view.down(look.place[1])];
    const box = [x - 14 * larger, y - 9 * larger, x + width, y + 9 * larger];
    const covers = (other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1];
    if (taken.some(covers)) continue;
    taken.push(box);
    context.globalAlpha = look.involved ? 1 : 0.75;
    context.lineWidth = 4;
    context.strokeStyle = ground;
    context.strokeText(look.name, x, y);
    context.fillStyle = text;
    context.fillText(look.name, x, y);
    mark(context, look, x - 8 * larger, y, 4.5 * larger, ground);
  }
  context.globalAlpha = 1;
}

/** Ring the points that were chosen, so that they are found again on a map beside this one. */
export function drawPicked(context, { places, picked }, view, colour) {
  const radius = 5 * view.larger;
  context.beginPath();
  for (const row of picked) {
    const [x, y] = [view.across(places[2 * row]), view.down(places[2 * row + 1])];
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, TURN);
  }
  [context.lineWidth, context.strokeStyle] = [1.25, colour];
  context.stroke();
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
