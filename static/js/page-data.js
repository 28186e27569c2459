// The tables of the service, as `datasets/views/page_data.py` writes them into the page:
// timeframes, studies, and advice for each error code.

// The admin loads `dataset.js` also on pages without a chart. Those have no data block.
const block = document.getElementById("page-data");

export const { timeframes = [], studies = {}, advice = {} } = block ? JSON.parse(block.textContent) : {};
