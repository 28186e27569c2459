// The drawings of one symbol, and the steps back and forward.

import { History } from "./history.js";
import { drawingsOf, replaceDrawings, watchDrawings } from "./kept.js";
import { isSame } from "./merge.js";
import { Sync } from "./sync.js";

/** The drawings of the symbol shown; `onChange` is called when they change, also by another tab or another computer. */
export class Edits {
  #onChange;
  #symbol = "";
  #problem = ""; // of the browser's storage
  #isOwn = false; // whether the change under way is the user's
  #histories = new Map(); // symbol → History
  #sync;

  constructor(onChange) {
    this.#onChange = onChange;
    this.#sync = new Sync((symbol) => symbol === this.#symbol && onChange());
    watchDrawings((symbol, before) => this.#replaced(symbol, before));
  }

  /** Why the drawings are not stored, or not sent to the service; empty if all is well. */
  get problem() {
    if (!this.#sync.isOn) return this.#problem;
    // What the service has is safe, also where the browser stores nothing.
    const unsent = this.#sync.problemOf(this.#symbol);
    return unsent && `${unsent} ${this.#problem || "This browser keeps them."}`;
  }

  /** Take the drawings of another symbol; an empty name stands for none. Return whether it is another one. */
  open(symbol) {
    const isOther = symbol !== this.#symbol;
    if (isOther) {
      [this.#symbol, this.#problem] = [symbol, ""];
      this.#sync.open(symbol);
    }
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
    this.#isOwn = true;
    this.#problem = replaceDrawings(this.#symbol, list);
    this.#isOwn = false;
    this.#sync.note(this.#symbol);
    this.#onChange();
  }

  /** The list of the symbol was `before` until now. */
  #replaced(symbol, before) {
    if (this.#isOwn) return;
    const after = drawingsOf(symbol);
    if (!isSame(before, after)) this.#histories.get(symbol)?.rebase(before, after);
    if (symbol === this.#symbol) this.#onChange();
  }
}
