"""How are objects in an S3 bucket read and written?

One address, the objects below its prefix, local copies of them, and the checks of their versions.
No Django. Nothing here is used by a process before it forks.
"""

from datasets.storage.bucket_address import BucketAddress
from datasets.storage.buckets.bucket_access import BucketAccess
from datasets.storage.buckets.bucket_objects import (
    Bucket,
    Conditions,
    ListedObject,
    ObjectStatus,
    StoredObject,
)
from datasets.storage.buckets.local_copies import LocalCopies
from datasets.storage.buckets.version_checks import VersionChecks

__all__ = [
    "Bucket",
    "BucketAccess",
    "BucketAddress",
    "Conditions",
    "ListedObject",
    "LocalCopies",
    "ObjectStatus",
    "StoredObject",
    "VersionChecks",
]
