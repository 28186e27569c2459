"""`make run` that began with the sample feed changes over when TradingView can be reached."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.stacks import Feed, free_port
from tests.system.test_run import Run, get, needs_proc, wait_until
from tvproject.announcements import running_sources

# As `python -m tvproject.run`, but looks again more often than once a minute.
IMPATIENT = (
    "import sys; from tvproject import feeds, run; feeds._LOOK_AGAIN_S = 0.2; sys.exit(run.main())"
)


@needs_proc
@pytest.mark.slow
def test_a_machine_that_starts_before_its_network_changes_over_to_tradingview(
    tmp_path: Path,
) -> None:
    port = free_port()
    run = Run(
        tmp_path,
        "-c",
        IMPATIENT,
        TV_SOURCE="",
        TV_WS_URL=f"ws://127.0.0.1:{port}/socket.io/websocket",
        TV_SITE_URL=f"http://127.0.0.1:{port}",
    )
    feed = None
    try:
        run.wait_until_ready()
        assert "TradingView is tried again every minute." in run.text
        assert json.loads(get(run, "/api/tv/status"))["source"] == "sample"
        assert running_sources(tmp_path / "state") == {"sample"}

        feed = Feed(tmp_path, "--port", str(port))

        wait_until(lambda: run.text.count("Ready:") == 2 or run.is_over)
        assert "TradingView can be reached now." in run.text
        assert running_sources(tmp_path / "state") == {"tradingview"}
        assert run.processes(running="samplefeed") == []
        reply = json.loads(get(run, "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=50"))
        assert (reply["source"], reply["count"]) == ("tradingview", 50)

        run.send(signal.SIGINT)
        assert run.status() == 0
        assert run.processes() == []
        assert running_sources(tmp_path / "state") == set()
    finally:
        run.end()
        if feed is not None:
            feed.stop()
