"""The schema is valid, and a client generated from it reads from a live server."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.support.stacks import Feed, Stack

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
def generated(schema: Path) -> Iterator[str]:
    """The name of the package of a client that was generated from the schema."""
    name = "generated_client"
    subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(schema), "--meta", "none",
         "--output-path", str(schema.parent / name)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    sys.path.insert(0, str(schema.parent))
    yield name
    sys.path.remove(str(schema.parent))


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
    listed = call(generated, "datasets", "datasets_list", stack, symbol="BTCUSDT")

    assert (type(bars).__name__, bars.count, len(bars.ohlc)) == ("Ohlc", 50, 50)
    assert [bar.to_dict() for bar in kept.ohlc] == [bar.to_dict() for bar in bars.ohlc]
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
