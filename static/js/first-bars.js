// Requests the bars of the page's address while the browser still reads the page and loads its other modules.

import { beginBars } from "./shared/api.js";
import { linkedSeries, readSeries } from "./shared/parameters.js";

// The form does not exist yet.
const { ohlcUrl, nBars } = document.getElementById("early").dataset;
const said = readSeries(location.search);
if (said.symbol) beginBars(ohlcUrl, linkedSeries(said, nBars));
