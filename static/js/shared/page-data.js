// The tables of the service, as `datasets/views/page_data.py` writes them into the page: timeframes,
// studies, advice for each error code, and the labels of sources and adjustments.

// The admin loads `dataset.js` also on pages without a chart. Those have no data block.
const block = document.getElementById("page-data");

export const { timeframes = [], studies = {}, advice = {}, sources = {}, adjustments = {} } = block ? JSON.parse(block.textContent) : {};
