"""A timeframe is read in every accepted spelling and shown in one, wherever a person meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from datasets.models import Dataset, Fetch
from datasets.views.snippets import snippets
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]
SPELLINGS = ["5", "5m", "5min"]


@pytest.fixture
def five_minutes(make_dataset: MakeDataset) -> Dataset:
    return make_dataset(30, timeframe="5")


def list_json(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("datasets", "list", *arguments, "--json", stdout=out)
    rows: list[dict[str, Any]] = json.loads(out.getvalue())
    return rows


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_command_line_finds_a_timeframe_in_any_spelling(
    five_minutes: Dataset, spelling: str
) -> None:
    assert [row["id"] for row in list_json("-t", spelling)] == [five_minutes.pk]


def test_the_command_line_names_the_allowed_timeframes(five_minutes: Dataset) -> None:
    with pytest.raises(CommandError, match="use one of 1, 3, 5"):
        list_json("-t", "7m")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("endpoint", ["datasets", "fetches"])
def test_a_list_of_the_api_takes_any_spelling(
    client: Client, five_minutes: Dataset, endpoint: str, spelling: str
) -> None:
    Fetch.objects.create(**a_key(timeframe="5").as_dict(), requested_via="api", state="succeeded")

    found = client.get(f"/api/tv/{endpoint}", {"timeframe": spelling}).json()["results"]

    assert [row["timeframe"] for row in found] == ["5"]


def test_a_list_of_the_api_names_the_allowed_timeframes(client: Client, db: None) -> None:
    reply = client.get("/api/tv/datasets", {"timeframe": "7m"})

    assert reply.status_code == 400
    assert "use one of 1, 3, 5" in reply.json()["errors"]["timeframe"][0]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_page_of_datasets_takes_any_spelling(
    client: Client, five_minutes: Dataset, spelling: str
) -> None:
    page = client.get("/datasets/", {"timeframe": spelling}).content.decode()

    assert '<td class="col-timeframe">5m</td>' in page
    assert '<option value="5" selected>5m</option>' in page


def test_pages_commands_and_snippets_show_the_same_spelling(
    client: Client, five_minutes: Dataset
) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    table = StringIO()
    call_command("datasets", "list", stdout=table)
    shown = [
        client.get(f"/datasets/{five_minutes.pk}/").content.decode(),
        client.get("/admin/datasets/dataset/").content.decode(),
        str(five_minutes),
        *(text for name, text in snippets(five_minutes, site="http://bars") if name != "pandas"),
    ]

    assert all("5m" in text for text in shown)
