// Geometry in the pixels of a pane. These functions make no objects: they run for every drawing in each frame.

/** Return the distance from `x`, `y` to the segment from `ax`, `ay` to `bx`, `by`; a ray goes on behind its second point. */
export function distanceToLine(x, y, ax, ay, bx, by, isRay = false) {
  const [dx, dy] = [bx - ax, by - ay];
  const square = dx * dx + dy * dy;
  const share = square ? Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square) : 0;
  const reached = isRay ? share : Math.min(1, share);
  return Math.hypot(x - ax - reached * dx, y - ay - reached * dy);
}

/** Return the distance from `x`, `y` to the nearest edge of the rectangle with two opposite corners. */
export function distanceToEdges(x, y, ax, ay, bx, by) {
  return Math.min(
    distanceToLine(x, y, ax, ay, bx, ay), distanceToLine(x, y, ax, by, bx, by),
    distanceToLine(x, y, ax, ay, ax, by), distanceToLine(x, y, bx, ay, bx, by),
  );
}

/** Return whether `x`, `y` is in the rectangle with two opposite corners. */
export function isInside(x, y, ax, ay, bx, by) {
  return (x - ax) * (x - bx) <= 0 && (y - ay) * (y - by) <= 0;
}

/**
 * Write the visible part of a segment or ray into `out` as `[x1, y1, x2, y2]`; return false if nothing is visible.
 * A canvas has single precision: a line to a point far outside would be drawn at a wrong place.
 */
export function clipLine(ax, ay, bx, by, { width, height }, out, isRay = false) {
  const [dx, dy] = [bx - ax, by - ay];
  if (!dx && !dy) return false;
  let [from, to] = [0, isRay ? Infinity : 1];
  for (let side = 0; side < 4; side++) {
    const step = side === 0 ? -dx : side === 1 ? dx : side === 2 ? -dy : dy;
    const room = side === 0 ? ax : side === 1 ? width - ax : side === 2 ? ay : height - ay;
    if (step === 0 && room < 0) return false;
    if (step < 0) from = Math.max(from, room / step);
    else if (step > 0) to = Math.min(to, room / step);
  }
  if (from > to) return false;
  [out[0], out[1], out[2], out[3]] = [ax + from * dx, ay + from * dy, ax + to * dx, ay + to * dy];
  return true;
}
