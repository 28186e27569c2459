"""Conversion of datasets that were fetched before there were archives: merged, oldest fetch first."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from datasets.archive.preparation import prepared
from datasets.archive.series_rows import lock_datasets, record_series
from datasets.bars import FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import Finding
from datasets.catalog.outputs import archives, get_store, require_archives
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset


def convert_datasets(key: SeriesKey | None = None) -> Iterator[Finding]:
    """Merge every dataset without a series into the archive of its series, and yield the results.

    With `key` only the datasets of that series. The files of the datasets stay as they are. The
    conversion can be stopped and run again: datasets that have a series are left alone, and bars
    that are in an archive already are not added twice. The outcome of a dataset is `ok`,
    `corrupt` or `unread`. Raises `StoreUnavailable` while a disk is away.
    """
    waiting = Dataset.objects.filter(series=None, state__in=Dataset.ON_DISK)
    if key is not None:
        waiting = waiting.filter(**key.as_dict())
    for dataset in waiting.order_by("fetched_at", "pk"):
        require_archives(dataset.source)
        try:
            table, stored = get_store().read(dataset.path)
            facts = stored.facts
            fetched = FetchedBars(
                table=table,
                instrument=facts.instrument,
                fetched_at=facts.fetched_at,
                last_bar_final=facts.last_bar_final,
                is_limited=facts.is_limited,
            )
            # Older windows cannot be fetched any more: each file is all that is left of its moment.
            with (
                prepared(archives(), dataset.series_key, fetched, is_whole_window=True) as archive,
                transaction.atomic(),
            ):
                lock_datasets(dataset.series_key)
                archive.commit()
                series_id = record_series(archive.document, archive.plan.records)
                Dataset.objects.filter(pk=dataset.pk).update(series_id=series_id)
        except StoreError as error:
            yield Finding(dataset.path, "corrupt", str(error))
        except StoreFailed as error:
            yield Finding(dataset.path, "unread", str(error))
        else:
            yield Finding(dataset.path, "ok")
