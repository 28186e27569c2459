"""Everything that a client can get wrong: made up by schemathesis from the schema, and by hand.

`FUZZ_EXAMPLES=2000 pytest tests/api/test_fuzz.py` looks longer.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import Client
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks

from datasets.api.endpoints import ohlc_endpoint
from datasets.api.parsers import MAX_BYTES
from datasets.api.schema import FETCH_CODES
from datasets.bars import BAR_COLUMNS, Timeframe
from datasets.errors import all_codes
from datasets.formats import FORMATS
from datasets.middleware import MAX_QUERY
from datasets.models import Dataset, Fetch
from datasets.tradingview.symbols import SymbolMatch, SymbolPage

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
load_all_checks()
fuzz = settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
MakeDataset = Callable[..., Any]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of refusals would be thousands of lines."""
    logger = logging.getLogger("django.request")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def service(db: None, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog with a few rows. Every second new fetch fails at once, the others stay queued."""
    key = make_dataset(300).key
    make_dataset(20, symbol="ETHUSDT", timeframe="1D")
    for state in Fetch.State:
        row = key.as_dict() | {"symbol": state.value.upper()}
        Fetch.objects.create(**row, state=state, requested_via="api")
    match = SymbolMatch("BINANCE:BTCUSDT", "BTCUSDT", "BINANCE", "Bitcoin", "spot", "USDT")
    page = SymbolPage([match], next_start=50)
    monkeypatch.setattr(
        "datasets.fetching.symbol_search.search_symbols", lambda *args, **kwargs: page
    )
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", fail_every_second)
    monkeypatch.setattr("datasets.serving.answers.wait_for", look_once)


def fail_every_second(fetch_id: int) -> None:
    if fetch_id % 2:
        ended = {"state": "failed", "error_code": "no_data", "error_message": "There are no bars."}
        Fetch.objects.filter(pk=fetch_id).update(**ended)


def look_once(fetch: Fetch, *, wait_s: float) -> Fetch:
    fetch.refresh_from_db()
    return fetch


def check_reply(status: int, content_type: str, body: bytes) -> None:
    """Fail unless this is a success, or an error as the contract has it."""
    if status < 400:
        return
    assert content_type == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == status
    for name in ("type", "title", "detail", "code"):
        assert problem[name]
        assert isinstance(problem[name], str)
    assert isinstance(problem["retryable"], bool)
    assert ("errors" in problem) == (status == 400)
    for messages in problem.get("errors", {}).values():
        assert messages
    if status >= 500:
        assert (status, problem["code"]) in [(500, code) for code in FETCH_CODES]


def check(response: Any) -> HttpResponse:
    # A file comes in pieces and closes after the last; left open, it fails some later test.
    body = b"".join(response) if response.streaming else response.content
    check_reply(response.status_code, response.headers.get("Content-Type", ""), body)
    found: HttpResponse = response
    return found


# --- from the schema ---------------------------------------------------------------------


def an_error_is_one_of_the_contract(ctx: Any, response: Any, case: Any) -> None:
    check_reply(
        response.status_code, response.headers.get("content-type", [""])[0], response.content
    )


HANDLER = WSGIHandler()


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The service as a WSGI server calls it: schemathesis would leave files open."""
    # Over WSGI the tool does not unpack what it says it takes.
    environ.pop("HTTP_ACCEPT_ENCODING", None)
    response: Any = HANDLER(environ, start_response)
    try:
        return [b"".join(response)]
    finally:
        response.close()


SCHEMA = schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)
_OF_CHARTS = r"^/(udf/|widgets\.json)"
API = SCHEMA.exclude(path_regex=_OF_CHARTS)
UDF = SCHEMA.include(path_regex=_OF_CHARTS)
LEFT_OUT = [
    # A failed fetch is a 500 by contract; the check above is the stricter one.
    "not_a_server_error",
    # No schema says that `exchange` is needed unless the symbol names it, or what a cursor is.
    "positive_data_acceptance",
    # DELETE means invalidate, or cancel: the row stays.
    "use_after_free",
]


@pytest.mark.usefixtures("transactional_db", "service")
@API.parametrize()
@fuzz
def test_whatever_is_sent_the_reply_keeps_to_the_schema(case: schemathesis.Case[Any]) -> None:
    # On the wire a list of one is what it holds, and an empty one is nothing.
    assume(not any(isinstance(value, list) for value in case.query.values()))
    left_out: Any = [CHECKS.get_one(name) for name in LEFT_OUT]
    case.call_and_validate(
        additional_checks=[an_error_is_one_of_the_contract],
        excluded_checks=left_out,
    )


def an_error_is_one_that_the_charting_library_reads(ctx: Any, response: Any, case: Any) -> None:
    if response.status_code in (304, 405):
        return
    assert response.status_code in (200, 401, 403)
    if response.headers["content-type"][0].startswith("application/json"):
        said = json.loads(response.content)
        is_error = isinstance(said, dict) and said.get("s") == "error"
        assert is_error == (isinstance(said, dict) and "errmsg" in said)
        assert not is_error or (said["errmsg"] and said["code"] in all_codes())


@pytest.mark.usefixtures("transactional_db", "service")
@UDF.parametrize()
@settings(fuzz, max_examples=EXAMPLES // 3)
def test_whatever_the_datafeed_is_asked_the_reply_keeps_to_the_schema(
    case: schemathesis.Case[Any],
) -> None:
    assume(not any(isinstance(value, list) for value in case.query.values()))
    # The charting library reads no status: what is wrong is an error with 200.
    left_out: Any = [CHECKS.get_one(name) for name in (*LEFT_OUT, "negative_data_rejection")]
    case.call_and_validate(
        additional_checks=[an_error_is_one_that_the_charting_library_reads],
        excluded_checks=left_out,
    )


# --- from what the contract knows --------------------------------------------------------

SYMBOLS = st.sampled_from(["BINANCE:BTCUSDT", "btcusdt", "binance:ethusdt", "A:1", "(A:B+C:D)/2"])
INSTANTS = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["2025-01-01", "2025-01-01T00:00:00+23:59", "9999-12-31", "0001-01-01", "²"]),
)
NUMBERS = st.one_of(
    st.integers(-2, 400).map(str),
    st.integers().map(str),
    st.sampled_from(["1e400", "0x10", "١٢", "1_000", "9" * 4000, "1.0", "+5", "nan", "-inf"]),
)
VALUES = {
    "symbol": SYMBOLS,
    "exchange": st.sampled_from(["BINANCE", "binance", ""]),
    "timeframe": st.sampled_from([*Timeframe, "60", "1H", "D", "1m"]),
    "n_bars": NUMBERS,
    "use_cache": st.sampled_from(["true", "false", "1", "0"]),
    "max_age": NUMBERS,
    "max_stale": NUMBERS,
    "closed": st.sampled_from(["true", "false"]),
    "start": INSTANTS,
    "end": INSTANTS,
    "fields": st.lists(st.sampled_from(BAR_COLUMNS)).map(",".join),
    "format": st.sampled_from(list(FORMATS)),
    "wait": NUMBERS,
}
QUERIES = st.fixed_dictionaries({"symbol": VALUES.pop("symbol")}, optional=VALUES)
# Mostly right with one thing wrong: what is wrong all over is refused by the first check.
ODD = st.text(max_size=40)


@pytest.mark.usefixtures("transactional_db", "service")
@fuzz
@given(
    values=QUERIES,
    name=st.sampled_from([*VALUES, "symbol", "", "x"]),
    odd=ODD,
    is_odd=st.booleans(),
)
def test_bars_are_served_or_refused_properly(
    values: dict[str, str], name: str, odd: str, is_odd: bool
) -> None:
    if is_odd:
        values = values | {name: odd}

    response = check(Client().get(f"/api/tv/ohlc?{urlencode(values, errors='surrogatepass')}"))

    assert response.status_code in (200, 202, 400, 500)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.usefixtures("transactional_db", "service")
@fuzz
@given(body=JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(["symbol", "symbols", "n_bars", "session", "x"], JSON)))  # fmt: skip
def test_any_json_is_a_request_for_fetches_or_refused_properly(body: Any) -> None:
    text = json.dumps(body)

    response = check(Client().post("/api/tv/fetches", text, content_type="application/json"))

    assert response.status_code in (202, 400)


@pytest.mark.usefixtures("transactional_db", "service")
@fuzz
@example(query=b"", path="datasets/{id}/file")
@given(query=st.binary(max_size=200), path=st.sampled_from(["ohlc", "datasets", "fetches", "symbols", "status", "datasets/{id}/bars", "datasets/{id}/file"]))  # fmt: skip
def test_any_bytes_may_stand_in_the_query(query: bytes, path: str) -> None:
    path = path.format(id=Dataset.objects.earliest("pk").pk)

    check(Client().get(f"/api/tv/{path}", QUERY_STRING=query.decode("latin-1")))


# --- by hand -----------------------------------------------------------------------------

PATHS = [
    "/api/tv/datasets/../../etc/passwd",
    "/api/tv/datasets/%2e%2e%2f%2e%2e%2fetc%2fpasswd/file",
    "/api/tv/datasets/..%00/file",
    "/api/tv/datasets/1%00/file",
    "/api/tv/datasets/١/file",
    "/api/tv/datasets/-1",
    "/api/tv/datasets/999999999999999999",
    "/api/tv/datasets/9999999999999999999999999999",
    "/api/tv/fetches/%ff%fe",
    "/api/tv/ohlc/",
    "/api/tv//ohlc",
    "/api/tv/ohlc%00",
    "/api/tv/" + "a" * 100_000,
]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_an_odd_path_is_not_found(path: str) -> None:
    assert check(Client().get(path)).status_code == 404


QUERIES_REFUSED = {
    "nul": "symbol=A%00B&exchange=X",
    "traversal": "symbol=..%2F..%2Fetc%2Fpasswd&exchange=..",
    "ten megabytes": "symbol=" + "A" * 10_000_000,
    "ten megabytes in a name": "A" * 10_000_000 + "=1",
    "ten thousand parameters": "&".join(f"a{n}=1" for n in range(2_000)),
    "separators": "symbol=X:Y" + "&" * (MAX_QUERY - 20),
    "duplicate": "symbol=X:Y&symbol=X:Y",
    "unknown": "symbol=X:Y&timefrmae=1h",
    "no name": "symbol=X:Y&=1",
    "broken percent": "symbol=%ZZ%",
    "latin-1": "symbol=%E9&exchange=X",
    "half a character": "symbol=%ED%A0%80&exchange=X",
    "too large a number": "symbol=X:Y&n_bars=" + "9" * 5_000,
    "infinite": "symbol=X:Y&wait=inf",
    "not ASCII digits": "symbol=X:Y&start=%C2%B2",
    "unit separator": "symbol=A%1FB&exchange=X",
    "header injection": "symbol=A%0D%0ASet-Cookie:x&exchange=X",
}


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", QUERIES_REFUSED)
def test_an_odd_query_is_refused_with_a_short_reply(name: str) -> None:
    response = check(Client().get("/api/tv/ohlc", QUERY_STRING=QUERIES_REFUSED[name]))

    assert response.status_code == 400
    assert len(response.content) < 3 * MAX_QUERY
    assert not Fetch.objects.filter(
        requested_at__gt=Fetch.objects.earliest("pk").requested_at, symbol="Y"
    ).exists()


LISTS_REFUSED = [
    "cursor=cD1hYmM%3D",  # a position that is no time
    "cursor=" + quote("cD0xJm89LTE="),
    "cursor=%00",
    "cursor=x",
    "cursor=cD0lMDA%3D",  # a position that is NUL
    "page_size=0",
    "page_size=-1",
    "page_size=1001",
    "page_size=many",
    "page_size=%C2%B2",
    "symbol=A&symbol=B",
    "symbol=",
    "symbol=A%00B",
    "ordering=id;DROP",
    "timeframe=25h",
    "state=",
    "x=1",
]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("query", LISTS_REFUSED)
@pytest.mark.parametrize("path", ["datasets", "fetches"])
def test_an_odd_query_of_a_list_names_the_parameter(path: str, query: str) -> None:
    response = check(Client().get(f"/api/tv/{path}?{query}"))

    assert response.status_code == 400
    assert query.split("=")[0] in json.loads(response.content)["errors"]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "query", ["n_bars=0.5", "n_bars=-1", "n_bars=" + "9" * 30, "n_bars=1e99", "is_pinned=perhaps", "q=" + "a+" * 101, "fetched_after=99999999999999"]
)  # fmt: skip
def test_an_odd_filter_of_the_datasets_is_named(query: str) -> None:
    response = check(Client().get(f"/api/tv/datasets?{query}"))

    assert response.status_code == 400
    assert query.split("=")[0] in json.loads(response.content)["errors"]


@pytest.mark.usefixtures("service")
def test_a_number_that_no_dataset_can_have_is_named() -> None:
    response = check(Client().get("/api/tv/fetches?dataset=" + "9" * 30))

    assert "dataset" in json.loads(response.content)["errors"]


BODIES_REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "broken": (b"{", "application/json"),
    "deep lists": (b"[" * 100_000, "application/json"),
    "deep objects": (b'{"symbol":' * 100_000, "application/json"),
    "deep but whole": (b"[" * 900 + b"]" * 900, "application/json"),
    "too long": (b'{"symbol": "' + b"A" * MAX_BYTES + b'"}', "application/json"),
    "not UTF-8": (b'{"symbol": "\xff\xfe"}', "application/json"),
    "half a character": (b'{"symbol": "\\ud800:X"}', "application/json"),
    "NUL": (b'{"symbol": "X:A\\u0000B"}', "application/json"),
    "not a number": (b'{"symbol": "X:Y", "n_bars": NaN}', "application/json"),
    "a huge number": (b'{"symbol": "X:Y", "n_bars": ' + b"9" * 5_000 + b"}", "application/json"),
    "an infinite number": (b'{"symbol": "X:Y", "n_bars": 1e999}', "application/json"),
    "UTF-16": ('{"symbol": "X:Y"}'.encode("utf-16"), "application/json; charset=utf-16"),
    "another charset": (b'{"symbol": "X:\xe9"}', "application/json; charset=latin-1"),
    "an unknown charset": (b'{"symbol": "\xe9:Y"}', "application/json; charset=nothing"),
}


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", BODIES_REFUSED)
def test_an_odd_body_is_refused(name: str) -> None:
    body, content_type = BODIES_REFUSED[name]

    response = check(Client().generic("POST", "/api/tv/fetches", body, content_type))

    assert response.status_code == 400


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "", "/", "x" * 5_000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_body_of_another_kind_is_refused(content_type: str) -> None:
    body = b'{"symbol": "X:Y"}'

    response = check(Client().generic("POST", "/api/tv/fetches", body, content_type))

    assert response.status_code == 415


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=-"},
        {"Range": "bytes=" + "9" * 5_000 + "-"},
        {"Range": "bytes=5-1"},
        {"Range": "bytes=-0"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=1-2"},
        {"If-None-Match": ",,,"},
        {"If-None-Match": '"' + "a" * 100_000},
        {"Accept": ";q=,;;"},
        {"Accept": "a/" * 10_000},
        {"Accept": "*/*;q=٣"},
        {"Accept-Encoding": "gzip;q=x,,;"},
        {"Authorization": "Basic " + "A" * 100_000},
        {"Authorization": "Bearer \xff"},
        {"Authorization": "Bearer " + "a" * 100_000},
        {"Cookie": "sessionid=" + "a" * 10_000},
        {"Cookie": "sessionid=../../x; csrftoken=\x00"},
        {"X-Forwarded-For": "," * 1_000},
        {"X-Requested-By": "\x00"},
    ],
    ids=lambda headers: str(headers)[:40],
)
@pytest.mark.parametrize(
    "path", ["datasets/{id}/file", "ohlc?symbol=BINANCE:BTCUSDT&n_bars=300", "datasets"]
)
def test_an_odd_header_does_no_harm(path: str, headers: dict[str, str]) -> None:
    pk = Dataset.objects.earliest("pk").pk

    check(Client().get("/api/tv/" + path.format(id=pk), headers=headers))


@pytest.mark.usefixtures("service")
def test_a_long_query_is_not_kept_in_memory() -> None:
    ohlc_endpoint._bars_request.cache_clear()

    Client().get("/api/tv/ohlc", QUERY_STRING="symbol=X:Y&timeframe=1h" + "+" * MAX_QUERY)

    assert ohlc_endpoint._bars_request.cache_info().currsize == 0
