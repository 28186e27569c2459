"""The tables of the catalog."""

from datasets.models.catalog_tables import (
    NOTED_FOR,
    ApiToken,
    Dataset,
    Fetch,
    KeyedModel,
    SignIn,
    Worker,
    hash_secret,
)

__all__ = [
    "ApiToken",
    "Dataset",
    "Fetch",
    "KeyedModel",
    "NOTED_FOR",
    "SignIn",
    "Worker",
    "hash_secret",
]
