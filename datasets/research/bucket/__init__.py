"""How does the loader read from a bucket? Through copies on this machine, checked against the bucket."""

from datasets.research.bucket.bucket_places import BucketPlace, list_bucket_places

__all__ = ["BucketPlace", "list_bucket_places"]
