// The tables of the service, as `datasets/views/page_data.py` writes them into the page:
// timeframes, studies, and advice for each error code.

export const { timeframes, studies, advice } = JSON.parse(document.getElementById("page-data").textContent);
