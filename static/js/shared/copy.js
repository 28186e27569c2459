// Buttons that copy the text of their `data-copy` attribute.

const SAID_MS = 1500;

/** Make every `[data-copy]` button work, also the buttons that are added later. */
export function watchCopyButtons() {
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("[data-copy]");
    if (button) say(button, (await copy(button.dataset.copy)) ? "Copied" : "Not copied");
  });
}

async function copy(text) {
  // Browsers offer the clipboard only to pages from this machine and to pages over HTTPS.
  if (!navigator.clipboard) return copyBySelection(text);
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  [area.value, area.className] = [text, "visually-hidden"];
  // Beside the focused element: outside of an open dialog nothing can take the focus.
  (focused?.parentElement ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isDone;
}

function say(button, word) {
  button.dataset.label ??= button.textContent;
  button.textContent = word;
  document.getElementById("said").textContent = word;
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = setTimeout(() => {
    button.textContent = button.dataset.label;
    document.getElementById("said").textContent = "";
  }, SAID_MS);
}
