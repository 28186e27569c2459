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
    in_ninety_days,
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
    # A migration names it here.
    "in_ninety_days",
]
