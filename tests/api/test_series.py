"""`/api/tv/series`: the archives, their bars at any depth, gaps and revisions."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.archive import decisions
from datasets.archive.arrivals import prepared_arrival
from datasets.fetching import tasks
from datasets.formats import REPLY_KEY
from datasets.models import ApiToken, Dataset, Fetch, Series
from tests.support.archives import (
    AAPL,
    FIRST_HOUR,
    bars_of,
    changed,
    plain_bar,
    plain_bars,
    scaled,
    without,
)
from tests.support.factories import a_key, fetched_bars

pytestmark = pytest.mark.django_db

FIRST = datetime(2025, 6, 1, tzinfo=UTC)
ALWAYS_OPEN = without(AAPL, session_hours="24x7", timezone="Etc/UTC")


def arrive(table: pa.Table, *, days: int = 0, n_bars: int = 50, **reply: Any) -> Series:
    facts = {"instrument": ALWAYS_OPEN, "fetched_at": FIRST + timedelta(days=days), **reply}
    key = a_key(n_bars=n_bars, symbol="AAPL", exchange="NASDAQ")
    fetched = fetched_bars(table, **facts)
    with prepared_arrival(key, fetched, is_whole_window=True) as arrival:
        arrival.put_in_place()
    return Series.objects.get()


def hour(number: int) -> str:
    return f"{datetime.fromtimestamp(FIRST_HOUR + 3600 * number, UTC):%Y-%m-%dT%H:%M:%SZ}"


def get(client: Client, path: str, **query: Any) -> Any:
    reply = client.get(path, query)
    assert reply.status_code == 200, reply.content
    return reply.json()


def test_a_series_says_what_its_archive_holds(client: Client) -> None:
    arrive(plain_bars(range(0, 60)))
    series = arrive(plain_bars(range(30, 80)), days=1)

    (listed,) = get(client, "/api/tv/series", symbol="AAPL")["results"]
    one = get(client, f"/api/tv/series/{series.pk}")

    assert listed == one
    assert (one["full_symbol"], one["timeframe"], one["count"]) == ("NASDAQ:AAPL", "1h", 80)
    assert (one["first_time"], one["last_time"]) == (hour(0), hour(79))
    assert (one["generation"], one["n_holes"], one["is_awaiting"]) == (1, 0, False)
    assert one["datasets"] == [Dataset.objects.get().pk]
    assert get(client, "/api/tv/series", symbol="MSFT")["results"] == []


def test_a_range_is_read_at_any_depth(client: Client) -> None:
    arrive(plain_bars(range(0, 60)))
    series = arrive(plain_bars(range(30, 80)), days=1)

    body = get(client, f"/api/tv/series/{series.pk}/bars", start=hour(5), end=hour(8))

    assert list(body)[:5] == ["symbol", "exchange", "timeframe", "count", "ohlc"]
    assert [bar["time"] for bar in body["ohlc"]] == [hour(5), hour(6), hour(7)]
    assert (body["count"], body["covers_start"], body["holes"]) == (3, True, [])
    assert (body["held_from"], body["held_through"]) == (hour(0), hour(79))
    newest = get(client, f"/api/tv/series/{series.pk}/bars", n_bars=70)
    assert (newest["count"], newest["ohlc"][0]["time"]) == (70, hour(10))
    early = get(client, f"/api/tv/series/{series.pk}/bars", start="2020-01-01", n_bars=2)
    assert (early["count"], early["covers_start"]) == (2, False)


def test_a_range_names_the_hole_in_it(client: Client) -> None:
    arrive(plain_bars(range(0, 10)))
    series = arrive(plain_bars(range(20, 70)), days=1)

    path = f"/api/tv/series/{series.pk}/bars"
    hole = {"after": hour(9), "before": hour(20), "reason": "window_slid"}
    assert get(client, path, start=hour(5))["holes"] == [hole]
    assert get(client, path, start=hour(30))["holes"] == []
    report = get(client, f"/api/tv/series/{series.pk}/gaps")
    assert report["missing"] == 10
    assert [found["kind"] for found in report["findings"]] == ["window_slid"]


def test_bars_are_given_as_they_were_known(client: Client) -> None:
    arrive(plain_bars(range(0, 50)))
    series = arrive(changed(plain_bars(range(10, 60)), 5, volume=7.0), days=1)

    path = f"/api/tv/series/{series.pk}/bars"
    before = get(client, path, as_of="2025-06-01T12:00:00Z", start=hour(15))
    now = get(client, path, start=hour(15))

    assert (before["count"], before["ohlc"][0]["volume"]) == (35, 1015.0)
    assert (now["count"], now["ohlc"][0]["volume"]) == (45, 7.0)
    (revision,) = get(client, f"/api/tv/series/{series.pk}/revisions")["results"]
    assert (revision["finding"], revision["state"], revision["count"]) == ("volume", "accepted", 1)
    assert (revision["first_time"], revision["found_at"]) == (hour(15), "2025-06-02T00:00:00Z")
    too_early = client.get(path, {"as_of": "2020-01-01"})
    assert (too_early.status_code, too_early.json()["code"]) == (500, "file_missing")
    assert too_early.json()["retryable"] is False


def test_a_reply_says_why_older_bars_are_not_in_it(client: Client) -> None:
    arrive(plain_bars(range(0, 60)))
    split = scaled(plain_bars(range(20, 70)), 0.25, volume_factor=4)
    series = arrive(split, days=1)

    path = f"/api/tv/series/{series.pk}/bars"
    body = get(client, path, start=hour(0))
    assert (body["covers_start"], body["held_from"], body["generation"]) == (False, hour(20), 2)
    assert "second fetch" in body["why_held_from"]
    arrive(split, days=2)

    body = get(client, path, start=hour(0))
    assert (body["count"], body["covers_start"], body["why_held_from"]) == (70, True, "")
    assert body["rescaled"] == [{"before": hour(20), "factor": 0.25, "offset": 0.0}]
    assert body["ohlc"][0]["close"] == pytest.approx(plain_bars(range(1))["close"][0].as_py() / 4)


def test_the_forming_bar_is_left_out_and_other_formats_are_files(client: Client) -> None:
    series = arrive(plain_bars(range(0, 50)), last_bar_final=False)

    path = f"/api/tv/series/{series.pk}/bars"
    assert get(client, path, closed="true")["count"] == 49
    reply = client.get(path, {"format": "csv", "fields": "time,close"})
    assert reply.content.decode().splitlines()[0] == "time,close"
    assert reply.headers["Held-From"] == hour(0)
    again = client.get(path, headers={"If-None-Match": client.get(path).headers["ETag"]})
    assert again.status_code == 304


def test_a_bar_that_was_forming_at_that_instant_is_left_out(client: Client) -> None:
    arrive(changed(plain_bars(range(0, 50)), 49, volume=1.0), last_bar_final=False)
    series = arrive(plain_bars(range(10, 60)), days=1)

    path = f"/api/tv/series/{series.pk}/bars"
    then = {"as_of": "2025-06-01T12:00:00Z"}
    assert get(client, path, **then)["count"] == 50
    assert get(client, path, **then, closed="true")["count"] == 49


def test_a_reply_as_of_an_instant_says_what_was_held_then(client: Client) -> None:
    arrive(plain_bars(range(20, 50)))
    arrive(plain_bars(range(0, 60)), days=1)
    series = arrive(plain_bars(range(50, 90)), days=2, last_bar_final=False)

    path = f"/api/tv/series/{series.pk}/bars"
    then = get(client, path, as_of="2025-06-01T12:00:00Z", start=hour(10), n_bars=3)
    now = get(client, path, n_bars=3)

    assert [bar["time"] for bar in then["ohlc"]] == [hour(47), hour(48), hour(49)]
    assert (then["covers_start"], then["held_from"], then["held_through"]) == (
        False, hour(20), hour(49),
    )  # fmt: skip
    assert (then["fetched_at"], then["last_bar_final"]) == ("2025-06-01T00:00:00Z", True)
    assert (now["held_from"], now["last_bar_final"]) == (hour(0), False)


def test_a_file_of_bars_holds_the_rest_of_the_reply(client: Client) -> None:
    series = arrive(plain_bars(range(0, 50)))

    path = f"/api/tv/series/{series.pk}/bars"
    file = pq.read_table(io.BytesIO(client.get(path, {"format": "parquet"}).content))

    said = get(client, path)
    del said["ohlc"]
    assert json.loads(file.schema.metadata[REPLY_KEY]) == said
    assert client.get(path, {"format": "csv"}).headers["Last-Bar-Final"] == "true"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start": "soon"}, "start"),
        ({"n_bars": "0"}, "n_bars"),
        ({"as_of": "1"}, "as_of"),
        ({"nothing": "1"}, "nothing"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(client: Client, query: dict[str, str], field: str) -> None:
    series = arrive(plain_bars(range(0, 50)))

    reply = client.get(f"/api/tv/series/{series.pk}/bars", query)

    assert reply.status_code == 400
    assert list(reply.json()["errors"]) == [field]


def test_a_series_that_is_not_there_is_404(client: Client) -> None:
    for path in ("", "/bars", "/gaps", "/revisions"):
        assert client.get(f"/api/tv/series/999{path}").status_code == 404


def test_a_refresh_fetches_the_largest_dataset_of_the_series(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda fetch_id: None)
    arrive(plain_bars(range(0, 50)), n_bars=20)
    series = arrive(plain_bars(range(0, 50)), n_bars=50)

    assert client.post(f"/api/tv/series/{series.pk}/refresh").status_code in (401, 403)
    client.force_login(User.objects.create_superuser("ada"))
    reply = client.post(f"/api/tv/series/{series.pk}/refresh")

    assert reply.status_code == 202
    assert reply.json()["n_bars"] == 50


# --- /api/tv/ohlc --------------------------------------------------------------------------

OHLC = "/api/tv/ohlc?symbol=NASDAQ:AAPL&timeframe=1h&wait=0"


def test_a_range_without_a_number_is_answered_at_any_depth_and_fetches_nothing(
    client: Client,
) -> None:
    arrive(plain_bars(range(0, 4000)), n_bars=5000)
    series = arrive(plain_bars(range(100, 5100)), days=1, n_bars=5000)
    dataset = Dataset.objects.get()
    assert dataset.n_rows == 5000

    old = get(client, f"{OHLC}&start={hour(5)}&end={hour(8)}")
    both = get(client, f"{OHLC}&start={hour(5)}")
    new = get(client, f"{OHLC}&start={hour(5000)}")

    assert (old["count"], old["covers_start"], old["series"]) == (3, True, series.pk)
    assert (old["dataset"], old["cached"], old["n_bars"]) == (None, True, None)
    assert (both["count"], both["ohlc"][0]["time"]) == (5095, hour(5))
    assert both["ohlc"][-1]["time"] == hour(5099)
    assert (new["count"], new["dataset"]) == (100, dataset.pk)
    assert Fetch.objects.count() == 0


def test_a_range_before_the_archive_is_fetched_where_tradingview_still_has_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda fetch_id: None)
    settings.TV_MAX_BARS = 10_000
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=200)
    arrive(bars_of({n: plain_bar(n) for n in range(150)}, first=int(first.timestamp())))
    early = f"{OHLC}&start={first - timedelta(hours=7000):%Y-%m-%dT%H:%M}&end={first + timedelta(hours=5):%Y-%m-%dT%H:%M}"

    token = ApiToken(name="reader", user=User.objects.create_user("ada"), scope="read")
    secret = token.renew()
    token.save()
    refused = client.get(early, headers={"Authorization": f"Bearer {secret}"}).json()
    reply = client.get(early)

    # Without the permission to fetch the archive answers, and says that it begins later.
    assert (refused["count"], refused["covers_start"]) == (5, False)
    assert reply.status_code == 202
    assert reply.json()["n_bars"] == 10_000
    settings.TV_MAX_BARS = 150
    assert get(client, early)["covers_start"] is False
    assert Fetch.objects.count() == 1


def test_more_bars_than_one_fetch_gives_come_from_the_archive(
    client: Client, settings: Any
) -> None:
    settings.TV_MAX_BARS = 60
    arrive(plain_bars(range(0, 60)))
    series = arrive(plain_bars(range(30, 80)), days=1, last_bar_final=False)

    body = get(client, f"{OHLC}&n_bars=70")
    closed = get(client, f"{OHLC}&n_bars=70&closed=true&fields=time")

    assert (body["count"], body["n_bars"], body["dataset"], body["series"]) == (
        70,
        70,
        None,
        series.pk,
    )
    assert (body["ohlc"][0]["time"], body["last_bar_final"]) == (hour(10), False)
    assert (closed["count"], closed["ohlc"][-1]["time"]) == (69, hour(78))
    assert get(client, f"{OHLC}&n_bars=50")["dataset"] is not None
    assert Fetch.objects.count() == 0


def test_more_bars_than_the_archive_holds_are_refused_with_what_there_is(
    client: Client, settings: Any
) -> None:
    settings.TV_MAX_BARS = 60
    arrive(plain_bars(range(0, 60)))
    arrive(plain_bars(range(30, 80)), days=1)

    def said(query: str) -> str:
        reply = client.get(OHLC.replace("&timeframe=1h", "") + query)
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
        return str(reply.json()["errors"]["n_bars"][0])

    assert said("&n_bars=81") == (
        "81 is above 60, the most that TradingView gives in one fetch (TV_MAX_BARS), and the archive of NASDAQ:AAPL 1h "
        "holds 80 bars, from 2024-12-30T00:00:00+00:00. Ask for at most 80; the archive grows with each fetch."
    )
    assert "nothing of NASDAQ:AAPL 1D was archived yet" in said("&n_bars=61&timeframe=1D")
    assert "Bars of other timeframes are at most 60" in said("&n_bars=61&timeframe=7h")
    assert "1000000" in said("&n_bars=1000001")


def test_imported_bars_are_given_by_their_source_and_never_fetched(
    client: Client, settings: Any
) -> None:
    settings.TV_MAX_BARS = 60
    arrive(plain_bars(range(80, 120)))
    key = a_key(n_bars=1_000_000, symbol="AAPL", exchange="NASDAQ", source="imported")
    imported = fetched_bars(plain_bars(range(0, 90)), instrument=ALWAYS_OPEN, fetched_at=FIRST)
    with prepared_arrival(key, imported, is_whole_window=True) as arrival:
        arrival.put_in_place()

    files, feed = get(client, f"{OHLC}&source=imported&n_bars=70"), get(client, f"{OHLC}&n_bars=40")
    part = get(client, f"{OHLC}&source=imported&start={hour(5)}&end={hour(7)}")

    assert (files["source"], files["count"], files["ohlc"][-1]["time"]) == (
        "imported",
        70,
        hour(89),
    )
    assert (feed["source"], feed["ohlc"][-1]["time"]) == ("sample", hour(119))
    assert [bar["time"] for bar in part["ohlc"]] == [hour(5), hour(6)]
    nowhere = client.get(OHLC.replace("AAPL", "MSFT") + "&source=imported")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    wrong = {
        "source": f"{OHLC}&source=nowhere",
        "use_cache": f"{OHLC}&source=imported&use_cache=false",
        "timeframe": OHLC.replace("1h", "7h") + "&source=imported",
    }
    for field, address in wrong.items():
        assert list(client.get(address).json()["errors"]) == [field]
    assert Fetch.objects.count() == 0


def test_a_range_with_a_number_stays_within_the_dataset(client: Client) -> None:
    arrive(plain_bars(range(0, 60)))
    arrive(plain_bars(range(30, 80)), days=1)

    body = get(client, f"{OHLC}&start={hour(5)}&n_bars=50")

    assert (body["count"], body["covers_start"], body["held_from"]) == (50, False, hour(30))


def test_bars_of_a_range_are_given_as_they_were_known(client: Client) -> None:
    arrive(plain_bars(range(0, 50)))
    arrive(changed(plain_bars(range(10, 60)), 5, volume=7.0), days=1)

    body = get(client, f"{OHLC}&as_of=2025-06-01T12:00:00Z&n_bars=40")

    assert (body["count"], body["ohlc"][5]["time"], body["ohlc"][5]["volume"]) == (
        40,
        hour(15),
        1015.0,
    )
    assert body["as_of"] == "2025-06-01T12:00:00Z"
    reply = client.get(OHLC.replace("AAPL", "MSFT") + "&as_of=2025-06-01")
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert Fetch.objects.count() == 0


def test_without_an_archive_a_range_is_answered_by_a_dataset(
    client: Client, make_dataset: Callable[..., Dataset]
) -> None:
    dataset = make_dataset(300)

    body = get(client, "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300&start=2025-01-02&wait=0")

    assert (body["dataset"], body["n_bars"], body["count"]) == (dataset.pk, 300, 276)


def test_a_decision_is_told_without_the_name_of_its_user(client: Client) -> None:
    arrive(plain_bars(range(0, 60)))
    series = arrive(changed(plain_bars(range(0, 60)), 30, close=7.7, low=7.0), days=1)
    path = f"/api/tv/series/{series.pk}/revisions"
    undecided = get(client, path)["results"][0]["decided_by"]

    decisions.keep_old(series.revisions.get(), by="ada")

    (revision,) = get(client, path)["results"]
    assert undecided == ""
    assert (revision["state"], revision["decided_by"]) == ("kept_old", "person")
