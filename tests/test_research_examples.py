"""The notebooks run from end to end, and are saved with what they show."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.execute import FOLDER, NEEDED, NOTEBOOKS, Service, execute, size_of_pictures

MAX_BYTES = 600_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on the sample feed; skips where the notebooks' packages are not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"{missing[0]} is not installed; pip install -r examples/requirements.txt"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    running = Service(tmp_path_factory.mktemp("examples"))
    yield running
    running.stop()


# Jupyter's own warnings are not ours to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_to_its_end(service: Service, name: str) -> None:
    notebook = execute(name, service)

    assert len(size_of_pictures(notebook)) == 1
    assert min(size_of_pictures(notebook)) > 10_000


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_saved_with_what_it_shows(name: str) -> None:
    text = (FOLDER / name).read_text()
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]

    assert all(cell["execution_count"] for cell in cells)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert len(text) < MAX_BYTES


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_saved_notebook_says_nothing_of_the_machine(name: str) -> None:
    text = re.sub(r'"image/png": ".*?"', "", (FOLDER / name).read_text())

    for place in ("/tmp/", "/home/", "/root/", "/work/", "127.0.0.1:4", str(Path.home())):
        assert place not in text, place
