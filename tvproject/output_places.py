"""The folders of the service and the bucket of its outputs, by the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datasets.storage import BucketAddress
from tvproject.env import SettingsError


class Places(NamedTuple):
    """The folder of the outputs, the folder of this machine's own state, and the bucket of the outputs, if it is one."""

    outputs: Path
    state: Path
    bucket: BucketAddress | None


def places(settings: Mapping[str, Any], base_dir: Path) -> Places:
    """Return the places of the settings, or the default folders.

    With a bucket, `outputs` is the default folder, in which nothing but the state lies. Raises
    `SettingsError` where the other settings do not go with a bucket.
    """
    place = settings["OUTPUTS_URL"]
    bucket = place if isinstance(place, BucketAddress) else None
    if bucket is not None:
        _require_bucket_settings(settings)
    outputs = place if isinstance(place, Path) else base_dir / "outputs"
    return Places(outputs, settings["STATE_DIR"] or outputs / "state", bucket)


def _require_bucket_settings(settings: Mapping[str, Any]) -> None:
    if not settings["DATABASE_URL"].startswith("postgres"):
        raise SettingsError(
            "OUTPUTS_URL=s3://… needs DATABASE_URL=postgres://…, because PostgreSQL's row locks keep the hosts apart that write to one bucket."
        )
    if settings["X_ACCEL_PREFIX"]:
        raise SettingsError(
            "X_ACCEL_PREFIX needs files in a folder, which nginx reads; leave it empty with OUTPUTS_URL=s3://…."
        )
