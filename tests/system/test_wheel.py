"""The wheel of the loader: built, installed into an environment of its own, and used there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from datasets.archive.series_rows import adopt_series
from datasets.bars import Instrument
from datasets.models import ApiToken, Dataset
from tests.support.archives import Archive, plain_bars
from tests.support.assistants import assistant
from tests.support.stacks import ROOT

UV = Path(sys.executable).with_name("uv")
# Hugging Face's package has this name too.
OTHER = "datasets"
LOAD = """
import sys, pandas, tvdatasets
bars = tvdatasets.load("BINANCE:BTCUSDT", "1h", source="sample", **{place})
print(len(bars), "django" in sys.modules, pandas.__version__.partition(".")[0])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the project's committed and changed files."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "project"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "datasets", "tvdatasets",
         "setup.py", "pyproject.toml", "CHANGELOG.md", "README.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in names:
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(copy))
    (built,) = folder.glob("*.whl")
    return built


# The oldest pandas that the wheel takes, and the newest one.
@pytest.fixture(scope="module", params=["pandas==2.2.2", "pandas>=3"])
def python(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:  # fmt: skip
    """The interpreter of an environment that has the wheel, and another package named `datasets`."""
    folder = tmp_path_factory.mktemp("environment")
    interpreter = folder / "venv" / "bin" / "python"
    run(str(UV), "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    run(str(UV), "pip", "install", "--quiet", "--python", str(interpreter),  f"tradingview-datasets[mcp] @ {wheel.as_uri()}", request.param)  # fmt: skip
    (packages,) = (folder / "venv").glob("lib/*/site-packages")
    (packages / OTHER).mkdir()
    (packages / OTHER / "__init__.py").write_text("load_dataset = 'of another project'\n")
    return str(interpreter)


def run(*arguments: str, folder: Path | None = None, **env: str) -> str:
    """Run a program outside of the project's folder; return its output."""
    # Without compiled modules each process would compile pandas, for seconds.
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    clean = {name: text for name, text in os.environ.items() if name not in left_out}
    done = subprocess.run(
        arguments, cwd=folder or "/", env=clean | env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def imported(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.slow
def test_the_wheel_has_only_modules_without_django_and_none_imports_datasets(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".py")]
        tops = set().union(*(imported(archive.read(name).decode()) for name in modules))

    assert {name.split("/")[0] for name in modules} == {"tvdatasets"}
    assert tops - sys.stdlib_module_names == {
        "exchange_calendars", "mcp", "mcp_types", "numpy", "obstore", "orjson", "pandas", "pyarrow", "pydantic", "requests", "tvdatasets", "urllib3",
    }  # fmt: skip
    for name in (
        "research/loader.py",
        "storage/locations.py",
        "bars/keys.py",
        "errors/fetch_errors.py",
    ):
        assert f"tvdatasets/{name}" in modules


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_installed_loader_reads_a_folder_and_a_service_beside_another_datasets(
    python: str,
    make_dataset: Callable[..., Dataset],
    own_outputs: Path,
    live_server: Any,
    tmp_path: Path,
) -> None:
    crypto = Instrument(full_name="BINANCE:BTCUSDT", timezone="Etc/UTC", session_hours="24x7")
    make_dataset(
        300, reply={"instrument": crypto}, symbol="BTCUSDT", exchange="BINANCE", source="sample"
    )
    pandas = run(python, "-c", "import pandas; print(pandas.__version__.partition('.')[0])")

    for place in ({"folder": str(own_outputs)}, {"url": live_server.url}):
        assert run(python, "-c", LOAD.format(place=place), folder=tmp_path) == f"300 False {pandas}"

    both = "import datasets, tvdatasets; print(datasets.load_dataset, tvdatasets.load.__module__)"
    assert run(python, "-c", both) == "of another project tvdatasets.research.loader"
    command = str(Path(python).with_name("tvdatasets"))
    words = ["--folder", str(own_outputs), "--source", "sample"]
    assert "BTCUSDT" in run(command, "catalog", *words)
    lines = run(command, "get", "BINANCE:BTCUSDT", "1h", *words).splitlines()
    assert (len(lines), lines[0]) == (301, "time,open,high,low,close,volume")
    output = tmp_path / "bars.parquet"
    assert run(command, "get", "BINANCE:BTCUSDT", "1h", "-o", str(output), *words).startswith("300 bars")  # fmt: skip
    assert output.exists()
    run(command, "gaps", "BINANCE:BTCUSDT", "1h", *words)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_installed_command_serves_an_assistant(
    python: str,
    own_outputs: Path,
    live_server: Any,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.API_ACCESS = "login"
    Archive(own_outputs / "archive", source="tradingview").merge(plain_bars(range(100)))
    assert {finding.outcome for finding in adopt_series()} == {"adopted"}
    token = ApiToken(name="assistant", user=User.objects.create_user("ada"), scope="read")
    secret = token.renew()
    token.save()
    command = str(Path(python).with_name("tvdatasets"))

    with assistant(tmp_path / "log", "--url", live_server.url, token=secret, installed=command) as client:  # fmt: skip
        assert {"bars", "describe", "list_series"} <= set(client.tools())
        found = client.call("bars", symbol="NASDAQ:AAPL", timeframe="1h", n_bars=3)

    assert "NASDAQ:AAPL" in str(found)


def test_the_loader_has_its_installed_name_in_the_projects_folder() -> None:
    import tvdatasets
    from datasets import research

    assert tvdatasets.load is research.load
    assert tvdatasets.__all__ == research.__all__
