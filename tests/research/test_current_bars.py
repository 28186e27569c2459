"""`load(require="current")`: the newest closed bar, or the reason and the time at which it will be there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from datasets.bars import Instrument
from datasets.errors import InvalidRequest, NotCurrent
from datasets.models import Schedule, Series
from datasets.research import arguments, load
from datasets.research.archives import current_bars
from datasets.research.arguments import needs_fetch
from tests.support.factories import a_key
from tests.support.study_files import write

# The files' bars are hours from 2025-01-01 00:00 on: 300 of them end at noon of 2025-01-13.
NOON = datetime(2025, 1, 13, 12, 0, 20, tzinfo=UTC)
ALWAYS_OPEN = Instrument(session_hours="24x7", timezone="Etc/UTC")


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets the loader's clock."""

    def to(text: str) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.fromisoformat(text).replace(tzinfo=UTC)

        for module in (current_bars, arguments):
            monkeypatch.setattr(module, "datetime", Clock)

    return to


def load_current(folder: Path, **arguments: Any) -> Any:
    return load("BINANCE:BTCUSDT", "1h", folder=folder, require="current", **arguments)


def test_bars_with_every_closed_bar_are_loaded(tmp_path: Path, set_clock: Any) -> None:
    write(tmp_path, 300, instrument=ALWAYS_OPEN, fetched_at=NOON)
    set_clock("2025-01-13T12:59:59")

    assert len(load_current(tmp_path)) == 300
    assert len(load_current(tmp_path, n_bars=10, start="2025-01-13")) == 10


def test_a_missing_bar_raises_with_the_time_at_which_a_schedule_has_brought_it(
    tmp_path: Path, set_clock: Any
) -> None:
    write(tmp_path, 300, instrument=ALWAYS_OPEN, fetched_at=NOON)
    set_clock("2025-01-13T13:00:30")

    with pytest.raises(NotCurrent, match="1 bar has closed since 2025-01-13 12:00 UTC") as raised:
        load_current(tmp_path)

    assert raised.value.lag_bars == 1
    # A schedule fetches within a sixth of an hour, and 5 s.
    assert raised.value.available_at == datetime(2025, 1, 13, 13, 10, 5, tzinfo=UTC)
    assert raised.value.retryable


def test_the_delay_of_the_feed_is_added(tmp_path: Path, set_clock: Any) -> None:
    delayed = Instrument(session_hours="24x7", timezone="Etc/UTC", delay_s=900)
    write(tmp_path, 300, instrument=delayed, fetched_at=NOON + timedelta(minutes=15))
    set_clock("2025-01-13T13:14")
    assert len(load_current(tmp_path)) == 300

    set_clock("2025-01-13T13:15")
    with pytest.raises(NotCurrent) as raised:
        load_current(tmp_path)

    assert raised.value.available_at == datetime(2025, 1, 13, 13, 25, 5, tzinfo=UTC)


def test_bars_that_nothing_has_fetched_in_time_have_no_time_and_a_next_step(
    tmp_path: Path, set_clock: Any
) -> None:
    write(tmp_path, 300, instrument=ALWAYS_OPEN, fetched_at=NOON)
    set_clock("2025-01-13T18:30")

    with pytest.raises(NotCurrent, match="fetch='stale'") as raised:
        load_current(tmp_path)

    assert (raised.value.lag_bars, raised.value.available_at) == (6, None)


def test_unknown_hours_are_named(tmp_path: Path) -> None:
    write(tmp_path, 300, instrument=Instrument())

    with pytest.raises(NotCurrent, match="sent no trading hours") as raised:
        load_current(tmp_path)

    assert raised.value.lag_bars is None


@pytest.mark.parametrize("other", [{"end": "2025-01-02"}, {"lock": "study.json"}, {"as_of": NOON}])
def test_a_requirement_excludes_older_bars(tmp_path: Path, other: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="cannot be combined"):
        load_current(tmp_path, **other)
    with pytest.raises(InvalidRequest, match="'newest' is not allowed"):
        load("BINANCE:BTCUSDT", folder=tmp_path, require="newest")  # type: ignore[arg-type]


def test_a_dataset_is_stale_once_a_bar_has_closed_since_its_fetch(set_clock: Any) -> None:
    hours = {"session_hours": "0930-1600", "timezone": "America/New_York"}
    friday = {
        "timeframe": "1h", "instrument": hours, "last_bar_final": True,
        "last_time": "2025-01-03T20:30:00+00:00", "fetched_at": "2025-01-03T21:00:20+00:00",
    }  # fmt: skip

    def is_stale(now: str) -> bool:
        set_clock(now)
        return needs_fetch(a_key(), friday, "stale")

    # Its age is more than a bar, and nothing can have changed.
    assert not is_stale("2025-01-05T12:00")
    assert not is_stale("2025-01-06T15:29")
    assert is_stale("2025-01-06T15:30")


@pytest.mark.django_db(transaction=True)
def test_a_service_says_when_its_schedule_fetches_next(
    make_dataset: Any, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dataset = make_dataset(300, reply={"instrument": ALWAYS_OPEN, "fetched_at": NOON})
    due_at = timezone.now() + timedelta(minutes=4)
    series = Series.objects.create(
        **dataset.series_key.as_dict(), sequence=1, n_rows=300, bytes=1, first_time=dataset.first_time,
        last_time=dataset.last_time, last_bar_final=True, fetched_at=NOON, instrument=dataset.instrument,
    )  # fmt: skip
    Schedule.objects.create(**dataset.key.as_dict(), series=series, due_at=due_at)

    with pytest.raises(NotCurrent, match="The next fetch is due at") as raised:
        load("BINANCE:BTCUSDT", "1h", source="sample", url=live_server.url, require="current")

    assert raised.value.available_at == due_at
