"""GET /api/tv/ohlc as a client sees it, from the cache."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from django.test import Client, RequestFactory

from datasets import serving
from datasets.api.replies import accepts_gzip, reply
from datasets.catalog import records
from datasets.models import Dataset, Fetch
from datasets.serving import usage
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.reply_bodies import bodies
from datasets.storage import FolderStore
from tests.support.factories import START, bars_table, fetched_bars
from tests.support.statements import statements

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300"


@pytest.fixture(autouse=True)
def nothing_rendered() -> None:
    bodies.rendered.clear()
    usage._hits._counts.clear()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the fetches that were handed to the workers; nobody does them here."""
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


def test_the_reply_has_the_users_five_keys_first_and_then_ours(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)

    response = client.get(OHLC)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    body = json.loads(response.content)
    assert list(body)[:5] == ["symbol", "exchange", "timeframe", "count", "ohlc"]
    assert body["ohlc"][0] == {
        "time": "2025-01-01T00:00:00Z", "open": 100.0, "high": 101.14421768723768, "low": 99.5, "close": 100.64421768723768, "volume": 0.0,
    }  # fmt: skip
    assert {name: body[name] for name in ("symbol", "exchange", "timeframe", "count", "source", "dataset", "cached", "fetched_at", "last_bar_final")} == {
        "symbol": "BTCUSDT", "exchange": "BINANCE", "timeframe": "1h", "count": 300, "source": "sample",
        "dataset": dataset.pk, "cached": True, "fetched_at": "2025-06-01T00:00:00Z", "last_bar_final": True,
    }  # fmt: skip


def test_the_symbol_alone_may_name_its_exchange(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)

    assert (
        client.get("/api/tv/ohlc?symbol=binance:btcusdt&timeframe=60&n_bars=300").status_code == 200
    )


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("", "symbol", "required"),
        ("symbol=BTCUSDT", "exchange", "required"),
        ("symbol=X:Y&timeframe=0", "timeframe", "1, 3, 5, 15, 30, 45, 1h, 2h, 3h, 4h, 1D, 1W, 1M"),
        ("symbol=X:Y&timeframe=", "timeframe", "1, 3, 5, 15, 30, 45, 1h, 2h, 3h, 4h, 1D, 1W, 1M"),
        ("symbol=X:Y&timeframe=1+hour+long", "timeframe", "45, 1h, 2h, 3h, 4h, 1D, 1W, 1M"),
        ("symbol=X:Y&n_bars=0", "n_bars", "greater than or equal to 1"),
        ("symbol=X:Y&n_bars=50001", "n_bars", "TV_MAX_BARS"),
        ("symbol=X:Y&n_bars=many", "n_bars", "integer"),
        (
            "symbol=X:Y&session=night",
            "session",
            "'night' is not allowed; use one of regular, extended",
        ),
        ("symbol=X:Y&adjustment=x", "adjustment", "splits, dividends, none"),
        ("symbol=X:Y&use_cache=perhaps", "use_cache", "true or false"),
        ("symbol=X:Y&closed=2", "closed", "true or false"),
        ("symbol=X:Y&wait=-1", "wait", "greater than or equal to 0"),
        ("symbol=X:Y&wait=nan", "wait", ""),
        ("symbol=X:Y&format=xml", "format", "json, columns, csv, arrow, parquet"),
        ("symbol=X:Y&fields=time,price", "fields", "'price' is no column"),
        ("symbol=X:Y&start=yesterday", "start", "2025-01-31"),
        ("symbol=X:Y&timefrmae=1h", "timefrmae", "no such parameter"),
        ("symbol=X:Y&symbol=X:Z", "symbol", "more than once"),
        ("symbol=A%00B&exchange=X", "symbol", "ull"),
        ("symbol=../../etc/passwd&exchange=..", "exchange", "letters"),
        ("symbol=" + "A" * 500 + "&exchange=X", "symbol", "161"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(
    client: Client, db: None, query: str, field: str, said: str
) -> None:
    response = client.get(f"/api/tv/ohlc?{query}")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    problem = json.loads(response.content)
    assert (problem["status"], problem["code"], problem["retryable"]) == (
        400,
        "invalid_request",
        False,
    )
    assert said in " ".join(problem["errors"][field])
    assert not Fetch.objects.exists()


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", ["exchange", "symbol"]),
        ("exchange=BINANCE", ["symbol"]),
        ("symbol=BTCUSDT&timeframe=25h&n_bars=0&foo=1&wait=1&wait=2", ["exchange", "foo", "n_bars", "timeframe", "wait"]),
        ("symbol=BTCUSDT&timeframe=0m&wait=x", ["exchange", "timeframe", "wait"]),
        ("symbol=X:Y&timefrmae=1h&n_bars=0&format=json&format=csv", ["format", "n_bars", "timefrmae"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_named_at_once(
    client: Client, db: None, query: str, named: list[str]
) -> None:
    problem = json.loads(client.get(f"/api/tv/ohlc?{query}").content)

    assert sorted(problem["errors"]) == named


def as_rows(table: pa.Table) -> list[dict[str, Any]]:
    return table.to_pylist()


@pytest.mark.parametrize("has_volume", [True, False])
def test_every_format_holds_the_same_numbers(
    client: Client, db: None, store: FolderStore, has_volume: bool
) -> None:
    from tests.support.factories import a_key

    table = bars_table(300, has_volume=has_volume)
    records.record(store.write(a_key(), fetched_bars(table)))
    expected = as_rows(table)

    rows = json.loads(client.get(OHLC).content)["ohlc"]
    columns = json.loads(client.get(f"{OHLC}&format=columns").content)["ohlc"]
    csv = pa.csv.read_csv(
        io.BytesIO(client.get(f"{OHLC}&format=csv").content),
        convert_options=pa.csv.ConvertOptions(column_types=table.schema),
    )
    arrow = pa.ipc.open_stream(client.get(f"{OHLC}&format=arrow").content).read_all()
    parquet = pq.read_table(io.BytesIO(client.get(f"{OHLC}&format=parquet").content))

    assert [row | {"time": datetime.fromisoformat(row["time"])} for row in rows] == expected
    assert columns["time"] == [int(row["time"].timestamp()) for row in expected]
    for name in ("open", "high", "low", "close", "volume"):
        assert columns[name] == [row[name] for row in expected]
    assert as_rows(csv) == as_rows(arrow) == as_rows(parquet) == expected
    assert arrow.schema == table.schema


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("text/csv", "text/csv"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
    ],
)
def test_accept_chooses_the_format(
    client: Client, make_dataset: MakeDataset, accept: str, media_type: str
) -> None:
    make_dataset(300)

    assert client.get(OHLC, headers={"Accept": accept})["Content-Type"] == media_type


def test_accept_of_something_else_is_a_named_error(
    client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300)

    assert (
        "format" in json.loads(client.get(OHLC, headers={"Accept": "image/png"}).content)["errors"]
    )


def test_start_is_inclusive_and_end_exclusive(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)
    start, end = START + 3600, START + 3 * 3600

    iso = client.get(f"{OHLC}&start=2025-01-01T01:00:00Z&end=2025-01-01T04:00:00%2B01:00").content
    seconds = client.get(f"{OHLC}&start={start}&end={end}").content

    assert [row["time"] for row in json.loads(iso)["ohlc"]] == [
        "2025-01-01T01:00:00Z",
        "2025-01-01T02:00:00Z",
    ]
    assert json.loads(iso)["count"] == 2
    assert json.loads(iso)["ohlc"] == json.loads(seconds)["ohlc"]


def test_an_end_before_the_start_is_refused(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)

    reply = client.get(f"{OHLC}&start=2025-01-02&end=2025-01-01")

    assert reply.status_code == 400
    assert json.loads(reply.content)["errors"] == {"end": ["`end` lies before `start`."]}


def test_fields_choose_columns_in_the_contracts_order(
    client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300)

    rows = json.loads(client.get(f"{OHLC}&fields=close,time").content)["ohlc"]

    assert list(rows[0]) == ["time", "close"]


@pytest.mark.parametrize(
    ("final", "count", "said"), [(False, 299, True), (True, 300, True), (None, 300, None)]
)
def test_closed_leaves_out_a_forming_bar(
    client: Client, make_dataset: MakeDataset, final: bool | None, count: int, said: bool | None
) -> None:
    make_dataset(300, reply={"last_bar_final": final})

    body = json.loads(client.get(f"{OHLC}&closed=true").content)

    assert (body["count"], body["last_bar_final"]) == (count, said)
    assert json.loads(client.get(OHLC).content)["last_bar_final"] is final


def test_an_unchanged_dataset_is_not_sent_again(
    client: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(300)
    first = client.get(OHLC)

    again = client.get(OHLC, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])

    records.record(store.write(dataset.key, fetched_bars(bars_table(299))))
    assert client.get(OHLC, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_bars_fresh_from_a_fetch_are_not_sent_again_from_the_cache(
    make_dataset: MakeDataset,
) -> None:
    dataset = make_dataset(300)
    wanted = BarsRequest(dataset.key)

    for is_gzip in (False, True):
        fetched, cached = (
            bodies.render(Answer(dataset, is_cached), wanted, accepts_gzip=is_gzip)
            for is_cached in (False, True)
        )
        asked = RequestFactory().get("/", headers={"If-None-Match": fetched.etag})
        response = reply(asked, cached, media_type="")

        # Not the same bytes, so not the same tag; and yet the same bars.
        assert (fetched.body != cached.body, fetched.etag != cached.etag) == (True, True)
        assert (response.status_code, response["ETag"]) == (304, fetched.etag)
        assert response["Content-Length"] == str(len(cached.body))
        assert response["Cache-Status"] == "datasets; hit"
        fresh = reply(RequestFactory().get("/"), fetched, media_type="")
        assert fresh["Cache-Status"] == "datasets; fwd=miss"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv, */*", "text/csv"),
        ("*/*, text/csv", "text/csv"),
        ("*/*;q=0.1, text/*;q=0.2", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.5", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("application/json;q=0.1, application/*", "application/vnd.apache.arrow.stream"),
        ("*/*;q=0", ""),
        ("text/csv;q=0", ""),
        ("image/png", ""),
    ],
)
def test_accept_chooses_what_the_client_likes_best(
    client: Client, make_dataset: MakeDataset, accept: str, media_type: str
) -> None:
    make_dataset(300)

    response = client.get(OHLC, headers={"Accept": accept})

    assert response["Content-Type"] == (media_type or "application/problem+json")


@pytest.mark.parametrize(
    ("accept", "is_gzip"),
    [("gzip;q=0, *", False), ("*", True), ("identity, *;q=0", False), ("gzip;q=0.001", True)],
)
def test_what_is_named_of_encodings_counts_before_the_rest(accept: str, is_gzip: bool) -> None:
    assert accepts_gzip(accept) is is_gzip


def test_gzip_is_negotiated_and_has_a_tag_of_its_own(
    client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300)

    plain = client.get(OHLC)
    packed = client.get(OHLC, headers={"Accept-Encoding": "br, gzip"})
    refused = client.get(OHLC, headers={"Accept-Encoding": "gzip;q=0"})

    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content == refused.content
    assert packed["ETag"] != plain["ETag"]
    assert "Accept-Encoding" in packed["Vary"]


def test_a_smaller_question_is_answered_from_a_larger_dataset(
    client: Client, make_dataset: MakeDataset
) -> None:
    larger = make_dataset(500)

    body = json.loads(client.get(OHLC).content)

    assert (body["dataset"], body["count"], body["n_bars"]) == (larger.pk, 300, 500)
    assert body["ohlc"][-1]["time"] == "2025-01-21T19:00:00Z"


def test_a_larger_question_is_never_answered_from_a_smaller_dataset(
    client: Client,
    make_dataset: MakeDataset,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    make_dataset(200)

    with django_capture_on_commit_callbacks(execute=True):
        response = client.get(f"{OHLC}&wait=0")

    fetch = Fetch.objects.get()
    assert response.status_code == 202
    assert response["Location"] == f"/api/tv/fetches/{fetch.pk}"
    assert int(response["Retry-After"]) > 0
    assert queued == [fetch.pk]
    assert (fetch.n_bars, fetch.state, fetch.requested_via) == (300, "queued", "api")


@pytest.mark.usefixtures("queued")
def test_asking_twice_joins_the_running_fetch(client: Client, db: None) -> None:
    first, second = (client.get(f"{OHLC}&wait=0") for _ in range(2))

    assert first["Location"] == second["Location"]
    assert Fetch.objects.count() == 1


@pytest.mark.usefixtures("queued")
@pytest.mark.parametrize("query", ["use_cache=false", "max_age=60"])
def test_fresh_bars_can_be_asked_for(client: Client, make_dataset: MakeDataset, query: str) -> None:
    make_dataset(300)

    assert client.get(f"{OHLC}&wait=0&{query}").status_code == 202


@pytest.mark.usefixtures("queued")
def test_the_time_to_live_makes_a_dataset_stale(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    make_dataset(300)
    settings.TV_CACHE_TTL_S = 3600

    assert client.get(f"{OHLC}&wait=0").status_code == 202


@pytest.mark.usefixtures("queued")
def test_stale_bars_are_served_at_once_and_say_so_while_a_fetch_runs(
    client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300)
    Dataset.objects.update(fetched_at=datetime.now(UTC) - timedelta(hours=1))

    body = json.loads(client.get(f"{OHLC}&max_age=600&max_stale=86400").content)

    assert (body["stale"], body["cached"], body["count"]) == (True, True, 300)
    assert Fetch.objects.get().state == "queued"
    assert client.get(f"{OHLC}&max_age=600&max_stale=60&wait=0").status_code == 202


@pytest.mark.usefixtures("queued")
def test_a_deleted_file_is_noticed_by_the_next_read(
    client: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(300)
    client.get(OHLC)
    (store.folder / dataset.path).unlink()

    assert client.get(f"{OHLC}&wait=0").status_code == 202
    assert Dataset.objects.get().state == "missing"


@pytest.mark.usefixtures("queued")
def test_an_invalidated_dataset_is_not_served(client: Client, make_dataset: MakeDataset) -> None:
    serving.invalidate(make_dataset(300))

    assert client.get(f"{OHLC}&wait=0").status_code == 202


@pytest.mark.usefixtures("queued")
def test_a_pinned_dataset_is_not_replaced(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    make_dataset(300)
    Dataset.objects.update(is_pinned=True)
    settings.TV_CACHE_TTL_S = 1

    assert client.get(OHLC).status_code == 200
    refused = client.get(f"{OHLC}&use_cache=false")
    assert (refused.status_code, "pinned" in refused.content.decode()) == (400, True)


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("symbol_not_found", False), ("feed_unreachable", True), ("auth_captcha", False)],
)
def test_a_failed_fetch_is_a_500_that_says_which_and_whether_to_try_again(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch, code: str, retryable: bool
) -> None:
    def fail(fetch_id: int) -> None:
        Fetch.objects.update(
            state="failed",
            error_code=code,
            error_message="Because.",
            retryable=retryable,
            finished_at=datetime.now(UTC),
        )

    monkeypatch.setattr("datasets.fetching.tasks.enqueue", fail)
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function: function())

    response = client.get(OHLC)

    assert response.status_code == 500
    problem = json.loads(response.content)
    assert (problem["code"], problem["retryable"], problem["detail"]) == (
        code,
        retryable,
        "Because.",
    )


def test_the_service_can_be_turned_off(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    make_dataset(300)
    settings.TV_ENABLED = False

    response = client.get(OHLC)

    assert (response.status_code, json.loads(response.content)["code"]) == (503, "disabled")
    assert client.get("/admin/login/").status_code == 200


def test_with_access_by_login_a_stranger_is_refused(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    make_dataset(300)
    settings.API_ACCESS = "login"

    response = client.get(OHLC)

    assert response.status_code == 401
    assert json.loads(response.content)["code"] == "not_authenticated"


def test_an_address_that_is_none_is_a_problem_too(client: Client, db: None) -> None:
    response = client.get("/api/tv/nothing")

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_a_cached_read_is_one_query(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)
    client.get(OHLC)

    with statements() as seen:
        assert client.get(OHLC).status_code == 200

    assert len(seen) == 1


def test_hits_are_counted(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)
    for _ in range(3):
        client.get(OHLC)

    usage.flush()

    dataset = Dataset.objects.get()
    assert dataset.hits == 3
    assert dataset.last_served_at is not None


def test_a_fresh_larger_dataset_is_found_behind_any_number_of_stale_ones(
    client: Client, make_dataset: MakeDataset
) -> None:
    for n_bars in range(300, 306):
        make_dataset(n_bars)
    Dataset.objects.update(fetched_at=datetime.now(UTC) - timedelta(hours=1))
    larger = make_dataset(500, reply={"fetched_at": datetime.now(UTC)})

    body = json.loads(client.get(f"{OHLC}&max_age=600").content)

    assert (body["dataset"], body["count"]) == (larger.pk, 300)
