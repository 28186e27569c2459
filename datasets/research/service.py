"""Ask a service of ours: for copies of its files, kept in a local cache, and for fetches."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import requests

from datasets.bars import DatasetKey, Timeframe
from datasets.errors import DatasetsError, FetchError, InvalidRequest, all_codes
from datasets.freshness import stale_for
from datasets.locations import setting
from datasets.paths import relative_path
from datasets.research.errors import DatasetNotFound, ServiceFailed
from datasets.research.folders import DEFAULT_N_BARS, Place
from datasets.research.putting import put, status_of
from datasets.research.reading import is_intact

Fetching = Literal["never", "missing", "stale"]
_FETCHING = ("never", "missing", "stale")
_DAYS = {"1D": 1, "1W": 7, "1M": 31}

TIMEOUT_S = 30.0
# How long to wait for all that was asked for: a throttled feed gives some twenty a minute.
PATIENCE_S = 3600.0
_POLL_S = (0.05, 2.0)
# Most symbols that the service takes at once.
_MAX_SYMBOLS = 1000


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
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            message = f"{url!r} is no address of a service, such as http://host:8000."
            raise InvalidRequest({"url": [message]})
        self._deadline = time.monotonic() + PATIENCE_S
        self._session = requests.Session()
        if isinstance(token, tuple):
            self._session.auth = token
        elif token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._session.close()

    # --- copies ---------------------------------------------------------------------------

    def mirror(
        self, keys: Sequence[DatasetKey], *, fetch: Fetching
    ) -> tuple[Place, list[DatasetKey]]:
        """Copy what the service holds for the keys; return where that is, and its own keys."""
        place = Place(self._cache_folder() / "datasets", keys[0].source)
        there = self._find(keys)
        brought = self.bring(keys, there, fetch=fetch)
        if brought:
            there |= self._find(brought)
        missing = [key for key in keys if key not in there]
        if missing:
            raise self._not_found(missing)
        for row in there.values():
            self._copy(row, place)
        return place, [replace(key, n_bars=there[key]["n_bars"]) for key in keys]

    def _find(self, keys: Sequence[DatasetKey]) -> dict[DatasetKey, dict[str, Any]]:
        """Return the row of the catalog that answers for each key, where there is one."""
        first = keys[0]
        filters: dict[str, str | None] = {
            "source": first.source,
            "timeframe": first.timeframe.value,
            "session": first.session.value,
            "adjustment": first.adjustment.value,
        }
        if len(keys) == 1:
            filters |= {"symbol": first.symbol, "exchange": first.exchange or None}
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self.list_datasets(**filters):
            found.setdefault((row["exchange"], row["symbol"]), []).append(row)
        best = {key: _best(key, found.get((key.exchange, key.symbol), [])) for key in keys}
        return {key: row for key, row in best.items() if row is not None}

    def list_datasets(self, **filters: str | None) -> list[dict[str, Any]]:
        """Return the rows of the catalog that can be served."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        parameters: dict[str, Any] = wanted | {"state": "ready", "page_size": 1000}
        rows: list[dict[str, Any]] = []
        address = "/api/tv/datasets"
        while True:
            page = self._ask_json("GET", address, "results", params=parameters)
            rows += page["results"]
            if not page.get("next"):
                return rows
            # The service may know itself by another name than ours for it.
            address, parameters = "/api/tv/datasets?" + page["next"].partition("?")[2], {}

    def _copy(self, row: Mapping[str, Any], place: Place) -> None:
        """Bring the local copy of one file up to date."""
        path, key = place.datasets / row["path"], _key_of(row)
        if relative_path(key) != row["path"]:
            raise ServiceFailed(f"{self.url} names a file {row['path']!r} that is no dataset's.")
        tag_path = path.with_suffix(".etag")
        headers = _unless_changed(path, tag_path)
        # A copy that the disk has spoilt would else stay for as long as the service has no newer.
        if headers and not is_intact(place, key):
            headers = {}
        answer = self._ask("GET", f"/api/tv/datasets/{row['id']}/file", headers=headers)
        if answer.status_code == 304:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            status = put(path, answer.content)
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
        return str(self._ask_json("GET", "/api/tv/status", "source")["source"])

    def _similar(self, key: DatasetKey) -> list[str]:
        rows = self.list_datasets(source=key.source, q=key.symbol[:4])
        return [
            f"{row['full_symbol']} {row['timeframe']} with {row['n_bars']} bars" for row in rows[:6]
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
        by_number: dict[int, list[DatasetKey]] = {}
        for key in wanted:
            before = known.get(key)
            n_bars = key.n_bars or (_n_bars(before) if before else DEFAULT_N_BARS)
            by_number.setdefault(n_bars, []).append(key)
        numbers = [
            number for n_bars, some in by_number.items() for number in self._begin(some, n_bars)
        ]
        for number in numbers:
            self._await(number)
        return wanted

    def _begin(self, keys: Sequence[DatasetKey], n_bars: int) -> list[int]:
        """Ask for the fetches; return their numbers."""
        numbers: list[int] = []
        for first in range(0, len(keys), _MAX_SYMBOLS):
            body = {
                "symbols": [key.full_symbol for key in keys[first : first + _MAX_SYMBOLS]],
                "timeframe": keys[0].timeframe.value,
                "n_bars": n_bars,
                "session": keys[0].session.value,
                "adjustment": keys[0].adjustment.value,
            }
            answer = self._ask_json("POST", "/api/tv/fetches", "fetches", json=body)
            numbers += [int(row["id"]) for row in answer["fetches"]]
        return numbers

    def _await(self, number: int) -> None:
        pause, longest = _POLL_S
        while True:
            row = self._ask_json("GET", f"/api/tv/fetches/{number}", "state")
            if row["state"] == "succeeded":
                return
            if row["state"] in ("failed", "cancelled"):
                raise _error_of(row)
            if time.monotonic() > self._deadline:
                raise ServiceFailed(
                    f"The fetch {number} of {row['full_symbol']} is still {row['state']} after "
                    f"{PATIENCE_S:g} s; is a worker running at {self.url}?"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, longest)

    # --- the wire -------------------------------------------------------------------------

    def _ask_json(self, method: str, address: str, part: str, **options: Any) -> dict[str, Any]:
        """Return a reply that has this part; any other server answers something else."""
        try:
            document: dict[str, Any] = self._ask(method, address, **options).json()
            document[part]
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceFailed(
                f"{self.url}{address} answered something else than {part!r}; is it the service?"
            ) from error
        return document

    def _ask(self, method: str, address: str, **options: Any) -> requests.Response:
        while True:
            answer = self._send(method, self.url + address, **options)
            if answer.status_code in (200, 202, 304):
                return answer
            if answer.status_code != 429 or time.monotonic() > self._deadline:
                raise _problem(answer, self.url)
            # We asked too often; the service says when it will listen again.
            after = answer.headers.get("Retry-After", "")
            time.sleep(min(float(after), 60.0) if after.isascii() and after.isdigit() else 1.0)

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(
                method, url, timeout=TIMEOUT_S, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            message = (
                f"The service at {self.url} cannot be reached ({type(error).__name__}). "
                "`make run` starts one; url= names another."
            )
            folder = self._cache_folder()
            if folder.is_dir():
                message += f" Its files as they were copied: folder={str(folder)!r}."
            raise ServiceFailed(message) from error


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


def _best(key: DatasetKey, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row that answers for the key, by the rule of `find_dataset`; None for none."""
    if not key.n_bars:
        return max(rows, key=lambda row: (row["count"], row["fetched_at"]), default=None)
    enough = [row for row in rows if row["n_bars"] >= key.n_bars]
    return min(enough, key=lambda row: int(row["n_bars"]), default=None)


def _key_of(row: Mapping[str, Any]) -> DatasetKey:
    names = ("source", "exchange", "symbol", "timeframe", "n_bars", "session", "adjustment")
    return DatasetKey.parse(**{name: row[name] for name in names})


def _unless_changed(path: Path, tag_path: Path) -> dict[str, str]:
    """Return the header that asks whether a copy is still right; none where there is no copy.

    A tag counts only for the very file it came with: another process may have replaced either.
    """
    try:
        *copied, tag = json.loads(tag_path.read_bytes())
        return {"If-None-Match": str(tag)} if tag and copied == [*status_of(path)] else {}
    except (OSError, ValueError, TypeError):
        return {}


def _problem(answer: requests.Response, url: str) -> DatasetsError:
    """Return the error that a reply of problem+json describes."""
    try:
        document = answer.json()
        code, detail = document["code"], document["detail"]
    except (KeyError, TypeError, ValueError):
        return ServiceFailed(f"{url} answered {answer.status_code} {answer.reason}.")
    if code == "invalid_request":
        return InvalidRequest(document.get("errors") or {"request": [detail]})
    if code == "not_authenticated":
        return ServiceFailed(f"{url} asks who you are: {detail} Pass token=.")
    return _of_code(code, detail)


def _error_of(row: Mapping[str, Any]) -> DatasetsError:
    if row["state"] == "cancelled":
        return ServiceFailed(f"The fetch of {row['full_symbol']} was cancelled.")
    return _of_code(row["error"]["code"], row["error"]["detail"])


def _of_code(code: str, detail: str) -> DatasetsError:
    kind = all_codes().get(code, ServiceFailed)
    return kind(detail) if issubclass(kind, FetchError) else ServiceFailed(detail)
