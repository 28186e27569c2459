"""docs/spreadsheets.md: the CSV that spreadsheets open, and the requests of the page's recipes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets import catalog
from datasets.bars import BAR_COLUMNS
from datasets.models import ApiToken, Dataset
from tests.support.stacks import ROOT

MakeDataset = Callable[..., Dataset]
PAGE = (ROOT / "docs" / "spreadsheets.md").read_text()
SITE = "https://bars.example.com"


@pytest.fixture
def bars(make_dataset: MakeDataset) -> pd.DataFrame:
    """The 500 bars that the recipes ask for, as the parquet file has them."""
    dataset = make_dataset(500, symbol="AAPL", exchange="NASDAQ", timeframe="1D")
    frame: pd.DataFrame = catalog.read(dataset).to_pandas()
    return frame.assign(time=frame["time"].dt.tz_localize(None))


def as_a_spreadsheet_reads(content: bytes, *, separator: str, decimal: str) -> pd.DataFrame:
    """Read CSV by the rules of a spreadsheet in one country: its separator, its decimals, no time zone."""
    frame = pd.read_csv(io.BytesIO(content), sep=separator, decimal=decimal)
    times = pd.to_datetime(frame["time"], format="%Y-%m-%d %H:%M:%S")
    return frame.assign(time=times.astype("datetime64[ms]"))


@pytest.mark.parametrize(
    ("format", "separator", "decimal"), [("spreadsheet", ",", "."), ("spreadsheet_comma", ";", ",")]
)
def test_a_spreadsheet_reads_each_number_and_time(
    client: Client, bars: pd.DataFrame, format: str, separator: str, decimal: str
) -> None:
    reply = client.get(f"/api/tv/ohlc?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=500&format={format}")

    assert reply["Content-Type"] == "text/csv"
    assert reply["Content-Disposition"].endswith('.csv"')
    found = as_a_spreadsheet_reads(reply.content, separator=separator, decimal=decimal)
    pd.testing.assert_frame_equal(found, bars, check_dtype=False, check_exact=True)
    assert re.match(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,;]", reply.content.splitlines()[1])


def test_the_type_csv_alone_means_the_format_for_programs(
    client: Client, bars: pd.DataFrame
) -> None:
    reply = client.get(
        "/api/tv/ohlc?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=500", headers={"Accept": "text/csv"}
    )

    assert reply.content.splitlines()[1].split(b",")[0].endswith(b"Z")


def test_chosen_columns_need_no_time(client: Client, bars: pd.DataFrame) -> None:
    reply = client.get(
        "/api/tv/ohlc?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=500&fields=close&format=spreadsheet_comma"
    )

    heading, first, *_ = reply.content.decode().splitlines()
    assert (heading, float(first.replace(",", "."))) == ("close", bars["close"][0])


def test_the_formula_of_google_sheets_needs_no_header(client: Client, bars: pd.DataFrame) -> None:
    (formula,) = re.findall(r'^=IMPORTDATA\("(.*?)", "(.)", "en_US"\)$', PAGE, re.M)

    reply = client.get(formula[0].removeprefix(SITE))

    found = as_a_spreadsheet_reads(reply.content, separator=formula[1], decimal=".")
    assert len(found) == 500


def test_the_query_of_excel_sends_its_token_in_the_header(
    client: Client, bars: pd.DataFrame, settings: Any
) -> None:
    settings.API_ACCESS = "login"
    token = ApiToken(name="workbook", user=User.objects.create_user("ada"), scope="read")
    secret = token.renew()
    token.save()
    (host, path, query) = re.findall(
        r'Web\.Contents\("(.*?)", \[\s*RelativePath = "(.*?)",\s*Query = \[(.*?)\],', PAGE
    )[0]
    parameters = re.findall(r'(\w+) = "(.*?)"', query)
    address = f"/{path}?{urlencode(parameters)}"
    assert host == SITE
    assert 'Headers = [Authorization = "Bearer " & Token]' in PAGE

    assert client.get(address).status_code == 401
    reply = client.get(address, headers={"Authorization": f"Bearer {secret}"})

    (separator,) = re.findall(r'Delimiter = "(.)"', PAGE)
    types = dict(re.findall(r'\{"(\w+)", type (\w+)\}', PAGE))
    found = as_a_spreadsheet_reads(reply.content, separator=separator, decimal=".")
    assert list(found) == list(types) == list(BAR_COLUMNS)
    assert [name for name, kind in types.items() if kind != "number"] == ["time"]
