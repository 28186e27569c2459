"""What an operator may set is documented, with its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from datasets.api.parameters import OhlcParameters, SymbolParameters
from datasets.api.reference import entries
from datasets.formats import FORMATS
from datasets.management.dataset_arguments import ACTIONS
from datasets.urls import router
from tests.test_architecture import PACKAGES
from tvproject.env import SETTINGS

BASE_DIR = Path(__file__).parents[1]
# The line of each setting that names its default.
ROWS = dict(
    re.findall(
        r"^### `([A-Z0-9_]+)`\n\nDefault: (.*)$", (BASE_DIR / "docs/settings.md").read_text(), re.M
    )
)
EXAMPLES = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", (BASE_DIR / ".env.example").read_text(), re.M))


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert sorted(ROWS) == sorted(SETTINGS)
    assert sorted(EXAMPLES) == sorted(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_documented_default_is_the_default(name: str) -> None:
    default = SETTINGS[name].default

    assert (f"`{shown(default)}`" if shown(default) else "none") in ROWS[name]


def shown(default: Any) -> str:
    """Return a default as an operator would write it; empty for none."""
    if isinstance(default, (bool, float)):
        return f"{default:g}"
    return "" if default in (None, []) else str(default)


@pytest.mark.parametrize("name", SETTINGS)
def test_an_example_is_a_value_that_is_allowed(name: str) -> None:
    if EXAMPLES[name]:
        SETTINGS[name].read(EXAMPLES[name])


def test_the_guide_for_contributors_shows_every_package_in_order() -> None:
    guide = (BASE_DIR / "CONTRIBUTING.md").read_text()
    cells = re.findall(r"^\| (`.*?) \| ", guide, re.M)
    shown = [name for cell in cells for name in re.findall(r"`(\w+)(?:\.py|/)`", cell)]

    assert shown == PACKAGES


def test_every_page_of_the_documentation_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", (BASE_DIR / "README.md").read_text()))
    found = [path for path in (BASE_DIR / "docs").rglob("*.md") if path.parent.name != "decisions"]
    pages = {path.relative_to(BASE_DIR).as_posix() for path in found}

    assert pages | {"docs/decisions/", "CONTRIBUTING.md"} <= linked
    for target in linked:
        assert "://" in target or (BASE_DIR / target).exists(), target


def test_every_command_of_manage_py_is_documented() -> None:
    page = (BASE_DIR / "docs" / "datasets.md").read_text()

    for path in (BASE_DIR / "datasets/management/commands").glob("[a-z]*.py"):
        assert re.search(rf"`{path.stem}[` ]", page), path


def test_every_error_code_is_documented() -> None:
    page = (BASE_DIR / "docs" / "api.md").read_text()

    for entry in entries():
        assert f"| {entry.status} | `{entry.code}` |" in page, entry.code


def test_what_an_error_points_to_is_there(client: Client) -> None:
    reply = client.get("/api/tv/nothing").json()
    address, _, code = reply["type"].partition("#")

    page = client.get(address).content.decode()

    assert f'id="{code}"' in page
    for entry in entries():
        assert f'id="{entry.code}"' in page


def test_every_query_parameter_and_format_is_documented() -> None:
    page = (BASE_DIR / "docs" / "api.md").read_text()

    names: list[str] = [*OhlcParameters().get_fields(), *SymbolParameters().get_fields(), *FORMATS]
    for name in names:
        assert f"`{name}`" in page or f"{name}=" in page, name


def test_every_address_of_the_api_is_documented() -> None:
    page = (BASE_DIR / "docs" / "api.md").read_text()

    for pattern in router.urls:
        address = "/api/tv/" + str(pattern.pattern).strip("^$").removesuffix("\\Z")
        address = re.sub(r"\(\?P<pk>.*?\)", "{id}", address)
        address = re.sub(r"\(\?P<(\w+)>.*?\)", r"{\1}", address)
        assert address in page, address


def test_every_command_is_documented() -> None:
    page = (BASE_DIR / "docs" / "datasets.md").read_text()

    for action in ACTIONS:
        assert f"datasets {action}" in page or f"`{action}`" in page, action
