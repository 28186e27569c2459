"""The schema is valid, and clients generated from it read from a live server."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_spec_validator import validate

from tests.support.servers import Need
from tests.support.stacks import ROOT, Feed, Stack

# An API of a package that is made in the test: nobody has seen its types.
Module = Any


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, feed: Feed) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("stack"), feed)
    running.start_web()
    running.start_worker()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def schema(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    stack.manage("spectacular", "--format", "openapi-json", "--file", str(path))
    return path


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Path:
    """The folder of a reader of docs/clients.md, with the examples and the schema."""
    folder = tmp_path_factory.mktemp("reader")
    for path in (ROOT / "examples/clients").iterdir():
        shutil.copy(path, folder)
    reply = requests.get(f"{stack.url}/api/schema/", timeout=60)
    (folder / "schema.yaml").write_bytes(reply.content)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    return folder


@pytest.fixture(scope="module")
def generated(reader: Path, stack: Stack) -> Iterator[str]:
    """The name of the package of a client that was generated from the schema."""
    run_as_reader("openapi-python-client generate", reader, stack)
    sys.path.insert(0, str(reader))
    yield "tvclient"
    sys.path.remove(str(reader))


def run_as_reader(start: str, folder: Path, stack: Stack) -> str:
    """Run the command of the page that begins so, with this project's programs; return its output."""
    page = (ROOT / "docs/clients.md").read_text()
    (line,) = re.findall(rf"^{re.escape(start)} .*$", page, re.M)
    line = line.removeprefix("npx ").replace("http://127.0.0.1:8000", stack.url)
    programs = [str(Path(sys.executable).parent), str(ROOT / "node_modules/.bin")]
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PATH": os.pathsep.join([*programs, os.environ["PATH"]])},
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def call(name: str, group: str, operation: str, stack: Stack, *path: int, **parameters: Any) -> Any:
    """Return what an operation of the generated client gives."""
    client: Module = importlib.import_module(f"{name}.client")
    module: Module = importlib.import_module(f"{name}.api.{group}.{operation}")
    with client.Client(base_url=stack.url, timeout=60) as connected:
        return module.sync(*path, client=connected, **parameters)


def test_the_schema_is_valid(schema: Path) -> None:
    validate(json.loads(schema.read_text()))


def test_no_parameter_has_a_default_that_its_own_rules_refuse(schema: Path) -> None:
    paths = json.loads(schema.read_text())["paths"]
    parameters = {each["name"]: each["schema"] for each in paths["/api/tv/ohlc"]["get"]["parameters"]}  # fmt: skip

    assert "default" not in parameters["format"]
    assert "default" not in parameters["fields"]
    assert parameters["n_bars"]["default"] == 5000


def test_a_generated_client_gets_bars(generated: str, stack: Stack) -> None:
    bars = call(generated, "ohlc", "ohlc_list", stack, symbol="BINANCE:BTCUSDT", n_bars=50)
    kept = call(generated, "datasets", "datasets_bars_retrieve", stack, bars.dataset)
    file = call(generated, "datasets", "datasets_file_retrieve", stack, bars.dataset)
    listed = call(generated, "datasets", "datasets_list", stack, symbol="BTCUSDT")

    assert (type(bars).__name__, bars.count, len(bars.ohlc)) == ("Ohlc", 50, 50)
    assert [bar.to_dict() for bar in kept.ohlc] == [bar.to_dict() for bar in bars.ohlc]
    assert file.payload.read(4) == b"PAR1"
    assert [row.id for row in listed.results] == [bars.dataset]


def test_a_generated_client_is_told_what_is_wrong(generated: str, stack: Stack) -> None:
    problem = call(generated, "ohlc", "ohlc_list", stack, symbol="BTCUSDT", n_bars=50)

    assert (type(problem).__name__, problem.status, problem.code.value) == ("Problem", 400, "invalid_request")  # fmt: skip
    assert list(problem.errors.to_dict()) == ["exchange"]


def test_a_generated_client_asks_for_many_fetches(generated: str, stack: Stack) -> None:
    models: Module = importlib.import_module(f"{generated}.models")
    body = models.NewFetches(symbols=["BINANCE:ETHUSDT", "BINANCE:SOLUSDT"], n_bars=20)

    reply = call(generated, "fetches", "fetches_create", stack, body=body)

    assert [row.full_symbol for row in reply.fetches] == ["BINANCE:ETHUSDT", "BINANCE:SOLUSDT"]
    assert (reply.cached, reply.refused) == ([], [])


@pytest.fixture
def running_fetch(stack: Stack, clean_feed: Feed) -> None:
    """Let the next fetch take a second, with two datasets in the catalog."""
    for symbol in ("NASDAQ:AAPL", "NASDAQ:MSFT"):
        assert stack.get("ohlc", symbol=symbol, n_bars=300).status_code == 200
    clean_feed.arm("slow_good", times=1)


@pytest.mark.usefixtures("running_fetch", "generated")
def test_the_python_client_of_the_page_works(reader: Path, stack: Stack) -> None:
    check_what_a_client_said(run_as_reader("python bars.py", reader, stack))


@pytest.mark.usefixtures("running_fetch")
def test_the_typescript_client_of_the_page_works(reader: Path, stack: Stack, need: Need) -> None:
    need("node")
    for start in ("npx openapi-typescript", "npx tsc"):
        run_as_reader(start, reader, stack)

    check_what_a_client_said(run_as_reader("node bars.js", reader, stack))


def check_what_a_client_said(said: str) -> None:
    """Check the four lines that both clients print."""
    joined, fetched, paged, refused = said.splitlines()
    assert joined.lower() == "joined the same fetch: true"
    assert re.match(r"succeeded: 300 bars, the last at 20\d\d-", fetched)
    assert re.match(r"(\d+) datasets on \1 pages: .*NASDAQ:AAPL.*NASDAQ:MSFT", paged)
    assert refused.startswith("error 400 invalid_request: {")
    assert "exchange" in refused
