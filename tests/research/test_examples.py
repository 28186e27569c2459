"""The notebooks run from end to end, and are saved with their outputs."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets import research
from datasets.research import load, load_panel, verify_lock
from examples.execute import (
    FOLDER,
    NEEDED,
    NOTEBOOKS,
    Service,
    execute,
    printed,
    saved,
    size_of_pictures,
)
from tests.support.study_files import require, write

MAX_BYTES = 600_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on the sample feed."""
    require(*NEEDED)
    running = Service(tmp_path_factory.mktemp("examples"))
    yield running
    running.stop()


# Jupyter's own warnings are not ours to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.slow
def test_a_notebook_runs_to_its_end(service: Service, name: str) -> None:
    notebook = execute(name, service)

    assert len(size_of_pictures(notebook)) == 1
    assert min(size_of_pictures(notebook)) > 10_000
    # The saved outputs are the current ones; `python -m examples.execute` saves them again.
    assert printed(notebook) == printed(saved(name))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_saved_with_its_outputs(name: str) -> None:
    text = (FOLDER / name).read_text()
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]

    assert all(cell["execution_count"] for cell in cells)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert len(text) < MAX_BYTES


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_saved_notebook_holds_nothing_of_the_machine(name: str) -> None:
    text = re.sub(r'"image/png": ".*?"', "", (FOLDER / name).read_text())

    # No absolute path except in an address, no port except the default, no temporary folder.
    assert not re.findall(r"(?<![\w:/.])/[a-z_]\w*/(?!tv/)", text)
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) <= {"8000"}
    for folder in (FOLDER.parent, Path.home(), Path(tempfile.gettempdir())):
        assert f"{folder}/" not in text


# --- the page -----------------------------------------------------------------------------

PAGES = ["quick-start", "reference", "no-look-ahead", "reproducing"]
PAGE = "".join((FOLDER.parent / "docs" / "research" / f"{name}.md").read_text() for name in PAGES)
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
SIGNATURES: dict[str, Callable[..., Any]] = {"load": load, "load_panel": load_panel}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_page_shows_each_argument_with_its_default(name: str) -> None:
    (shown,) = [block for block in BLOCKS if re.match(rf"{name}\(symbols?,", block)]
    found: dict[str, Any] = {}
    exec(f"def {shown.strip()}: ...", found)

    ours = inspect.signature(SIGNATURES[name]).parameters
    theirs = inspect.signature(found[name]).parameters
    assert [(one.name, one.default, one.kind) for one in ours.values()] == [
        (one.name, one.default, one.kind) for one in theirs.values()
    ]


def test_the_code_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("joblib")
    symbols = {"BINANCE:BTCUSDT": "1h", "BINANCE:ETHUSDT": "1h", "NASDAQ:AAPL": "1D", "NASDAQ:MSFT": "1D"}  # fmt: skip
    for symbol, timeframe in symbols.items():
        write(tmp_path, 100, symbol=symbol, timeframe=timeframe)
    monkeypatch.setenv("OUTPUTS_URL", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    study: dict[str, Any] = {"__name__": "study"}

    for block in BLOCKS:
        # Signatures are no code. History needs an archive, and is in test_bar_history.py.
        if not re.match(r"load(_panel)?\(symbols?,|from .* import adjustments, history", block):
            exec(block, study)

    assert study["study"].columns[-1] == "close_1D"
    assert study["panel"].shape == (100, 2)
    assert len(study["results"]) == 4
    assert verify_lock(tmp_path / "study.lock") == []


def test_every_name_of_the_package_is_on_a_page() -> None:
    pages = PAGE + (FOLDER.parent / "docs" / "engines.md").read_text()

    for name in research.__all__:
        assert f"`{name}" in pages or f"{name}(" in pages, name


def test_the_code_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for symbol, timeframe in {"BINANCE:BTCUSDT": "1h", "NASDAQ:AAPL": "1D", "NASDAQ:MSFT": "1D"}.items():  # fmt: skip
        write(tmp_path, 3000, symbol=symbol, timeframe=timeframe)
    monkeypatch.setenv("OUTPUTS_URL", str(tmp_path))
    readme = (FOLDER.parent / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S)

    exec(block, {})
