"""How do the rows follow the files? Record, verify, adopt, rebuild, prune, delete.

Each file carries its own metadata. Where a file and its row differ, the file is right.
"""

from datasets.catalog.adoption import adopt_files, find_missing, require_folders
from datasets.catalog.deletion import delete, remove
from datasets.catalog.gap_reports import gap_report
from datasets.catalog.pinning import set_pinned
from datasets.catalog.retention import choose_prunable
from datasets.catalog.verification import Finding, path_to_read, read, verify, verify_each

__all__ = [
    "Finding",
    "adopt_files",
    "choose_prunable",
    "delete",
    "find_missing",
    "gap_report",
    "path_to_read",
    "read",
    "remove",
    "require_folders",
    "set_pinned",
    "verify",
    "verify_each",
]
