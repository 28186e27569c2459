// The drawings of one symbol, and the steps back and forward.

import { History } from "./history.js";
import { drawingsOf, replaceDrawings, watchDrawings } from "./kept.js";

/** The drawings of the symbol shown; `onChange` is called when they change, also by another tab. */
export class Edits {
  /** Why the drawings are not stored; empty if they are. */
  problem = "";
  #onChange;
  #symbol = "";
  #histories = new Map(); // symbol → History

  constructor(onChange) {
    this.#onChange = onChange;
    watchDrawings((symbol) => symbol === this.#symbol && onChange());
  }

  /** Take the drawings of another symbol; an empty name stands for none. Return whether it is another one. */
  open(symbol) {
    const isOther = symbol !== this.#symbol;
    if (isOther) [this.#symbol, this.problem] = [symbol, ""];
    return isOther;
  }

  get list() {
    return this.#symbol ? drawingsOf(this.#symbol) : [];
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** Replace the list. Changes in a row with the same `step` are undone together. */
  change(list, step = null) {
    this.#history.note(this.list, step);
    this.#store(list);
  }

  /** Take back the newest change; return false if there is none. */
  undo() {
    return this.#travel(this.#history.undo(this.list));
  }

  /** Make the change again that was taken back last; return false if there is none. */
  redo() {
    return this.#travel(this.#history.redo(this.list));
  }

  get #history() {
    if (!this.#histories.has(this.#symbol)) this.#histories.set(this.#symbol, new History());
    return this.#histories.get(this.#symbol);
  }

  #travel(list) {
    if (list) this.#store(list);
    return list !== null;
  }

  #store(list) {
    this.problem = replaceDrawings(this.#symbol, list);
    this.#onChange();
  }
}
