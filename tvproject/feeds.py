"""Choice of the feed for `make run`: TradingView, or the sample feed where TradingView is out of reach."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tvproject.processes import Crew, Process, TooSlow

_PROBE_S = 2.0
_START_S = 60.0
# Between two attempts to reach TradingView.
_RETRY_S = 60.0


class Feed(NamedTuple):
    """A feed: its source, the variables that lead to it, and a sentence that describes it."""

    source: str
    env: dict[str, str]
    sentence: str
    # True for the sample feed that only replaces TradingView while it cannot be reached.
    is_makeshift: bool = False


def choose_feed(crew: Crew, settings: dict[str, Any]) -> Feed:
    """Return the feed that `TV_SOURCE` selects; start the sample feed when it is selected."""
    # From the environment, because the default in `settings` is for starts without `make run`.
    asked = os.environ.get("TV_SOURCE", "").strip() or "auto"
    host = urlsplit(settings["TV_WS_URL"]).hostname
    if asked == "tradingview" or (asked == "auto" and can_reach(crew, settings["TV_WS_URL"])):
        return tradingview(settings)
    why = "TV_SOURCE=sample" if asked == "sample" else f"{host} cannot be reached"
    addresses = start_sample_feed(crew)
    return Feed(
        "sample",
        addresses | {"TV_SOURCE": "sample"},
        f"from the sample feed: synthetic, no market data ({why}).",
        is_makeshift=asked == "auto",
    )


def tradingview(settings: dict[str, Any]) -> Feed:
    """Return TradingView as the feed."""
    host = urlsplit(settings["TV_WS_URL"]).hostname
    return Feed("tradingview", {"TV_SOURCE": "tradingview"}, f"from TradingView ({host}).")


def wait_until_reachable(crew: Crew, settings: dict[str, Any]) -> None:
    """Wait until TradingView can be reached; try every minute."""
    while True:
        crew.watch_for(_RETRY_S)
        if can_reach(crew, settings["TV_WS_URL"]):
            return


def can_reach(crew: Crew, url: str) -> bool:
    """Return whether the host of `url` accepts a connection within two seconds."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "wss" else 80)
    found: list[bool] = []

    def probe() -> None:
        try:
            socket.create_connection((address.hostname, port), timeout=_PROBE_S).close()
            found.append(True)
        except (OSError, UnicodeError):
            found.append(False)

    # In a thread, because the look-up of the host's address has no timeout.
    Thread(target=probe, daemon=True).start()
    with suppress(TooSlow):
        return crew.wait_for(lambda: found or None, deadline_s=_PROBE_S, what="A reply")[0]
    return False


def start_sample_feed(crew: Crew) -> dict[str, str]:
    """Start the sample feed on a free port; return the variables that lead to it."""
    feed = crew.add(Process("feed", "-m", "samplefeed", "--port", "0", env={}))
    line = crew.wait_for(
        lambda: feed.announcement or None, deadline_s=_START_S, what="The sample feed's address"
    )
    addresses = json.loads(line)
    return {f"TV_{name.upper()}": addresses[name] for name in ("ws_url", "site_url", "search_url")}
