"""The import arrows of the design, kept by a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "datasets"

# From the ground up. A module imports only from levels below its own.
LEVELS = [
    {"errors", "handover", "locations", "logs", "transfer", "waking"},
    {"bars", "choice", "coverage", "freshness"},
    {"paths", "facts", "mapped", "presence", "plausibility"},
    {"tradingview", "store", "models", "formats", "rendered", "outages", "call_log", "database"},
    {"leases"},
    {
        "throttle",
        "tokens",
        "research",
        "callers",
        "fetch_queue",
        "contradictions",
        "invalidation",
        "wording",
        "listing",
        "workers",
    },
    {"fetching", "searching", "permissions"},
    {"tasks", "catalog", "status", "health", "answers", "hits", "snippets", "rendered_files"},
    {"serving", "rendering", "backups", "sparklines", "sign_in", "token_admin", "worker_admin"},
    {"quick", "acting", "downloads", "fetch_requests"},
    {
        "api",
        "views",
        "catalog_pages",
        "fetch_pages",
        "admin",
        "management",
        "checks",
        "templatetags",
        "middleware",
    },
    {"apps", "urls", "error_pages", "sending"},
]
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}

MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py" and "migrations" not in path.parts
]
# Libraries that only one part may know.
EDGES = {
    "tvDatafeed": {"tradingview"},
    "websocket": {"tradingview"},
    "requests": {"tradingview", "research", "transfer"},
    "celery": {"tasks"},
    "rest_framework": {"api", "urls"},
}
WITHOUT_DJANGO = {
    "errors",
    "locations",
    "bars",
    "choice",
    "freshness",
    "tradingview",
    "paths",
    "plausibility",
    "facts",
    "mapped",
    "presence",
    "store",
    "formats",
    "research",
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything the file at `path` imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_lower_levels(path: Path) -> None:
    part = part_of(path)

    for imported in imports(path):
        first, _, rest = imported.partition(".")
        if first == "datasets" and rest:
            other = rest.split(".")[0]
            assert other == part or LEVEL_OF[other] < LEVEL_OF[part], imported


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_is_known_in_one_part_only(path: Path) -> None:
    for imported in imports(path):
        library = imported.split(".")[0]
        assert part_of(path) in EDGES.get(library, {part_of(path)}), imported


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_lower_levels_do_without_django(path: Path) -> None:
    if part_of(path) in WITHOUT_DJANGO:
        assert not [name for name in imports(path) if name.split(".")[0] == "django"]


def test_production_code_has_no_branch_for_the_sample_feed() -> None:
    for path in [*MODULES, *(ROOT / "tvproject").glob("*.py")]:
        if path.name != "feeds.py":
            assert "samplefeed" not in path.read_text(), path
