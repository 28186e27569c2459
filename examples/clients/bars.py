"""Bars through the client that openapi-python-client makes from the schema: docs/clients.md.

`python bars.py http://127.0.0.1:8000 [token]`
"""

import sys
import time
from urllib.parse import parse_qs, urlsplit

from tvclient import AuthenticatedClient, Client
from tvclient.api.datasets import datasets_list
from tvclient.api.fetches import fetches_create, fetches_retrieve
from tvclient.api.ohlc import ohlc_list
from tvclient.models import Fetch, NewFetches, Ohlc, Problem
from tvclient.types import UNSET, Unset

SYMBOL = "NASDAQ:AAPL"


def main(url: str, token: str = "") -> None:
    client = AuthenticatedClient(url, token) if token else Client(url)
    with client:
        show_a_fetch(client)
        show_pages(client)
        # A symbol needs its exchange.
        problem = ohlc_list.sync(client=client, symbol="AAPL")
        assert isinstance(problem, Problem)
        print(f"error {problem.status} {problem.code.value}: {problem.errors.to_dict()}")


def show_a_fetch(client: Client | AuthenticatedClient) -> None:
    """Start a fetch, join it, wait for its end, and read the bars."""
    started = fetches_create.sync(
        client=client, body=NewFetches(symbol=SYMBOL, n_bars=300, use_cache=False)
    )
    # The same bars are not fetched twice at a time: the reply is the fetch that runs.
    joined = ohlc_list.sync(client=client, symbol=SYMBOL, n_bars=300, wait=0, use_cache=False)
    assert isinstance(started, Fetch) and isinstance(joined, Fetch), (started, joined)
    print(f"joined the same fetch: {joined.id == started.id}")
    fetch = joined
    while fetch.state.value in ("queued", "running"):
        time.sleep(0.2)
        fetch = fetches_retrieve.sync(fetch.id, client=client)
        assert isinstance(fetch, Fetch), fetch
    bars = ohlc_list.sync(client=client, symbol=SYMBOL, n_bars=300)
    assert isinstance(bars, Ohlc), bars
    print(f"{fetch.state.value}: {bars.count} bars, the last at {bars.ohlc[-1].time.isoformat()}")


def show_pages(client: Client | AuthenticatedClient) -> None:
    """Read a list one row a page."""
    found: list[str] = []
    cursor: str | Unset = UNSET
    while True:
        page = datasets_list.sync(client=client, page_size=1, cursor=cursor)
        assert not isinstance(page, Problem), page
        found += [row.full_symbol for row in page.results]
        if not page.next_:
            break
        cursor = parse_qs(urlsplit(page.next_).query)["cursor"][0]
    print(f"{len(found)} datasets on {len(found)} pages: {sorted(found)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
