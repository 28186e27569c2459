"""Ask a service of ours: for copies of its files, kept in a local cache, and for fetches."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from datasets.bars import DatasetKey, Timeframe, selection
from datasets.bars.freshness import stale_for
from datasets.errors import (
    DatasetNotFound,
    DatasetsError,
    FetchCancelled,
    InvalidRequest,
    ServiceFailed,
)
from datasets.research.folders import Place
from datasets.research.reader import is_intact
from datasets.research.service_http import MAX_FILE_BYTES, PATIENCE_S, Wire, error_of
from datasets.research.service_listing import Offer
from datasets.storage.atomic_write import put, status_of
from datasets.storage.locations import setting
from datasets.storage.paths import relative_path

Fetching = Literal["never", "missing", "stale"]
_FETCHING = ("never", "missing", "stale")
_DAYS = {"1D": 1, "1W": 7, "1M": 31}

_POLL_S = (0.05, 2.0)
# Most symbols that the service takes at once.
_MAX_SYMBOLS = 1000
# Most datasets of one list, and what all pages of it may weigh together.
_MAX_LISTED = 200_000
_MAX_LISTED_BYTES = 256 * 1024 * 1024

Read = TypeVar("Read")


def check_fetching(fetch: str) -> None:
    """Raise `InvalidRequest` unless it is one of the three words."""
    if fetch not in _FETCHING:
        message = f"{fetch!r} is not allowed; use one of {', '.join(_FETCHING)}."
        raise InvalidRequest({"fetch": [message]})


def local_address() -> str:
    """Return where `make run` listens on this machine."""
    return f"http://127.0.0.1:{setting('PORT') or 8000}"


class Service:
    """One running service.

    Parameters
    ----------
    url
        `http://host:8000`.
    token
        A token, or (user, password); None where the API is open.
    """

    def __init__(self, url: str, token: str | tuple[str, str] | None) -> None:
        self._wire = Wire(url, token, hint=self._hint)
        self.url = self._wire.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._wire.close()

    # --- copies ---------------------------------------------------------------------------

    def mirror(
        self, keys: Sequence[DatasetKey], *, fetch: Fetching, is_exact: bool = False
    ) -> tuple[Place, list[DatasetKey]]:
        """Copy what the service holds for the keys; return where that is, and its own keys.

        With `is_exact` only the keys' own datasets will do, as a lock names them.
        """
        place = Place(self._cache_folder() / "datasets", keys[0].source)
        there = self._find(keys, is_exact=is_exact)
        known = {key: offer.row for key, offer in there.items()}
        brought = self.bring(keys, known, fetch=fetch)
        if brought:
            there |= self._find(brought, is_exact=is_exact)
        missing = [key for key in keys if key not in there]
        if missing:
            raise self._not_found(missing)
        for offer in there.values():
            self._copy(offer, place)
        return place, [there[key].key for key in keys]

    def _find(self, keys: Sequence[DatasetKey], *, is_exact: bool) -> dict[DatasetKey, Offer]:
        """Return the offer that answers for each key, where there is one."""
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
            # Whatever else the service sends was not asked for.
            if offer.is_of_series(
                replace(first, exchange=offer.key.exchange, symbol=offer.key.symbol)
            ):
                found.setdefault((offer.key.exchange, offer.key.symbol), []).append(offer)
        best = {
            key: _best(key, found.get((key.exchange, key.symbol), []), is_exact=is_exact)
            for key in keys
        }
        return {key: offer for key, offer in best.items() if offer is not None}

    def list_datasets(self, **filters: str | None) -> list[Offer]:
        """Return the datasets that can be served."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        parameters: dict[str, Any] = wanted | {"state": "ready", "page_size": 1000}
        offers: list[Offer] = []
        address = "/api/tv/datasets"
        while True:
            page = self._wire.ask_json("GET", address, "results", params=parameters)
            offers += self._read(lambda: [Offer.read(row) for row in page["results"]])  # noqa: B023
            if not page.get("next"):
                return offers
            if len(offers) > _MAX_LISTED or self._wire.n_bytes > _MAX_LISTED_BYTES:
                raise self._wire.misunderstood("with a list that does not end")
            # The service may know itself by another name than ours for it.
            address, parameters = "/api/tv/datasets?" + str(page["next"]).partition("?")[2], {}

    def _read(self, read: Callable[[], Read]) -> Read:
        """Return what is read of an answer; raise `ServiceFailed` where it cannot be one of ours."""
        try:
            return read()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._wire.misunderstood(f"with {error}") from error

    def _copy(self, offer: Offer, place: Place) -> None:
        """Bring the local copy of one file up to date."""
        path, key = place.datasets / relative_path(offer.key), offer.key
        tag_path = path.with_suffix(".etag")
        headers = _unless_changed(path, tag_path)
        # A copy that the disk has spoilt would else stay for as long as the service has no newer.
        if headers and not is_intact(place, key):
            headers = {}
        answer = self._wire.ask(
            "GET",
            f"/api/tv/datasets/{offer.number}/file",
            max_bytes=MAX_FILE_BYTES,
            headers=headers,
        )
        if answer.status == 304:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            status = put(path, answer.body)
            put(tag_path, json.dumps([*status, answer.headers.get("ETag", "")]).encode())
        except OSError as error:
            raise ServiceFailed(
                f"What {self.url} sent cannot be kept in {path.parent} ({error.strerror}); "
                "XDG_CACHE_HOME names another place."
            ) from error

    def _cache_folder(self) -> Path:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        return Path(base) / "tradingview-datasets" / name

    def _hint(self) -> str:
        """Return what can still be done while the service is away."""
        folder = self._cache_folder()
        return f" Its files as they were copied: folder={str(folder)!r}." if folder.is_dir() else ""

    def _not_found(self, missing: Sequence[DatasetKey]) -> DatasetNotFound:
        source, offered = missing[0].source, self._source()
        names = ", ".join(f"{key.full_symbol} {key.timeframe}" for key in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        message = f"{self.url} has no bars of {names}{more} of the source {source!r}."
        if offered != source:
            message += f" It serves the source {offered!r}; ask for that with source={offered!r}."
        else:
            similar = self._similar(missing[0])
            message += f" Close: {'; '.join(similar)}." if similar else ""
            message += " fetch='missing' has it fetched."
        return DatasetNotFound(message)

    def _source(self) -> str:
        """Return the source whose bars the service fetches."""
        return str(self._wire.ask_json("GET", "/api/tv/status", "source")["source"])

    def _similar(self, key: DatasetKey) -> list[str]:
        offers = self.list_datasets(source=key.source, q=key.symbol[:4])
        return [
            f"{offer.key.full_symbol} {offer.key.timeframe.value} with {offer.key.n_bars} bars"
            for offer in offers[:6]
        ]

    # --- fetches --------------------------------------------------------------------------

    def bring(
        self,
        keys: Sequence[DatasetKey],
        known: Mapping[DatasetKey, Mapping[str, Any]],
        *,
        fetch: Fetching,
    ) -> list[DatasetKey]:
        """Have fetched what is missing, or stale; return those keys once all of it is there.

        `known` says of each key that there is when it was fetched. Raises what the fetch failed with.
        """
        wanted = [key for key in keys if _is_wanted(key, known.get(key), fetch)]
        if not wanted:
            return []
        offered = self._source()
        if offered != wanted[0].source:
            raise ServiceFailed(
                f"{self.url} fetches from the source {offered!r}, not {wanted[0].source!r}; "
                f"ask for source={offered!r}, or start it with TV_SOURCE={wanted[0].source}."
            )
        groups: dict[tuple[int, bool], list[DatasetKey]] = {}
        for key in wanted:
            before = known.get(key)
            n_bars = key.n_bars or (_n_bars(before) if before else selection.DEFAULT_N_BARS)
            groups.setdefault((n_bars, before is not None), []).append(key)
        numbers = []
        for (n_bars, is_there), some in groups.items():
            # Too old for us, though the service may call it fresh.
            extra = {"use_cache": False} if is_there else {}
            for first in range(0, len(some), _MAX_SYMBOLS):
                numbers += self._begin(some[first : first + _MAX_SYMBOLS], n_bars, **extra)
        for number in numbers:
            self._await(number)
        return wanted

    def _begin(self, keys: Sequence[DatasetKey], n_bars: int, **extra: bool) -> list[int]:
        """Ask for the fetches; return their numbers. Raises what one of them was refused for.

        A service takes some a minute; the others are asked for when it says.
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
            answer = self._wire.ask_json("POST", "/api/tv/fetches", "fetches", json=body)
            numbers += self._read(lambda: [int(row["id"]) for row in answer["fetches"]])  # noqa: B023
            pauses = self._read(lambda: _pauses_of(answer))  # noqa: B023
            symbols = [symbol for symbol in symbols if symbol in pauses]
            if symbols:
                self._wire.pause(max(pauses.values()))
        return numbers

    def _await(self, number: int) -> None:
        pause, longest = _POLL_S
        while True:
            row = self._wire.ask_json("GET", f"/api/tv/fetches/{number}", "state")
            if row["state"] == "succeeded":
                return
            if row["state"] in ("failed", "cancelled"):
                raise self._read(lambda: _error_of(row))  # noqa: B023
            if self._wire.is_late:
                raise ServiceFailed(
                    f"The fetch {number} of {row.get('full_symbol')} is still {row['state']} after "
                    f"{PATIENCE_S:g} s; is a worker running at {self.url}?"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, longest)


def _pauses_of(answer: Mapping[str, Any]) -> dict[str, float]:
    """Return the symbols that were refused for now, each with the seconds to wait.

    Raises what a symbol was refused for where asking again cannot help.
    """
    pauses = {}
    for row in answer.get("refused", []):
        if not row["retryable"]:
            raise error_of(str(row["code"]), f"{row['full_symbol']}: {row['detail']}")
        pauses[str(row["full_symbol"])] = float(row["retry_after_s"] or 1.0)
    return pauses


def _is_wanted(key: DatasetKey, known: Mapping[str, Any] | None, fetch: Fetching) -> bool:
    if fetch == "never":
        return False
    return known is None or (fetch == "stale" and _is_stale(key.timeframe, known))


def _is_stale(timeframe: Timeframe, known: Mapping[str, Any]) -> bool:
    """Return whether a whole bar's time has passed since the dataset was fetched."""
    fetched_at = datetime.fromisoformat(known["fetched_at"])
    minutes = timeframe.minutes or _DAYS[timeframe.value] * 1440
    return stale_for(fetched_at, datetime.now(UTC), minutes * 60) >= 0


def _n_bars(known: Mapping[str, Any]) -> int:
    """Return a dataset's number, from a file's facts or a row of the catalog."""
    return int(known["key"]["n_bars"] if "key" in known else known["n_bars"])


def _best(key: DatasetKey, offers: Sequence[Offer], *, is_exact: bool) -> Offer | None:
    """Return the offer that answers for the key by the rule of `choice`; None for none."""
    if is_exact:
        return next((offer for offer in offers if offer.key == key), None)
    found = selection.in_order(
        offers,
        key.n_bars,
        lambda offer: selection.Candidate(
            offer.key.n_bars, offer.n_rows, datetime.fromisoformat(offer.fetched_at)
        ),
    )
    return found[0] if found else None


def _unless_changed(path: Path, tag_path: Path) -> dict[str, str]:
    """Return the header that asks whether a copy is still right; none where there is no copy.

    A tag counts only for the very file it came with: another process may have replaced either.
    """
    try:
        *copied, tag = json.loads(tag_path.read_bytes())
        return {"If-None-Match": str(tag)} if tag and copied == [*status_of(path)] else {}
    except (OSError, ValueError, TypeError):
        return {}


def _error_of(row: Mapping[str, Any]) -> DatasetsError:
    if row["state"] == "cancelled":
        return FetchCancelled(f"The fetch of {row['full_symbol']} was cancelled.")
    return error_of(str(row["error"]["code"]), str(row["error"]["detail"]))
