"""The gap report in the catalog, on the pages, in the admin, the API, the command and the loader."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from datasets import catalog
from datasets.bars import Instrument
from datasets.catalog import gap_reports, records
from datasets.errors import InvalidRequest
from datasets.models import Dataset, DatasetGaps, Fetch
from datasets.research import gaps, load
from datasets.storage import FolderStore
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.study_files import write

MakeDataset = Callable[..., Dataset]
CRYPTO = Instrument(full_name="BINANCE:BTCUSDT", timezone="Etc/UTC", session_hours="24x7")
JUNE, JULY = datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)


def holed_table(n_rows: int = 960) -> pa.Table:
    """Return hours from 2025-01-01 on, without the ten from 2025-01-15T04:00 on."""
    table = bars_table(n_rows)
    return pa.concat_tables([table.slice(0, 340), table.slice(350)]).combine_chunks()


@pytest.fixture
def holed(db: None, store: FolderStore) -> Dataset:
    """A dataset with a hole of ten hours, recorded as by a worker."""
    return record(store, JUNE)


def record(store: FolderStore, fetched_at: datetime, **changes: Any) -> Dataset:
    fetched = fetched_bars(holed_table(), instrument=CRYPTO, fetched_at=fetched_at, **changes)
    key = a_key(n_bars=960)
    report = gap_reports.make_report(key, CRYPTO, fetched.table, fetched_at)
    pk = records.record_row(store.write(key, fetched), report)
    return Dataset.objects.get(pk=pk)


def counts_of(dataset: Dataset) -> dict[str, int]:
    assert dataset.coverage is not None
    counts: dict[str, int] = dataset.coverage["counts"]
    return counts


def test_the_row_counts_what_is_missing_and_the_report_has_the_findings(holed: Dataset) -> None:
    assert holed.coverage == {
        "expected": 960, "held": 950, "missing": 10, "share_held": 950 / 960, "counts": {"hole": 10},
    }  # fmt: skip
    (finding,) = DatasetGaps.objects.get().report["findings"]
    assert finding["start"] == "2025-01-15T04:00:00+00:00"


def test_a_second_fetch_confirms_what_is_empty_again(holed: Dataset, store: FolderStore) -> None:
    again = record(store, JULY)

    assert counts_of(holed) == {"hole": 10}
    assert counts_of(again) == {"confirmed_empty": 10}
    # The same fetch, recorded once more, is no other look.
    assert counts_of(record(store, JULY)) == {"confirmed_empty": 10}


def test_the_same_fetch_recorded_twice_confirms_nothing(holed: Dataset, store: FolderStore) -> None:
    assert counts_of(record(store, JUNE)) == counts_of(holed) == {"hole": 10}


def test_a_row_without_a_report_gets_it_on_demand(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(100, reply={"instrument": CRYPTO})
    assert dataset.coverage is None

    report = catalog.gap_report(dataset)

    assert report["share_held"] == 1.0
    dataset.refresh_from_db()
    assert counts_of(dataset) == {}
    assert DatasetGaps.objects.count() == 1


def test_a_dataset_of_unknown_hours_has_a_reason_instead_of_counts(
    make_dataset: MakeDataset,
) -> None:
    dataset = make_dataset(100)

    assert catalog.gap_report(dataset)["why_unknown"] == "The feed sent no trading hours."
    dataset.refresh_from_db()
    assert dataset.coverage is None


# --- faces --------------------------------------------------------------------------------


def test_the_api_gives_the_report(holed: Dataset, client: Client) -> None:
    reply = client.get(f"/api/tv/datasets/{holed.pk}/gaps")

    body = reply.json()
    assert reply.status_code == 200
    assert (body["dataset"], body["full_symbol"]) == (holed.pk, "BINANCE:BTCUSDT")
    assert body["counts"] == {"hole": 10}
    assert body["largest"]["n_bars"] == 10
    assert client.get("/api/tv/datasets/999/gaps").status_code == 404
    assert client.get(f"/api/tv/datasets/{holed.pk}").json()["coverage"]["missing"] == 10


def test_the_command_lists_findings_and_fails_where_bars_should_be_there(
    holed: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call_command("datasets", "gaps")
    printed = capsys.readouterr().out
    assert "950 of 960 expected bars, 10 hole" in printed
    assert "hole: 2025-01-15 04:00 to 2025-01-15 14:00 UTC, 10 bars." in printed

    with pytest.raises(SystemExit):
        call_command("datasets", "gaps", "--json", str(holed.pk))
    (row,) = json.loads(capsys.readouterr().out)
    assert row["gaps"]["missing"] == 10


def test_the_command_succeeds_where_nothing_is_missing(
    make_dataset: MakeDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(100, reply={"instrument": CRYPTO})
    make_dataset(50)

    call_command("datasets", "gaps")

    printed = capsys.readouterr().out
    assert "100 of 100 expected bars" in printed
    assert "no report. The feed sent no trading hours." in printed


def test_the_page_of_a_dataset_lists_its_findings(
    holed: Dataset, make_dataset: MakeDataset, client: Client
) -> None:
    page = client.get(f"/datasets/{holed.pk}/").content.decode()

    assert "950 of 960 expected bars are stored (98.96%)." in page
    assert "2025-01-15 04:00 to 2025-01-15 14:00 UTC" in page
    assert ["10 missing"] in [row["flaws"] for row in client.get("/datasets/").context["rows"]]
    other = make_dataset(10)
    assert "Make the report" in client.get(f"/datasets/{other.pk}/").content.decode()


@pytest.mark.parametrize(("kind", "n_rows"), [("hole", 1), ("unsure", 0), ("none", 1), ("", 3)])
def test_the_admin_filters_by_missing_bars(
    kind: str, n_rows: int, holed: Dataset, make_dataset: MakeDataset, admin_client: Client
) -> None:
    catalog.gap_report(make_dataset(100, reply={"instrument": CRYPTO}))
    make_dataset(10)

    page = admin_client.get("/admin/datasets/dataset/", {"missing": kind} if kind else {})

    assert page.context["cl"].result_count == n_rows
    detail = admin_client.get(f"/admin/datasets/dataset/{holed.pk}/change/").content.decode()
    assert "950 of 960 expected bars" in detail


def test_look_again_fetches_only_datasets_with_missing_bars(
    holed: Dataset, make_dataset: MakeDataset, client: Client
) -> None:
    whole = make_dataset(100, reply={"instrument": CRYPTO})
    client.force_login(User.objects.create_superuser("ada"))

    client.post(
        "/admin/datasets/dataset/",
        {"action": "look_again", "_selected_action": [holed.pk, whole.pk]},
    )

    assert Fetch.objects.values_list("n_bars", flat=True).get() == 960


def test_the_loader_gives_the_report_of_loaded_bars(tmp_path: Path) -> None:
    write(tmp_path, table=holed_table(), n_bars=960, instrument=CRYPTO)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    found = gaps(bars)

    assert found["kind"].tolist() == ["hole"]
    assert found["start"].tolist() == [pd.Timestamp("2025-01-15T04:00Z")]
    assert found.attrs["missing"] == 10
    assert gaps(bars.iloc[:300]).empty
    with pytest.raises(InvalidRequest, match="hours are not known"):
        gaps(bars, hours="??")
