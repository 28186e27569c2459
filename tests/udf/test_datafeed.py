"""The datafeed's replies: errors, marks, the cheap look at the newest bars, and who may have them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from datasets.archive.conversion import convert_datasets
from datasets.bars import Instrument
from datasets.calendars.session_strings import documented_form
from datasets.errors import Busy
from datasets.models import ApiToken, Dataset, Fetch, Revision
from datasets.serving.trust import distrust_all
from datasets.udf import bar_times, held_series
from tests.support.factories import START, bars_table
from tests.support.statements import statements

MakeDataset = Callable[..., Dataset]
HISTORY = "/udf/history?symbol=BINANCE:BTCUSDT&resolution=60"
END = START + 300 * 3600


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Forget the bars of other tests; nobody does the fetches here."""
    distrust_all()
    bar_times._newest.clear()
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    monkeypatch.setattr(held_series, "WAIT_S", 0.0)
    return found


@pytest.fixture
def archived(make_dataset: MakeDataset) -> Dataset:
    """A dataset of 300 hours with an archive; trade never stops."""
    made = make_dataset(300, reply={"instrument": Instrument(timezone="Etc/UTC", session_hours="24x7", pricescale=100, minmov=1)})  # fmt: skip
    assert [finding.outcome for finding in convert_datasets()] == ["ok"]
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("is_archived", [True, False])
def test_bars_come_from_the_archive_or_from_a_dataset_without_one(
    client: Client, make_dataset: MakeDataset, is_archived: bool
) -> None:
    make_dataset(300)
    if is_archived:
        convert_datasets()

    reply = client.get(f"{HISTORY}&from={END}&to={END}&countback=2").json()

    assert list(reply) == ["s", "t", "o", "h", "l", "c", "v"]
    assert (reply["s"], reply["t"]) == ("ok", [END - 7200, END - 3600])


def test_the_look_at_the_newest_two_bars_asks_neither_database_nor_disk(
    client: Client, archived: Dataset, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEB_TRUST_MS = 60_000
    first = client.get(f"{HISTORY}&from={END - 9000}&to={END + 60}&countback=2")

    def fail(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the archive was read")

    monkeypatch.setattr(held_series.HeldSeries, "read", fail)
    with statements() as made:
        later = client.get(f"{HISTORY}&from={END - 8990}&to={END + 70}&countback=2")

    assert made == []
    assert later.content == first.content
    tag = {"If-None-Match": first["ETag"]}
    assert client.get(f"{HISTORY}&from=0&to={END + 80}&countback=2", headers=tag).status_code == 200
    assert (
        client.get(f"{HISTORY}&from={END}&to={END + 80}&countback=2", headers=tag).status_code
        == 304
    )


def test_a_volume_that_is_missing_is_left_out() -> None:
    rows = bars_table(3, has_volume=False)

    bars = bar_times.TimedBars.of(rows, rows["time"].cast(pa.int64()).to_numpy(), is_whole=True)
    columns = bar_times.columns_of(bars)

    assert list(columns) == ["t", "o", "h", "l", "c"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "symbol"),
        ("?symbol=BINANCE:BTCUSDT", "resolution"),
        ("?symbol=BINANCE:BTCUSDT&resolution=1h", "not served"),
        ("?symbol=BINANCE:BTCUSDT&resolution=60&to=soon", "no number"),
        (f"?symbol={'X' * 300}&resolution=60", "longer"),
        ("?symbol=nothing&resolution=60", "unknown_symbol"),
    ],
)
def test_a_wrong_request_is_an_error_with_a_message_and_status_200(
    client: Client, db: None, query: str, said: str
) -> None:
    reply = client.get(f"/udf/history{query}")

    assert reply.status_code == 200
    assert reply["Content-Type"] == "application/json"
    assert reply.json()["s"] == "error"
    assert said in reply.json()["errmsg"]
    assert reply["Content-Length"] == str(len(reply.content))


def test_an_outage_an_unknown_address_and_a_defect_are_errors_of_the_datafeed_too(
    client: Client, archived: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.raise_request_exception = False
    unknown = client.get("/udf/nothing")

    def fail(*arguments: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr("datasets.udf.udf_views.bars_for", fail)
    failure: Exception = Busy("Try again.")
    busy = client.get(f"{HISTORY}&to={END}")
    failure = RuntimeError("a secret")
    defect = client.get(f"{HISTORY}&to={END}")

    for reply, code in ((unknown, "not_found"), (busy, "busy"), (defect, "internal_error")):
        assert (reply.status_code, reply.json()["s"], reply.json()["code"]) == (200, "error", code)
    assert b"a secret" not in defect.content


def test_a_series_that_is_not_held_is_fetched_once_and_not_after_each_failure(
    client: Client, db: None, nothing_kept: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        first = client.get(f"{HISTORY}&to={END}&countback=2").json()
        again = client.get(f"{HISTORY}&to={END}&countback=2").json()
    Fetch.objects.update(state=Fetch.State.FAILED, finished_at=timezone.now())
    after = client.get(f"{HISTORY}&to={END}&countback=2").json()
    n_fetches = Fetch.objects.count()
    Fetch.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    client.get(f"{HISTORY}&to={END}&countback=2")

    assert first == again == after == {"s": "no_data"}
    assert len(nothing_kept) == n_fetches == 1
    assert Fetch.objects.count() == 2


def test_a_token_that_may_only_read_fetches_nothing(client: Client, db: None) -> None:
    token = ApiToken(name="chart", user=User.objects.create_user("chart"), scope="read")
    secret = token.renew()
    token.save()

    reply = client.get(f"/udf/t/{secret}/history?symbol=BINANCE:BTCUSDT&resolution=60&to={END}")

    assert (reply.status_code, reply.json()["s"]) == (403, "error")
    assert not Fetch.objects.exists()


def test_a_token_that_does_not_exist_is_refused_although_the_service_is_open(
    client: Client, db: None
) -> None:
    reply = client.get("/udf/t/tv_wrong/config")

    assert (reply.status_code, reply.json()["s"]) == (401, "error")
    request = reply.wsgi_request
    assert {request.path, request.path_info, request.META["PATH_INFO"]} == {"/udf/config"}
    assert "tv_wrong" not in request.build_absolute_uri()


def test_revisions_are_marks_on_their_bars(client: Client, archived: Dataset) -> None:
    assert archived.series is not None
    moment = datetime.fromtimestamp(START + 10 * 3600, UTC)
    for number in range(12):
        Revision.objects.create(
            series=archived.series, number=number, finding="ratio", state="accepted", generation=1, found_at=timezone.now(),
            n_bars=10, first_time=moment, last_time=moment, factor=0.25, is_split=True,
        )  # fmt: skip
    span = f"symbol=BINANCE:BTCUSDT&resolution=60&from={START}"

    found = client.get(f"/udf/marks?{span}&to={END}").json()
    before = client.get(f"/udf/marks?{span}&to={START + 3600}").json()

    # A bar has at most ten marks.
    assert found["time"] == [START + 10 * 3600] * 10
    assert found["label"] == ["S"] * 10
    assert found["text"][0].startswith("Split. Factor 0.25. 10 bars up to here")
    assert {len(values) for values in found.values()} == {10}
    assert {len(values) for values in before.values()} == {0}


def test_missing_bars_are_marks_of_the_time_scale(
    client: Client, archived: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = held_series.HeldSeries.read

    def with_hole(self: held_series.HeldSeries, **bounds: Any) -> Any:
        rows = read(self, **bounds)
        return rows.filter([not 100 <= index < 140 for index in range(rows.num_rows)])

    monkeypatch.setattr(held_series.HeldSeries, "read", with_hole)

    marks = client.get(
        f"/udf/timescale_marks?symbol=BINANCE:BTCUSDT&resolution=60&from={START}&to={END}"
    ).json()

    # The rest of a day, and a whole day.
    assert [mark["time"] for mark in marks] == [START + 100 * 3600, START + 120 * 3600]
    assert marks[0]["tooltip"][0] == "20 bars are missing"
    assert {tuple(mark)[:4] for mark in marks} == {("id", "time", "color", "label")}


def test_the_search_without_a_text_lists_what_is_stored(client: Client, archived: Dataset) -> None:
    [found] = client.get("/udf/search?query=&limit=30").json()

    assert set(found) == {"symbol", "full_name", "description", "exchange", "ticker", "type"}
    assert (found["ticker"], found["symbol"]) == ("BINANCE:BTCUSDT", "BTCUSDT")


def test_a_symbol_without_its_exchange_is_the_stored_one(client: Client, archived: Dataset) -> None:
    assert client.get("/udf/symbols?symbol=BTCUSDT").json()["ticker"] == "BINANCE:BTCUSDT"


@pytest.mark.parametrize(
    ("ticker", "changes"),
    [
        ("|ext", {"session": "extended"}),
        ("|div", {"adjustment": "dividends"}),
        ("|none", {"adjustment": "none"}),
    ],
)
def test_a_variant_is_a_ticker_of_its_own(
    client: Client, make_dataset: MakeDataset, ticker: str, changes: dict[str, str]
) -> None:
    make_dataset(300, **changes)

    info = client.get(f"/udf/symbols?symbol=BINANCE:BTCUSDT{ticker}").json()
    bars = client.get(f"/udf/history?symbol={info['ticker']}&resolution=60&to={END}&countback=2")

    assert info["ticker"] == f"BINANCE:BTCUSDT{ticker}"
    assert info["subsession_id"] == changes.get("session", "regular")
    assert bars.json()["s"] == "ok"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0930-1600", "0930-1600"),
        ("0930-1200A0900E0920-1206U1300-1600E1300-1611", "0930-1200,1300-1600"),
        ("1700F4-1200F3,1700-1600:20250707", "1700F4-1200F3,1700-1600:20250707"),
    ],
)
def test_hours_have_the_charting_librarys_grammar(text: str, expected: str) -> None:
    assert documented_form(text) == expected


def test_openbb_finds_the_datafeed(client: Client, archived: Dataset) -> None:
    [widget] = client.get("/widgets.json").json().values()

    assert (widget["type"], widget["endpoint"]) == ("advanced_charting", "/udf")
    assert widget["data"]["defaultSymbol"] == "BINANCE:BTCUSDT"
    assert client.get("/udf/config").json()["supports_search"] is True
