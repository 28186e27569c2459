"""The packages of the design and their order, kept by a test."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
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
    "assistant",
    "catalog",
    "archive",
    "importing",
    "watchlists",
    "alerts",
    "layouts",
    "drawings",
    "fetching",
    "incidents",
    "serving",
    "live",
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
WITHOUT_DJANGO = [
    "errors",
    "bars",
    "calendars",
    "storage",
    "formats",
    "tradingview",
    "research",
    "assistant",
]
# Libraries that only some packages may import.
EDGES = {
    "tvDatafeed": {"tradingview"},
    "websocket": {"tradingview"},
    "requests": {"tradingview", "research", "storage", "incidents"},
    "celery": {"fetching", "incidents"},
    "prometheus_client": {"monitoring", "views"},
    "exchange_calendars": {"calendars"},
    "rest_framework": {"api", "urls"},
    "mcp": {"assistant"},
    "obstore": {"storage"},
}
# The folders of the pages' scripts. A script imports only from its folder and those before it; the scripts
# beside the folders are those that templates name.
SCRIPTS = ROOT / "static" / "js"
SCRIPT_FOLDERS = [
    "shared",
    "bars",
    "studies",
    "symbols",
    "chart",
    "alerts",
    "lists",
    "page",
    "grid",
    "drawings",
]
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


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of each import of the file; the name is empty for `import module`."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def violations(
    paths: list[Path], is_allowed: Callable[[Path, str, str], bool]
) -> list[tuple[str, str, str]]:
    """The imports (file, module, name) that the rule forbids."""
    return [
        (str(path.relative_to(ROOT)), module, name)
        for path in paths
        for module, name in imports(path)
        if not is_allowed(path, module, name)
    ]


def test_a_package_imports_only_from_packages_before_it() -> None:
    def is_allowed(path: Path, module: str, name: str) -> bool:
        top, other = f"{module}.{name}".split(".")[:2]
        mine = package_of(path)
        return top != "datasets" or other in ("", mine) or PLACE_OF[other] < PLACE_OF[mine]

    assert violations(MODULES, is_allowed) == []


def test_nobody_imports_a_private_name() -> None:
    def is_allowed(path: Path, module: str, name: str) -> bool:
        parts = [*module.split("."), name]
        return module == "__future__" or not any(part.startswith("_") for part in parts)

    assert violations(PRODUCT, is_allowed) == []


def test_nobody_uses_a_private_name_of_an_imported_module() -> None:
    used = [
        (str(path.relative_to(ROOT)), f"{node.value.id}.{node.attr}")
        for path in PRODUCT
        for imported in [{name or module.split(".")[0] for module, name in imports(path)}]
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in imported
        # Modules are in lower case; a class has `_meta`, which Django documents.
        and node.value.id.islower()
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    ]

    assert used == []


def test_a_library_is_imported_in_its_packages_only() -> None:
    def is_allowed(path: Path, module: str, name: str) -> bool:
        return package_of(path) in EDGES.get(module.split(".")[0], {package_of(path)})

    assert violations(MODULES, is_allowed) == []


def test_the_first_packages_do_without_django() -> None:
    def is_allowed(path: Path, module: str, name: str) -> bool:
        return package_of(path) not in WITHOUT_DJANGO or module.split(".")[0] != "django"

    assert violations(MODULES, is_allowed) == []


def test_the_service_starts_without_pandas() -> None:
    # A third of the time that each process takes to start, and 35 MB.
    script = (
        "import sys, django.urls\n"
        "django.setup()\n"
        "django.urls.get_resolver().url_patterns\n"
        "from datasets.management.commands import backup, datasets as _, fetch, watch\n"
        "assert 'datasets.api.endpoints' in sys.modules\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}

    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=True)


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


@pytest.mark.parametrize("folder", SCRIPT_FOLDERS)
def test_a_folder_of_scripts_imports_only_from_the_folders_before_it(folder: str) -> None:
    scripts = sorted((SCRIPTS / folder).glob("*.js"))
    allowed = SCRIPT_FOLDERS[: SCRIPT_FOLDERS.index(folder) + 1]

    assert 0 < len(scripts) <= MOST_MODULES
    for script in scripts:
        for name in re.findall(r'"(\.\.?/[^"]+\.m?js)"', script.read_text()):
            imported = (script.parent / name).resolve()
            if SCRIPTS in imported.parents:
                assert imported.parent.name in allowed, f"{script.name} imports {name}"


def test_each_folder_of_scripts_has_a_place_in_the_order() -> None:
    assert sorted(path.name for path in SCRIPTS.iterdir() if path.is_dir()) == sorted(
        SCRIPT_FOLDERS
    )


def test_production_code_has_no_branch_for_the_sample_feed() -> None:
    for path in PRODUCT:
        if path.name != "feeds.py":
            assert "samplefeed" not in path.read_text(), path
