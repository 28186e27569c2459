"""Long lists: their searches and orders use indexes, and their queries do not grow with the rows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets import catalog
from datasets.models import Dataset, Fetch, values_of
from tests.api.test_cursors import copies
from tests.support import servers
from tests.support.stacks import ROOT, Feed, Stack

MakeDataset = Callable[..., Dataset]
# Each prints the plan of a list's query, as the service composes it.
_PLANS = """
import django
django.setup()
from django.db import connection
from datasets.catalog import lists
from datasets.models import LAST_USED, AuditEntry, Dataset, Fetch, Series, rows_with_word
from datasets.views import dataset_list
connection.cursor().execute("SET enable_seqscan = off; SET enable_sort = off")
columns = dataset_list.COLUMNS
for rows in (
    lists.search(Dataset.objects.order_by(), "NASDAQ:apple"),
    lists.search(Series.objects.order_by(), "apple"),
    lists.search(Fetch.objects.order_by(), "apple", ("symbol", "exchange")),
    rows_with_word(AuditEntry.objects.order_by(), "apple", ("actor", "kind", "subject", "detail")),
    *(Dataset.objects.order_by(*columns.order_by(name)).values("pk")[:50] for name in columns.orders),
    Dataset.objects.filter(exchange="LSE", state="ready")[:50],
    Dataset.objects.filter(is_pinned=True)[:50],
    Dataset.objects.filter(session="extended")[:50],
    Dataset.objects.filter(coverage__counts__has_key="hole").order_by(),
    Dataset.objects.filter(is_pinned=False).annotate(used_at=LAST_USED).order_by("used_at", "id")[:50],
):
    print(rows.explain().replace("\\n", " "))
"""
# Prints the plan of each order that a list of the admin has, and of a column that is no order.
_ADMIN_PLANS = """
import django
django.setup()
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from datasets.admin.read_only_admin import ReadOnlyAdmin
connection.cursor().execute("SET enable_seqscan = off; SET enable_sort = off")

def list_of(page, **query):
    request = RequestFactory().get("/", query)
    request.user = User(is_superuser=True)
    return page.get_changelist_instance(request)

for model in filter(admin.site.is_registered, apps.get_app_config("datasets").get_models()):
    page = admin.site.get_model_admin(model)
    # The lists that people make are short.
    if not isinstance(page, ReadOnlyAdmin) or model.__name__ == "Watchlist":
        continue
    for place, column in enumerate(list_of(page).list_display):
        for sign in ("", "-"):
            rows = list_of(page, o=f"{sign}{place}").queryset[:50]
            print(model.__name__, column, column in page.sortable_by, rows.explain().replace("\\n", " "), sep="|")
"""
_EXTENSION = """
import importlib
import django
django.setup()
from django.db import DatabaseError, connection
trigrams = importlib.import_module("datasets.migrations.0020_large_lists").Trigrams()
try:
    with connection.schema_editor() as editor:
        trigrams.database_forwards("datasets", editor, None, None)
except DatabaseError as error:
    print(error)
"""
_INDEXES = (
    "dataset_search", "series_search", "fetch_search", "audit_search",
    "dataset_symbol", "dataset_length", "dataset_n_rows", "dataset_last_time", "dataset_fetched", "dataset_bytes",
    "dataset_quality", "dataset_hits", "dataset_", "dataset_pinned", "dataset_session", "dataset_findings", "dataset_last_used",
)  # fmt: skip


@pytest.fixture(scope="module")
def stack(postgresql_url: str, feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A catalog in a database of its own."""
    url = servers.new_database(postgresql_url, "large_lists")
    return Stack(tmp_path_factory.mktemp("large"), feed, DATABASE_URL=url)


def printed_by(script: str, stack: Stack) -> list[str]:
    """Return the lines that a script prints with the settings of the stack."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=stack.env, check=True, capture_output=True, text=True
    )  # fmt: skip
    return done.stdout.splitlines()


def has_sort(plan: str) -> bool:
    # An incremental sort only sorts rows that are equal in the columns of the index.
    return re.search(r"(?<!Incremental )Sort  \(", plan) is not None


def test_postgresql_reads_an_index_for_each_search_order_and_filter(stack: Stack) -> None:
    plans = printed_by(_PLANS, stack)

    assert len(plans) == len(_INDEXES)
    for plan, index in zip(plans, _INDEXES, strict=True):
        assert index in plan, plan
        assert not has_sort(plan), plan


def test_each_order_of_the_admins_lists_has_an_index(stack: Stack) -> None:
    plans = [line.split("|", 3) for line in printed_by(_ADMIN_PLANS, stack)]

    assert len({model for model, *_ in plans}) >= 8
    assert {is_order for _, _, is_order, _ in plans} == {"True", "False"}
    # A column that is no order leaves the list in its usual order, which has an index too.
    assert [line for line in plans if has_sort(line[3])] == []


def test_a_user_that_may_not_create_the_extension_is_told_what_to_do(
    postgresql_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute("CREATE ROLE guest LOGIN")
        server.execute("CREATE DATABASE without_rights")
    address = postgresql_url.removesuffix("postgres") + "without_rights"
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("GRANT ALL ON SCHEMA public TO guest")
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tvproject.settings",
        "OUTPUTS_URL": str(tmp_path),
        "DATABASE_URL": address.replace("postgres@", "guest@"),
    }

    done = subprocess.run(
        [sys.executable, "-c", _EXTENSION], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )  # fmt: skip

    assert "lacks the extension pg_trgm" in done.stdout
    assert "Run `CREATE EXTENSION pg_trgm` in this database" in done.stdout
    assert "permission denied" in done.stdout


@pytest.mark.parametrize(
    "address",
    ["/api/tv/datasets", "/api/tv/datasets?q=s00", "/datasets/", "/datasets/?q=s00", "/fetches/", "/series/",
     "/audit/?show=fetches", "/admin/datasets/dataset/", "/admin/datasets/dataset/?q=s00", "/admin/", "/api/tv/status"],
)  # fmt: skip
def test_the_queries_of_a_list_do_not_grow_with_the_rows(
    client: Client, make_dataset: MakeDataset, address: str
) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    dataset = make_dataset(20, symbol="S000")
    fetch = Fetch.objects.create(**dataset.key.as_dict(), state="succeeded", requested_via="api")

    def n_queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    # Some values are read once and kept.
    n_queries()
    before = n_queries()
    copies(
        dataset, 60, symbol=lambda index: f"S00-{index}", path=lambda index: f"sample/{index}.parquet"
    )  # fmt: skip
    copies(fetch, 60, symbol=lambda index: f"S00-{index}")
    # Beyond one page the rows are counted too.
    assert n_queries() <= before + 1


def test_the_values_of_a_column_are_found_without_a_look_at_each_row(
    make_dataset: MakeDataset,
) -> None:
    for exchange in ("NYSE", "LSE", "NYSE"):
        make_dataset(20, exchange=exchange, symbol=exchange, n_bars=20)
    copies(Dataset.objects.get(symbol="LSE"), 9, exchange=lambda _: "", symbol=str, path=str)

    assert values_of(Dataset, "exchange", 300) == ["LSE", "NYSE"]
    assert values_of(Dataset, "exchange", 1) == ["LSE"]
    assert values_of(Fetch, "exchange", 300) == []


def test_a_search_finds_words_in_symbol_exchange_and_description_in_any_case(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(20, exchange="NASDAQ", symbol="AAPL")
    Dataset.objects.update(instrument={"description": "Apple Inc., 100 % of it_all"})

    def found(text: str) -> list[int]:
        reply = client.get("/api/tv/datasets", {"q": text}).json()
        return [row["id"] for row in reply["results"]]

    for text in ("aapl", "NASDAQ:aap", "apple inc", "100 %", "it_all", "q pl"):
        assert found(text) == [dataset.pk], text
    for text in ("aaplx", "q%a", "q_a", "applenasdaq"):
        assert found(text) == [], text


def test_the_admin_finds_a_dataset_by_the_beginning_of_its_content_hash(
    client: Client, make_dataset: MakeDataset
) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    dataset = make_dataset(20, symbol="AAPL")
    make_dataset(30, symbol="MSFT")

    reply = client.get("/admin/datasets/dataset/", {"q": dataset.content_hash[:8]})

    assert [row.pk for row in reply.context["cl"].result_list] == [dataset.pk]


def test_datasets_are_pruned_a_page_at_a_time(make_dataset: MakeDataset) -> None:
    copies(make_dataset(20), 2_400, n_bars=lambda index: 100 + index, path=lambda index: f"sample/{index}.parquet")  # fmt: skip
    # The last one was served, and the first one is pinned.
    Dataset.objects.filter(n_bars=2_499).update(last_served_at=timezone.now())
    Dataset.objects.filter(n_bars=100).update(is_pinned=True)
    size = Dataset.objects.earliest("pk").bytes

    with CaptureQueriesContext(connection) as captured:
        chosen = catalog.choose_prunable(total_bytes=2 * size, is_light=True)
        first = next(chosen)
        assert len(captured) == 2
        later = [row.n_bars for row in chosen]

    assert all("LIMIT" in each["sql"] for each in captured.captured_queries[1:])
    # The pinned one and the one that was served last are left.
    assert len([first, *later]) == 2_399
    assert not {100, 2_499} & {first.n_bars, *later}


def test_an_export_reads_its_datasets_a_page_at_a_time(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    for n_bars in (20, 30):
        make_dataset(n_bars)

    with CaptureQueriesContext(connection) as captured:
        call_command("datasets", "export", "--to", str(tmp_path / "exported"), stdout=StringIO())

    assert len(list((tmp_path / "exported").iterdir())) == 2
    reads = [each["sql"] for each in captured if '"datasets_dataset"."instrument"' in each["sql"]]
    assert reads
    assert all("LIMIT" in sql for sql in reads), reads
