// Loads the page again and replaces its live parts. The server writes those parts, so the page has the
// same content with this module and without it.

/** Load the page at `address`; resolves to its document. */
export async function askFor(address, { signal } = {}) {
  const response = await fetch(address, { signal, headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`HTTP ${response.status}`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Replace the live parts by those of the fresh page; equal parts stay, and the focus stays. */
export function replaceParts(fresh) {
  const focused = document.activeElement?.id;
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other) replacePart(part, document.adoptNode(other));
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}

function replacePart(part, other) {
  if ("active" in other.dataset) part.dataset.active = other.dataset.active;
  if (part.innerHTML === other.innerHTML) return;
  // Row by row where both have a table: a click under way must not lose its button.
  const [body, otherBody] = [part.querySelector("tbody[id]"), other.querySelector("tbody[id]")];
  if (!body || !otherBody) return part.replaceChildren(...other.childNodes);
  keepRows(body, otherBody);
  part.querySelector(".pager").replaceWith(other.querySelector(".pager"));
}

function keepRows(body, otherBody) {
  const before = new Map([...body.rows].map((row) => [row.id, row]));
  const rows = [...otherBody.rows].map((row) => {
    const kept = before.get(row.id);
    return kept && kept.innerHTML === row.innerHTML ? kept : row.cloneNode(true);
  });
  rows.forEach((row, place) => body.rows[place] !== row && body.insertBefore(row, body.rows[place] ?? null));
  while (body.rows.length > rows.length) body.rows[rows.length].remove();
}
