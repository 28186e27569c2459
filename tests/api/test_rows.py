"""Rows of the API's lists: the values of the framework's serializers, at a cost that grows little with the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import ModelSerializer

from datasets.api.bar_serializers import RevisionSerializer, SeriesSerializer
from datasets.api.parsers import FastJSONRenderer
from datasets.api.serializers import DatasetSerializer, FetchSerializer
from datasets.models import Dataset, Fetch, Revision, Series

MakeDataset = Callable[..., Dataset]


@pytest.fixture
def rows(make_dataset: MakeDataset) -> list[Model]:
    """A row of each list, with values in all columns."""
    now = timezone.now()
    dataset = make_dataset(20)
    dataset.doubts, dataset.zero_volume_share, dataset.last_served_at = {"price_jump": 3}, 0.25, now
    series = Series.objects.create(
        **dataset.series_key.as_dict(), sequence=1, n_rows=20, bytes=9, first_time=dataset.first_time,
        last_time=dataset.last_time, last_bar_final=True, fetched_at=now, instrument={"description": "Zürich\u2028AG"},
    )  # fmt: skip
    fetch = Fetch.objects.create(
        **dataset.key.as_dict(), state="failed", dataset=dataset, error_code="no_data", error_message="None.",
        requested_via="schedule", priority=Fetch.Priority.API, finished_at=now,
    )  # fmt: skip
    revision = Revision.objects.create(
        series=series, number=1, finding="ratio", state="accepted", generation=1, found_at=now, n_bars=2,
        factor=0.5, decided_by="ada", fetch=fetch,
    )  # fmt: skip
    dataset.series = series
    dataset.save()
    return [dataset, series, fetch, revision]


def test_a_row_has_the_values_of_the_frameworks_serializer(rows: list[Model]) -> None:
    chosen = (DatasetSerializer, SeriesSerializer, FetchSerializer, RevisionSerializer)
    for row, kind in zip(rows, chosen, strict=True):
        serializer: Any = kind(row)

        body = FastJSONRenderer().render(serializer.data)

        usual = ModelSerializer.to_representation(serializer, row)
        assert body.replace("\u2028".encode(), b"\\u2028") == JSONRenderer().render(usual)


@pytest.mark.usefixtures("rows")
def test_a_page_of_series_reads_only_the_numbers_of_their_datasets(client: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        (row,) = client.get("/api/tv/series").json()["results"]

    assert row["datasets"] == list(Dataset.objects.values_list("pk", flat=True))
    (of_datasets,) = [each["sql"] for each in captured if 'FROM "datasets_dataset"' in each["sql"]]
    assert "instrument" not in of_datasets
