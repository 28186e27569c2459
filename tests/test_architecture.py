"""The packages of the design and their order, kept by a test."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "datasets"

# A package imports only from the packages before it.
PACKAGES = [
    "errors",
    "lru_cache",
    "outages",
    "log_context",
    "bars",
    "calendars",
    "storage",
    "formats",
    "tradingview",
    "models",
    "research",
    "catalog",
    "archive",
    "importing",
    "watchlists",
    "fetching",
    "incidents",
    "serving",
    "monitoring",
    "api",
    "udf",
    "views",
    "admin",
    "management",
    "checks",
    "middleware",
    "templatetags",
    "urls",
    "apps",
]
PLACE_OF = {name: place for place, name in enumerate(PACKAGES)}
WITHOUT_DJANGO = ["errors", "bars", "calendars", "storage", "formats", "tradingview", "research"]
# Libraries that only some packages may import.
EDGES = {
    "tvDatafeed": {"tradingview"},
    "websocket": {"tradingview"},
    "requests": {"tradingview", "research", "storage", "incidents"},
    "celery": {"fetching", "incidents"},
    "prometheus_client": {"monitoring", "views"},
    "exchange_calendars": {"calendars"},
    "rest_framework": {"api", "urls"},
    "obstore": {"storage"},
}
# A folder with more modules than this asks to be split by question.
MOST_MODULES = 17

MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py" and "migrations" not in path.parts
]
PRODUCT = [*MODULES, *sorted((ROOT / "tvproject").glob("*.py"))]


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of each import of the file; the name is empty for `import module`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_package_imports_only_from_packages_before_it(path: Path) -> None:
    package = package_of(path)

    for module, name in imports(path):
        parts = f"{module}.{name}".split(".")
        if parts[0] == "datasets" and parts[1]:
            other = parts[1]
            assert other == package or PLACE_OF[other] < PLACE_OF[package], f"{module}.{name}"


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_nobody_imports_a_private_name(path: Path) -> None:
    for module, name in imports(path):
        is_private = name.startswith("_") or any(part.startswith("_") for part in module.split("."))
        assert not is_private or module == "__future__", f"{module}.{name}"


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_nobody_uses_a_private_name_of_an_imported_module(path: Path) -> None:
    imported = {name or module.split(".")[0] for module, name in imports(path)}
    used = [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in imported
        # Modules are in lower case; a class has `_meta`, which Django documents.
        and node.value.id.islower()
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    ]

    assert not used


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_is_imported_in_its_packages_only(path: Path) -> None:
    for module, _ in imports(path):
        assert package_of(path) in EDGES.get(module.split(".")[0], {package_of(path)}), module


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_first_packages_do_without_django(path: Path) -> None:
    if package_of(path) in WITHOUT_DJANGO:
        assert not [module for module, _ in imports(path) if module.split(".")[0] == "django"]


def test_no_two_modules_have_the_same_name() -> None:
    commands = PACKAGE / "management" / "commands"
    names = Counter(
        path.stem for path in PRODUCT if path.name != "__init__.py" and path.parent != commands
    )

    # `views.py` of the API and `urls.py` are names that their framework gives.
    assert [name for name, number in names.items() if number > 1 and name not in ("urls",)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_holds_few_modules(package: str) -> None:
    modules = [path for path in (PACKAGE / package).glob("*.py") if path.name != "__init__.py"]

    assert len(modules) <= MOST_MODULES


def test_production_code_has_no_branch_for_the_sample_feed() -> None:
    for path in PRODUCT:
        if path.name != "feeds.py":
            assert "samplefeed" not in path.read_text(), path
