"""`requirements.txt` alone is enough for each database and broker that the README names.

Making the environment takes a while, so `.ci/run` runs this by itself: `pytest -m requirements`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.stacks import ROOT, Feed, Stack

pytestmark = pytest.mark.requirements


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment that has the packages of `requirements.txt` and no other."""
    folder = tmp_path_factory.mktemp("environment")
    interpreter = f"{folder}/bin/python"
    uv = Path(sys.executable).with_name("uv")
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--python",
        interpreter,
        "-r",
        "requirements.txt",
    ]
    make: list[str | Path] = [uv, "venv", "--quiet", "--python", sys.executable, "--clear", folder]
    # uv takes seconds; where packages come from as only pip is told, pip is asked.
    if not (_succeeds(make) and _succeeds(install)):
        assert _succeeds([sys.executable, "-m", "venv", "--clear", folder])
        assert _succeeds([interpreter, "-m", "pip", "install", "-q", "-r", "requirements.txt"])
    return interpreter


def _succeeds(command: list[str | Path]) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False, timeout=600).returncode == 0


@pytest.fixture
def feed_alone(python: str, tmp_path: Path) -> Iterator[Feed]:
    """The sample feed, run with these packages too."""
    running = Feed(tmp_path, python=python)
    yield running
    running.stop()


def test_what_only_the_tests_need_is_not_there(python: str) -> None:
    done = subprocess.run([python, "-c", "import pytest"], capture_output=True, check=False)

    assert b"No module named 'pytest'" in done.stderr


@pytest.mark.parametrize(
    "names", ["sqlite and files", "postgresql and redis", "sqlite and rabbitmq"]
)
def test_a_fetch_goes_the_whole_way(
    names: str,
    python: str,
    feed_alone: Feed,
    need: servers.Need,
    tmp_path: Path,
) -> None:
    with ExitStack() as running:
        settings = {}
        if "postgresql" in names:
            settings["DATABASE_URL"] = running.enter_context(servers.postgresql(need))
        if "redis" in names:
            url = running.enter_context(servers.redis(need))
            settings |= {"CELERY_BROKER_URL": url, "CACHE_URL": url}
        if "rabbitmq" in names:
            settings["CELERY_BROKER_URL"] = running.enter_context(servers.rabbitmq(need))
        stack = Stack(tmp_path, feed_alone, python=python, TV_RATE_PER_MINUTE="600", **settings)
        running.callback(stack.stop)
        stack.start_worker()
        stack.start_web()

        reply = stack.get("ohlc", symbol="BINANCE:BTCUSDT", n_bars=100)

        assert (reply.status_code, len(reply.json().get("ohlc", []))) == (200, 100), reply.text
        # The worker would find the fetch without a message too, so look at what the broker met.
        for process in ("web", "worker"):
            log = (tmp_path / f"{process}.log").read_text()
            assert "Traceback" not in log, log
            assert "the broker accepted no message" not in log, log
