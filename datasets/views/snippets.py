"""Lines to copy that get a dataset's bars with curl, pandas or the loader, and the chart page's address."""

from __future__ import annotations

import shlex
from functools import partial
from json import dumps as to_json
from pathlib import PurePosixPath
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.urls import reverse

from datasets.bars import Adjustment, DatasetKey, Session, Timeframe
from datasets.models import Dataset, KeyedModel
from datasets.serving.permissions import Scope, strangers_may

# JSON escapes a character outside of the basic plane as two surrogates; a Python literal would keep both.
dumps = partial(to_json, ensure_ascii=False)
# Hosts for which the files are at hand; None is an address without a host.
_THIS_MACHINE = (None, "127.0.0.1", "localhost", "::1")
_HEADER = "Authorization: Bearer $TV_TOKEN"
_OPTIONS = 'storage_options={"Authorization": "Bearer " + os.environ["TV_TOKEN"]}'


def chart_address(row: KeyedModel | DatasetKey) -> str:
    """Return the address of the chart page for the bars of a row or a key; empty for bars of another source.

    The chart page requests bars of the service's own feed only.
    """
    if row.source != settings.TV_SOURCE:
        return ""
    return f"{reverse('chart')}?{_query(row, row.timeframe)}"


def snippets(dataset: Dataset, *, site: str) -> list[tuple[str, str]]:
    """Return name and text of each snippet; `site` is the service's address in the reader's browser."""
    return [
        ("curl", curl_command(dataset, site)),
        ("pandas", pandas_lines(dataset, site)),
        ("loader", loader_lines(dataset, site)),
    ]


def curl_command(dataset: Dataset, site: str) -> str:
    """Return a command that saves the bars as CSV."""
    if dataset.source == settings.TV_SOURCE:
        address = f"{site}{reverse('api-ohlc-list')}?{_query(dataset, Timeframe(dataset.timeframe).label)}&format=csv"
    else:
        address = f"{site}{reverse('api-dataset-bars', args=[dataset.pk])}?format=csv"
    header = f' -H "{_HEADER}"' if not strangers_may(Scope.READ) else ""
    # The command names the file: with the name that the server sends (`-OJ`), curl refuses to overwrite it.
    name = shlex.quote(f"{PurePosixPath(dataset.path).stem}.csv")
    return f"curl -f{header} -o {name} {shlex.quote(address)}"


def pandas_lines(dataset: Dataset, site: str) -> str:
    """Return Python lines that read the parquet file with pandas."""
    address = f"{site}{reverse('api-dataset-file', args=[dataset.pk])}"
    if not strangers_may(Scope.READ):
        return f'import os, pandas as pd\nbars = pd.read_parquet("{address}", {_OPTIONS})'
    return f'import pandas as pd\nbars = pd.read_parquet("{address}")'


def loader_lines(dataset: Dataset, site: str) -> str:
    """Return Python lines that load the bars with `tvdatasets`: from the files, or from a service elsewhere."""
    arguments = [dumps(dataset.full_symbol), dumps(Timeframe(dataset.timeframe).label)]
    arguments.append(f"n_bars={dataset.n_bars}")
    arguments += [f"{name}={dumps(value)}" for name, value in _unusual(dataset).items()]
    if dataset.source != "tradingview":
        # The loader loads synthetic bars only when the caller names their source.
        arguments.append(f"source={dumps(dataset.source)}")
    lines = ["from tvdatasets import load"]
    if urlsplit(site).hostname not in _THIS_MACHINE:
        arguments.append(f"url={dumps(site)}")
        if not strangers_may(Scope.READ):
            lines.insert(0, "import os")
            arguments.append('token=os.environ["TV_TOKEN"]')
    return "\n".join([*lines, f"bars = load({', '.join(arguments)})"])


def _query(row: KeyedModel | DatasetKey, timeframe: str) -> str:
    series = {"symbol": row.symbol} | ({"exchange": row.exchange} if row.exchange else {})
    length = {"timeframe": timeframe, "n_bars": str(row.n_bars)}
    return urlencode(series | length | _unusual(row))


def _unusual(row: KeyedModel | DatasetKey) -> dict[str, str]:
    """Return session and adjustment where they differ from the API's defaults."""
    usual = {"session": Session.REGULAR.value, "adjustment": Adjustment.SPLITS.value}
    stored = {"session": str(row.session), "adjustment": str(row.adjustment)}
    return {name: value for name, value in stored.items() if value != usual[name]}
