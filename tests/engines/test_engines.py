"""Each engine, in an environment of its own: its example runs, and its bars are the dataset's.

`make engines` makes the environments.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.engine_files import write_cases
from tests.support.engine_reports import read_round_trips, row_of

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "engines"
ENGINES = sorted(path.parent.name for path in EXAMPLES.glob("*/example.py"))
PAGE = ROOT / "docs" / "engines.md"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with the dataset of each case."""
    folder = tmp_path_factory.mktemp("outputs")
    write_cases(folder)
    return folder


@pytest.fixture
def run(outputs: Path, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs Python in an engine's environment, and returns what it printed."""

    def run_python(engine: str, *arguments: str | Path) -> str:
        python = ROOT / ".venv" / "engines" / engine / "bin" / "python"
        if not python.exists():
            reason = f"{engine} is not installed; make engines ENGINES={engine}"
            if os.environ.get("REQUIRE_ALL") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "OUTPUTS_URL": str(outputs),
        }
        done = subprocess.run(
            [python, *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_python


@pytest.mark.parametrize("engine", ENGINES)
def test_the_page_shows_the_example_and_its_result(engine: str, run: Callable[..., str]) -> None:
    printed = run(engine, EXAMPLES / engine / "example.py").strip().splitlines()[-1]

    code = (EXAMPLES / engine / "example.py").read_text()
    assert f"## {engine}\n\n```python\n{code}```\n\n```text\n{printed}\n```\n" in PAGE.read_text()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_table_says_what_the_engine_keeps(
    engine: str, run: Callable[..., str], outputs: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    run(engine, "-m", "tests.engines.round_trips", engine, outputs, results)

    trips = read_round_trips(outputs, results)

    title = f"[{_version(engine)}](#{engine})"
    row = row_of(title, trips)
    assert row in PAGE.read_text().splitlines(), f"the measured row:\n{row}"
    assert "still forming" in trips["forming"].refused


def _version(engine: str) -> str:
    """Return the first package in the engine's list with its locked version."""
    folder = EXAMPLES / engine
    name = (folder / "requirements.in").read_text().split()[0]
    found = re.search(
        rf"^({re.escape(name)})==(\S+)", (folder / "requirements.txt").read_text(), re.M
    )
    assert found
    return f"{found[1]} {found[2]}"
