"""`/metrics`: access, values of the catalog, counts of several web processes, dashboard and alerts."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families as parsed

from datasets.bars.series_keys import SeriesKey
from datasets.fetching import throttle
from datasets.models import Dataset, Fetch, Schedule
from datasets.monitoring import exposition
from datasets.monitoring.catalog_metrics import PARTS
from datasets.monitoring.reply_counts import ReplyCounts, replies
from tests.support.factories import a_key
from tests.support.servers import Need
from tests.support.stacks import Feed, Stack

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = Path(__file__).parents[2] / "examples"
DASHBOARD, ALERTS = EXAMPLES / "grafana-dashboard.json", EXAMPLES / "prometheus-alerts.yml"
TOKEN = "a-token-of-24-characters"


def sample(text: str, name: str, **labels: str) -> float | None:
    """Return the value of a metric, None where it is absent."""
    for family in parsed(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return float(each.value)
    return None


@pytest.fixture
def scrape(settings: Any, client: Client) -> Callable[[], str]:
    settings.METRICS_TOKEN = TOKEN
    exposition._collector._kept.clear()

    def read() -> str:
        reply = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status_code == 200
        return reply.content.decode()

    return read


@pytest.mark.parametrize(
    ("token", "networks", "sent", "status"),
    [
        ("", "", TOKEN, 404),
        (TOKEN, "", TOKEN, 200),
        (TOKEN, "", "", 401),
        (TOKEN, "", TOKEN[:-1], 401),
        ("", "127.0.0.0/8", "", 200),
        ("", "10.0.0.0/8", "", 403),
        (TOKEN, "10.0.0.0/8", TOKEN, 403),
        (TOKEN, "127.0.0.0/8", "", 401),
        (TOKEN, "127.0.0.0/8", TOKEN, 200),
    ],
)
def test_only_callers_that_the_settings_name_read_the_metrics(
    settings: Any, client: Client, token: str, networks: str, sent: str, status: int
) -> None:
    from tvproject.env import SETTINGS

    settings.API_ACCESS = "login"
    settings.METRICS_TOKEN = token
    settings.METRICS_NETWORKS = SETTINGS["METRICS_NETWORKS"].read(networks)

    reply = client.get("/metrics", headers={"Authorization": f"Bearer {sent}"})

    assert reply.status_code == status
    assert (b"tv_build_info" in reply.content) == (status == 200)


def test_the_metrics_show_queue_outcomes_and_waits(scrape: Callable[[], str]) -> None:
    now = timezone.now()
    ended = {"finished_at": now, "waited_ms": 3000, "fetched_ms": 500, "priority": 2}
    for state, code in (("succeeded", ""), ("failed", "no_data"), ("failed", "no_data")):
        Fetch.objects.create(**a_key().as_dict(), state=state, error_code=code, **ended)
    long_ago = {**ended, "finished_at": now - timedelta(hours=2)}
    Fetch.objects.create(**a_key().as_dict(), state="succeeded", **long_ago)
    Fetch.objects.create(**a_key().as_dict(), requested_at=now - timedelta(seconds=90))

    text = scrape()

    failed = {"outcome": "failed", "code": "no_data", "priority": Fetch.Priority.SCHEDULE.label}
    assert sample(text, "tv_fetches_last_hour", **failed) == 2
    assert sample(text, "tv_fetches_last_hour", outcome="succeeded") == 1
    assert sample(text, "tv_fetches_active", state="queued") == 1
    assert 90 <= (sample(text, "tv_queue_age_seconds") or 0) < 120
    assert sample(text, "tv_fetch_mean_seconds", step="wait") == 3
    assert sample(text, "tv_workers_alive") == 0


def test_the_metrics_show_cool_down_and_missing_bars(
    scrape: Callable[[], str], make_dataset: Callable[..., Dataset]
) -> None:
    from datasets.errors import RateLimited

    row = make_dataset()
    Dataset.objects.filter(pk=row.pk).update(coverage={"missing": 7})
    throttle.cool_down(RateLimited("Slow down."))

    text = scrape()

    assert 50 < (sample(text, "tv_cool_down_seconds") or 0) <= 60
    assert sample(text, "tv_missing_bars") == 7
    assert sample(text, "tv_datasets", state="ready") == 1
    throttle.end_cool_down(by="a test")


def test_watched_series_are_counted_by_state_in_one_query(
    scrape: Callable[[], str], django_assert_num_queries: Any
) -> None:
    now = timezone.now()
    held: dict[str, Any] = {"backfilled_at": now, "due_at": now + timedelta(hours=1)}
    values: list[dict[str, Any]] = [
        held,
        {"due_at": now},
        {**held, "is_paused": True, "failures": 3},
        {**held, "failures": 1},
        {**held, "due_at": now - timedelta(minutes=10)},
        {**held, "due_at": now - timedelta(minutes=20)},
        {**held, "due_at": now - timedelta(seconds=30)},
    ]
    Schedule.objects.bulk_create(
        Schedule(**SeriesKey.of(a_key(symbol=f"S{i}")).as_dict(), n_bars=300, **each)
        for i, each in enumerate(values)
    )

    text = scrape()

    states = {"on_time": 2, "new": 1, "paused": 1, "failing": 1, "overdue": 2, "fetching": 0}
    assert {state: sample(text, "tv_watched_series", state=state) for state in states} == states
    assert 1200 <= (sample(text, "tv_watched_overdue_seconds") or 0) < 1230
    with django_assert_num_queries(1):
        list(PARTS["watchlists"][0]())


def test_a_part_that_cannot_be_read_is_named_and_the_others_stay(
    scrape: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def refuse() -> Iterator[Any]:
        raise OperationalError("no disk")

    monkeypatch.setitem(PARTS, "workers", (refuse, 0))

    text = scrape()

    assert sample(text, "tv_part_up", part="workers") == 0
    assert sample(text, "tv_part_up", part="fetches") == 1
    assert sample(text, "tv_workers_alive") is None


def test_counts_of_another_process_are_read_and_those_of_an_ended_one_are_removed(
    settings: Any,
) -> None:
    counts = ReplyCounts()
    counts.count("bars", 200, 0.004, "hit")
    counts.count("bars", 503, 40.0)
    counts.write()
    own = next((settings.STATE_DIR / "metrics").glob("*.json"))
    other = own.with_name("other-1.json")
    other.write_bytes(own.read_bytes())
    (own.with_name("broken-1.json")).write_text("[")

    found = dict(counts.of_all_processes())

    assert set(found) == {own.stem, "other-1"}
    assert sum(found["other-1"].times[("bars", "2xx")].numbers) == 1
    assert found["other-1"].times[("bars", "5xx")].numbers[-1] == 1
    assert found["other-1"].bars == {"hit": 1}


def names_of_metrics(scrape: Callable[[], str]) -> set[str]:
    replies.count("bars", 200, 0.004, "hit")
    names = {each.name for family in parsed(scrape()) for each in family.samples}
    declared = set(re.findall(r"^# TYPE (\w+)", scrape(), re.M))
    return names | declared


@pytest.mark.parametrize("file", [DASHBOARD, ALERTS], ids=lambda path: path.name)
def test_every_metric_of_the_examples_exists(
    scrape: Callable[[], str], settings: Any, file: Path
) -> None:
    settings.TV_RATE_PER_MINUTE, settings.TV_LIVE = 20, True

    used = set(re.findall(r"\btv_[a-z_]+", file.read_text()))

    assert len(used) > 5
    assert used <= names_of_metrics(scrape)


def test_the_dashboard_names_its_source_and_a_query_in_each_panel() -> None:
    board = json.loads(DASHBOARD.read_text())

    assert board["title"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 8
    for panel in board["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        assert all(target["expr"] and target["refId"] for target in panel["targets"])


def test_promtool_accepts_the_alerts(need: Need) -> None:
    done = subprocess.run(
        [need("promtool"), "check", "rules", str(ALERTS)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def stack(clean_feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path, clean_feed, METRICS_TOKEN=TOKEN)
    yield running
    running.stop()


@pytest.mark.slow
def test_a_scrape_counts_the_replies_of_two_web_processes(stack: Stack) -> None:
    stack.start_web(workers=2)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for _ in range(40):
        requests.get(f"{stack.url}/api/tv/status", headers={"Connection": "close"}, timeout=60)

    text = requests.get(f"{stack.url}/metrics", headers=headers, timeout=60).text

    found = [
        each
        for family in parsed(text)
        for each in family.samples
        if each.name == "tv_reply_seconds_count" and each.labels["kind"] == "api"
    ]
    # The other process writes its counts every 5 s.
    assert 0 < sum(each.value for each in found) <= 40
