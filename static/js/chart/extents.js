// The lowest and the highest of many values, for scales and for lines with more values than pixels.

const SIZE = 32; // values of a chunk

/** Returns the extent of parts of `values`; nulls have no effect. Only the last value may change, and values may be added after it. */
export class Extents {
  #values;
  #chunks = []; // the extent of each chunk that was needed and that is complete

  constructor(values) {
    this.#values = values;
  }

  /** Return `{min, max}` of the values from the position `start` to `end`, both included; null where there is none. */
  between(start, end) {
    const last = Math.min(end, this.#values.length - 1);
    const found = { min: Infinity, max: -Infinity };
    for (let i = Math.max(0, start); i <= last; ) {
      const isChunk = i % SIZE === 0 && i + SIZE - 1 <= last && i + SIZE < this.#values.length;
      if (isChunk) widen(found, (this.#chunks[i / SIZE] ??= this.#scan(i, i + SIZE - 1)));
      else widen(found, this.#scan(i, Math.min(last, i - (i % SIZE) + SIZE - 1)));
      i += SIZE - (i % SIZE);
    }
    return found.min <= found.max ? found : null;
  }

  #scan(start, end) {
    let [min, max] = [Infinity, -Infinity];
    for (let i = start; i <= end; i++) {
      const value = this.#values[i];
      if (value === null) continue;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    return { min, max };
  }
}

function widen(extent, { min, max }) {
  if (min < extent.min) extent.min = min;
  if (max > extent.max) extent.max = max;
}
