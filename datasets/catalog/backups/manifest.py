"""The manifest of a backup. It is written last: a folder without a manifest is an incomplete backup, and is not restored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from datasets.errors import BackupFailed
from datasets.storage import put

_NAME = "backup.json"
# The second format has no files, only a list of the bucket's objects.
_WITH_FILES, _WITHOUT_FILES = 1, 2


@dataclass(slots=True)
class Outcome:
    """The result of a backup or a restore: the number of files, faults and hints as sentences."""

    n_files: int = 0
    faults: list[str] = field(default_factory=list)
    # Steps that the operator still has to do.
    hints: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object of a bucket at the backup: its version (ETag), and SHA-256 and size of its content."""

    version: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    `files` has the content hash of each dataset's file by its path; `objects` has the objects of
    `bucket` by their names below its prefix, for a backup without files. One of them is empty.
    """

    files: dict[str, str]
    bucket: str = ""
    objects: dict[str, ObjectEntry] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the manifest; the file survives a power cut. Raises `OSError`."""
        document: dict[str, Any] = {
            "format": _WITHOUT_FILES if self.bucket else _WITH_FILES,
            "version": settings.VERSION,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": self.files,
        }
        if self.bucket:
            document["bucket"] = self.bucket
            document["objects"] = {name: asdict(entry) for name, entry in self.objects.items()}
        put(folder / _NAME, json.dumps(document, indent=1).encode(), is_synced=True)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest of the backup in `folder`. Raises `BackupFailed`."""
        try:
            document = json.loads((folder / _NAME).read_bytes())
            if document["format"] not in (_WITH_FILES, _WITHOUT_FILES):
                raise BackupFailed(f"{folder} was made by another version of the service.")
            objects = document.get("objects", {})
            return cls(
                files=document["files"],
                bucket=document.get("bucket", ""),
                objects={name: ObjectEntry(**entry) for name, entry in objects.items()},
            )
        except FileNotFoundError as error:
            reason = "the backup was interrupted" if folder.is_dir() else "there is no such folder"
            raise BackupFailed(f"{folder} is not a complete backup: {reason}.") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupFailed(f"{folder / _NAME} cannot be read.") from error
