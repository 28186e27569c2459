"""Locations: how service and loader read `.env`, `OUTPUTS_URL` and `STATE_DIR`.

`.env` is read by the rules of django-environ, but without Django, because notebooks use this module too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from datasets.storage.atomic_write import Status, status_of
from datasets.storage.bucket_address import SCHEME, BucketAddress

_CHECKOUT = Path(__file__).resolve().parents[2]
# The project's folder; for the installed package `tvdatasets`, which has none, the working folder.
PROJECT = _CHECKOUT if (_CHECKOUT / "manage.py").exists() else Path.cwd()
# Settings that name a folder: a relative one in `.env` is relative to that file.
FOLDERS = ("OUTPUTS_URL", "STATE_DIR")

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPE = re.compile(r"\\([^rnt])")


class EnvFile(NamedTuple):
    """The variables of a `.env` file, and the numbers of the lines that could not be read."""

    variables: Mapping[str, str]
    unreadable_lines: list[int]


def read_env_file(path: Path) -> EnvFile:
    """Read a `.env` file; a missing file has no variables. Raises `OSError`."""
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
            # The reader of the setting refuses this text with a message.
            return text
    return text


def folder_of(text: str, *, base: Path | None = None) -> Path:
    """Return the folder that `text` names: a path, `~/path`, or `file:///path` percent-encoded.

    A relative path begins at `base`, or at the working folder. Raises `ValueError` for any
    other address.
    """
    if not text or any(ord(char) < 32 for char in text):
        raise ValueError(text)
    parts = urlsplit(text)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        is_elsewhere = parts.netloc not in ("", "localhost")
        # In a path, `?` and `#` must be written as %3F and %23.
        if is_elsewhere or parts.query or parts.fragment or not path.is_absolute():
            raise ValueError(text)
        return path.resolve()
    if parts.scheme:
        raise ValueError(text)
    try:
        return ((base or Path.cwd()) / Path(text).expanduser()).resolve()
    except RuntimeError as error:  # `~nobody`
        raise ValueError(text) from error


def location_of(text: str, *, base: Path | None = None) -> Path | BucketAddress:
    """Return the place of the outputs that `text` names: a folder as for `folder_of`, or `s3://bucket/prefix`.

    Raises `ValueError` for any other address.
    """
    if text.startswith(f"{SCHEME}://"):
        return BucketAddress.parse(text)
    return folder_of(text, base=base)


def setting(name: str) -> str:
    """Return the text of a setting for programs other than the service; empty where it is not set.

    The environment comes first, then `.env` in the working folder, then the project's `.env`,
    which the service reads. An empty variable in the environment means that the setting is not
    set; the files are then not read. The service has the same rule.
    """
    if name in os.environ:
        return os.environ[name].strip()
    for folder in dict.fromkeys((Path.cwd(), PROJECT)):
        path = folder / ".env"
        # There is no file, or only the service may read it.
        with suppress(OSError):
            file = _read_version(path, status_of(path))
            if found := file.variables.get(name, "").strip():
                return found
    return ""


@lru_cache(maxsize=8)
def _read_version(path: Path, status: Status) -> EnvFile:
    """Read one version of a `.env` file; each version is read once."""
    return read_env_file(path)
