"""Say so when `.venv` was made by another Python, or for another folder, than it is used with.

Run by make as `.venv/bin/python -I tvproject/venv.py`, so it needs nothing that is installed there.
"""

from __future__ import annotations

import sys
from pathlib import Path


def fault(prefix: Path, version: tuple[int, int]) -> str:
    """Return what is wrong with the virtual environment at `prefix`, empty where nothing is."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text(errors="replace").splitlines()
    except OSError:
        return "it is no virtual environment"
    said = {
        name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)
    }
    made_by = said.get("version", said.get("version_info", ""))
    if made_by and made_by.split(".")[:2] != [str(number) for number in version]:
        return f"it was made by Python {made_by} and is used by Python {version[0]}.{version[1]}"
    command = said.get("command", "")
    if command and not command.endswith(str(prefix)):
        return f"it was made for another folder ({command.rpartition(' ')[2]})"
    return ""


def main() -> None:
    """End with a sentence and the status 1 when the environment does not fit."""
    prefix = Path(sys.prefix)
    found = fault(prefix, sys.version_info[:2])
    if found:
        sys.exit(f"{prefix} does not fit: {found}. Run `make clean`, then the same command again.")


if __name__ == "__main__":
    main()
