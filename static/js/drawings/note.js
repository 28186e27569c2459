// The window for the text of a drawing.

import { MAX_TEXT } from "./kept.js";

const dialog = document.getElementById("drawing-note");
const input = document.getElementById("drawing-note-text");
input.maxLength = MAX_TEXT;
dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close(""));

/** Return the promise of the text that the user types; empty if the user leaves the window without one. */
export function askText(text) {
  input.value = text;
  dialog.returnValue = "";
  dialog.showModal();
  input.select();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "keep" ? input.value.trim() : ""), { once: true }));
}
