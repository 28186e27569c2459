"""The real TradingView still sends what the recordings hold; run by hand with `pytest -m tvdata`.

The test fetches a few bars of one public symbol, with the credentials in the environment or as
a guest. It keeps the received messages in `outputs/recordings/`, so that an operator can send
them when the protocol has changed. The auth token is sent and never received, so the recording
does not contain it.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest

from datasets.bars import DatasetKey
from datasets.tradingview.auth_token import Credentials
from datasets.tradingview.client import FeedClient
from datasets.tradingview.sign_in import sign_in
from tvproject.env import SETTINGS, read_settings

pytestmark = pytest.mark.tvdata
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def live() -> dict[str, object]:
    """Return the operator's settings; skip the test if TradingView cannot be reached."""
    for name in SETTINGS:
        # tests/settings.py clears the credentials; this test uses those of the operator's `.env`.
        if not os.environ.get(name):
            os.environ.pop(name, None)
    settings = read_settings(ROOT)
    host = urlsplit(str(settings["TV_WS_URL"])).hostname
    try:
        socket.create_connection((str(host), 443), timeout=5).close()
    except OSError as error:
        pytest.skip(f"{host} cannot be reached: {error}")
    return settings


def test_a_few_bars_of_a_public_symbol_arrive(live: dict[str, object]) -> None:
    credentials = Credentials(
        username=str(live["TV_USERNAME"]),
        password=str(live["TV_PASSWORD"]),
        session=str(live["TV_SESSION"]),
        session_sign=str(live["TV_SESSION_SIGN"]),
        user_id=str(live["TV_USER_ID"]),
        auth_token=str(live["TV_AUTH_TOKEN"]),
    )
    token = sign_in(credentials, str(live["TV_SITE_URL"])).value
    client = FeedClient(str(live["TV_WS_URL"]), timeout_s=20, deadline_s=60)
    recording = ROOT / "outputs" / "recordings" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt"
    recording.parent.mkdir(parents=True, exist_ok=True)

    with recording.open("wb") as file:
        fetched = client.fetch_bars(
            DatasetKey.parse(
                source="tradingview", symbol="BINANCE:BTCUSDT", timeframe="1h", n_bars=10
            ),
            auth_token=token,
            on_message=lambda message: print_line(file, message),
        )
    client.close()

    newest = fetched.table["time"][-1].as_py()
    assert fetched.table.num_rows == 10
    assert datetime.now(UTC) - newest < timedelta(hours=3)
    assert fetched.instrument.pro_name == "BINANCE:BTCUSDT"
    assert token.encode() not in recording.read_bytes()


def print_line(file: BinaryIO, message: bytes) -> None:
    """Write one unchanged message on its own line."""
    file.write(message + b"\n")
