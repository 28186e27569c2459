"""The retention policy of the settings, which the workers and a command apply."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from datasets.fetching import retention_policy
from datasets.models import AuditEntry, Dataset, Fetch
from datasets.storage import FolderStore
from tests.support.factories import a_key

pytestmark = pytest.mark.django_db(transaction=True)


def aged(dataset: Dataset, **changes: Any) -> Dataset:
    Dataset.objects.filter(pk=dataset.pk).update(
        fetched_at=timezone.now() - timedelta(days=100), **changes
    )
    return dataset


def printed(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("retention", *arguments, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_nothing_is_deleted_unless_a_setting_turns_it_on(
    make_dataset: Callable[..., Dataset],
) -> None:
    aged(make_dataset())
    Fetch.objects.create(
        **a_key().as_dict(), state="failed", finished_at=timezone.now() - timedelta(days=9999)
    )

    found = printed("--apply")

    assert (found["on"], found["datasets"], found["fetches"]) == (False, 0, 0)
    assert (Dataset.objects.count(), Fetch.objects.count()) == (1, 1)


def test_the_command_shows_first_and_deletes_with_apply(
    settings: Any, make_dataset: Callable[..., Dataset], store: FolderStore
) -> None:
    settings.PRUNE_UNUSED_AFTER_DAYS, settings.TIDY_AFTER_DAYS = 90, 30
    old = aged(make_dataset(symbol="OLD"))
    aged(make_dataset(symbol="READ"), last_served_at=timezone.now())
    aged(make_dataset(symbol="PINNED"), is_pinned=True)
    Fetch.objects.create(
        **a_key().as_dict(), state="failed", finished_at=timezone.now() - timedelta(days=31)
    )

    shown = printed()
    assert (shown["datasets"], shown["fetches"], shown["applied"]) == (1, 1, False)
    assert Dataset.objects.count() == 3

    # The file says when it was fetched, and a newer file than the row is kept.
    Dataset.objects.filter(pk=old.pk).update(fetched_at=old.fetched_at)
    settings.PRUNE_UNUSED_AFTER_DAYS, settings.PRUNE_OVER_MB = 0, 1
    Dataset.objects.filter(symbol="OLD").update(bytes=5 * 10**6)
    Dataset.objects.exclude(symbol="OLD").update(bytes=1000, last_served_at=timezone.now())
    assert printed("--apply")["datasets"] == 1

    assert set(Dataset.objects.values_list("symbol", flat=True)) == {"READ", "PINNED"}
    assert not (store.folder / old.path).exists()
    assert Fetch.objects.count() == 0
    assert AuditEntry.objects.get(action="pruned").via == "service"
    assert not retention_policy.plan()
