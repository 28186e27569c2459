"""Lines of code in a page of the documentation, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"


def lines_under(heading: str, language: str) -> str:
    """Return the block of code under a heading of docs/sql.md."""
    part = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", part, re.DOTALL)
    assert found is not None, heading
    return found[1]


def run_lines(heading: str) -> dict[str, Any]:
    """Run the Python block under a heading in the present folder; return its variables."""
    names: dict[str, Any] = {}
    exec(lines_under(heading, "python"), names)
    return names
