"""The archive of one series, read from a running service."""

from __future__ import annotations

import io
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.bars import BAR_SCHEMA, DatasetKey, content_hash
from datasets.bars.series_keys import SeriesKey
from datasets.errors import DatasetNotFound
from datasets.formats import REPLY_KEY
from datasets.research.archives.archive_sources import ArchiveExtent, ArchivePart, not_archived
from datasets.research.service.service_client import Service
from datasets.research.service.service_http import MAX_FILE_BYTES
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.revision_records import RevisionRecord

# Most pages of a list of revisions, of 1,000 each.
_MOST_PAGES = 100


class ServiceArchive:
    """The archive of a series at the service."""

    def __init__(self, service: Service, key: DatasetKey) -> None:
        self._service = service
        self._series = SeriesKey.of(key)
        self.path = relative_folder(self._series)
        self._found: dict[str, Any] | None = None

    def extent(self) -> ArchiveExtent:
        """Return how many bars the archive has; 0 without an archive."""
        try:
            row = self._row()
        except DatasetNotFound:
            return ArchiveExtent(0, None)
        return self._service.read(
            lambda: ArchiveExtent(int(row["count"]), datetime.fromisoformat(row["first_time"]))
        )

    def read(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        n_bars: int | None = None,
        as_of: datetime | None = None,
    ) -> ArchivePart:
        """Return the bars of a range; errors as for `Archive.read`."""
        instants = {"start": start, "end": end, "as_of": as_of}
        parameters = {name: at.isoformat() for name, at in instants.items() if at is not None}
        if n_bars is not None:
            parameters["n_bars"] = str(n_bars)
        reply = self._service.connection.request(
            "GET",
            f"/api/tv/series/{self._row()['id']}/bars",
            max_bytes=MAX_FILE_BYTES,
            params={**parameters, "format": "parquet"},
        )
        return self._service.read(lambda: self._part_in(reply.body))

    def records(self) -> list[RevisionRecord]:
        """Return the newest record of each revision; errors as for `read`."""
        address = f"/api/tv/series/{self._row()['id']}/revisions"
        parameters: dict[str, Any] = {"page_size": 1000}
        found: list[RevisionRecord] = []
        for _ in range(_MOST_PAGES):
            page = self._service.connection.request_json(
                "GET", address, "results", params=parameters
            )
            found += self._service.read(lambda: [_record_of(row) for row in page["results"]])  # noqa: B023
            if not page.get("next"):
                return sorted(found, key=lambda record: record.number)
            path, _, query = str(page["next"]).partition("?")
            address, parameters = address.partition("?")[0] + "?" + query, {}
        raise self._service.connection.unexpected("with a list that does not end")

    def _row(self) -> dict[str, Any]:
        """Return the series' row in the service's list; raise `DatasetNotFound` where there is none."""
        if self._found is None:
            page = self._service.connection.request_json(
                "GET", "/api/tv/series", "results", params=self._filters()
            )
            rows = self._service.read(lambda: [row for row in page["results"] if self._is_own(row)])
            if not rows:
                raise not_archived(self._series, self._service.url)
            self._found = rows[0]
        return self._found

    def _filters(self) -> dict[str, str]:
        return {name: value for name, value in self._series.as_dict().items() if value}

    def _is_own(self, row: dict[str, Any]) -> bool:
        # A faulty service may send other series too.
        is_same = all(row[name] == value for name, value in self._series.as_dict().items())
        return is_same and isinstance(row["id"], int)

    def _part_in(self, body: bytes) -> ArchivePart:
        """Return the bars of a reply; raise `ValueError` for another reply than the service's."""
        try:
            table = pq.read_table(io.BytesIO(body))
        except (pa.ArrowException, OSError) as error:
            raise ValueError("a file that is no parquet file") from error
        said = orjson.loads((table.schema.metadata or {})[REPLY_KEY])
        rows = table.replace_schema_metadata(None).combine_chunks()
        if not rows.schema.equals(BAR_SCHEMA) or content_hash(rows) != said["content_hash"]:
            raise ValueError("other bars than it says")
        times = rows["time"]
        n_rows = rows.num_rows
        facts = {
            "key": self._series.as_dict() | {"n_bars": n_rows},
            "content_hash": said["content_hash"],
            "n_rows": n_rows,
            "first_time": times[0].as_py().isoformat() if n_rows else None,
            "last_time": times[-1].as_py().isoformat() if n_rows else None,
            "last_bar_final": said["last_bar_final"],
            "fetched_at": datetime.fromisoformat(said["fetched_at"]).isoformat(),
            "instrument": dict(said["instrument"]),
            "is_limited": False,
            "doubts": {},
            "archive": {
                "holes": [_with_instants(hole, "after", "before") for hole in said["holes"]],
                "rescaled": [_with_instants(step, "before") for step in said["rescaled"]],
            },
        }
        held = (said["held_from"], said["held_through"])
        return ArchivePart(
            rows, facts, *(None if at is None else datetime.fromisoformat(at) for at in held)
        )


def _with_instants(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the values of a reply with their instants as the archive's files spell them."""
    return values | {name: datetime.fromisoformat(values[name]).isoformat() for name in names}


def _record_of(row: dict[str, Any]) -> RevisionRecord:
    """Return a revision of the service's list as a record of the archive's files."""
    names = {field.name for field in fields(RevisionRecord)}
    values = {name: value for name, value in row.items() if name in names}
    return RevisionRecord.from_dict(values | {"n_bars": row["count"]})
