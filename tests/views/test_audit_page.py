"""The audit: each change is recorded with its transaction, and staff can read who made it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from datasets import catalog
from datasets.catalog import lists
from datasets.errors import RateLimited
from datasets.fetching import throttle
from datasets.models import ApiToken, AuditEntry, Dataset, Fetch
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def entries() -> list[tuple[str, str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return [(row.actor, row.via, row.action, f"{row.kind} {row.subject}") for row in rows]


def add(number: int = 1, **values: Any) -> None:
    given = {"actor": "ada", "via": "page", "action": "pinned", "kind": "dataset", "subject": "X"}
    rows = [AuditEntry(**given | values) for _ in range(number)]
    AuditEntry.objects.bulk_create(rows)


def act(client: Client, name: str, *datasets: Dataset) -> None:
    form = {"action": name, "_selected_action": [d.pk for d in datasets], "confirmed": "1"}
    client.post("/admin/datasets/dataset/", form)


def test_staff_actions_are_recorded_with_who_did_them(
    operator: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    name = f"dataset {dataset}"

    for action in ["pin", "unpin", "verify", "invalidate"]:
        act(operator, action, dataset)
    operator.post("/datasets/", {"action": "delete", "dataset": dataset.pk, "confirmed": "1"})

    assert entries() == [
        ("ada", "admin", "pinned", name),
        ("ada", "admin", "unpinned", name),
        ("ada", "admin", "verified", name),
        ("ada", "admin", "invalidated", name),
        ("ada", "page", "deleted", name),
    ]


def test_the_api_is_recorded_with_the_tokens_name(
    client: Client, make_dataset: MakeDataset
) -> None:
    first, second = make_dataset(10), make_dataset(20)
    token = ApiToken(user=User.objects.create_superuser("ada"), name="nightly", scope="manage")
    headers = {"Authorization": f"Bearer {token.renew()}"}
    token.save()
    queued = Fetch.objects.create(**a_key(symbol="A").as_dict())
    throttle.cool_down(RateLimited("Too many calls."))

    client.delete(f"/api/tv/datasets/{first.pk}", headers=headers)
    client.delete(f"/api/tv/datasets/{second.pk}/file", headers=headers)
    client.delete(f"/api/tv/fetches/{queued.pk}", headers=headers)
    client.delete("/api/tv/status/cool-down", headers=headers)

    by = ("ada, token nightly", "api")
    assert entries() == [
        (*by, "invalidated", f"dataset {first}"),
        (*by, "deleted", f"dataset {second}"),
        (*by, "cancelled", f"fetch {queued}"),
        (*by, "ended", "cool-down pause of all calls"),
    ]


def test_commands_are_recorded_without_a_person(make_dataset: MakeDataset) -> None:
    first, second = make_dataset(10), make_dataset(20)

    call_command("datasets", "delete", str(first.pk), stdout=StringIO())
    call_command("datasets", "prune", "--keep-newest", "0", stdout=StringIO())

    assert entries() == [
        ("", "command", "deleted", f"dataset {first}"),
        ("", "command", "pruned", f"dataset {second}"),
    ]


def test_a_change_without_its_entry_does_not_happen(
    operator: Client, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(10)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(AuditEntry, "record", fail)
    with pytest.raises(RuntimeError):
        catalog.set_pinned(dataset, True)

    dataset.refresh_from_db()
    assert not dataset.is_pinned


def test_a_change_that_is_refused_leaves_no_entry(
    operator: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    Dataset.objects.update(is_pinned=True)

    act(operator, "invalidate", dataset)
    act(operator, "delete", dataset)

    assert entries() == []


def test_a_changed_account_is_recorded_without_values(operator: Client) -> None:
    password = "correct horse battery"
    form = {"username": "bob", "password1": password, "password2": password, "usable_password": "true"}  # fmt: skip
    operator.post("/admin/auth/user/add/", form)
    bob = User.objects.get(username="bob")
    other = {"password1": f"{password}!", "password2": f"{password}!", "usable_password": "true"}
    operator.post(f"/admin/auth/user/{bob.pk}/password/", other)

    assert entries() == [
        ("ada", "admin", "created", "user bob"),
        ("ada", "admin", "changed", "user bob"),
    ]
    assert password not in str(list(AuditEntry.objects.values()))


def test_the_page_is_filtered_and_paged(operator: Client) -> None:
    add(lists.PER_PAGE, subject="BINANCE:BTCUSDT 1h 300")
    add(action="invalidated", actor="bob, token nightly", subject="NASDAQ:AAPL 1D 10")

    first = operator.get("/audit/").content.decode()
    second = operator.get("/audit/?page=2").content.decode()
    by_bob = operator.get("/audit/?q=nightly+aapl").content.decode()
    pinned = operator.get("/audit/?change=invalidated").content.decode()
    wrong = operator.get("/audit/?change=sold").content.decode()

    assert first.count('class="entry"') == lists.PER_PAGE
    assert second.count('class="entry"') == 1
    assert (by_bob.count('class="entry"'), pinned.count('class="entry"')) == (1, 1)
    assert "Select a valid choice" in wrong


def test_the_page_shows_who_requested_fetches_without_copies(operator: Client) -> None:
    Fetch.objects.create(**a_key().as_dict(), requested_by="ada, token x", requested_via="api")
    Fetch.objects.create(**a_key(symbol="Z").as_dict(), requested_via="schedule")

    page = operator.get("/audit/?show=fetches").content.decode()

    assert page.count('class="entry"') == 1
    assert "ada, token x" in page
    assert not AuditEntry.objects.exists()


def test_only_staff_with_the_permission_read_the_audit(client: Client, db: None) -> None:
    add()
    bob = User.objects.create_user("bob", is_staff=True)
    client.force_login(bob)
    before = client.get("/audit/").status_code
    bob.user_permissions.set(Permission.objects.filter(codename="view_auditentry"))

    assert before == 403
    assert client.get("/audit/").status_code == 200
    assert client.get("/admin/datasets/auditentry/").status_code == 200
    # Nobody edits history, not even there.
    entry = AuditEntry.objects.get()
    assert client.post(f"/admin/datasets/auditentry/{entry.pk}/delete/").status_code == 403
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(f"/admin/datasets/auditentry/{entry.pk}/delete/").status_code == 403


def test_tidy_deletes_old_entries(db: None) -> None:
    add(3, at=timezone.now() - timedelta(days=100))
    add()
    out = StringIO()

    call_command("tidy", "--older-than", "90d", stdout=out)

    assert "3 audit entries" in out.getvalue()
    assert AuditEntry.objects.count() == 1
