"""Where do bytes lie under `outputs/`, and how are they written and read?

Locations, file names, atomic writes, metadata, dataset files. No Django and no catalog.
"""

from datasets.storage.atomic_write import Status, put, status_of, to_status
from datasets.storage.bucket_address import BucketAddress
from datasets.storage.dataset_file import PreparedFile, StoredFile
from datasets.storage.folder_store import FolderStore
from datasets.storage.locations import (
    PROJECT,
    EnvFile,
    folder_of,
    location_of,
    read_env_file,
    setting,
)
from datasets.storage.memory_map import map_file
from datasets.storage.metadata import METADATA_FORMAT, METADATA_KEY, FileFacts, from_document
from datasets.storage.parquet_file import MAX_ROWS, require_rows
from datasets.storage.paths import (
    MAX_NAME_BYTES,
    SUFFIX,
    SUPERSEDED_SUFFIX,
    file_names,
    is_hashed,
    key_of,
    relative_path,
)
from datasets.storage.presence import MARKER, has_archives, is_empty_mount, is_present, mark
from datasets.storage.removals import INVALIDATED, TRASH
from datasets.storage.store import Store

__all__ = [
    "EnvFile",
    "BucketAddress",
    "FileFacts",
    "FolderStore",
    "INVALIDATED",
    "MARKER",
    "MAX_NAME_BYTES",
    "MAX_ROWS",
    "METADATA_FORMAT",
    "METADATA_KEY",
    "PROJECT",
    "PreparedFile",
    "SUFFIX",
    "SUPERSEDED_SUFFIX",
    "Status",
    "Store",
    "StoredFile",
    "TRASH",
    "file_names",
    "folder_of",
    "has_archives",
    "mark",
    "from_document",
    "is_empty_mount",
    "location_of",
    "is_hashed",
    "is_present",
    "key_of",
    "map_file",
    "put",
    "read_env_file",
    "relative_path",
    "require_rows",
    "setting",
    "status_of",
    "to_status",
]
