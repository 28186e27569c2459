// Undo and redo for the drawings of one symbol.

import { merge } from "./merge.js";

const MAX_STEPS = 100;

/** Lists of drawings before and after the current one. */
export class History {
  #past = [];
  #future = [];
  #step = null; // the name of the newest change

  /** Note that `list` is about to change. Changes in a row with the same `step` are undone together. */
  note(list, step = null) {
    if (step === null || step !== this.#step) this.#past = [...this.#past, list].slice(-MAX_STEPS);
    [this.#future, this.#step] = [[], step];
  }

  /** Return the list before the newest change of `list`; null if there is none. */
  undo(list) {
    return this.#move(this.#past, this.#future, list);
  }

  /** Return the list that was undone last; null if there is none. */
  redo(list) {
    return this.#move(this.#future, this.#past, list);
  }

  /** Note that somebody else has replaced the list `before` by `after`; undo and redo keep that change. */
  rebase(before, after) {
    const withChange = (list) => merge(before, list, after);
    [this.#past, this.#future] = [this.#past.map(withChange), this.#future.map(withChange)];
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  #move(from, to, list) {
    if (!from.length) return null;
    to.push(list);
    this.#step = null;
    return from.pop();
  }
}
