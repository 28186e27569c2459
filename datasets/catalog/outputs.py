"""The store of the configured outputs folder."""

from __future__ import annotations

from functools import cache as remember

from django.conf import settings

from datasets.models import Dataset
from datasets.storage import Store

# One store for each folder.
_store_of = remember(Store)


def get_store() -> Store:
    """Return the store under the configured outputs folder."""
    return _store_of(settings.OUTPUTS_DIR / "datasets")


def require_folder(source: str) -> None:
    """Raise `StoreUnavailable` if the catalog has datasets of the source and their folder is not there.

    Without this check a fetch would create an empty folder, and all other datasets of the source
    would count as missing.
    """
    store = get_store()
    if store.is_present(source):
        return
    if Dataset.objects.filter(source=source, state=Dataset.State.READY).exists():
        raise store.unavailable(source)
