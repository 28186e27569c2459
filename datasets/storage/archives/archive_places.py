"""Places of archives: all series below one folder of a disk, or below one prefix of a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.storage.atomic_write import store_failures
from datasets.storage.presence import has_archives, is_empty_mount, mark


class Archives(Protocol):
    """All archives of one outputs folder or bucket. Names are such as `sample/NASDAQ_AAPL_1h`."""

    def folder(self, name: str) -> SeriesFolder:
        """Return the folder of a series, whether or not there is an archive in it."""

    def names(self) -> list[str]:
        """Return the names of all series with a `series.json`, sorted."""

    def suspects(self) -> list[str]:
        """Return the names of the series that a killed writer can have left unfinished, sorted."""

    def is_present(self, source: str) -> bool:
        """Return whether the folder of the source's archives has its marker, or an archive in it."""

    def is_away(self, source: str) -> bool:
        """Return whether the place of the source's archives looks like a disk or a bucket that is away."""

    def accept(self, source: str) -> None:
        """Accept the folder of the source as present although it is empty; make it if it is missing."""

    def where(self, source: str) -> str:
        """Return the place of the source's archives, for messages."""


class FolderArchives:
    """The archives below a folder of this machine, `outputs/archive`; the methods are those of `Archives`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> SeriesFolder:
        """Return the folder of a series."""
        return SeriesFolder(self.root / name)

    def names(self) -> list[str]:
        """Return the names of all series with a `series.json`, sorted."""
        return self._names(f"*/*/{DOCUMENT_NAME}", above=1)

    def suspects(self) -> list[str]:
        """Return the names of all folders of series: only a look into each shows what is unfinished."""
        return self._names("*/*", above=0)

    def _names(self, pattern: str, *, above: int) -> list[str]:
        found = (path.parents[0] if above else path for path in self.root.glob(pattern))
        return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_dir())

    def is_present(self, source: str) -> bool:
        """Return whether the source's folder has its marker, or an archive in it."""
        return has_archives(self.root / source)

    def is_away(self, source: str) -> bool:
        """Return whether the source's folder, or the folder of all, is there and empty."""
        return is_empty_mount(self.root / source)

    def accept(self, source: str) -> None:
        """Make the source's folder, with its marker. Raises `StoreFailed`."""
        with store_failures(self.root / source):
            mark(self.root / source)

    def where(self, source: str) -> str:
        """Return the path of the source's folder."""
        return str(self.root / source)
