"""Rows that follow the files: record, verify, adopt, rebuild, prune."""

from datasets.catalog.verification import (
    Finding,
    adopt_files,
    choose_prunable,
    delete,
    find_missing,
    path_to_read,
    read,
    remove,
    require_folders,
    verify,
)

__all__ = [
    "Finding",
    "adopt_files",
    "choose_prunable",
    "delete",
    "find_missing",
    "path_to_read",
    "read",
    "remove",
    "require_folders",
    "verify",
]
