"""What README tells a new user to type works, in its order, on a machine without TradingView."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.stacks import ROOT, free_port
from tests.system.test_run import Run, needs_proc

BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
# Lines that are not typed here, each with its reason.
NOT_HERE = {
    "git clone": "the clone is there",
    "cd tradingview-datasets": "the tests run in it",
    "make run": "the fixture has started it, without installing",
    "make test": "these are the tests",
    "python -m tvproject.prepare": "`make run` has done it",
    "python -m tvproject.server": "`make run` has started it",
    "celery -A tvproject worker": "`make run` has started it",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`make run` on a folder of its own, where TradingView cannot be reached."""
    folder = tmp_path_factory.mktemp("readme")
    nobody = f"ws://127.0.0.1:{free_port()}"
    run = Run(folder, TV_SOURCE="", TV_WS_URL=nobody, TV_RATE_PER_MINUTE="0")
    try:
        yield run.wait_until_ready()
    finally:
        run.end()


def type_line(line: str, service: Run, folder: Path) -> None:
    """Run one line as in a second terminal, which knows nothing but the folder."""
    line = line.replace(".venv/bin/python", sys.executable).replace("8000", str(service.port))
    line = line.replace("backups/", f"{folder}/backups/").replace("curl ", "curl -sSf ")
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=service.second_terminal, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@needs_proc
def test_every_block_of_the_readme_works_one_after_the_other(service: Run, tmp_path: Path) -> None:
    typed = []
    for language, text in BLOCKS:
        if language == "python":
            # As the line below that block says of invented bars.
            text = re.sub(r"\b(load|load_panel)\((.*)\)", r'\1(\2, source="sample")', text)
            done = subprocess.run(
                [sys.executable, "-c", dedent(text)],
                cwd=ROOT, env=service.second_terminal, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            typed.append("python")
            continue
        for line in text.splitlines():
            if not any(line.startswith(start) for start in NOT_HERE):
                type_line(line, service, tmp_path)
                typed.append(line.split(" ")[0])

    assert typed.count(".venv/bin/python") == 7
    assert {"curl", "python"} <= set(typed)
    assert list((tmp_path / "backups").iterdir())
