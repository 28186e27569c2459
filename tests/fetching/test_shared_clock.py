"""One clock for all hosts: that of PostgreSQL, also where a host's own clock is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from datasets.models import database
from tests.support import servers
from tests.support.many_hosts.clocks import with_clock
from tests.support.stacks import ROOT

_SCRIPT = """
import json, time, django
django.setup()
from django.db import connection
from django.test.utils import CaptureQueriesContext
from datasets.models import database
with CaptureQueriesContext(connection) as first:
    database.shared_now()
with CaptureQueriesContext(connection) as later:
    found = [database.shared_now().timestamp() for _ in range(100)]
print(json.dumps([time.time(), found[-1], len(first), len(later), found == sorted(found)]))
"""


@pytest.mark.parametrize("ahead_s", [90, -90])
def test_a_host_with_a_wrong_clock_has_the_time_of_postgresql(
    postgresql_url: str, tmp_path: Path, need: servers.Need, ahead_s: int
) -> None:
    env = {
        "DJANGO_SETTINGS_MODULE": "tvproject.settings",
        "OUTPUTS_URL": str(tmp_path / "outputs"),
        "DATABASE_URL": postgresql_url,
    }
    done = subprocess.run(
        with_clock([sys.executable, "-c", _SCRIPT], ahead_s, need),
        cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    own, shared, n_first, n_later, is_rising = json.loads(done.stdout)
    assert own - shared == pytest.approx(ahead_s, abs=0.5)
    assert shared == pytest.approx(time.time(), abs=10)
    # The first use reads the clock; the later ones only move it on.
    assert (n_first, n_later, is_rising) == (1, 0, True)


@pytest.fixture
def on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module believe that the catalog is on PostgreSQL; `now` is replaced by each test."""
    monkeypatch.setattr(database, "connection", SimpleNamespace(vendor="postgresql"))
    monkeypatch.setattr(database, "_reading", None)
    monkeypatch.setattr(database, "_try_again_at_s", float("-inf"))


@pytest.mark.usefixtures("on_postgresql")
def test_without_postgresql_the_last_reading_moves_on_and_is_not_read_at_each_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries, steady_s = [], 1000.0

    def fail() -> Any:
        tries.append(steady_s)
        raise OperationalError("away")

    monkeypatch.setattr(database, "now", fail)
    monkeypatch.setattr(database, "_steady_s", lambda: steady_s)
    read_at = timezone.now() - timedelta(hours=1)
    monkeypatch.setattr(database, "_reading", database._Reading(read_at, 1000.0))

    for steady_s in (1299.0, 1301.0, 1302.0, 1330.0, 1332.0):
        assert database.shared_now() == read_at + timedelta(seconds=steady_s - 1000)

    assert tries == [1301.0, 1332.0]


@pytest.mark.usefixtures("on_postgresql")
def test_before_the_first_reply_of_postgresql_the_clock_of_the_host_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(database, "now", fail)

    assert abs(database.shared_now() - timezone.now()) < timedelta(seconds=1)


# The clock of the host is right here: an age on the host's own disk, a signature for a receiver
# elsewhere, an expiry that TradingView sets, a default 90 days ahead, or a check with five minutes' tolerance.
_OWN_CLOCK = {
    "catalog/catalog_table.py",
    "incidents/webhooks.py",
    "models/api_token.py",
    "models/database.py",
    "monitoring/reply_counts.py",
    "storage/buckets/local_copies.py",
    "tradingview/auth_token.py",
    "tradingview/conversation.py",
    "tradingview/sign_in.py",
    "tradingview/updates/subscription.py",
    "tradingview/updates/update_stream.py",
    "views/people/token_forms.py",
}


def test_every_other_place_uses_the_clock_that_all_hosts_share() -> None:
    folder = ROOT / "datasets"
    found = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        # The loader runs in notebooks, without the service's database.
        if "research" not in path.parts and re.search(r"timezone\.now\(\)|\btime\.time\(\)", path.read_text())
    }  # fmt: skip

    assert found <= _OWN_CLOCK, f"use database.shared_now() in {sorted(found - _OWN_CLOCK)}"
