"""Check of `.venv`: created by this Python version, for this folder.

`make` runs `.venv/bin/python -I tvproject/venv.py` before it installs anything, so this file
imports only the standard library.
"""

from __future__ import annotations

import sys
from pathlib import Path


def fault(prefix: Path, version: tuple[int, int]) -> str:
    """Return a description of the fault of the virtual environment at `prefix`; "" without a fault."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text(errors="replace").splitlines()
    except OSError:
        return "it is no virtual environment"
    values = {
        name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)
    }
    made_by = values.get("version", values.get("version_info", ""))
    if made_by and made_by.split(".")[:2] != [str(number) for number in version]:
        return f"it was created by Python {made_by} and is used by Python {version[0]}.{version[1]}"
    command = values.get("command", "")
    if command and not command.endswith(str(prefix)):
        return f"it was created for another folder ({command.rpartition(' ')[2]})"
    return ""


def main() -> None:
    """Exit with a sentence and status 1 when the environment does not fit."""
    prefix = Path(sys.prefix)
    found = fault(prefix, sys.version_info[:2])
    if found:
        sys.exit(f"{prefix} does not fit: {found}. Run `make clean`, then the same command again.")


if __name__ == "__main__":
    main()
