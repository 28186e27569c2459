"""The admin pages of watchlists: what they show, and who may pause a list."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from datasets import watchlists
from datasets.models import AuditEntry, Schedule, Watchlist

pytestmark = pytest.mark.django_db

LISTS = reverse("admin:datasets_watchlist_changelist")


@pytest.fixture
def watchlist() -> Watchlist:
    made = watchlists.create_watchlist("Stocks & co", timeframes=["5m", "1D"])
    entries = watchlists.read_symbols("NASDAQ:AAPL,NYSE:IBM")
    watchlists.add_symbols(made, entries, problems={entries[1]: "Not checked: <away>."})
    return made


def member(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def test_a_list_is_shown_with_its_series_and_problems(
    admin_client: Client, watchlist: Watchlist
) -> None:
    page = admin_client.get(LISTS).content.decode()
    detail = admin_client.get(
        reverse("admin:datasets_watchlist_change", args=[watchlist.pk])
    ).content.decode()
    schedules = admin_client.get(reverse("admin:datasets_schedule_changelist")).content.decode()

    assert "Stocks &amp; co" in page
    assert "5m, 1D" in page
    assert '<td class="field-n_symbols">2</td>' in page
    assert "Not checked: &lt;away&gt;." in detail
    assert detail.count("<td>behind</td>") == 4
    assert schedules.count('class="field-symbol"') == 4
    schedule = Schedule.objects.earliest("pk")
    address = reverse("admin:datasets_schedule_change", args=[schedule.pk])
    assert admin_client.get(address).status_code == 200


def test_staff_with_the_permission_pause_and_resume(client: Client, watchlist: Watchlist) -> None:
    staff = member(client, "view_watchlist", "change_watchlist")
    body = {"action": "pause", "_selected_action": [watchlist.pk]}

    assert staff.post(LISTS, body).status_code == 302
    assert Schedule.objects.filter(is_paused=True).count() == 4
    assert staff.post(LISTS, body | {"action": "resume"}).status_code == 302
    assert not Schedule.objects.filter(is_paused=True).exists()
    entries = AuditEntry.objects.filter(via="admin").order_by("pk")
    assert [(each.action, each.actor) for each in entries] == [
        ("paused", "ada"),
        ("resumed", "ada"),
    ]


def test_staff_who_only_look_cannot_pause(client: Client, watchlist: Watchlist) -> None:
    staff = member(client, "view_watchlist")

    staff.post(LISTS, {"action": "pause", "_selected_action": [watchlist.pk]})

    watchlist.refresh_from_db()
    assert not watchlist.is_paused
