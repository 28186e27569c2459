"""File permissions: only the service's own user may read this machine's state."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def make_private(state: Path, *files: Path) -> None:
    """Restrict the state folder, the files directly in it, and `files` to the service's user.

    Missing files of `files` are created empty, so that no library creates them with wider
    permissions. Files of another user stay as they are; a system check names the folder.
    """
    _restrict(state, _FOLDER)
    for path in files:
        # The code that opens the file reports a missing or foreign folder.
        with suppress(OSError):
            path.touch(mode=_FILE)
    for path in (*state.iterdir(), *files):
        if path.is_file() and not path.is_symlink():
            _restrict(path, _FILE)


def is_private(folder: Path) -> bool:
    """Return whether the folder is closed to other users of the machine."""
    return not folder.stat().st_mode & 0o077


def _restrict(path: Path, mode: int) -> None:
    # Another process may have removed the file, or another user may own it.
    with suppress(FileNotFoundError, PermissionError):
        if path.stat().st_mode & 0o777 & ~mode:
            path.chmod(mode)
