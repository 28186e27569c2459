// Lines to copy that get the drawn bars with curl or the loader. `views/snippets.py` writes those of a dataset.

import { labelOf } from "../bars/timeframes.js";
import { barsUrl } from "../shared/api.js";
import { SERIES_DEFAULTS } from "../shared/parameters.js";

const box = document.getElementById("lines");

/** Write the lines for the bars of `query`, a series with a range or a number of bars. */
export function showLines(shown, { url, query }) {
  box.hidden = false;
  for (const [name, text] of [["curl", curlCommand(shown, url, query)], ["loader", loaderLines(shown, query)]]) {
    box.querySelector(`[data-lines=${name}] code`).textContent = text;
    box.querySelector(`[data-lines=${name}] button`).dataset.copy = text;
  }
}

/** Hide the lines. */
export function hideLines() {
  box.hidden = true;
}

function curlCommand({ fullSymbol, timeframe }, url, query) {
  const address = barsUrl(new URL(url, location.href).href, query, { format: "csv" });
  const header = box.dataset.needsToken ? ' -H "Authorization: Bearer $TV_TOKEN"' : "";
  return `curl -f${header} -o ${quoted(`${fullSymbol.replace(/[^\p{L}\p{N}.-]/gu, "_")}_${timeframe}.csv`)} ${quoted(address)}`;
}

function loaderLines({ fullSymbol, timeframe, source }, query) {
  const named = [];
  if (query.start || query.end) for (const name of ["start", "end"]) named.push([name, query[name]]);
  else named.push(["n_bars", Number(query.n_bars)]);
  for (const name of ["session", "adjustment"]) if (query[name] !== SERIES_DEFAULTS[name]) named.push([name, query[name]]);
  // The loader loads synthetic bars only when the caller names their source.
  if (source !== "tradingview") named.push(["source", source]);
  // Elsewhere the reader does not have the files.
  const isElsewhere = !["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
  if (isElsewhere) named.push(["url", location.origin]);
  const given = named.filter(([, value]) => value).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const withToken = isElsewhere && box.dataset.needsToken;
  if (withToken) given.push('token=os.environ["TV_TOKEN"]');
  return `${withToken ? "import os\n" : ""}from tvdatasets import load\nbars = load(${[JSON.stringify(fullSymbol), JSON.stringify(labelOf(timeframe)), ...given].join(", ")})`;
}

/** Quote a text for a shell. */
function quoted(text) {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
