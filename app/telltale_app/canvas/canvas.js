// What every component with a canvas needs.

export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Give a canvas as many pixels as the screen has where it stands; setting a size wipes it, so only where it differs. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
  if (width && (canvas.width !== width || canvas.height !== height)) [canvas.width, canvas.height] = [width, height];
}
