"""The tools for assistants, called by the SDK's own client over a real process and a real service."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from anyio.from_thread import start_blocking_portal
from mcp import MCPError
from mcp_types import CallToolResult

from datasets.assistant import fetch_tools, service_reader
from datasets.assistant.__main__ import main
from datasets.assistant.assistant_server import build_server
from datasets.assistant.bar_statistics import statistics
from datasets.assistant.fetch_tools import FetchTools
from datasets.assistant.service_reader import ServiceReader
from datasets.assistant.tool_replies import MAX_CHARACTERS, error_text, to_text
from datasets.errors import InvalidRequest, ReplyTooLarge, ServiceFailed
from tests.support.assistants import Assistant, assistant
from tests.support.stacks import Feed, Stack, free_port

APPLE: dict[str, Any] = {"symbol": "NASDAQ:AAPL", "timeframe": "1D"}
READING = ["search_symbols", "list_series", "describe", "bars", "statistics", "gaps"]
MAKE_TOKENS = """
from django.contrib.auth.models import User
from datasets.models import ApiToken
reader = User.objects.create_user('reader')
for scope in ('read', 'fetch'):
    token = ApiToken(name=scope, user=reader, scope=scope)
    print(token.renew())
    token.save()
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service that requires a token and holds 300 days of one share."""
    folder = tmp_path_factory.mktemp("service")
    feed = Feed(folder, "--now", "2026-01-09T21:30:30Z")
    running = Stack(folder, feed, API_ACCESS="login")
    running.start_worker()
    running.start_web()
    running.manage("fetch", "NASDAQ:AAPL", "-t", "1D", "-n", "300")
    yield running
    running.stop()
    feed.stop()


@pytest.fixture(scope="module")
def tokens(stack: Stack) -> tuple[str, str]:
    """A token that reads, and one that may fetch too."""
    read, fetch = stack.manage("shell", "--no-imports", "-c", MAKE_TOKENS).stdout.split()
    return read, fetch


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The error output of the assistant's server."""
    return tmp_path_factory.mktemp("assistant") / "log"


@pytest.fixture(scope="module")
def helper(stack: Stack, tokens: tuple[str, str], log: Path) -> Iterator[Assistant]:
    """An assistant that may fetch; its token is in the environment."""
    with assistant(log, "--url", stack.url, "--allow-fetch", token=tokens[1]) as found:
        yield found
        # No secret in any reply, nor in the error output.
        assert found.heard
        assert not any(tokens[1] in text for text in (*found.heard, log.read_text()))


def ohlc(stack: Stack, token: str, **parameters: Any) -> Any:
    """Return the bars of the service's own reply."""
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{stack.url}/api/tv/series/1/bars"
    return requests.get(address, params=parameters, headers=headers, timeout=30).json()["ohlc"]


def test_only_tools_that_read_are_offered_without_allow_fetch(
    stack: Stack, tokens: tuple[str, str], tmp_path: Path, helper: Assistant
) -> None:
    with assistant(tmp_path / "log", "--token", tokens[0], url=stack.url) as reader:
        offered = reader.tools()
        assert reader.call("list_series")["series"]

    assert sorted(offered) == sorted(READING)
    assert all(tool.annotations.read_only_hint for tool in offered.values())
    assert sorted(helper.tools()) == sorted([*READING, "request_fetch", "fetch_state"])


def test_a_series_is_listed_and_described(helper: Assistant) -> None:
    (row,) = helper.call("list_series", symbol="NASDAQ:AAPL")["series"]
    described = helper.call("describe", **APPLE)

    assert (row["full_symbol"], row["count"], row["source"]) == ("NASDAQ:AAPL", 300, "sample")
    assert described["count"] == 300
    assert (described["last_time"], described["last_bar_final"]) == ("2026-01-09T14:30:00Z", True)
    assert "synthetic" in described["note"]
    assert "before a split" in described["adjustment_means"]
    assert described["freshness"]["state"] == "behind"
    assert described["gaps"]["missing"] == 0
    assert helper.resource(row["resource"]) == described
    assert helper.resource("tvdatasets://series")["series"][-1]["full_symbol"]


def test_symbols_and_gaps_are_found(helper: Assistant) -> None:
    found = helper.call("search_symbols", query="apple")["symbols"]
    gaps = helper.call("gaps", **APPLE)

    assert "NASDAQ:AAPL" in [row["full_symbol"] for row in found]
    assert (gaps["expected"], gaps["held"], gaps["findings"]) == (300, 300, [])


def test_up_to_200_bars_are_rows(stack: Stack, tokens: tuple[str, str], helper: Assistant) -> None:
    answer = helper.call("bars", **APPLE, n_bars=200)

    expected = ohlc(stack, tokens[0], n_bars=200)
    assert answer["rows"] == [list(bar.values()) for bar in expected]
    assert answer["columns"] == list(expected[0])
    assert answer["adjustment"] == "splits"
    # Without a range, the newest 200.
    assert helper.call("bars", **APPLE) == answer


def test_more_than_200_bars_are_a_summary_with_links_to_all(
    stack: Stack, tokens: tuple[str, str], helper: Assistant
) -> None:
    answer = helper.call("bars", **APPLE, n_bars=201)

    expected = ohlc(stack, tokens[0], n_bars=201)
    assert "rows" not in answer
    assert answer["count"] == 201
    assert answer["summary"]["high"]["price"] == max(bar["high"] for bar in expected)
    assert answer["summary"]["low"]["price"] == min(bar["low"] for bar in expected)
    assert answer["summary"]["first_time"] == expected[0]["time"]
    headers = {"Authorization": f"Bearer {tokens[0]}"}
    whole = requests.get(answer["all_bars"]["csv"], headers=headers, timeout=30)
    assert len(whole.text.splitlines()) == 202
    parquet = requests.get(answer["all_bars"]["parquet"], headers=headers, timeout=30)
    assert parquet.content.startswith(b"PAR1")


def test_a_range_says_what_of_it_is_held(helper: Assistant) -> None:
    answer = helper.call("bars", **APPLE, start="2020-01-01", end="2024-11-05")

    assert [row[0] for row in answer["rows"]][0] == "2024-10-29T13:30:00Z"
    assert answer["covers_start"] is False
    # An empty range is no failure, and says what is held.
    empty = helper.call("bars", **APPLE, start="2020-01-01", end="2020-02-01")
    assert (empty["count"], empty["held_from"]) == (0, "2024-10-29T13:30:00Z")


def test_statistics_are_those_of_the_closes(
    stack: Stack, tokens: tuple[str, str], helper: Assistant
) -> None:
    answer = helper.call("statistics", **APPLE, n_bars=100)
    found = answer["statistics"]

    closes = np.array([bar["close"] for bar in ohlc(stack, tokens[0], n_bars=100)])
    returns = np.diff(np.log(closes))
    assert found["total_return"] == pytest.approx(closes[-1] / closes[0] - 1)
    deviation = returns.std(ddof=1) * found["returns_a_year"] ** 0.5
    assert found["annualised_volatility"] == pytest.approx(deviation, rel=1e-3)
    falls = [low / high - 1 for i, high in enumerate(closes) for low in closes[i:]]
    assert found["largest_drawdown"]["return"] == pytest.approx(min(falls))
    assert answer["adjustment_means"]


def test_a_fetch_is_requested_and_read(
    stack: Stack, tokens: tuple[str, str], helper: Assistant
) -> None:
    wanted = {"symbol": "NASDAQ:MSFT", "timeframe": "1D"}
    assert helper.error("bars", **wanted)["code"] == "not_found"

    done = helper.call("request_fetch", **wanted, n_bars=50)

    assert (done["state"], done["count"]) == ("succeeded", 50)
    assert helper.call("fetch_state", fetch=done["id"])["state"] == "succeeded"
    assert helper.call("bars", **wanted)["count"] == 50
    assert helper.call("request_fetch", **wanted, n_bars=50)["state"] == "held"
    headers = {"Authorization": f"Bearer {tokens[0]}"}
    address = f"{stack.url}/api/tv/fetches/{done['id']}"
    assert requests.get(address, headers=headers, timeout=30).json()["priority"] == "API"


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "words"),
    [
        ("bars", {"symbol": "AAPL"}, "invalid_request", "BINANCE:BTCUSDT"),
        ("describe", APPLE | {"timeframe": "9x"}, "invalid_request", "use one of"),
        ("bars", APPLE | {"start": "yesterday"}, "invalid_request", "ISO 8601"),
        ("bars", APPLE | {"n_bars": 0}, "invalid_request", "n_bars"),
        ("statistics", APPLE | {"n_bars": 2}, "invalid_request", "3 or more"),
        ("gaps", APPLE | {"timeframe": "1h"}, "not_found", "1D regular splits"),
        ("bars", {"symbol": "NASDAQ:NONE"}, "not_found", "none of this symbol"),
        ("fetch_state", {"fetch": 999}, "not_found", ""),
        ("request_fetch", {"symbol": "NASDAQ:NOTHINGLIKEIT"}, "symbol_not_found", "NOTHINGLIKEIT"),
        ("request_fetch", APPLE | {"n_bars": 10**7}, "invalid_request", "TV_MAX_BARS"),
        ("bars", APPLE | {"n_bars": "many"}, "invalid_request", "n_bars: Input should be a valid integer"),
        ("bars", {"timeframe": "1D"}, "invalid_request", "symbol: Field required"),
        ("bars", APPLE | {"from": "2025-01-01"}, "invalid_request", "unknown argument; the tool has symbol"),
        ("fetch_state", {"fetch": 0}, "invalid_request", "greater than or equal to 1"),
        ("delete", {}, "not_found", "The tools are search_symbols"),
    ],
)  # fmt: skip
def test_an_error_has_a_code_and_the_next_step(
    helper: Assistant, tool: str, arguments: dict[str, Any], code: str, words: str
) -> None:
    error = helper.error(tool, **arguments)

    assert error["code"] == code
    assert words in error["detail"] + str(error.get("errors"))
    assert error["advice"]
    assert error["retryable"] is False


def test_a_resource_that_is_not_there_is_an_error(helper: Assistant) -> None:
    with pytest.raises(MCPError, match='"code":"not_found"'):
        helper.resource("tvdatasets://series/999")


def test_a_token_that_is_wrong_or_too_weak_is_named_and_not_shown(
    stack: Stack, tokens: tuple[str, str], tmp_path: Path
) -> None:
    with assistant(tmp_path / "log", "--url", stack.url, "--token", "tv_wrong_secret") as stranger:
        refused = stranger.error("list_series")
    with pytest.raises(ServiceFailed) as forbidden:
        FetchTools(ServiceReader(stack.url, tokens[0])).request_fetch(**APPLE, n_bars=301)

    assert refused["code"] == "not_authenticated"
    assert "TV_TOKEN" in refused["advice"]
    assert forbidden.value.code == "forbidden"
    heard = [*stranger.heard, (tmp_path / "log").read_text(), error_text(forbidden.value)]
    assert not any("tv_wrong_secret" in text or tokens[0] in text for text in heard)


def test_a_service_that_is_away_is_an_error() -> None:
    with pytest.raises(ServiceFailed, match="cannot be reached") as error:
        ServiceReader(f"http://127.0.0.1:{free_port()}", None).get("series", "results")

    assert '"code":"service_failed"' in error_text(error.value)


def test_an_unexpected_error_has_a_code_and_its_details_are_only_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("inner words")

    monkeypatch.setattr(ServiceReader, "get", fail)
    server = build_server(ServiceReader("http://127.0.0.1:9", None), allow_fetch=False)

    # In a thread of its own: a browser of another test runs an event loop in this one.
    with start_blocking_portal() as portal:
        result = portal.call(server.call_tool, "list_series", {})

    assert isinstance(result, CallToolResult)
    assert result.is_error
    text = result.model_dump_json()
    assert "internal_error" in text
    assert "inner words" not in text
    assert "inner words" in caplog.text


@pytest.mark.parametrize(
    ("per_minute", "burst", "estimated_s"), [(6, 1, 20), (60, 3, 3), (0, 1, 3)]
)
def test_an_estimate_follows_the_limit_of_the_service(
    live_server: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    per_minute: int, burst: int, estimated_s: int,
) -> None:  # fmt: skip
    """Three fetches wait; no worker runs."""
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST, settings.STATE_DIR = per_minute, burst, tmp_path
    monkeypatch.setattr(fetch_tools, "_WAIT_S", 0)
    tools = FetchTools(ServiceReader(live_server.url, None))

    rows = [tools.request_fetch(f"NASDAQ:{name}", "1D") for name in ("AAPL", "MSFT", "NVDA")]

    assert [row["state"] for row in rows] == ["queued"] * 3
    assert rows[-1]["estimated_s"] == estimated_s


def test_a_service_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_reader, "REQUEST_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = ServiceReader(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        started = time.monotonic()

        with pytest.raises(ServiceFailed, match=r"longer than 0\.5 s"):
            reader.get("series", "results")

    assert time.monotonic() - started < 5


def test_a_reply_that_is_too_large_is_refused_and_long_texts_are_cut() -> None:
    with pytest.raises(ReplyTooLarge, match=f"at most {MAX_CHARACTERS:,}"):
        to_text({"rows": [[0.5] * 6] * 2000})
    assert len(to_text({"description": "x" * 10**6})) < 1000


def test_returns_need_closes_above_zero() -> None:
    bars: dict[str, list[float]] = {"time": [0, 60, 120], "close": [1.0, -37.6, 2.0]}

    with pytest.raises(InvalidRequest, match="not above 0"):
        statistics(bars)


def test_an_address_with_a_password_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--url", "http://ada:secret@localhost:8000"])

    written = "".join(capsys.readouterr())
    assert ended.value.code == 2
    assert "must not contain a user name" in written
    assert "secret" not in written


def test_the_largest_reply_is_bounded(helper: Assistant) -> None:
    """The largest replies of the tools; `-rP` shows their sizes."""
    for tool, arguments in {
        "bars": APPLE, "statistics": APPLE, "gaps": APPLE, "describe": APPLE,
        "list_series": {}, "search_symbols": {"query": "a", "limit": 50},
    }.items():  # fmt: skip
        helper.call(tool, **arguments)
        sys.stdout.write(f"{tool}: {len(helper.heard[-1]):,} characters\n")
        assert len(helper.heard[-1]) <= MAX_CHARACTERS
