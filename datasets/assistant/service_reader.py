"""The service's API for the tools: each call bounded in time and size."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from datasets.bars import DatasetKey
from datasets.errors import DatasetNotFound, InvalidRequest
from datasets.research.service.service_http import Connection

# An assistant shows nothing while a tool runs, and some give up after a minute.
REQUEST_S = 20.0
ALL_REQUESTS_S = 40.0
# Real bars answer before invented ones, and both before those of a file.
_SOURCES = ("tradingview", "sample", "imported")


class ServiceReader:
    """Reads from one service; each request has a connection and a time limit of its own.

    Parameters
    ----------
    url
        `http://host:8000`, without a user name or a password.
    token
        An API token; None where the API is open.
    """

    def __init__(self, url: str, token: str | None) -> None:
        if urlsplit(url).username is not None:
            message = "The address must not contain a user name or a password; use an API token."
            raise InvalidRequest({"url": [message]})
        self.url = url.rstrip("/")
        self._token = token
        # Raises `InvalidRequest` for an address that is none.
        self._connection().close()

    def get(self, address: str, part: str, **parameters: Any) -> dict[str, Any]:
        """Return the JSON reply to a GET below `/api/tv/`, which has the field `part`.

        Parameters that are None or empty are left out. Raises the error that the reply
        describes, or `ServiceFailed`.
        """
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        return self._send("GET", address, part, params=given)

    def post(self, address: str, part: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON reply to a POST below `/api/tv/`; errors as for `get`."""
        return self._send("POST", address, part, json=body)

    def link(self, address: str, **parameters: Any) -> str:
        """Return an address below `/api/tv/` as a link; it contains no token."""
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        return f"{self.url}/api/tv/{address}?{urlencode(given)}"

    def find_series(self, key: DatasetKey, source: str | None) -> dict[str, Any]:
        """Return the catalog's row of the key's series; `key.source` does not count.

        Without a `source`, TradingView's bars answer first, then sample bars, then imported
        ones. Raises `DatasetNotFound`, with the timeframes that exist of the symbol.
        """
        symbol = {"exchange": key.exchange, "symbol": key.symbol, "source": source}
        rows = self.get("series", "results", **symbol, page_size=200)["results"]
        wanted = (key.timeframe.value, key.session.value, key.adjustment.value)
        found = [
            row for row in rows if (row["timeframe"], row["session"], row["adjustment"]) == wanted
        ]
        if not found:
            held = ", ".join(
                sorted({f"{r['timeframe']} {r['session']} {r['adjustment']}" for r in rows})
            )
            raise DatasetNotFound(
                f"The service has no bars of {key.full_symbol} {' '.join(wanted)}. "
                + (f"It has of this symbol: {held}." if held else "It has none of this symbol.")
            )
        return min(found, key=lambda row: _SOURCES.index(row["source"]))

    def _connection(self) -> Connection:
        return Connection(self.url, self._token, request_s=REQUEST_S, patience_s=ALL_REQUESTS_S)

    def _send(self, method: str, address: str, part: str, **options: Any) -> dict[str, Any]:
        connection = self._connection()
        try:
            return connection.request_json(method, f"/api/tv/{address}", part, **options)
        finally:
            connection.close()
