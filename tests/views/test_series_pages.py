"""The pages of series and revisions, as the server writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from datasets.archive.fetch_windows import window_of
from datasets.catalog import lists
from datasets.models import Dataset, Fetch, Revision, Series
from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.year_counts import count_years
from datasets.views import phrases
from tests.support.archives import changed, plain_bars, scaled
from tests.support.arrivals import Arrivals

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def arrivals(db: None) -> Arrivals:
    return Arrivals()


@pytest.fixture
def disputed(arrivals: Arrivals) -> Revision:
    """An open revision: a second fetch brought another close."""
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(changed(plain_bars(range(100)), 50, close=77.7, low=70.0))
    return arrivals.revision("unexplained")


def user_with(*permissions: str) -> User:
    """Return a user of staff with these permissions."""
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def rows_of(n: int) -> list[Series]:
    """Return rows without files, one symbol each, fetched one after another."""
    return [
        Series(
            source="sample", exchange=f"EX{i % 20}", symbol=f"SYM{i:06}", timeframe=["1", "1h", "1D", "1M"][i % 4],
            sequence=1, n_rows=300 + i, bytes=1000 + i, first_time=NOW, last_time=NOW, last_bar_final=True,
            fetched_at=NOW - timedelta(seconds=i), instrument={"description": f"Company {i}"},
        )
        for i in range(n)
    ]  # fmt: skip


def shown(reply: Any) -> list[str]:
    return [row["series"].symbol for row in reply.context["rows"]]


def page_of(client: Client, series: Series) -> str:
    return client.get(reverse("series", args=[series.pk])).content.decode()


def test_an_archive_without_series_says_what_to_do(client: Client, db: None) -> None:
    assert "No series yet" in client.get("/series/").content.decode()


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("?q=sym000007", 1), ("?q=EX3:sym000003", 1), ("?q=company+42", 1), ("?exchange=EX3", 5),
        ("?timeframe=1D&exchange=EX2", 5), ("?source=tradingview", 0), ("?revisions=open", 1),
        ("?revisions=some", 2), ("?revisions=none", 50), ("?revisions=wrong", 0), ("?exchange=NOWHERE", 0),
    ],
)  # fmt: skip
def test_filters_select_series(query: str, n: int, client: Client, db: None) -> None:
    made = Series.objects.bulk_create(rows_of(100))
    for series, state in zip(made, ["open", "accepted"], strict=False):
        Revision.objects.create(
            series=series, number=1, finding="volume", state=state, generation=1, found_at=NOW, n_bars=1,
        )  # fmt: skip

    reply = client.get(f"/series/{query}")

    assert len(shown(reply)) == n
    assert ("Nothing found" in reply.content.decode()) == (n == 0)


@pytest.mark.parametrize("name", ["symbol", "timeframe", "bars", "last", "fetched", "size"])
def test_the_list_is_ordered_both_ways_and_pages_do_not_overlap(
    name: str, client: Client, db: None
) -> None:
    Series.objects.bulk_create(rows_of(60))

    for sort in [name, f"-{name}"]:
        first = shown(client.get(f"/series/?sort={sort}"))
        second = shown(client.get(f"/series/?sort={sort}&page=2"))
        assert (len(first), len(second), len({*first, *second})) == (50, 10, 60)
    assert "No such page" in client.get("/series/?page=99").content.decode()


def test_the_number_of_queries_does_not_depend_on_the_length_of_the_list(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "COUNTED", 100)
    counts = []
    for rows in [rows_of(120)[:2], rows_of(120)[2:]]:
        made = Series.objects.bulk_create(rows)
        Revision.objects.bulk_create(
            Revision(
                series=each, number=n, finding="volume", state="open", generation=1, found_at=NOW, n_bars=1,
            )
            for each in made for n in (1, 2)
        )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            reply = client.get("/series/?sort=size&q=sym")
        counts.append(len(queries))

    assert max(counts) <= 6
    page = reply.content.decode()
    assert "more than 100" in page
    assert "2 revisions to decide" in page


def test_the_list_says_how_many_bars_the_feed_would_not_give(
    client: Client, arrivals: Arrivals, settings: Any
) -> None:
    settings.TV_MAX_BARS = 40
    arrivals.arrive(plain_bars(range(100)))

    [row] = client.get("/series/").context["rows"]
    page = page_of(client, arrivals.series)

    assert (row["bars"], row["older"], row["n_datasets"]) == ("100", "60", 1)
    assert "You hold 100 bars from 2024-12-30; TradingView would give the newest 40." in page


def test_imported_bars_are_compared_with_no_window(client: Client, db: None) -> None:
    arrivals = Arrivals(source="imported")
    arrivals.arrive(plain_bars(range(100)))
    client.force_login(User.objects.create_superuser("ada"))

    page = page_of(client, arrivals.series)

    assert "You hold 100 bars from 2024-12-30, imported from files." in page
    assert "Fetch new bars" not in page


def test_the_page_shows_the_years_that_are_covered_and_what_is_missing(
    client: Client, arrivals: Arrivals
) -> None:
    arrivals.arrive(plain_bars(range(24)))
    arrivals.arrive(plain_bars(range(40, 100)))

    reply = client.get(reverse("series", args=[arrivals.series.pk]))

    years = [(year.year, year.bars, year.range) for year in reply.context["years"]]
    assert years == [
        (2025, "52 bars", "Jan 1 to Jan 3"),
        (2024, "32 bars", "Dec 30 to Dec 30, Dec 31 to Dec 31"),
    ]
    page = reply.content.decode()
    assert page.count("<rect") == 3
    assert "No fetch has covered the time between 2024-12-30 23:00 and 2024-12-31 16:00 UTC" in page
    assert "1 hole" in client.get("/series/").content.decode()


def test_days_are_counted_by_year_within_one_file(db: None) -> None:
    arrivals = Arrivals(timeframe="1D")
    arrivals.arrive(plain_bars(range(100)))

    assert count_years(arrivals.folder).n_rows == {2024: 48, 2025: 52}


def test_a_revision_is_explained_and_staff_may_decide_it(
    client: Client, disputed: Revision
) -> None:
    page = page_of(client, disputed.series)

    assert "The prices of 1 bar changed by up to" in page
    assert "until a second fetch brings the same change, or a person decides" in page
    assert 'name="action"' not in page
    client.force_login(user_with("change_revision"))
    page = page_of(client, disputed.series)
    assert "Accept new" in page and "Keep old" in page
    assert "Fetch the window again" not in page and "Fetch new bars" not in page


@pytest.mark.parametrize(("action", "state"), [("accept", "accepted"), ("keep", "kept_old")])
def test_a_decision_on_the_page_is_recorded_and_its_user_is_shown_to_staff_only(
    action: str, state: str, client: Client, disputed: Revision
) -> None:
    client.force_login(user_with("change_revision"))
    address = reverse("series", args=[disputed.series_id])
    form = {"action": action, "revision": disputed.pk}

    page = client.post(address, form, follow=True).content.decode()
    again = client.post(address, form, follow=True).content.decode()

    disputed.refresh_from_db()
    assert (disputed.state, disputed.decided_by) == (state, "ada")
    assert "1 revision " in page
    assert f"Revision 1 is decided already by ada: {state}." in again
    assert LogEntry.objects.count() == 1
    words = "ada accepted the newer" if action == "accept" else "ada kept the older"
    assert words in page
    client.logout()
    assert words.replace("ada", "A person") in page_of(client, disputed.series)
    assert "ada" not in page_of(client, disputed.series)


def test_staff_fetch_new_bars_of_a_series_and_the_window_of_a_revision(
    client: Client, disputed: Revision, settings: Any
) -> None:
    client.force_login(user_with("fetch_dataset"))
    address = reverse("series", args=[disputed.series_id])

    new = client.post(address, {"action": "refresh"}, follow=True)
    again = client.post(address, {"action": "refetch", "revision": disputed.pk}, follow=True)

    assert "the fetch requests the bars since the newest one" in new.content.decode()
    assert "1 revision queued to be fetched again." in again.content.decode()
    queued = Fetch.objects.filter(state="queued", requested_by="ada", requested_via="page")
    sizes = set(queued.values_list("n_bars", flat=True))
    assert sizes == {300, settings.TV_MAX_BARS}


def test_an_open_revision_has_the_whole_window_fetched(
    client: Client, arrivals: Arrivals, settings: Any
) -> None:
    arrivals.arrive(plain_bars(range(400)))
    arrivals.arrive(plain_bars(range(399)).slice(1))
    arrivals.arrive(plain_bars(range(10, 400)))
    key = arrivals.key.dataset(300)
    narrow = window_of(key, now=arrivals.series.last_time, max_bars=5000)
    arrivals.arrive(pa.concat_tables([plain_bars(range(50)), plain_bars(range(51, 400))]))

    assert narrow == 128
    assert arrivals.revision("vanished").state == "open"
    assert window_of(key, now=arrivals.series.last_time, max_bars=5000) == 300


def test_the_window_of_a_decided_revision_is_not_fetched(
    client: Client, disputed: Revision
) -> None:
    client.force_login(user_with("change_revision", "fetch_dataset"))
    address = reverse("series", args=[disputed.series_id])
    client.post(address, {"action": "keep", "revision": disputed.pk})

    page = client.post(address, {"action": "refetch", "revision": disputed.pk}, follow=True)

    assert "Revision 1 is decided already, so nothing was queued." in page.content.decode()
    assert not Fetch.objects.filter(state="queued").exists()


@pytest.mark.parametrize(
    "form",
    [{"action": "accept"}, {"action": "keep"}, {"action": "refetch"}, {"action": "refresh"}, {}],
)
@pytest.mark.parametrize("has_number", [True, False])
def test_a_user_without_the_permission_is_refused(
    form: dict[str, str], has_number: bool, client: Client, disputed: Revision
) -> None:
    client.force_login(user_with())
    number = {"revision": str(disputed.pk)} if has_number else {}

    reply = client.post(reverse("series", args=[disputed.series_id]), form | number)

    assert reply.status_code == 403
    disputed.refresh_from_db()
    assert disputed.state == "open"
    assert not Fetch.objects.filter(state="queued").exists()


@pytest.mark.parametrize("number", ["", "x", "999999999999999999999"])
def test_a_revision_that_is_not_there_is_named(
    number: str, client: Client, disputed: Revision
) -> None:
    client.force_login(user_with("change_revision"))

    reply = client.post(
        reverse("series", args=[disputed.series_id]), {"action": "accept", "revision": number},
        follow=True,
    )  # fmt: skip

    assert "There is no such revision." in reply.content.decode()


def test_a_split_shows_its_generations_and_the_bars_that_wait(
    client: Client, arrivals: Arrivals
) -> None:
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(scaled(plain_bars(range(40, 110)), 0.25, volume_factor=4))

    page = page_of(client, arrivals.series)
    assert "A split: the prices of 60 bars were multiplied by 0.25, and the volumes by 4." in page
    assert "wait in generation 1: they join again, price × 0.25" in page
    client.force_login(user_with("change_revision"))
    client.post(
        reverse("series", args=[arrivals.series.pk]),
        {"action": "accept", "revision": arrivals.revision("ratio").pk},
    )

    page = page_of(client, arrivals.series)
    assert "come from generation 1 and are rescaled: price × 0.25." in page
    assert "Prices were multiplied by 0.25" in page


def test_the_files_of_an_archive_are_downloaded_and_no_others(
    client: Client, arrivals: Arrivals
) -> None:
    arrivals.arrive(plain_bars(range(100)))

    reply = client.get(reverse("series-file", args=[arrivals.series.pk, "2024.parquet"]))

    assert b"".join(reply) == (arrivals.folder.path / "2024.parquet").read_bytes()
    assert "NASDAQ_AAPL_1h_2024.parquet" in reply["Content-Disposition"]
    assert pq.read_table(arrivals.folder.path / "2024.parquet").num_rows == 48
    for name in ["2023.parquet", DOCUMENT_NAME, "..", "_revisions"]:
        assert client.get(f"/series/{arrivals.series.pk}/files/{name}").status_code == 404


def test_an_archive_that_cannot_be_read_has_a_page_that_says_so(
    client: Client, arrivals: Arrivals
) -> None:
    arrivals.arrive(plain_bars(range(100)))
    (arrivals.folder.path / DOCUMENT_NAME).write_text("{")

    page = page_of(client, arrivals.series)

    assert "The archive cannot be read." in page
    assert "You hold 100 bars" in page
    assert client.get(f"/series/{arrivals.series.pk}/files/2024.parquet").status_code == 404


@pytest.mark.parametrize("number", ["7", "9999999999999999999999"])
def test_a_missing_series_has_a_page_that_says_so(number: str, client: Client, db: None) -> None:
    reply = client.get(f"/series/{number}/")

    assert reply.status_code == 404
    assert f"There is no series {number}" in reply.content.decode()


def test_a_dataset_says_which_series_it_is_a_view_of(client: Client, arrivals: Arrivals) -> None:
    arrivals.arrive(plain_bars(range(100)))
    small = arrivals.arrive(plain_bars(range(60, 100)), n_bars=40)
    address = reverse("series", args=[arrivals.series.pk])

    listed = client.get("/datasets/").content.decode()
    page = client.get(reverse("dataset", args=[small.pk])).content.decode()
    of_series = page_of(client, arrivals.series)

    assert f'href="{address}"' in listed and "of 100<span" in listed
    assert "A view of the newest bars of" in page and "100 bars held" in page
    assert "the newest 40 bars" in of_series and "the newest 100 bars" in of_series
    Dataset.objects.filter(pk=small.pk).update(is_pinned=True)
    page = client.get(reverse("dataset", args=[small.pk])).content.decode()
    assert "Pinned: it keeps its own bars of" in page


@pytest.mark.parametrize("finding", Revision.Finding.values)
@pytest.mark.parametrize("state", Revision.State.values)
@pytest.mark.parametrize("decided_by", ["", "fetch", "ada"])
def test_every_revision_has_words(finding: str, state: str, decided_by: str) -> None:
    revision = Revision(
        finding=finding, state=state, n_bars=1, factor=0.5, is_split=True, largest_change=1e-6,
        decided_by=decided_by, decided_at=NOW if decided_by else None,
    )  # fmt: skip

    outcome = phrases.revision_in_words(revision, with_names=False)

    assert outcome.sentence.endswith(".")
    assert outcome.step.endswith(".")
    assert "ada" not in outcome.step


def test_names_and_texts_of_a_feed_are_not_markup(client: Client, arrivals: Arrivals) -> None:
    arrivals.arrive(plain_bars(range(100)))
    Series.objects.update(instrument={"description": "<script>alert(1)</script>"})

    for address in ["/series/", reverse("series", args=[arrivals.series.pk])]:
        assert "<script>alert" not in client.get(address).content.decode()


def test_visitors_see_no_series_where_sign_in_is_required(
    client: Client, settings: Any, arrivals: Arrivals
) -> None:
    arrivals.arrive(plain_bars(range(100)))
    settings.API_ACCESS = "login"
    number = arrivals.series.pk

    for address in ["/series/", f"/series/{number}/", f"/series/{number}/files/2024.parquet"]:
        assert client.get(address).status_code == 302
