"""The pages of the catalog and of the fetches, as the server writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from datasets.catalog import lists, outputs
from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch
from datasets.views import sparklines
from datasets.views.snippets import snippets
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]


@pytest.fixture
def staff(db: None) -> User:
    """A user with the permissions to fetch again and to invalidate."""
    user = User.objects.create_user("ada", password="a long enough one", is_staff=True)
    names = ["fetch_dataset", "invalidate_dataset"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


@pytest.fixture
def strict_client() -> Client:
    """A client whose forms need a CSRF token, as in production."""
    return Client(enforce_csrf_checks=True)


def rows_of(n: int) -> list[Dataset]:
    """Return rows without files, one symbol each, fetched one after another."""
    now = timezone.now()
    return [
        Dataset(
            source="sample", exchange=f"EX{i % 20}", symbol=f"SYM{i:06}", timeframe=["1", "1h", "1D", "1M"][i % 4],
            n_bars=300, path=f"sample/{i}.parquet", bytes=1000 + i, version=f"{i}", content_hash=f"{i:064x}",
            n_rows=300, first_time=now, last_time=now, fetched_at=now - timedelta(seconds=i),
            instrument={"description": f"Company {i}"}, tvdatafeed_version="2.1.1",
        )
        for i in range(n)
    ]  # fmt: skip


def symbols_of(reply: Any) -> list[str]:
    return [row["dataset"].symbol for row in reply.context["rows"]]


def test_an_empty_catalog_says_what_to_do(client: Client, db: None) -> None:
    page = client.get("/datasets/").content.decode()

    assert "No datasets yet" in page
    assert "curl" in page


def test_the_list_shows_a_dataset_with_its_links_and_downloads(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)

    page = client.get("/datasets/").content.decode()

    assert "BINANCE:BTCUSDT" in page
    assert reverse("sparkline", args=[dataset.pk]) in page
    assert "/?symbol=BTCUSDT&amp;exchange=BINANCE&amp;timeframe=1h&amp;n_bars=300" in page
    for format in ["csv", "parquet", "arrow", "json"]:
        assert f"/api/tv/datasets/{dataset.pk}/bars?format={format}" in page
    assert "from tvdatasets import load" in page
    # No user has signed in.
    assert 'name="action"' not in page


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("?q=sym000007", 1),
        ("?q=EX3", 5),
        ("?q=EX3:sym000003", 1),
        ("?q=company+42", 1),
        ("?exchange=EX3", 5),
        ("?timeframe=1D&exchange=EX2", 5),
        ("?state=corrupt", 0),
        ("?source=sample&pinned=0&exchange=EX1", 5),
        ("?exchange=NOWHERE", 0),
    ],
)
def test_filters_select_rows_of_the_list(query: str, n: int, client: Client, db: None) -> None:
    Dataset.objects.bulk_create(rows_of(100))

    reply = client.get(f"/datasets/{query}")

    assert len(symbols_of(reply)) == n
    assert ("Nothing found" in reply.content.decode()) == (n == 0)


def test_an_invalid_filter_is_named(client: Client, db: None) -> None:
    assert (
        "exchange: Select a valid choice" in client.get("/datasets/?exchange=NO").content.decode()
    )


@pytest.mark.parametrize("name", ["symbol", "timeframe", "bars", "last", "fetched", "size", "quality", "hits"])  # fmt: skip
def test_the_list_is_ordered_both_ways_and_pages_do_not_overlap(
    name: str, client: Client, db: None
) -> None:
    Dataset.objects.bulk_create(rows_of(60))

    for sort in [name, f"-{name}"]:
        first = symbols_of(client.get(f"/datasets/?sort={sort}"))
        second = symbols_of(client.get(f"/datasets/?sort={sort}&page=2"))
        assert (len(first), len(second), len({*first, *second})) == (50, 10, 60)


def test_the_most_flawed_come_first_and_each_flaw_is_named(client: Client, db: None) -> None:
    wrong, short, holed, good = rows_of(4)
    wrong.n_inconsistent = 2
    short.is_limited, short.n_bars = True, 5000
    holed.coverage = {"counts": {"hole": 3, "unsure": 2}}
    good.last_bar_final = False
    Dataset.objects.bulk_create([good, holed, short, wrong])

    reply = client.get("/datasets/?sort=-quality")

    assert [row["flaws"] for row in reply.context["rows"]] == [
        ["2 inconsistent"], ["fewer than the 5,000 requested"], ["3 missing"], []
    ]  # fmt: skip


def test_timeframes_are_ordered_by_their_length(client: Client, db: None) -> None:
    Dataset.objects.bulk_create(rows_of(8))

    reply = client.get("/datasets/?sort=timeframe")

    lengths = [row["dataset"].timeframe for row in reply.context["rows"]]
    assert lengths == ["1", "1", "1h", "1h", "1D", "1D", "1M", "1M"]


@pytest.mark.parametrize("page", ["0", "-1", "abc", "٣", "999999999999999999999", ""])
def test_an_invalid_page_number_shows_the_first_page(
    page: str, client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(10)

    assert len(symbols_of(client.get("/datasets/", {"page": page}))) == 1


def test_a_page_beyond_the_end_leads_back(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(10)

    assert "No such page" in client.get("/datasets/?page=9999999").content.decode()


def test_the_number_of_queries_does_not_depend_on_the_length_of_the_list(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "COUNTED", 100)
    counts = []
    for rows in [rows_of(120)[:2], rows_of(120)[2:]]:
        Dataset.objects.bulk_create(rows)
        with CaptureQueriesContext(connection) as queries:
            reply = client.get("/datasets/?sort=size&q=sym")
        counts.append(len(queries))

    assert max(counts) <= 4
    assert "more than 100" in reply.content.decode()


def test_a_sparkline_is_drawn_once_and_cached_by_the_browser(
    client: Client, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(300)
    address = reverse("sparkline", args=[dataset.pk])
    reply = client.get(f"{address}?v={dataset.content_hash[:12]}")

    assert reply["Content-Type"] == "image/svg+xml"
    assert "immutable" in reply["Cache-Control"]
    assert b"<polyline" in reply.content
    # The file is not read again.
    (outputs.get_folder_store().folder / dataset.path).unlink()
    assert client.get(address).content == reply.content
    assert client.get(address)["Cache-Control"] == "private, no-cache"
    again = client.get(address, headers={"If-None-Match": reply["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_missing_file_has_no_sparkline(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(301)
    (outputs.get_folder_store().folder / dataset.path).unlink()
    sparklines.drawn.clear()

    assert client.get(reverse("sparkline", args=[dataset.pk])).status_code == 404
    assert "missing" in client.get("/datasets/").content.decode()


@pytest.mark.parametrize("closes", [[1.0], [2.0, 2.0], [1e-9, 3e-9, 2e-9], [1e12] * 500])
def test_a_sparkline_of_any_prices_is_drawn(closes: list[float]) -> None:
    assert "nan" not in sparklines.svg(np.array(closes))


def test_a_dataset_has_a_page(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(300)
    fetch, _ = fetch_queue.open_fetch(dataset.key, via="api")

    page = client.get(reverse("dataset", args=[dataset.pk])).content.decode()

    for text in [dataset.content_hash, dataset.path, "Largest gap", "1 h", "Etc/UTC", "Next in line", "pd.read_parquet"]:  # fmt: skip
        assert text in page
    assert 'class="chart-preview ' in page


@pytest.mark.parametrize("number", ["7", "9999999999999999999999"])
def test_a_missing_dataset_has_a_page_that_says_so(number: str, client: Client, db: None) -> None:
    reply = client.get(f"/datasets/{number}/")

    assert reply.status_code == 404
    assert f"There is no dataset {number}" in reply.content.decode()
    assert client.get(f"/datasets/{number}/closes.svg").status_code == 404


@pytest.mark.parametrize("state", ["invalidated", "missing", "corrupt"])
def test_the_page_explains_the_state_of_a_dataset(
    state: str, client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    Dataset.objects.update(state=state)

    page = client.get(reverse("dataset", args=[dataset.pk])).content.decode()

    assert "The next request for its bars fetches them again." in page
    assert "chart-preview" not in page


def test_staff_invalidate_several_datasets_and_the_log_records_it(
    client: Client, staff: User, make_dataset: MakeDataset
) -> None:
    chosen = [make_dataset(n) for n in (10, 11)]
    kept = make_dataset(12)
    client.force_login(staff)

    form = {
        "action": "invalidate",
        "dataset": [dataset.pk for dataset in chosen],
        "confirmed": "1",
    }
    page = client.post("/datasets/?sort=size", form, follow=True)

    assert page.redirect_chain == [("/datasets/?sort=size", 302)]
    assert (
        "2 datasets invalidated, to be fetched again at the next request." in page.content.decode()
    )
    assert list(Dataset.objects.filter(state="ready")) == [kept]
    entries = LogEntry.objects.filter(user=staff)
    assert {entry.object_id for entry in entries} == {str(dataset.pk) for dataset in chosen}
    assert {entry.change_message for entry in entries} == {"Invalidated."}


def test_staff_fetch_again_and_a_pinned_dataset_is_refused_with_a_reason(
    client: Client, staff: User, make_dataset: MakeDataset
) -> None:
    free, pinned = make_dataset(10), make_dataset(11)
    Dataset.objects.filter(pk=pinned.pk).update(is_pinned=True)
    client.force_login(staff)

    page = client.post("/datasets/", {"action": "fetch", "dataset": [free.pk, pinned.pk]}, follow=True)  # fmt: skip

    assert "1 dataset queued to be fetched again." in page.content.decode()
    assert "is pinned" in page.content.decode()
    fetch = Fetch.objects.get()
    assert (fetch.n_bars, fetch.requested_by, fetch.requested_via) == (10, "ada", "page")


@pytest.mark.parametrize("action", ["fetch", "invalidate", "delete", ""])
@pytest.mark.parametrize("who", ["nobody", "user", "staff without permission"])
def test_a_user_without_the_permission_is_refused(
    who: str, action: str, client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    if who != "nobody":
        client.force_login(User.objects.create_user("eve", is_staff=who.startswith("staff")))

    for address in ["/datasets/", reverse("dataset", args=[dataset.pk])]:
        assert client.post(address, {"action": action, "dataset": dataset.pk}).status_code == 403
    assert Dataset.objects.get().state == "ready"
    assert not Fetch.objects.exists()


def test_a_form_without_its_token_does_nothing(
    strict_client: Client, staff: User, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    strict_client.force_login(staff)

    reply = strict_client.post("/datasets/", {"action": "invalidate", "dataset": dataset.pk})

    assert reply.status_code == 403
    assert Dataset.objects.get().state == "ready"


def test_the_name_of_an_instrument_is_not_markup(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(10)
    Dataset.objects.update(instrument={"description": "<script>alert(1)</script>"})

    for address in ["/datasets/", reverse("dataset", args=[dataset.pk])]:
        assert "<script>alert" not in client.get(address).content.decode()


# --- fetches ----------------------------------------------------------------------------


def test_each_fetch_shows_its_outcome_and_the_next_step(client: Client, db: None) -> None:
    Fetch.objects.create(
        **a_key(symbol="GONE").as_dict(), requested_via="api", state="failed",
        error_code="no_data", error_message="BINANCE:GONE has no bars.",
    )  # fmt: skip
    Fetch.objects.create(
        **a_key(symbol="GOOD").as_dict(), requested_via="page", state="succeeded", n_rows=300, fetched_ms=120,
    )  # fmt: skip
    first, _ = fetch_queue.open_fetch(a_key(symbol="FIRST"), via="api")
    second, _ = fetch_queue.open_fetch(a_key(symbol="SECOND"), via="api")

    page = client.get("/fetches/").content.decode()

    for text in [
        "BINANCE:GONE has no bars.", "Try another timeframe", "300 bars in 120 ms.",
        "Next in line.", "Number 2 in the queue.", "0 running, 2 queued",
    ]:  # fmt: skip
        assert text in page
    assert f'name="cancel" value="{second.pk}"' in page


def test_only_staff_see_the_user_of_a_fetch(client: Client, staff: User) -> None:
    Fetch.objects.create(**a_key().as_dict(), requested_via="api", requested_by="192.0.2.7")

    assert "192.0.2.7" not in client.get("/fetches/").content.decode()
    client.force_login(staff)
    assert "192.0.2.7 (api)" in client.get("/fetches/").content.decode()


def test_filters_select_fetches(client: Client, db: None) -> None:
    Fetch.objects.create(**a_key(symbol="OLD").as_dict(), requested_via="api", state="cancelled")
    fetch_queue.open_fetch(a_key(symbol="NEW"), via="api")

    def shown(query: str) -> list[str]:
        return [row["fetch"].symbol for row in client.get(f"/fetches/{query}").context["rows"]]

    assert shown("?state=active") == ["NEW"]
    assert shown("?state=cancelled") == ["OLD"]
    assert shown("?q=binance:old") == ["OLD"]
    assert shown("?state=nonsense") == []


def test_a_queued_fetch_is_cancelled_and_a_finished_one_is_not(client: Client, db: None) -> None:
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")

    first = client.post("/fetches/?state=active", {"cancel": fetch.pk}, follow=True)
    second = client.post("/fetches/", {"cancel": fetch.pk}, follow=True)

    assert "is cancelled." in first.content.decode()
    assert "is cancelled already" in second.content.decode()
    assert Fetch.objects.get().state == "cancelled"
    assert "There is no such fetch." in client.post("/fetches/", {"cancel": "x"}, follow=True).content.decode()  # fmt: skip


def test_the_number_of_queries_does_not_depend_on_the_number_of_fetches(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    counts = []
    for n in (2, 80):
        Fetch.objects.bulk_create(
            Fetch(**a_key(n_bars=n * 1000 + i).as_dict(), requested_via="api", dataset=dataset)
            for i in range(n)
        )
        with CaptureQueriesContext(connection) as queries:
            client.get("/fetches/")
        counts.append(len(queries))

    assert max(counts) <= 6


def test_visitors_see_no_page_where_sign_in_is_required(
    client: Client, settings: Any, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    settings.API_ACCESS = "login"

    for name, arguments in [("datasets", []), ("dataset", [dataset.pk]), ("sparkline", [dataset.pk]), ("fetches", [])]:  # fmt: skip
        reply = client.get(reverse(name, args=arguments))
        assert (reply.status_code, reply["Location"].split("?")[0]) == (302, "/login/")


@pytest.mark.parametrize(
    ("site", "access", "end"),
    [
        ("http://127.0.0.1:8000", "login", 'source="sample")'),
        ("https://bars.example.com", "open", 'url="https://bars.example.com")'),
        ("https://bars.example.com", "login", 'token=os.environ["TV_TOKEN"])'),
    ],
)
def test_the_loaders_lines_name_a_service_that_is_elsewhere(
    make_dataset: Callable[..., Dataset], settings: Any, site: str, access: str, end: str
) -> None:
    settings.API_ACCESS = access

    lines = dict(snippets(make_dataset(20, source="sample"), site=site))["loader"]

    assert lines.endswith(end)
    compile(lines, "snippet", "exec")
