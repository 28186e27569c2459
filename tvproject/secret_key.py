"""The `SECRET_KEY` that is kept in the state folder when the operator sets none."""

from __future__ import annotations

import secrets
from pathlib import Path

from filelock import FileLock

from tvproject.durable import write_durably


def kept_secret_key(state: Path) -> str:
    """Return the key in the state folder, created on first use, so that sessions survive a restart."""
    path = state / "secret_key"
    if key := _key_in(path):
        return key
    # Without the lock two processes that start together would use different keys.
    with FileLock(state / ".secret_key.lock"):
        key = _key_in(path)
        if not key:
            key = secrets.token_urlsafe(50)
            write_durably(path, key, mode=0o600)
    return key


def _key_in(path: Path) -> str:
    """Return the key in a file; "" without a file, or for the remains of a power cut."""
    try:
        key = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""
    return key if len(key) >= 50 and key.isprintable() else ""
