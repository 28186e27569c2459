"""The actions of `manage.py datasets`; each returns whether everything went well."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from datasets import catalog, serving
from datasets.archive.conversion import convert_datasets
from datasets.archive.series_rows import adopt_series
from datasets.bars import KEY_FIELDS
from datasets.bars.series_keys import SERIES_FIELDS
from datasets.calendars import MISSING
from datasets.catalog.bulk.row_order import in_pages
from datasets.catalog.outputs import get_store
from datasets.errors import DatasetsError, InvalidRequest, StoreFailed, StoreUnavailable
from datasets.formats import FORMATS
from datasets.management.dataset_arguments import ENGINE_LAYOUTS
from datasets.management.dataset_printer import ROW_COLUMNS, DatasetPrinter, count_of
from datasets.management.dataset_selection import each_dataset, select_datasets, select_series
from datasets.management.long_reads import VerifiedPlace, watch
from datasets.management.table_export import export_table
from datasets.models import Dataset, database

Options = dict[str, Any]


def run_action(options: Options, printer: DatasetPrinter) -> bool:
    """Do the action named in `options`; return False if something is wrong or was refused."""
    return _ACTIONS[options["action"]](options, printer)


def list_datasets(options: Options, printer: DatasetPrinter) -> bool:
    printer.print_list(each_dataset(options, ROW_COLUMNS))
    return True


def show_datasets(options: Options, printer: DatasetPrinter) -> bool:
    printer.print_details(each_dataset(options))
    return True


def verify_files(options: Options, printer: DatasetPrinter) -> bool:
    """Verify the selected datasets, or those of a lock file."""
    if options["lock"] is not None:
        return verify_locked(options, printer)
    is_whole = not (options["names"] or options["state"] or options["timeframe"])
    if options["resume"] and not is_whole:
        raise CommandError(
            "--resume goes on with all datasets: name none, and no state or timeframe."
        )
    chosen = select_datasets(options)
    if not (options["names"] or options["state"]):
        # Files in another state are already known to be missing, corrupt or out of use.
        chosen = chosen.filter(state=Dataset.State.READY)
    place = VerifiedPlace(is_resumed=options["resume"]) if is_whole else None
    if place is not None:
        chosen = chosen.filter(path__gt=place.path)
    findings = catalog.verify_each(in_pages(chosen, ("path",)), options["workers"])
    findings = findings if place is None else place.keep(findings)
    counts = printer.print_findings(watch(findings, chosen.count, printer.print_progress))
    return set(counts) <= {"ok", "gone"}


def verify_locked(options: Options, printer: DatasetPrinter) -> bool:
    """Compare the datasets of a study's lock file with the hashes in the lock file."""
    # pandas: 0.6 s of the start, without which the other actions begin.
    from datasets.research.archives.lock_checks import verify_lock
    from datasets.research.lock_files import read_lock

    path: Path = options["lock"]
    if options["names"] or options["timeframe"] or options["state"]:
        raise CommandError("--lock selects the datasets in the lock file; name no others.")
    try:
        n_locked = len(read_lock(path).entries)
        changes = verify_lock(path, folder=str(settings.OUTPUTS_BUCKET or settings.OUTPUTS_DIR))
    except InvalidRequest as error:
        raise CommandError(str(error)) from error
    printer.print_lock(str(path), n_locked, changes)
    return not changes


def list_gaps(options: Options, printer: DatasetPrinter) -> bool:
    """Print the gap reports; return whether all could be made and no bar is missing that should be there."""
    chosen = select_datasets(options)
    if not (options["names"] or options["state"]):
        chosen = chosen.filter(state=Dataset.State.READY)
    is_right = True

    def reports() -> Iterator[tuple[Dataset, dict[str, Any]]]:
        nonlocal is_right
        for dataset in in_pages(chosen, KEY_FIELDS):
            try:
                report = catalog.gap_report(dataset)
            except StoreUnavailable:
                # Without the folder every dataset would be refused.
                raise
            except DatasetsError as error:
                is_right = False
                printer.print_refusal(dataset, error)
                continue
            is_right = is_right and not any(kind in report["counts"] for kind in MISSING)
            yield dataset, report

    printer.print_gaps(reports())
    return is_right


def rebuild_catalog(options: Options, printer: DatasetPrinter) -> bool:
    catalog.require_folders(accept_empty=options["accept_empty"])
    adopted = catalog.adopt_files(options["workers"], is_resumed=options["resume"])
    watched = watch(
        adopted, lambda: sum(1 for _ in get_store().all_paths()), printer.print_progress
    )
    findings = chain(watched, catalog.find_missing(), adopt_series())
    return not {"corrupt", "unread"} & set(printer.print_findings(findings))


def archive_datasets(options: Options, printer: DatasetPrinter) -> bool:
    return set(printer.print_findings(convert_datasets())) <= {"ok"}


def invalidate_datasets(options: Options, printer: DatasetPrinter) -> bool:
    chosen = list(select_datasets(options))
    done = do_each(chosen, serving.invalidate, printer)
    for dataset in done:
        dataset.refresh_from_db()
    printer.print_done(
        f"{count_of(len(done))} invalidated, to be fetched again when asked for.", done
    )
    return len(done) == len(chosen)


def delete_datasets(options: Options, printer: DatasetPrinter) -> bool:
    # Loaded before, because the rows are gone when they are printed.
    chosen = list(select_datasets(options))
    done = do_each(chosen, catalog.delete, printer)
    printer.print_done(
        f"{count_of(len(done))} deleted; the files are in trash/ until `tidy`.", done
    )
    return len(done) == len(chosen)


def prune_datasets(options: Options, printer: DatasetPrinter) -> bool:
    now = database.shared_now()
    older_than, unused_for = options["older_than"], options["unused_for"]
    rules = {
        "fetched_before": None if older_than is None else now - older_than,
        "unused_since": None if unused_for is None else now - unused_for,
        "keep_newest": options["keep_newest"],
        "total_bytes": options["max_size"],
    }
    if all(rule is None for rule in rules.values()):
        raise CommandError("Name a rule: --older-than, --unused-for, --keep-newest or --max-size.")
    is_dry = options["dry_run"]
    verb = "would be removed" if is_dry else "removed"
    chosen = catalog.choose_prunable(**rules)
    try:
        printer.print_each(
            (dataset for dataset in chosen if is_dry or catalog.remove(dataset)),
            lambda number, size: f"{count_of(number)} {verb}, {size} bytes.",
        )
    except StoreFailed as error:
        raise CommandError(str(error)) from error
    return True


def export_datasets(options: Options, printer: DatasetPrinter) -> bool:
    """Write the selected datasets to a folder; a folder for each source if there are several."""
    if options["layout"] == "table":
        return export_archive(options, printer)
    folder: Path = options["to"]
    chosen = select_datasets(options)
    if options["layout"] in ENGINE_LAYOUTS:
        # Without the facts of the instruments, which take more memory than the rest of a row.
        return export_to_engine(options, list(chosen.only(*ROW_COLUMNS)), printer)
    # Sample bars and real bars have the same file names: they must not share a folder.
    is_mixed = chosen.order_by().values("source").distinct().count() > 1
    n_refused = 0

    def export(dataset: Dataset) -> None:
        target = folder / dataset.source if is_mixed else folder
        export_file(dataset, target, file_format=options["format"])

    def on_refusal(dataset: Dataset, error: DatasetsError) -> None:
        nonlocal n_refused
        n_refused += 1
        printer.print_refusal(dataset, error)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        printer.print_each(
            each_done(each_dataset(options), export, on_refusal),
            lambda number, _: f"{count_of(number)} exported to {folder}.",
        )
    except OSError as error:
        raise CommandError(f"{folder} cannot be written to: {error.strerror}.") from error
    return not n_refused


def export_archive(options: Options, printer: DatasetPrinter) -> bool:
    """Write the archives of the selected series to a folder, as one table a source."""
    if options["format"] != "parquet" or options["state"]:
        raise CommandError(
            "--layout table writes parquet files of the archive: leave out --format and --state."
        )
    # Their keys alone: the facts of an instrument take more memory than the rest of a row.
    folder, chosen = options["to"], list(select_series(options).only(*SERIES_FIELDS))
    try:
        done = export_table(chosen, folder, printer.print_refusal)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written to: {error.strerror}.") from error
    printer.print_series(f"{len(done)} series exported to {folder}.", done)
    return len(done) == len(chosen)


def export_to_engine(options: Options, chosen: list[Dataset], printer: DatasetPrinter) -> bool:
    """Write the data folder of an engine; the engine's own format has no other."""
    from datasets.management.engine_export import export_for_engine  # pandas, as above

    folder, layout = options["to"], options["layout"]
    if options["format"] != "parquet":
        raise CommandError(f"--layout {layout} has a format of its own: leave out --format.")
    if len({dataset.source for dataset in chosen}) > 1:
        raise CommandError(
            "Sample bars and real bars must not share a data folder: name datasets of one source."
        )
    try:
        done = export_for_engine(layout, chosen, folder, printer.print_refusal)
    except InvalidRequest as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{folder} cannot be written to: {error.strerror}.") from error
    printer.print_done(f"{count_of(len(done))} exported to {folder}.", done)
    return len(done) == len(chosen)


def export_file(dataset: Dataset, folder: Path, *, file_format: str) -> None:
    """Write one dataset to `folder` in a format of `file_formats`; parquet is a copy of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    # Renamed when complete, so that no program reads half a file.
    unfinished = folder / f".{Path(dataset.path).stem}.part"
    try:
        if file_format == "parquet":
            shutil.copyfile(catalog.path_to_read(dataset), unfinished)
        else:
            unfinished.write_bytes(FORMATS[file_format].render(catalog.read(dataset)))
        unfinished.replace(folder / f"{Path(dataset.path).stem}.{FORMATS[file_format].suffix}")
    finally:
        unfinished.unlink(missing_ok=True)


def do_each(
    datasets: Iterable[Dataset], change: Callable[[Dataset], object], printer: DatasetPrinter
) -> list[Dataset]:
    """Apply `change` to each dataset, print the refusals, and return the changed datasets. Raises as `each_done`."""
    return list(each_done(datasets, change, printer.print_refusal))


def each_done(
    datasets: Iterable[Dataset],
    change: Callable[[Dataset], object],
    on_refusal: Callable[[Dataset, DatasetsError], None],
) -> Iterator[Dataset]:
    """Apply `change` to each dataset, and yield the changed ones.

    Raises `StoreUnavailable` at once: without the folder every dataset would be refused.
    """
    for dataset in datasets:
        try:
            change(dataset)
        except StoreUnavailable:
            raise
        except DatasetsError as error:
            on_refusal(dataset, error)
        else:
            yield dataset


_ACTIONS: dict[str, Callable[[Options, DatasetPrinter], bool]] = {
    "list": list_datasets,
    "show": show_datasets,
    "verify": verify_files,
    "gaps": list_gaps,
    "rebuild": rebuild_catalog,
    "archive": archive_datasets,
    "prune": prune_datasets,
    "invalidate": invalidate_datasets,
    "delete": delete_datasets,
    "export": export_datasets,
}
