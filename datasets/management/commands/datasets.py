"""`manage.py datasets …`: look at the catalog, check it, mend it, thin it out."""

from __future__ import annotations

import json
import re
import shutil
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone
from rich.table import Column, Table

from datasets import catalog, serving
from datasets.bars import Timeframe, ascii_upper, split_symbol
from datasets.catalog import outputs
from datasets.errors import DatasetsError, InvalidRequest, StoreFailed, StoreUnavailable
from datasets.formats import FORMATS, file_formats
from datasets.management.console import open_console, read_age, whole_number
from datasets.models import Dataset
from datasets.research.lock_files import read_lock, verify_lock

_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)([KMGT]?)B?", ascii_upper(text))
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no size; write 500M or 20G")
    return int(float(match[1]) * _SIZES[match[2]])


def _timeframe(text: str) -> Timeframe:
    try:
        return Timeframe.parse(text)
    except InvalidRequest as error:
        raise ArgumentTypeError(str(error)) from error


class Command(BaseCommand):
    help = "Look at the catalog of datasets, check it against the files, mend it and thin it out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, sentence in _ACTIONS.items():
            action = actions.add_parser(name, help=sentence, description=sentence)
            action.add_argument("--json", action="store_true", help="print JSON for scripts")
            _ARGUMENTS[name](action)

    def handle(self, *args: Any, **options: Any) -> None:
        self._n_refused = 0
        try:
            getattr(self, f"_{options['action']}")(options)
        except StoreUnavailable as error:
            raise CommandError(str(error)) from error
        if self._n_refused:
            sys.exit(1)

    # --- looking ------------------------------------------------------------------------

    def _list(self, options: dict[str, Any]) -> None:
        rows = [_row(dataset) for dataset in _selected(options)]
        if not options["json"]:
            for row in rows:
                row["last_time"] = f"{datetime.fromisoformat(row['last_time']):%Y-%m-%d %H:%M}"
                row["timeframe"] = Timeframe(row["timeframe"]).label
        self._print(
            rows,
            options,
            columns=("id", "full_symbol", "timeframe", "count", "last_time", "bytes", "state"),
        )

    def _show(self, options: dict[str, Any]) -> None:
        rows = [_row(dataset) | _details(dataset) for dataset in _selected(options)]
        if options["json"]:
            self._print(rows, options, columns=())
            return
        for row in rows:
            # Plain lines: a table would break hashes and paths at the terminal's width.
            for name, value in row.items():
                self.stdout.write(
                    f"{name:20}{json.dumps(value) if isinstance(value, dict) else value}"
                )
            self.stdout.write("")

    # --- checking and mending -----------------------------------------------------------

    def _verify(self, options: dict[str, Any]) -> None:
        if options["lock"] is not None:
            self._verify_lock(options)
            return
        readable = _selected(options)
        if not (options["names"] or options["state"]):
            # What is known to be bad, or not wanted any more, is not news.
            readable = readable.filter(state=Dataset.State.READY)
        findings = [catalog.verify(dataset) for dataset in readable.iterator()]
        self._report(findings, options)
        if any(finding.outcome not in ("ok", "gone") for finding in findings):
            sys.exit(1)

    def _verify_lock(self, options: dict[str, Any]) -> None:
        path: Path = options["lock"]
        if options["names"] or options["timeframe"] or options["state"]:
            raise CommandError("--lock says itself which datasets; name no others.")
        try:
            n_locked = len(read_lock(path).entries)
            changes = verify_lock(path, folder=settings.OUTPUTS_DIR)
        except InvalidRequest as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            document = {"lock": str(path), "n_locked": n_locked, "changes": changes}
            self.stdout.write(json.dumps(document, indent=1))
        else:
            for sentence in changes:
                self.stdout.write(sentence)
            self.stdout.write(f"{n_locked} locked, {len(changes)} not as they were.")
        if changes:
            sys.exit(1)

    def _rebuild(self, options: dict[str, Any]) -> None:
        catalog.require_folders(accept_empty=options["accept_empty"])
        findings = [*catalog.adopt_files(), *catalog.find_missing()]
        self._report(findings, options)
        if any(finding.outcome in ("corrupt", "unread") for finding in findings):
            sys.exit(1)

    def _invalidate(self, options: dict[str, Any]) -> None:
        done = self._do_each(_selected(options), serving.invalidate)
        for dataset in done:
            dataset.refresh_from_db()
        self._say(
            options,
            f"{_count(done)} invalidated, to be fetched again when asked for.",
            done,
        )

    def _delete(self, options: dict[str, Any]) -> None:
        # The rows say nothing any more afterwards.
        chosen = list(_selected(options))
        done = self._do_each(chosen, catalog.delete)
        self._say(options, f"{_count(done)} deleted; the files are in trash/ until `tidy`.", done)

    def _prune(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        rules = {
            "fetched_before": _before(now, options["older_than"]),
            "unused_since": _before(now, options["unused_for"]),
            "keep_newest": options["keep_newest"],
            "total_bytes": options["max_size"],
        }
        if all(rule is None for rule in rules.values()):
            raise CommandError(
                "Name a rule: --older-than, --unused-for, --keep-newest or --max-size."
            )
        chosen = catalog.choose_prunable(**rules)
        if not options["dry_run"]:
            try:
                chosen = [dataset for dataset in chosen if catalog.remove(dataset)]
            except StoreFailed as error:
                raise CommandError(str(error)) from error
        freed = sum(dataset.bytes for dataset in chosen)
        verb = "would be removed" if options["dry_run"] else "removed"
        self._say(options, f"{_count(chosen)} {verb}, {freed} bytes.", chosen)

    def _export(self, options: dict[str, Any]) -> None:
        folder: Path = options["to"]
        chosen = _selected(options)
        # Sample bars are never to lie beside real ones, which have the same names.
        is_mixed = chosen.order_by().values("source").distinct().count() > 1

        def export(dataset: Dataset) -> None:
            _export_one(dataset, folder / dataset.source if is_mixed else folder, options["format"])

        try:
            folder.mkdir(parents=True, exist_ok=True)
            done = self._do_each(chosen, export)
        except OSError as error:
            raise CommandError(f"{folder} cannot be written to: {error.strerror}.") from error
        self._say(options, f"{_count(done)} exported to {folder}.", done)

    def _do_each(
        self, datasets: Iterable[Dataset], change: Callable[[Dataset], object]
    ) -> list[Dataset]:
        """Do it to every dataset, say why not to some, and return the others."""
        done = []
        for dataset in datasets:
            try:
                change(dataset)
            except StoreUnavailable:
                raise
            except DatasetsError as error:
                self._n_refused += 1
                self.stderr.write(f"{dataset}: {error}")
            else:
                done.append(dataset)
        return done

    # --- printing -----------------------------------------------------------------------

    def _report(self, findings: list[catalog.Finding], options: dict[str, Any]) -> None:
        counts = Counter(finding.outcome for finding in findings)
        if options["json"]:
            rows = [{"path": f.path, "outcome": f.outcome, "detail": f.detail} for f in findings]
            self.stdout.write(json.dumps({"counts": counts, "findings": rows}, indent=1))
            return
        for finding in findings:
            if finding.outcome != "ok":
                self.stdout.write(f"{finding.outcome}: {finding.path} {finding.detail}".rstrip())
        summary = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        self.stdout.write(summary or "There are no datasets.")

    def _print(
        self, rows: list[dict[str, Any]], options: dict[str, Any], *, columns: tuple[str, ...]
    ) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=1))
            return
        table = Table(*(Column(name, overflow="fold") for name in columns))
        for row in rows:
            table.add_row(*(str(row[name]) for name in columns))
        open_console().print(table)
        self.stdout.write(f"{len(rows)} {'dataset' if len(rows) == 1 else 'datasets'}")

    def _say(self, options: dict[str, Any], sentence: str, datasets: Iterable[Dataset]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps([_row(dataset) for dataset in datasets], indent=1))
        else:
            self.stdout.write(sentence)


def _count(datasets: list[Dataset]) -> str:
    return f"{len(datasets)} {'dataset' if len(datasets) == 1 else 'datasets'}"


def _selected(options: dict[str, Any]) -> QuerySet[Dataset]:
    """Return the datasets that the command line names; all when it names none."""
    chosen = Dataset.objects.order_by("exchange", "symbol", "timeframe", "n_bars")
    if options.get("state"):
        chosen = chosen.filter(state=options["state"])
    if options.get("timeframe"):
        chosen = chosen.filter(timeframe=options["timeframe"].value)
    names = options.get("names") or []
    if not names:
        return chosen
    ids = []
    for name in names:
        is_number = re.fullmatch(r"[0-9]{1,18}", name) is not None
        found = chosen.filter(pk=int(name)) if is_number else chosen.filter(**_symbol(name))
        if not found:
            raise CommandError(f"There is no dataset {name}. `manage.py datasets list` shows all.")
        ids += [dataset.pk for dataset in found]
    return chosen.filter(pk__in=ids)


def _symbol(name: str) -> dict[str, str]:
    try:
        exchange, symbol = split_symbol(name, "")
    except InvalidRequest as error:
        raise CommandError(str(error)) from error
    return {"exchange": exchange, "symbol": symbol}


def _row(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.pk,
        "full_symbol": dataset.key.full_symbol,
        **dataset.key.as_dict(),
        "count": dataset.n_rows,
        "first_time": dataset.first_time.isoformat(),
        "last_time": dataset.last_time.isoformat(),
        "fetched_at": dataset.fetched_at.isoformat(),
        "bytes": dataset.bytes,
        "state": dataset.state,
        "path": dataset.path,
        "content_hash": dataset.content_hash,
    }


def _details(dataset: Dataset) -> dict[str, Any]:
    names = (
        "last_bar_final", "is_limited", "is_pinned", "hits", "last_served_at", "n_duplicates", "n_inconsistent",
        "zero_volume_share", "largest_gap_s", "doubts", "tvdatafeed_version", "instrument",
    )  # fmt: skip
    details = {name: getattr(dataset, name) for name in names}
    if dataset.last_served_at is not None:
        details["last_served_at"] = dataset.last_served_at.isoformat()
    return details


def _before(now: datetime, age: timedelta | None) -> datetime | None:
    return now - age if age is not None else None


def _export_one(dataset: Dataset, folder: Path, file_format: str) -> None:
    table = catalog.read(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    # In place only when it is whole, so that nobody takes half of one for all of it.
    unfinished = folder / f".{Path(dataset.path).stem}.part"
    try:
        if file_format == "parquet":
            shutil.copyfile(outputs.get_store().folder / dataset.path, unfinished)
        else:
            unfinished.write_bytes(FORMATS[file_format].render(table))
        unfinished.replace(folder / f"{Path(dataset.path).stem}.{FORMATS[file_format].suffix}")
    finally:
        unfinished.unlink(missing_ok=True)


# --- the command line --------------------------------------------------------------------


def _selection(action: ArgumentParser) -> None:
    action.add_argument(
        "names", nargs="*", metavar="ID|EXCHANGE:SYMBOL", help="which ones; all when none is named"
    )
    action.add_argument(
        "-t", "--timeframe", type=_timeframe, metavar="TIMEFRAME", help="only of this timeframe"
    )
    action.add_argument("--state", choices=Dataset.State.values, help="only in this state")


def _verifying(action: ArgumentParser) -> None:
    _selection(action)
    action.add_argument(
        "--lock", type=Path, metavar="FILE", help="those of a study's lock file, with its hashes"
    )


def _rebuilding(action: ArgumentParser) -> None:
    action.add_argument(
        "--accept-empty",
        action="store_true",
        help="the files were deleted on purpose: mark their datasets as missing though the folder is empty",
    )


def _named(action: ArgumentParser) -> None:
    action.add_argument("names", nargs="+", metavar="ID|EXCHANGE:SYMBOL", help="which ones")
    action.add_argument(
        "-t", "--timeframe", type=_timeframe, metavar="TIMEFRAME", help="only of this timeframe"
    )


def _pruning(action: ArgumentParser) -> None:
    action.add_argument(
        "--older-than",
        type=read_age,
        metavar="AGE",
        help="fetched longer ago than this, such as 90d",
    )
    action.add_argument(
        "--unused-for", type=read_age, metavar="AGE", help="neither served nor fetched for so long"
    )
    action.add_argument(
        "--keep-newest", type=whole_number, metavar="N", help="all but the N most recently fetched"
    )
    action.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="the longest unused, down to SIZE, such as 20G",
    )
    action.add_argument("--dry-run", action="store_true", help="only say which")


def _exporting(action: ArgumentParser) -> None:
    _selection(action)
    action.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    action.add_argument("--format", choices=[row.name for row in file_formats()], default="parquet")


_ACTIONS = {
    "list": "List the datasets.",
    "show": "Show everything the catalog knows of some datasets.",
    "verify": "Read files to their end and compare them with their hashes; exit status 1 if one is wrong.",
    "rebuild": "Make the catalog anew from the files' own metadata, and mark what is missing.",
    "prune": "Delete datasets by age, use, number or total size; never a pinned one.",
    "invalidate": "Have datasets fetched again when they are next asked for.",
    "delete": "Delete datasets; their files go to trash/, where they stay until `manage.py tidy`.",
    "export": "Copy datasets as parquet, CSV or Arrow files.",
}
_ARGUMENTS = {
    "list": _selection,
    "show": _named,
    "verify": _verifying,
    "rebuild": _rebuilding,
    "prune": _pruning,
    "invalidate": _named,
    "delete": _named,
    "export": _exporting,
}
