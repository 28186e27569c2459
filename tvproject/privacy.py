"""What belongs to this machine is readable by the service's own user only."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def make_private(state: Path, *files: Path) -> None:
    """Close the state folder, the files directly in it, and `files`, to other users of the machine.

    A file of `files` that is not there is made, empty, so that no library makes it with
    wider permissions. What belongs to another user stays as it is; a check names the folder.
    """
    _restrict(state, _FOLDER)
    for path in files:
        # A folder that is not there, or not ours, is for the one who opens the file to tell of.
        with suppress(OSError):
            path.touch(mode=_FILE)
    for path in (*state.iterdir(), *files):
        if path.is_file() and not path.is_symlink():
            _restrict(path, _FILE)


def is_private(folder: Path) -> bool:
    """Return whether other users of the machine are kept out of the folder."""
    return not folder.stat().st_mode & 0o077


def _restrict(path: Path, mode: int) -> None:
    # One that another process has removed meanwhile, or that another user owns.
    with suppress(FileNotFoundError, PermissionError):
        if path.stat().st_mode & 0o777 & ~mode:
            path.chmod(mode)
