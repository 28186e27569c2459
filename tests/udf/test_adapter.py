"""The datafeed as TradingView's own adapter uses it, over a real socket, and the public checklist of its data tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from tests.support.stacks import Feed, Stack
from tests.support.udf_adapter import Adapter, Bar, DatafeedError, seconds_of

BTC, AAPL, FUTURE, INDEX = "BINANCE:BTCUSDT", "NASDAQ:AAPL", "CME_MINI:NQ2!", "NSE:NIFTY"
HELD = [
    (BTC, "1h"),
    (BTC, "1D"),
    (AAPL, "1D"),
    (AAPL, "1W"),
    (AAPL, "1M"),
    (FUTURE, "1D"),
    (INDEX, "1D"),
]
DAY = 86_400


@pytest.fixture(scope="module")
def stack(feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service that holds 700 bars of several series."""
    running = Stack(tmp_path_factory.mktemp("udf"), feed)
    running.start_web()
    running.start_worker(concurrency=2)
    try:
        for symbol, timeframe in HELD:
            found = running.get("ohlc", symbol=symbol, timeframe=timeframe, n_bars=700)
            assert found.status_code == 200, found.text
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def adapter(stack: Stack) -> Adapter:
    return Adapter(f"{stack.url}/udf")


def day_of(bar: Bar) -> datetime:
    return datetime.fromtimestamp(bar.time / 1000, UTC)


def test_the_library_draws_a_chart_and_keeps_it_up_to_date(adapter: Adapter) -> None:
    [found] = [each for each in adapter.search("BTCUSDT") if each["ticker"] == BTC]
    info = adapter.resolve(found["ticker"])

    bars = adapter.chart(info["ticker"], "60", 330)

    assert info["name"] == info["ticker"]
    assert abs(adapter.server_time() - datetime.now(UTC).timestamp()) < 60
    assert len(bars) == 330
    assert {second.time - first.time for first, second in zip(bars, bars[1:], strict=False)} == {
        3_600_000
    }
    assert len(adapter.pulse(info["ticker"], "60", bars)) in (330, 331)


def test_the_library_stops_asking_at_the_oldest_bar(adapter: Adapter) -> None:
    assert len(adapter.chart(BTC, "60", 5000)) == 700


def test_each_stated_resolution_means_its_own_length(adapter: Adapter) -> None:
    stated = adapter.config["supported_resolutions"]

    assert [seconds_of(each) // 60 for each in stated if each.isdigit()] == [
        1,
        3,
        5,
        15,
        30,
        45,
        60,
        120,
        180,
        240,
    ]
    assert stated[-3:] == ["1D", "1W", "1M"]
    for short, long in (("D", "1D"), ("60", "60")):
        assert adapter.chart(BTC, short, 10) == adapter.chart(BTC, long, 10)
    with pytest.raises(DatafeedError, match="not served"):
        adapter.history(BTC, "1h", 0, 10**10, 2)


@pytest.mark.parametrize("symbol", [BTC, AAPL, FUTURE, INDEX])
def test_days_are_stamped_at_midnight_utc_of_their_trading_date(
    adapter: Adapter, symbol: str
) -> None:
    bars = adapter.chart(symbol, "1D", 60)

    assert len(bars) == 60
    assert all(bar.time % (DAY * 1000) == 0 for bar in bars)
    # A future's Monday begins on Sunday evening.
    expected = range(7) if symbol == BTC else range(5)
    assert {day_of(bar).weekday() for bar in bars} == set(expected)


def test_weeks_and_months_are_stamped_at_their_first_trading_day(adapter: Adapter) -> None:
    days = {bar.time for bar in adapter.chart(AAPL, "1D", 700)}
    oldest = min(days)

    for resolution, period in (("1W", "%G-%V"), ("1M", "%Y-%m")):
        bars = [
            bar
            for bar in adapter.chart(AAPL, resolution, 20)
            if bar.time > oldest + 31 * DAY * 1000
        ]
        first = {
            f"{datetime.fromtimestamp(time / 1000, UTC):{period}}": time
            for time in sorted(days, reverse=True)
        }
        assert bars
        for bar in bars:
            assert bar.time == first[f"{day_of(bar):{period}}"], day_of(bar)


def test_an_instrument_without_volume_has_none(adapter: Adapter) -> None:
    assert adapter.resolve(INDEX)["visible_plots_set"] == "ohlc"
    assert {bar.volume for bar in adapter.chart(INDEX, "1D", 5)} == {None}
    assert all(bar.volume is not None for bar in adapter.chart(AAPL, "1D", 5))


def test_an_unknown_symbol_is_the_error_that_the_library_expects(adapter: Adapter) -> None:
    for name in ("NASDAQ:NOSUCHTHING", "nothing", "", "NASDAQ:AAPL|wrong"):
        with pytest.raises(DatafeedError):
            adapter.resolve(name)
    assert adapter.ask("symbols", symbol="NASDAQ:NOSUCHTHING")["errmsg"] == "unknown_symbol"


def test_the_first_request_of_a_symbol_fetches_it(adapter: Adapter, stack: Stack) -> None:
    info = adapter.resolve("BINANCE:ETHUSDT")

    bars = adapter.chart(info["ticker"], "15", 100)

    assert len(bars) == 100
    fetched = {
        (each["full_symbol"], each["timeframe"]) for each in stack.get("fetches").json()["results"]
    }
    assert {("BINANCE:ETHUSDT", "1D"), ("BINANCE:ETHUSDT", "15")} <= fetched


# --- TradingView's public list of data tests ----------------------------------------------


def test_history_beyond_left_boundary(adapter: Adapter) -> None:
    oldest = adapter.chart(BTC, "60", 5000)[0].time // 1000

    assert adapter.history(BTC, "60", oldest - 50 * 3600, oldest, 10) == []


@pytest.mark.parametrize("countback", [1, 2, 329, 600])
def test_countback(adapter: Adapter, countback: int) -> None:
    bars = adapter.chart(BTC, "60", 700)
    end = bars[-1].time // 1000

    # `countback` beats `from`: the range alone holds one bar.
    found = adapter.history(BTC, "60", end - 3600, end, countback)

    assert found == bars[-1 - countback : -1]


def test_a_range_with_more_bars_than_countback_is_whole(adapter: Adapter) -> None:
    bars = adapter.chart(BTC, "60", 700)
    start, end = bars[100].time // 1000, bars[600].time // 1000

    assert adapter.history(BTC, "60", start, end, 2) == bars[100:600]


def test_from_eq_to(adapter: Adapter) -> None:
    bars = adapter.chart(BTC, "60", 10)
    moment = bars[5].time // 1000

    assert adapter.history(BTC, "60", moment, moment) == []
    assert adapter.history(BTC, "60", moment, moment + 1) == [bars[5]]


@pytest.mark.parametrize("resolution", ["60", "1D"])
def test_future(adapter: Adapter, resolution: str) -> None:
    now = adapter.server_time()

    assert adapter.history(BTC, resolution, now + 10 * DAY, now + 20 * DAY) == []
    assert all(
        bar.time / 1000 <= now
        for bar in adapter.history(BTC, resolution, now - 5 * DAY, now + 20 * DAY)
    )


def test_no_data(adapter: Adapter) -> None:
    assert adapter.history(BTC, "60", 0, 100_000_000) == []
    assert adapter.ask(
        "history", symbol=BTC, resolution="60", **{"from": -10, "to": 5}, countback=2
    ) == {"s": "no_data"}


def test_outside_bars_inclusion(adapter: Adapter) -> None:
    bars = adapter.chart(BTC, "60", 10)
    start, end = bars[2].time // 1000, bars[7].time // 1000

    assert adapter.history(BTC, "60", start - 1, end + 1) == bars[2:8]
    assert adapter.history(BTC, "60", start + 1, end) == bars[3:7]


def test_price_match(adapter: Adapter) -> None:
    hours = adapter.chart(BTC, "60", 400)
    days = {bar.time: bar for bar in adapter.chart(BTC, "1D", 30)}
    whole = sorted({bar.time // (DAY * 1000) for bar in hours})[1:-1]

    assert whole
    for day in whole:
        part = [bar for bar in hours if bar.time // (DAY * 1000) == day]
        of_day = days[day * DAY * 1000]
        assert (of_day.open, of_day.close) == (part[0].open, part[-1].close)


def test_repeatability(adapter: Adapter) -> None:
    end = adapter.chart(BTC, "60", 3)[-1].time // 1000

    assert adapter.history(BTC, "60", end - DAY, end) == adapter.history(BTC, "60", end - DAY, end)


@pytest.mark.parametrize("resolution", ["60", "1D"])
def test_several_short_queries_equal_a_large_query(adapter: Adapter, resolution: str) -> None:
    bars = adapter.chart(BTC, resolution, 700)
    step = 37 * seconds_of(resolution)
    start, end = bars[0].time // 1000, bars[-1].time // 1000

    parts = [
        adapter.history(BTC, resolution, at, min(at + step, end)) for at in range(start, end, step)
    ]

    assert (
        [bar for part in parts for bar in part]
        == adapter.history(BTC, resolution, start, end)
        == bars[:-1]
    )


def test_time_correctness(adapter: Adapter) -> None:
    assert all(bar.time % 3_600_000 == 0 for bar in adapter.chart(BTC, "60", 100))


@pytest.mark.parametrize("symbol", [BTC, AAPL, FUTURE, INDEX])
def test_symbols_response_fields_correctness(adapter: Adapter, symbol: str) -> None:
    info = adapter.resolve(symbol)

    for name in (
        "name",
        "ticker",
        "description",
        "type",
        "exchange",
        "listed_exchange",
        "timezone",
        "session",
        "format",
        "data_status",
    ):
        assert isinstance(info[name], str), name
        assert info[name], name
    assert info["pricescale"] > 0 < info["minmov"]
    [subsession] = [each for each in info["subsessions"] if each["id"] == info["subsession_id"]]
    assert (subsession["session"], subsession["session-correction"]) == (
        info["session"],
        info["corrections"],
    )
    assert info["supported_resolutions"] == adapter.config["supported_resolutions"]
    assert set(info["intraday_multipliers"]) < set(info["supported_resolutions"])


# --- with a token in the path --------------------------------------------------------------


def test_a_token_in_the_path_opens_the_datafeed_and_stands_in_no_log(stack: Stack) -> None:
    made = stack.manage(
        "shell", "-c",
        "from django.contrib.auth.models import User; from datasets.models import ApiToken;"
        "user = User.objects.create_user('charts'); token = ApiToken(name='chart', user=user, scope='read');"
        "secret = token.renew(); token.save(); print(secret)",
    )  # fmt: skip
    secret, open_url = made.stdout.split()[-1], stack.url
    closed = stack.start_web(API_ACCESS="login")
    url = stack.url
    stack.url = open_url
    try:
        adapter = Adapter(f"{url}/udf/t/{secret}")
        bars = adapter.chart(BTC, "60", 5)
        wrong = requests.get(f"{url}/udf/t/tv_wrong-one/config", timeout=20)
        missing = requests.get(f"{url}/udf/t/{secret}/nothing", timeout=20)
        without = requests.get(f"{url}/udf/config", timeout=20)
    finally:
        closed.kill()
    log = closed.log.read_text()

    assert len(bars) == 5
    for reply in (wrong, without):
        assert (reply.status_code, reply.json()["s"]) == (401, "error")
    assert (missing.status_code, missing.json()["s"], missing.json()["code"]) == (
        200,
        "error",
        "not_found",
    )
    assert secret not in log
    assert "tv_wrong-one" not in log
