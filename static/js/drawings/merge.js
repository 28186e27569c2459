// Two lists of drawings that have changed since they were one.

/**
 * Return the drawings of `mine` and `theirs`, which both began as `base`.
 *
 * What only one side has changed, added or deleted is as on that side. A drawing that both have changed is as in
 * `mine`; one that one side has changed and the other deleted stays. The order is that of `theirs`, then new ones.
 */
export function merge(base, mine, theirs) {
  const [before, here, there] = [byId(base), byId(mine), byId(theirs)];
  const found = [];
  for (const their of theirs) {
    const [old, our] = [before.get(their.id), here.get(their.id)];
    if (our) found.push(isOther(our, old) || !isOther(our, their) ? our : their);
    else if (isOther(their, old)) found.push(their);
  }
  return found.concat(mine.filter((our) => !there.has(our.id) && isOther(our, before.get(our.id))));
}

/** Whether two lists hold the same drawings in the same order. */
export function isSame(list, other) {
  return list === other || (list.length === other.length && list.every((drawing, n) => drawing.id === other[n].id && !isOther(drawing, other[n])));
}

/** Whether the drawing differs from `other`, which may be undefined. */
function isOther(drawing, other) {
  return !other || (drawing !== other && valuesOf(drawing) !== valuesOf(other));
}

function valuesOf({ kind, points, text = "" }) {
  return JSON.stringify([kind, text, points.map(({ time, price }) => [time, price])]);
}

function byId(list) {
  return new Map(list.map((drawing) => [drawing.id, drawing]));
}
