"""The lists, searches and pages of a large catalog: their addresses, and the time of each."""

from __future__ import annotations

import gc
import time
from typing import Any

ROUNDS = 9
_DATASETS, _SERIES, _FETCHES = "/api/tv/datasets", "/api/tv/series", "/api/tv/fetches"
_ADMIN = "/admin/datasets"
# A common word, a rare one, a ticker, a whole symbol, two words, letters of the middle, and none that exist.
SEARCHES = ("global", "4711", "mtza", "NASDAQ:M", "royal mining", "obot", "nothinglikeit")


def addresses() -> list[str]:
    """Return the addresses that are measured; each list with its filters, orders, searches and late pages."""
    from datasets.models import Dataset, Series, Watchlist

    some = Dataset.objects.filter(state="ready").first()
    assert some is not None
    symbol = f"exchange={some.exchange}&symbol={some.symbol}"
    words = [word.replace(" ", "+") for word in SEARCHES]
    series, watchlist = Series.objects.order_by("pk")[0].pk, Watchlist.objects.get(name="list 0").pk
    orders = (
        "fetched_at",
        "exchange",
        "symbol",
        "timeframe",
        "n_rows",
        "bytes",
        "hits",
        "last_time",
    )
    filters = (
        "exchange=NASDAQ", "exchange=COINBASE", symbol, "timeframe=1M", "timeframe=1h", "state=ready", "state=corrupt",
        "state=missing", "session=extended", "is_pinned=true", "source=sample", "n_bars=5000", "fetched_before=2026-11-01T00:00:00Z",
        "exchange=NASDAQ&timeframe=1M", "exchange=NASDAQ&state=corrupt", "exchange=NASDAQ&ordering=-n_rows",
    )  # fmt: skip
    api = [
        *(f"{_DATASETS}?{each}" for each in ("page_size=50", *filters)),
        *(f"{_DATASETS}?ordering={sign}{name}" for name in orders for sign in ("", "-")),
        *(f"{_DATASETS}?q={word}" for word in words),
        *(f"{_SERIES}{each}" for each in ("", "?exchange=NASDAQ", f"?{symbol}", "?timeframe=1M", "?ordering=symbol", "?ordering=-n_rows")),
        *(f"{_FETCHES}{each}" for each in (
            "", "?state=failed", "?state=queued", "?exchange=NASDAQ", f"?{symbol}", "?error_code=symbol_not_found",
            "?requested_via=page", f"?dataset={some.pk}", "?ordering=symbol", "?ordering=-finished_at", "?ordering=exchange",
        )),
        "/api/tv/watchlists", f"/api/tv/watchlists/{watchlist}/symbols", f"/api/tv/watchlists/{watchlist}/series",
        "/api/tv/watchlists/budget", f"{_SERIES}/{series}/revisions", "/api/tv/status", "/readyz",
    ]  # fmt: skip
    pages = [
        "/",
        *(f"/datasets/{each}" for each in (
            "", "?page=100", "?exchange=NASDAQ", "?timeframe=1M", "?state=corrupt", "?source=sample", "?pinned=1",
            *(f"?sort={sign}{name}" for name in ("symbol", "timeframe", "bars", "last", "fetched", "size", "quality", "hits") for sign in ("", "-")),
            *(f"?q={word}" for word in words),
        )),
        *(f"/series/{each}" for each in (
            "", "?exchange=NASDAQ", "?revisions=open", "?revisions=some", "?revisions=none", "?sort=symbol", "?sort=-bars", "?q=royal+mining", "?q=4711",
        )),
        *(f"/fetches/{each}" for each in ("", "?state=active", "?state=failed", "?page=100", "?q=mtza", "?q=NASDAQ", "?q=nothinglikeit")),
        "/watchlists/", f"/watchlists/{watchlist + 1}/", f"/series/{series}/", f"/datasets/{some.pk}/",
        "/incidents/", "/incidents/?state=open", "/incidents/?q=mtza",
        *(f"/audit/{each}" for each in ("", "?change=deleted", "?show=fetches", "?q=user7", "?q=mtza", "?show=fetches&q=mtza")),
    ]  # fmt: skip
    admin = [
        "/admin/",
        *(f"{_ADMIN}/dataset/{each}" for each in (
            "", "?q=mtza", "?q=nothinglikeit", "?q=royal", f"?q={some.content_hash[:12]}", "?state__exact=corrupt", "?state__exact=ready", "?timeframe__exact=1M",
            "?session__exact=extended", "?is_pinned__exact=1", "?exchange=NASDAQ", "?missing=hole", "?p=100",
            *(f"?o={sign}{number}" for number in range(1, 9) for sign in ("", "-")),
        )),
        *(f"{_ADMIN}/fetch/{each}" for each in ("", "?q=mtza", "?q=user7", "?state__exact=failed", "?error_code=symbol_not_found", "?priority__exact=1", "?o=3", "?o=-6")),
        *(f"{_ADMIN}/series/{each}" for each in ("", "?q=mtza", "?exchange=NASDAQ", "?o=4")),
        *(f"{_ADMIN}/revision/{each}" for each in ("", "?state__exact=open", "?q=mtza")),
        *(f"{_ADMIN}/{name}/" for name in ("auditentry", "incident", "watchlist", "schedule")),
        f"{_ADMIN}/auditentry/?q=mtza", f"{_ADMIN}/dataset/{some.pk}/change/",
    ]  # fmt: skip
    return [*api, *pages, *admin]


def last_pages(client: Any) -> list[str]:
    """Return the addresses of late pages of the API's lists, as the reply's own links give them."""
    found = []
    for address in (
        f"{_DATASETS}?page_size=1000",
        f"{_DATASETS}?ordering=exchange&page_size=1000",
        f"{_FETCHES}?page_size=1000",
    ):
        # Backwards from the end: the turned order begins with the last page.
        for _ in range(12):
            address = client.get(address).json()["next"] or address
        found.append(address.replace("http://localhost", ""))
    return found


def times_ms(client: Any, address: str, rounds: int = ROUNDS) -> list[float]:
    """Return the milliseconds of `rounds` requests after one that warms up, in ascending order."""
    taken = []
    for number in range(rounds + 1):
        gc.collect()
        started = time.perf_counter()
        reply = client.get(address)
        reply.close()
        if number:
            taken.append((time.perf_counter() - started) * 1000)
        # Django's admin answers an unknown filter with a redirect, which would look quick.
        assert reply.status_code == 200 or address == "/readyz", (address, reply.status_code)
    return sorted(taken)
