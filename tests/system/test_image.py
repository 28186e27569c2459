"""The image of the Dockerfile is built here, started as its user, and fetches bars."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from samplefeed.server import SOCKET_PATH
from tests.support.image import images
from tests.support.servers import Need
from tests.support.stacks import ROOT, free_port, wait_until

IMAGE = "tradingview-datasets"
QUERY = "symbol=BINANCE:BTCUSDT&timeframe=1h&wait=30"


@pytest.fixture(scope="module")
def container(need: Need) -> Iterator[list[str]]:
    """Return the start of a command line that runs a program in a container of the image."""
    if os.geteuid() != 0:
        pytest.skip("only root can build an image without a daemon")
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    with images(need, limit_s=900) as made:
        made.make_base(*bases)
        made.build(IMAGE)
        yield made.container(IMAGE)


def said(run: list[str], script: str) -> str:
    """Run a shell's script in the container; return its output."""
    done = subprocess.run(
        [*run, "sh", "-c", script], capture_output=True, text=True, timeout=120, cwd="/"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.image
def test_the_image_starts_as_a_plain_user_and_fetches_bars(
    container: list[str], tmp_path: Path
) -> None:
    assert said(container, "id -u") == "1000"
    port, feed_port = free_port(), free_port()
    # All processes of a machine in one container: the network is the machine's own.
    site = f"http://127.0.0.1:{feed_port}"
    # Ends with its standard input: a container of this kind has no processes of its own to signal.
    script = f"""
        export TV_SOURCE=sample TV_WS_URL=ws://127.0.0.1:{feed_port}{SOCKET_PATH} TV_SITE_URL={site} TV_SEARCH_URL={site}
        trap 'kill $processes; wait' EXIT
        python -m samplefeed --port {feed_port} & processes=$!
        python -m tvproject.prepare || exit 1
        celery --quiet -A tvproject worker --loglevel WARNING --without-gossip --without-mingle & processes="$processes $!"
        python -m tvproject.server --port {port} & processes="$processes $!"
        read line
    """
    log = tmp_path / "container.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [*container, "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=output, stderr=output, cwd="/",
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(
            lambda: _status(f"{url}/readyz") == 200, seconds=180, what="/readyz in the image"
        )
        page = requests.get(url, timeout=20)
        bars = requests.get(f"{url}/api/tv/ohlc?{QUERY}&n_bars=200", timeout=60)
        # compose makes everything else read-only.
        written = said(
            container,
            "find / -xdev -newer /app/manage.py -type f -user bars | grep -v '^/\\(data\\|tmp\\|proc\\|home/bars/\\.\\(bash\\|profile\\)\\)' || true",
        )
    finally:
        running.communicate(timeout=60)

    assert page.status_code == 200
    assert "lightweight-charts" in page.text
    assert (bars.status_code, bars.json()["count"]) == (200, 200), log.read_text()[-2000:]
    assert written == ""


def _status(url: str) -> int:
    try:
        return requests.get(url, timeout=5).status_code
    except requests.ConnectionError:
        return 0
