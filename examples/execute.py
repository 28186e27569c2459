"""Run the notebooks against a service of their own, and save their outputs: `python -m examples.execute`.

The feed's clock stands still, so that a second run has the same outputs.
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.stacks import Feed, Stack

FOLDER = Path(__file__).parent
NOTEBOOKS = ("fetch_to_backtest.ipynb", "features_and_sweep.ipynb")
NOW = "2026-01-09T21:30:30Z"
# Packages that the notebooks need; examples/requirements.txt holds the versions.
NEEDED = ("nbclient", "nbformat", "ipykernel", "backtesting", "joblib", "matplotlib")


class Service:
    """A service with a worker on the sample feed, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._feed = Feed(folder, "--now", NOW)
        self._stack = Stack(folder, self._feed)
        self._stack.start_web()
        self._stack.start_worker(concurrency=2)
        self.env = {
            "OUTPUTS_URL": str(folder / "outputs"),
            "PORT": self._stack.url.rpartition(":")[2],
            "XDG_CACHE_HOME": str(folder / "cache"),
            "JUPYTER_PLATFORM_DIRS": "1",
            "IPYTHONDIR": str(folder / "ipython"),
        }

    def stop(self) -> None:
        self._stack.stop()
        self._feed.stop()


def execute(name: str, service: Service) -> Any:
    """Run a notebook to its end, in the examples' folder, and return it with its outputs."""
    notebook = saved(name)
    client = importlib.import_module("nbclient").NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
    )
    with mock.patch.dict(os.environ, service.env):
        client.execute()
    return notebook


def tidy(notebook: Any) -> Any:
    """Remove the values that differ between runs: times of execution, and this machine's Python."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("language_info", None)
    return notebook


def printed(notebook: Any) -> str:
    """Return the text that the cells print, without `fetched_at`, which is by the machine's clock."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    return re.sub(r'"fetched_at": ".*?"', '"fetched_at": "…"', text)


def saved(name: str) -> Any:
    """Return a notebook from the examples' folder, with its saved outputs."""
    return importlib.import_module("nbformat").read(FOLDER / name, as_version=4)


def size_of_pictures(notebook: Any) -> list[int]:
    """Return the size of each picture in the outputs: the length of its base64 text."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            picture = output.get("data", {}).get("image/png")
            found += [len(re.sub(r"\s", "", picture))] if picture else []
    return found


def main() -> None:
    nbformat = importlib.import_module("nbformat")
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name))
        try:
            for notebook in NOTEBOOKS:
                nbformat.write(tidy(execute(notebook, service)), FOLDER / notebook)
        finally:
            service.stop()


if __name__ == "__main__":
    main()
