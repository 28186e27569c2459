// Bars through openapi-fetch, with the types that openapi-typescript makes from the schema: docs/clients.md.
// `node bars.js http://127.0.0.1:8000 [token]`

import createClient from "openapi-fetch";
import type { components, paths } from "./tvschema.js";

declare const process: { argv: string[] }; // or: npm install --save-dev @types/node
const [url = "http://127.0.0.1:8000", token] = process.argv.slice(2);
// The two media types of the replies that are read here: JSON, and an error.
const client = createClient<paths, "application/json" | "application/problem+json">({
  baseUrl: url,
  headers: token ? { Authorization: `Bearer ${token}` } : {},
});
const symbol = "NASDAQ:AAPL";

/** Returns the fetch of a reply with status 202. */
function fetchOf(reply: { data?: object; error?: components["schemas"]["Problem"] }): components["schemas"]["Fetch"] {
  if (!reply.data || !("state" in reply.data)) throw new Error(JSON.stringify(reply.error ?? reply.data));
  return reply.data as components["schemas"]["Fetch"];
}

/** Returns a page of datasets, one on each. */
const pageAt = (cursor?: string) => client.GET("/api/tv/datasets", { params: { query: { page_size: 1, cursor } } });

// Start a fetch, join it, wait for its end, and read the bars.
const started = fetchOf(await client.POST("/api/tv/fetches", { body: { symbol, n_bars: 300, use_cache: false } }));
// The same bars are not fetched twice at a time: the reply is the fetch that runs.
const query = { symbol, n_bars: 300 };
let fetch = fetchOf(await client.GET("/api/tv/ohlc", { params: { query: { ...query, wait: 0, use_cache: false } } }));
console.log(`joined the same fetch: ${fetch.id === started.id}`);
while (fetch.state === "queued" || fetch.state === "running") {
  await new Promise((resolve) => setTimeout(resolve, 200));
  fetch = fetchOf(await client.GET("/api/tv/fetches/{id}", { params: { path: { id: fetch.id } } }));
}
const { data: bars } = await client.GET("/api/tv/ohlc", { params: { query } });
if (!bars || !("ohlc" in bars) || !Array.isArray(bars.ohlc)) throw new Error("no bars");
console.log(`${fetch.state}: ${bars.count} bars, the last at ${bars.ohlc.at(-1)?.time}`);

// Read a list one row a page.
const found: string[] = [];
let cursor: string | undefined;
do {
  const { data: page, error } = await pageAt(cursor);
  if (error) throw new Error(error.detail);
  found.push(...page.results.map((row) => row.full_symbol));
  cursor = page.next ? new URL(page.next).searchParams.get("cursor")! : undefined;
} while (cursor);
console.log(`${found.length} datasets on ${found.length} pages: ${found.sort()}`);

// A symbol needs its exchange.
const { error: problem } = await client.GET("/api/tv/ohlc", { params: { query: { symbol: "AAPL" } } });
if (!problem) throw new Error("no error");
console.log(`error ${problem.status} ${problem.code}: ${JSON.stringify(problem.errors)}`);
