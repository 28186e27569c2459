"""Backups of a running service: the datasets' files, the archives and the catalog.

A backup has the layout of the outputs folder, whether the outputs are in a folder or in a bucket.
"""

from datasets.catalog.backups.backup import back_up, restore
from datasets.catalog.backups.manifest import Outcome

__all__ = ["Outcome", "back_up", "restore"]
