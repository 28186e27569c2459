"""The admin pages of series and revisions, and the actions that decide revisions."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from datasets.models import Fetch, Revision, Series
from tests.support.archives import changed, plain_bars
from tests.support.arrivals import Arrivals

SERIES = "/admin/datasets/series/"
REVISIONS = "/admin/datasets/revision/"


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", lambda fetch_id: None)


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def arrivals(db: None) -> Arrivals:
    return Arrivals()


@pytest.fixture
def disputed(arrivals: Arrivals) -> Revision:
    """An open revision: a second fetch brought another close."""
    return dispute(arrivals, 50)


def dispute(arrivals: Arrivals, hour: int) -> Revision:
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(changed(plain_bars(range(100)), hour, close=77.7, low=70.0))
    return arrivals.revision("unexplained")


def act(client: Client, action: str, *chosen: Revision, **more: str) -> Any:
    form = {"action": action, "_selected_action": [each.pk for each in chosen], **more}
    return client.post(REVISIONS, form, follow=True)


def test_the_pages_of_a_series_link_to_its_datasets_fetches_and_revisions(
    operator: Client, disputed: Revision
) -> None:
    listed = operator.get(SERIES).content.decode()
    page = operator.get(f"{SERIES}{disputed.series_id}/change/").content.decode()

    assert "AAPL" in listed and "2024-12-30 to 2025-01-03" in listed
    [dataset] = disputed.series.datasets.all()
    assert f"/admin/datasets/dataset/{dataset.pk}/change/" in page
    for fetch in Fetch.objects.all():
        assert f"/admin/datasets/fetch/{fetch.pk}/change/" in page
    assert f"?series__id__exact={disputed.series_id}" in page and "1 to decide" in page
    assert 'name="_save"' not in page
    filtered = operator.get(f"{REVISIONS}?series__id__exact={disputed.series_id}")
    assert filtered.context["cl"].result_count == 1
    assert operator.get(f"{REVISIONS}?series__id__exact=987").context["cl"].result_count == 0


def test_the_page_of_a_revision_says_in_words_what_changed(
    operator: Client, disputed: Revision
) -> None:
    page = operator.get(f"{REVISIONS}{disputed.pk}/change/").content.decode()

    assert "The prices of 1 bar changed by up to" in page
    assert f"{SERIES}{disputed.series_id}/change/" in page
    assert f"/admin/datasets/fetch/{disputed.fetch_id}/change/" in page


@pytest.mark.parametrize("path", [SERIES, REVISIONS])
@pytest.mark.parametrize("query", ["", "?q=aapl", "?p=1", "?o=1", "?o=-1"])
def test_the_lists_can_be_searched_and_ordered(
    path: str, query: str, operator: Client, disputed: Revision
) -> None:
    assert "AAPL" in operator.get(path + query).content.decode()


def test_the_queries_do_not_grow_with_the_rows(
    operator: Client, disputed: Revision, django_assert_max_num_queries: Any
) -> None:
    series = disputed.series
    fields = [field.name for field in Series._meta.fields if field.name not in ("id", "symbol")]
    Series.objects.bulk_create(
        Series(symbol=f"S{n}", **{name: getattr(series, name) for name in fields})
        for n in range(200)
    )
    Revision.objects.bulk_create(
        Revision(
            series=each, number=9, finding="volume", state="open", generation=1, n_bars=1,
            found_at=disputed.found_at,
        )
        for each in Series.objects.all()
    )  # fmt: skip

    for path in [SERIES, REVISIONS, f"{REVISIONS}?state__exact=open&q=s1"]:
        with django_assert_max_num_queries(9):
            assert operator.get(path).status_code == 200


def test_nothing_can_be_added_changed_or_deleted_by_hand(
    operator: Client, disputed: Revision
) -> None:
    for path, number in [(SERIES, disputed.series_id), (REVISIONS, disputed.pk)]:
        assert operator.get(f"{path}add/").status_code == 403
        assert operator.get(f"{path}{number}/delete/").status_code == 403
        assert operator.post(f"{path}{number}/change/", {"state": "accepted"}).status_code == 403


@pytest.mark.parametrize(("action", "state"), [("accept", "accepted"), ("keep", "kept_old")])
def test_a_revision_is_decided_and_logged(
    action: str, state: str, operator: Client, disputed: Revision
) -> None:
    page = act(operator, action, disputed).content.decode()
    again = act(operator, action, disputed).content.decode()

    disputed.refresh_from_db()
    assert (disputed.state, disputed.decided_by) == (state, "ada")
    assert "1 revision " in page
    assert "0 revisions " in again and "is decided already by ada" in again
    assert LogEntry.objects.get().object_id == str(disputed.pk)


def test_several_revisions_are_decided_only_after_a_question(
    operator: Client, disputed: Revision
) -> None:
    other = dispute(Arrivals(symbol="MSFT"), 20)

    asked = act(operator, "accept", disputed, other).content.decode()
    before = set(Revision.objects.values_list("state", flat=True))
    page = act(operator, "accept", disputed, other, confirmed="1").content.decode()

    assert "Accept the newer values of these revisions?" in asked
    assert before == {"open"}
    assert "2 revisions accepted" in page
    assert set(Revision.objects.values_list("state", flat=True)) == {"accepted"}


def test_the_window_of_a_revision_is_fetched_again(
    operator: Client, disputed: Revision, settings: Any
) -> None:
    act(operator, "refetch", disputed)

    fetch = Fetch.objects.get(state="queued")
    assert (fetch.n_bars, fetch.requested_via) == (settings.TV_MAX_BARS, "admin")


@pytest.mark.parametrize(
    ("action", "codename"),
    [("accept", "change_revision"), ("keep", "change_revision"), ("refetch", "fetch_dataset")],
)
def test_each_action_needs_its_permission(
    action: str, codename: str, client: Client, disputed: Revision
) -> None:
    staff = User.objects.create_user("bob", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_revision"))
    client.force_login(staff)

    page = client.get(REVISIONS).content.decode()
    act(client, action, disputed)

    assert f'value="{action}"' not in page
    assert not LogEntry.objects.exists()
    staff.user_permissions.add(Permission.objects.get(codename=codename))
    act(client, action, disputed)
    assert LogEntry.objects.count() == 1
