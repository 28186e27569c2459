"""Lines to copy: the same bars with curl, in pandas, and with the loader; and the chart's address."""

from __future__ import annotations

import shlex
from functools import partial
from json import dumps as to_json
from pathlib import PurePosixPath
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from datasets.bars import Adjustment, Session
from datasets.models import Dataset, KeyedModel
from datasets.serving.permissions import Scope, strangers_may

# Python reads the escapes of a letter outside the basic plane as two half characters.
dumps = partial(to_json, ensure_ascii=False)
_HEADER = "Authorization: Bearer $TV_TOKEN"
_OPTIONS = 'storage_options={"Authorization": "Bearer " + os.environ["TV_TOKEN"]}'


def chart_address(row: KeyedModel) -> str:
    """Return the chart page that shows the row's series; empty where it would show another.

    The page asks for bars of the service's own feed, so it has none of another source.
    """
    if row.source != settings.TV_SOURCE:
        return ""
    return f"{reverse('chart')}?{_query(row, row.timeframe)}"


def snippets(dataset: Dataset, *, site: str) -> list[tuple[str, str]]:
    """Return `(name, text)` of each; `site` is the service's address as the reader knows it."""
    return [
        ("curl", _curl(dataset, site)),
        ("pandas", _pandas(dataset, site)),
        ("loader", _loader(dataset)),
    ]


def _curl(dataset: Dataset, site: str) -> str:
    if dataset.source == settings.TV_SOURCE:
        address = f"{site}{reverse('api-ohlc-list')}?{_query(dataset, dataset.key.timeframe.label)}&format=csv"
    else:
        address = f"{site}{reverse('api-dataset-bars', args=[dataset.pk])}?format=csv"
    header = f' -H "{_HEADER}"' if not strangers_may(Scope.READ) else ""
    # Named here, because curl takes the name that is sent (`-OJ`) only once: it overwrites no file.
    name = shlex.quote(f"{PurePosixPath(dataset.path).stem}.csv")
    return f"curl -f{header} -o {name} {shlex.quote(address)}"


def _pandas(dataset: Dataset, site: str) -> str:
    address = f"{site}{reverse('api-dataset-file', args=[dataset.pk])}"
    if not strangers_may(Scope.READ):
        return f'import os, pandas as pd\nbars = pd.read_parquet("{address}", {_OPTIONS})'
    return f'import pandas as pd\nbars = pd.read_parquet("{address}")'


def _loader(dataset: Dataset) -> str:
    arguments = [dumps(dataset.key.full_symbol), dumps(dataset.key.timeframe.label)]
    arguments.append(f"n_bars={dataset.n_bars}")
    arguments += [f"{name}={dumps(value)}" for name, value in _unusual(dataset).items()]
    if dataset.source != "tradingview":
        # The loader takes invented bars only from who asks for them.
        arguments.append(f"source={dumps(dataset.source)}")
    return f"from datasets.research import load\nbars = load({', '.join(arguments)})"


def _query(row: KeyedModel, timeframe: str) -> str:
    series = {"symbol": row.symbol} | ({"exchange": row.exchange} if row.exchange else {})
    asked = {"timeframe": timeframe, "n_bars": str(row.n_bars)}
    return urlencode(series | asked | _unusual(row))


def _unusual(row: KeyedModel) -> dict[str, str]:
    """Return session and adjustment where they are not the usual ones."""
    usual = {"session": Session.REGULAR.value, "adjustment": Adjustment.SPLITS.value}
    said = {"session": row.session, "adjustment": row.adjustment}
    return {name: value for name, value in said.items() if value != usual[name]}
