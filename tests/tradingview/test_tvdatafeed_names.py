"""The methods of tvDatafeed that we override keep their names and calls after an upgrade."""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import Any

import pytest
from tvDatafeed import Interval, TvDatafeed

from datasets.bars import Timeframe
from datasets.tradingview.client import _Driver, to_interval

# The private methods that `_Driver` overrides, with their parameters.
REPLACED = {
    "_TvDatafeed__auth": ["self", "username", "password"],
    "_TvDatafeed__create_connection": ["self"],
    "_TvDatafeed__send_message": ["self", "func", "args"],
    "_TvDatafeed__create_df": ["raw_data", "symbol"],
}


def test_the_version_is_the_one_whose_code_was_read() -> None:
    assert importlib.metadata.version("tradingview-datafeed") == "2.1.1"


@pytest.mark.parametrize("name", REPLACED)
def test_each_method_that_we_override_exists_with_its_parameters(name: str) -> None:
    assert list(inspect.signature(getattr(TvDatafeed, name)).parameters) == REPLACED[name]
    assert name in vars(_Driver)


def test_we_override_no_other_private_method() -> None:
    mangled = {name for name in vars(_Driver) if name.startswith("_TvDatafeed__")}

    assert mangled == set(REPLACED)


def test_get_hist_connects_sends_reads_to_the_end_and_builds_the_table() -> None:
    calls: list[Any] = []

    class Watched(TvDatafeed):  # type: ignore[misc]
        def _TvDatafeed__auth(self, username: str, password: str) -> str:
            return "a token"

        def _TvDatafeed__create_connection(self) -> None:
            calls.append("connect")
            self.ws = self

        def _TvDatafeed__send_message(self, method: str, parameters: list[Any]) -> None:
            calls.append((method, parameters))

        def recv(self) -> str:
            calls.append("recv")
            return "series_completed"

        def _TvDatafeed__create_df(self, raw_data: str, symbol: str) -> str:
            calls.append("table")
            return "bars"

    watched = Watched()
    assert watched.get_hist("NASDAQ:AAPL", "NASDAQ", Interval.in_1_hour, 10) == "bars"

    methods = [call[0] for call in calls if isinstance(call, tuple)]
    assert [call for call in calls if isinstance(call, str)] == ["connect", "recv", "table"]
    assert [method for method in methods if not method.startswith("quote_")] == [
        "set_auth_token", "chart_create_session", "resolve_symbol", "create_series", "switch_timezone",
    ]  # fmt: skip
    sent: dict[str, list[Any]] = dict(call for call in calls if isinstance(call, tuple))
    session = watched.chart_session
    assert sent["create_series"] == [session, "s1", "s1", "symbol_1", "1H", 10]
    assert sent["resolve_symbol"][:2] == [session, "symbol_1"]


def test_every_timeframe_has_an_interval() -> None:
    assert [to_interval(timeframe).value for timeframe in Timeframe] == [
        "1", "3", "5", "15", "30", "45", "1H", "2H", "3H", "4H", "1D", "1W", "1M",
    ]  # fmt: skip
