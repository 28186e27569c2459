"""Long reads of files by `manage.py datasets`: their progress, and the place where they can go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from datasets.catalog import Finding
from tvproject import durable

EVERY_S = 5.0


def watch(
    findings: Iterable[Finding], count: Callable[[], int], tell: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield the findings; after every 5 s call `tell` with the files that are done, their rate and the time left.

    `count` returns the number of all files. It is called only if the work takes longer than 5 s.
    """
    started = told = time.monotonic()
    total = 0
    for number, finding in enumerate(findings, 1):
        yield finding
        if time.monotonic() - told < EVERY_S:
            continue
        total = total or count()
        told = time.monotonic()
        rate, left = number / (told - started), max(0, total - number)
        tell(
            f"{number:,} of {total:,} files, {rate:,.0f} a second, {left / rate:,.0f} s for the other {left:,}"
        )


class VerifiedPlace:
    """The path up to which `datasets verify` has come, in a file of the state folder while it runs."""

    def __init__(self, *, is_resumed: bool) -> None:
        self._file: Path = settings.STATE_DIR / "verify-place"
        self._kept = time.monotonic()
        if not is_resumed:
            self._file.unlink(missing_ok=True)

    @property
    def path(self) -> str:
        """The path after which a stopped `verify` goes on; empty for the beginning."""
        return self._file.read_text() if self._file.exists() else ""

    def keep(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Yield the findings, and write the path of the last one every 5 s; remove the file at the end."""
        for finding in findings:
            # Only a finding that was printed is not repeated.
            yield finding
            if time.monotonic() - self._kept >= EVERY_S:
                self._kept = time.monotonic()
                # On a full disk a stopped run begins again: no reason to stop this one.
                with suppress(OSError):
                    durable.write_durably(self._file, finding.path)
        self._file.unlink(missing_ok=True)
