"""Client of a running service: copies of its files in a local cache, and fetches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

from datasets.bars import IMPORTED, DatasetKey, selection
from datasets.errors import DatasetNotFound, FetchCancelled, ServiceFailed
from datasets.research.arguments import Fetching, needs_fetch
from datasets.research.folders import Place
from datasets.research.reader import is_intact
from datasets.research.service.service_http import MAX_FILE_BYTES, PATIENCE_S, Connection, error_of
from datasets.research.service.service_listing import Offer, best_offer
from datasets.storage import relative_path, setting
from datasets.storage.file_copies import copies_folder, keep_copy, version_of_copy

# First and longest pause between two requests for a fetch's state.
_POLL_S = (0.05, 2.0)
# Most symbols in one request for fetches, by the service's rule.
_MAX_SYMBOLS = 1000
# Most datasets in one list, and most bytes of all its pages.
_MAX_LISTED = 200_000
_MAX_LISTED_BYTES = 256 * 1024 * 1024

Read = TypeVar("Read")


def local_address() -> str:
    """Return the address of `make run` on this machine."""
    return f"http://127.0.0.1:{setting('PORT') or 8000}"


class Service:
    """Client of one running service; a context manager that closes its connection.

    Parameters
    ----------
    url
        `http://host:8000`.
    token
        An API token, or (user, password); None where the API is open.
    """

    def __init__(self, url: str, token: str | tuple[str, str] | None) -> None:
        self.url = url.rstrip("/")
        self._copies = copies_folder(self.url)
        self.connection = Connection(self.url, token, copies=self._copies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()

    # --- copies ---------------------------------------------------------------------------

    def mirror(
        self, keys: Sequence[DatasetKey], *, fetch: Fetching, is_exact: bool = False
    ) -> tuple[Place, list[DatasetKey]]:
        """Copy the datasets that answer for the keys; return the place and keys of the copies.

        With `is_exact` only the keys' own datasets count, as a lock names them.
        """
        place = Place(self._copies / "datasets", keys[0].source)
        offers = self._find(keys, is_exact=is_exact)
        known = {key: offer.row for key, offer in offers.items()}
        fetched = self.fetch(keys, known, fetch=fetch)
        if fetched:
            offers |= self._find(fetched, is_exact=is_exact)
        missing = [key for key in keys if key not in offers]
        if missing:
            raise self._not_found(missing)
        for offer in offers.values():
            self.copy(offer, place)
        return place, [offers[key].key for key in keys]

    def _find(self, keys: Sequence[DatasetKey], *, is_exact: bool) -> dict[DatasetKey, Offer]:
        """Return the offer that answers for each key; a key without an offer is left out."""
        first = keys[0]
        filters: dict[str, str | None] = {
            "source": first.source,
            "timeframe": first.timeframe.value,
            "session": first.session.value,
            "adjustment": first.adjustment.value,
        }
        if len(keys) == 1:
            filters |= {"symbol": first.symbol, "exchange": first.exchange or None}
        found: dict[tuple[str, str], list[Offer]] = {}
        for offer in self.list_datasets(**filters):
            # A faulty service may send other datasets too.
            if offer.is_of_series(
                replace(first, exchange=offer.key.exchange, symbol=offer.key.symbol)
            ):
                found.setdefault((offer.key.exchange, offer.key.symbol), []).append(offer)
        best = {
            key: best_offer(key, found.get((key.exchange, key.symbol), []), is_exact=is_exact)
            for key in keys
        }
        return {key: offer for key, offer in best.items() if offer is not None}

    def list_datasets(self, **filters: str | None) -> list[Offer]:
        """Return the service's datasets that are ready, after filters of its API. None is no filter."""
        given = {name: value for name, value in filters.items() if value is not None}
        parameters: dict[str, Any] = given | {"state": "ready", "page_size": 1000}
        offers: list[Offer] = []
        address = "/api/tv/datasets"
        while True:
            page = self.connection.request_json("GET", address, "results", params=parameters)
            offers += self.read(lambda: [Offer.read(row) for row in page["results"]])  # noqa: B023
            if not page.get("next"):
                return offers
            if len(offers) > _MAX_LISTED or self.connection.n_bytes > _MAX_LISTED_BYTES:
                raise self.connection.unexpected("with a list that does not end")
            # The service may have another host name for itself than we have: only the query counts.
            address, parameters = "/api/tv/datasets?" + str(page["next"]).partition("?")[2], {}

    def read(self, read: Callable[[], Read]) -> Read:
        """Return the result of a reader of a reply; raise `ServiceFailed` for an unexpected reply."""
        try:
            return read()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.connection.unexpected(f"with {error}") from error

    def copy(self, offer: Offer, place: Place) -> None:
        """Bring the local copy of one file up to date."""
        path, key = place.datasets / relative_path(offer.key), offer.key
        version = version_of_copy(path)
        headers = {"If-None-Match": version} if version else {}
        # Otherwise a copy that the disk has damaged stays until the service has a newer file.
        if headers and not is_intact(place, key):
            headers = {}
        reply = self.connection.request(
            "GET",
            f"/api/tv/datasets/{offer.number}/file",
            max_bytes=MAX_FILE_BYTES,
            headers=headers,
        )
        if reply.status == 304:
            return
        try:
            keep_copy(path, reply.body, reply.headers.get("ETag", ""))
        except OSError as error:
            raise ServiceFailed(
                f"The file from {self.url} cannot be kept in {path.parent} ({error.strerror}); "
                "XDG_CACHE_HOME names another place."
            ) from error

    def _not_found(self, missing: Sequence[DatasetKey]) -> DatasetNotFound:
        """Return the error that names missing datasets, with the next step."""
        source, offered = missing[0].source, self._source()
        names = ", ".join(f"{key.full_symbol} {key.timeframe}" for key in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        message = f"{self.url} has no bars of {names}{more} of the source {source!r}."
        if source == IMPORTED:
            return DatasetNotFound(f"{message} Import them on its machine: docs/importing.md.")
        if offered != source:
            message += f" It serves the source {offered!r}; ask for that with source={offered!r}."
            return DatasetNotFound(message)
        similar = self.list_datasets(source=source, q=missing[0].symbol[:4])[:6]
        close = "; ".join(
            f"{offer.key.full_symbol} {offer.key.timeframe.value} with {offer.key.n_bars} bars"
            for offer in similar
        )
        message += f" Close: {close}." if close else ""
        return DatasetNotFound(f"{message} fetch='missing' has it fetched.")

    def _source(self) -> str:
        """Return the source of the bars that the service fetches."""
        return str(self.connection.request_json("GET", "/api/tv/status", "source")["source"])

    # --- fetches --------------------------------------------------------------------------

    def fetch(
        self,
        keys: Sequence[DatasetKey],
        known: Mapping[DatasetKey, Mapping[str, Any]],
        *,
        fetch: Fetching,
    ) -> list[DatasetKey]:
        """Have missing or stale datasets fetched; return their keys after all fetches succeeded.

        `known` holds the facts, or the catalog's rows, of the datasets that exist. Raises the
        error of the first fetch that failed, or `ServiceFailed`.
        """
        needed = [key for key in keys if needs_fetch(key, known.get(key), fetch)]
        if not needed:
            return []
        if needed[0].source == IMPORTED:
            raise ServiceFailed(
                f"{needed[0]} is to come from a file, and no service can fetch it. Import the file on the "
                f"machine of {self.url}, then load with fetch='never'."
            )
        offered = self._source()
        if offered != needed[0].source:
            raise ServiceFailed(
                f"{self.url} fetches from the source {offered!r}, not {needed[0].source!r}; "
                f"ask for source={offered!r}, or start it with TV_SOURCE={needed[0].source}."
            )
        groups: dict[tuple[int, bool], list[DatasetKey]] = {}
        for key in needed:
            before = known.get(key)
            # Facts of a file carry the number in their key, a row of the catalog beside it.
            default = before.get("key", before)["n_bars"] if before else selection.DEFAULT_N_BARS
            groups.setdefault((key.n_bars or int(default), before is not None), []).append(key)
        numbers = []
        for (n_bars, exists), some in groups.items():
            # The dataset is too old for us; the service's own limit may still call it fresh.
            extra = {"use_cache": False} if exists else {}
            for first in range(0, len(some), _MAX_SYMBOLS):
                numbers += self.start_fetches(some[first : first + _MAX_SYMBOLS], n_bars, **extra)
        for number in numbers:
            self.wait_for(number)
        return needed

    def start_fetches(self, keys: Sequence[DatasetKey], n_bars: int, **extra: bool) -> list[int]:
        """Start a fetch for each key, all of one kind of series; return the fetches' numbers.

        The service accepts a limited number a minute: refused symbols are sent again after the
        pause that it names. Raises the error of a symbol that is refused for good.
        """
        numbers: list[int] = []
        symbols = [key.full_symbol for key in keys]
        while symbols:
            body = {
                "symbols": symbols,
                "timeframe": keys[0].timeframe.value,
                "n_bars": n_bars,
                "session": keys[0].session.value,
                "adjustment": keys[0].adjustment.value,
                **extra,
            }
            reply = self.connection.request_json("POST", "/api/tv/fetches", "fetches", json=body)
            numbers += self.read(lambda: [int(row["id"]) for row in reply["fetches"]])  # noqa: B023
            pauses = self.read(lambda: _pauses_of(reply))  # noqa: B023
            symbols = [symbol for symbol in symbols if symbol in pauses]
            if symbols:
                self.connection.pause(max(pauses.values()))
        return numbers

    def wait_for(self, number: int) -> None:
        """Return once a fetch has succeeded; raise its error, or `ServiceFailed` after too long."""
        pause, longest = _POLL_S
        while True:
            row = self.connection.request_json("GET", f"/api/tv/fetches/{number}", "state")
            if row["state"] == "succeeded":
                return
            if row["state"] == "cancelled":
                name = self.read(lambda: row["full_symbol"])  # noqa: B023
                raise FetchCancelled(f"The fetch of {name} was cancelled.")
            if row["state"] == "failed":
                code, detail = self.read(lambda: (row["error"]["code"], row["error"]["detail"]))  # noqa: B023
                raise error_of(str(code), str(detail))
            if self.connection.is_late:
                raise ServiceFailed(
                    f"The fetch {number} of {row.get('full_symbol')} is still {row['state']} after "
                    f"{PATIENCE_S:g} s; is a worker running at {self.url}?"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, longest)


def _pauses_of(reply: Mapping[str, Any]) -> dict[str, float]:
    """Return the symbols that were refused for now, each with the seconds to wait.

    Raises the error of a symbol for which a second request cannot help.
    """
    pauses = {}
    for row in reply.get("refused", []):
        if not row["retryable"]:
            raise error_of(str(row["code"]), f"{row['full_symbol']}: {row['detail']}")
        pauses[str(row["full_symbol"])] = float(row["retry_after_s"] or 1.0)
    return pauses
