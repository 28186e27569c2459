"""The feed's calendar is kept with every fetch: in the file, the row and the reply."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from datasets import catalog
from datasets.bars import Instrument
from datasets.calendars import Calendar
from datasets.models import CalendarVersion, Dataset
from datasets.storage import FolderStore, metadata
from datasets.tradingview.resolved_symbol import read_instrument
from samplefeed.facts import resolved_facts
from samplefeed.instruments import find_instrument
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.recordings import messages_of_list, recording

MakeDataset = Callable[..., Dataset]
EARLY_CLOSES = "0930-1300:20190703,20191129,20191224,20211126,20221125,20230703,20231124,20240703,20241129,20241224,20250703,20251128,20251224,20261127,20261224,20271126,20271223;dayoff:20250109"  # fmt: skip
OLD = Instrument(full_name="BATS:AAPL", timezone="America/New_York", session_hours="0930-1600")


def recorded_facts() -> dict[str, Any]:
    """Return the third parameter of the recorded `symbol_resolved` of NASDAQ:AAPL."""
    text = b"".join(messages_of_list("mkt-cli_history-ok.json")).decode()
    start = text.index('{"m":"symbol_resolved"')
    facts: dict[str, Any] = json.JSONDecoder().raw_decode(text, start)[0]["p"][2]
    return facts


def test_the_recorded_calendar_of_the_subsession_is_read() -> None:
    instrument = read_instrument(recorded_facts())

    assert instrument.subsession == "regular"
    assert instrument.session_display == "0930-1600"
    assert instrument.session_holidays.startswith("20000117,20000221,")
    assert instrument.session_holidays.count(",") > 250
    assert instrument.session_correction == EARLY_CLOSES


def test_the_calendar_is_that_of_the_subsession_asked_for() -> None:
    facts = recorded_facts() | {"subsession_id": "extended"}

    instrument = read_instrument(facts)

    assert instrument.session_hours == "0400-2000"
    assert instrument.session_correction.startswith("0400-1700:20190703")


@pytest.mark.parametrize(
    "facts",
    [
        {"subsessions": "none", "subsession_id": 7},
        {"subsessions": [None, 3, {"id": "regular"}], "subsession_id": "regular"},
        {"session_holidays": ["20250101"], "session_display": None, "session": 24},
        {"session_holidays": "1" * 200_000},
    ],
)
def test_calendar_fields_of_an_unexpected_type_count_as_absent(facts: dict[str, Any]) -> None:
    calendar = Calendar.of(read_instrument(facts).as_dict())

    assert calendar.hours == calendar.holidays == calendar.corrections == ""
    assert not calendar.is_known


def test_the_recorded_calendar_of_hose_is_read() -> None:
    events = json.loads(recording("tradingview-rs_events_hose_vcb.json").read_text())
    facts = next(one["p"][2] for one in events if one.get("m") == "symbol_resolved")

    instrument = read_instrument(facts)

    assert instrument.session_correction == "0900-1500:20250426"
    assert instrument.session_holidays.endswith("20250901,20250902")


@pytest.mark.parametrize("session", ["regular", "extended"])
def test_the_sample_feed_sends_a_calendar(session: str) -> None:
    apple = find_instrument("NASDAQ:AAPL")
    assert apple is not None

    calendar = Calendar.of(read_instrument(resolved_facts(apple, session)).as_dict())

    closes = calendar.sessions(1_732_838_400_000, 1_732_924_800_000).closes  # 29 November 2024
    assert calendar.subsession == session
    assert closes.tolist() == [1_732_903_200_000]  # 13:00 in New York


def test_the_file_holds_the_whole_calendar(store: FolderStore) -> None:
    instrument = read_instrument(recorded_facts())
    path = store.write(a_key(n_bars=10), fetched_bars(bars_table(10), instrument=instrument))

    assert path.facts.instrument == instrument
    assert metadata.from_document(metadata.to_document(path.facts)).instrument == instrument


def test_a_file_of_an_older_version_is_read(store: FolderStore) -> None:
    facts = store.write(a_key(n_bars=10), fetched_bars(bars_table(10), instrument=OLD)).facts
    document = json.loads(metadata.to_document(facts))
    for name in ("subsession", "session_display", "session_holidays", "session_correction"):
        del document["instrument"][name]

    read = metadata.from_document(json.dumps(document).encode())

    assert Calendar.of(read.instrument.as_dict()).is_known
    assert read.instrument == OLD


def test_each_content_of_a_calendar_is_one_version(make_dataset: MakeDataset) -> None:
    newer = Instrument(**OLD.as_dict() | {"session_holidays": "20250101"})
    june, july = datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)

    first = make_dataset(10, reply={"instrument": OLD, "fetched_at": july})
    second = make_dataset(20, reply={"instrument": OLD, "fetched_at": june})
    third = make_dataset(30, reply={"instrument": newer, "fetched_at": july})
    first.refresh_from_db()

    assert first.calendar == second.calendar != third.calendar
    assert CalendarVersion.objects.count() == 2
    # An older file that is adopted later shows that the calendar was seen before.
    assert CalendarVersion.objects.get(holidays="").first_seen_at == june


def test_the_calendars_are_rebuilt_from_the_files(make_dataset: MakeDataset) -> None:
    make_dataset(10, reply={"instrument": OLD})
    Dataset.objects.all().delete()
    CalendarVersion.objects.all().delete()

    list(catalog.adopt_files())

    calendar = Dataset.objects.get().calendar
    assert calendar is not None
    assert calendar.hours == "0930-1600"


def test_the_reply_holds_the_calendar(make_dataset: MakeDataset, client: Client) -> None:
    full = Instrument(
        **OLD.as_dict() | {"session_holidays": "20250101", "session_correction": EARLY_CLOSES}
    )
    make_dataset(10, reply={"instrument": full})

    reply = client.get("/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=10&max_age=1000000000")

    instrument = reply.json()["instrument"]
    assert instrument["session_holidays"] == "20250101"
    assert instrument["session_correction"] == EARLY_CLOSES


def test_the_admin_lists_calendars(make_dataset: MakeDataset, admin_client: Client) -> None:
    calendar = make_dataset(10, reply={"instrument": OLD}).calendar
    assert calendar is not None

    page = admin_client.get("/admin/datasets/calendarversion/")

    assert "BATS:AAPL" in page.text
    assert (
        admin_client.get(f"/admin/datasets/calendarversion/{calendar.pk}/change/").status_code
        == 200
    )
