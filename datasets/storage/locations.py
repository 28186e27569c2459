"""Where files are kept: the one reading of `.env`, `OUTPUTS_URL` and `STATE_DIR`, for service and loader.

Knows no Django, so that a notebook can use it; that is why `.env` is not read by
django-environ, whose rules it follows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

PROJECT = Path(__file__).resolve().parents[2]
# Settings that name a folder: a relative one in `.env` is relative to that file.
FOLDERS = ("OUTPUTS_URL", "STATE_DIR")

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPE = re.compile(r"\\([^rnt])")


class EnvFile(NamedTuple):
    """The variables of a `.env` file, and the numbers of the lines that are none."""

    variables: Mapping[str, str]
    unreadable_lines: list[int]


def read_env_file(path: Path) -> EnvFile:
    """Return what a `.env` file says; nothing where there is no file. Raises `OSError`."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return EnvFile({}, [])
    variables, unreadable = {}, []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        match = _LINE.fullmatch(line)
        if match is not None:
            variables[match[1]] = _value(match[1], match[2], base=path.parent)
        elif line and not line.startswith("#"):
            unreadable.append(number)
    return EnvFile(variables, unreadable)


def _value(name: str, text: str, *, base: Path) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1]
    elif len(text) >= 2 and text[0] == text[-1] == '"':
        text = _ESCAPE.sub(r"\1", text[1:-1])
    if name in FOLDERS and text:
        try:
            return str(folder_of(text, base=base))
        except ValueError:
            # Refused where the setting is read, with what is allowed.
            return text
    return text


def folder_of(text: str, *, base: Path | None = None) -> Path:
    """Return the folder that `text` names: a path, `~/path`, or `file:///path` percent-encoded.

    A relative path begins at `base`, or at the working folder. Raises `ValueError` for an
    address of anything but a folder of this machine.
    """
    if not text or any(ord(char) < 32 for char in text):
        raise ValueError(text)
    parts = urlsplit(text)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        is_elsewhere = parts.netloc not in ("", "localhost")
        # A `?` or `#` that is part of the path has to be written as %3F or %23.
        if is_elsewhere or parts.query or parts.fragment or not path.is_absolute():
            raise ValueError(text)
        return path.resolve()
    if parts.scheme:
        raise ValueError(text)
    try:
        return ((base or Path.cwd()) / Path(text).expanduser()).resolve()
    except RuntimeError as error:  # `~nobody`
        raise ValueError(text) from error


def setting(name: str) -> str:
    """Return a setting's text for a program that is not the service, empty where it is not set.

    From the environment, else from `.env` in the working folder, else from the project's
    `.env`, which the service reads. An empty variable in the environment counts as not set
    and hides the files, as it does for the service.
    """
    if name in os.environ:
        return os.environ[name].strip()
    for folder in dict.fromkeys((Path.cwd(), PROJECT)):
        found = _variables_of(folder / ".env").get(name, "").strip()
        if found:
            return found
    return ""


def _variables_of(path: Path) -> Mapping[str, str]:
    try:
        status = path.stat()
        return _variables_at(path, status.st_mtime_ns, status.st_size)
    except OSError:
        # None, or one that only the service may read.
        return {}


@lru_cache(maxsize=8)
def _variables_at(path: Path, modified_ns: int, size: int) -> Mapping[str, str]:
    return read_env_file(path).variables
