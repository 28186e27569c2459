"""Readers of the files that start the service: compose files and systemd units."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.stacks import ROOT

COMPOSE_FILES = ["compose.yaml", "compose.many.yaml"]
UNITS = ROOT / "examples" / "systemd"
# The innermost `${NAME}`, `${NAME:-default}` or `${NAME:?message}`.
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^${}]*))?\}")


def read_compose(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a compose file with its variables replaced as compose does it.

    Raises `KeyError` with the message of the file for a variable that must be set and is not.
    """
    parsed: dict[str, Any] = yaml.safe_load(_replaced((ROOT / name).read_text(), variables))
    return parsed


def variables_of(name: str) -> set[str]:
    """Return the names of the variables that a compose file takes from the environment."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", _without_comments((ROOT / name).read_text())))


def arguments_of(command: str | list[str]) -> list[str]:
    """Return the words of a command of compose, in either of its forms."""
    words = shlex.split(command) if isinstance(command, str) else command
    return [word.replace("$$", "$") for word in words]


def read_unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a systemd unit: the values of each key, in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            current.setdefault(key, []).append(value)
    return sections


def _replaced(text: str, variables: Mapping[str, str]) -> str:
    text = _without_comments(text)

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise KeyError(f"{name}: {rest}")
        return rest or ""

    while _VARIABLE.search(text):
        text = _VARIABLE.sub(value, text)
    return text


def _without_comments(text: str) -> str:
    return re.sub(r"(?m)^\s*#.*\n", "", text)
