"""Alerts on closed bars: each bar counts once, and only bars that close after the alert was made."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from datasets import alerts
from datasets.errors import InvalidRequest
from datasets.fetching import retention_policy
from datasets.incidents.delivery import deliver_due
from datasets.models import IncidentMessage, PriceAlert
from tests.alerts.conftest import BEGIN, HOUR, Hours, MakeAlert
from tests.support import receivers
from tests.support.receivers import HttpReceiver

pytestmark = pytest.mark.django_db


def reread(alert: PriceAlert) -> PriceAlert:
    return PriceAlert.objects.get(pk=alert.pk)


def test_the_first_bar_that_meets_the_condition_triggers_after_a_gap(
    hours: Hours, make_alert: MakeAlert
) -> None:
    alert = make_alert()
    hours.arrive({2: 105.0, 3: 111.0, 4: 115.0, 5: 90.0})

    assert (alerts.check_closed(), alerts.check_closed()) == (1, 0)
    found = reread(alert)
    assert (found.state, found.triggered_price) == ("triggered", 111.0)
    assert found.triggered_bar == BEGIN + 3 * HOUR
    assert found.triggered_at == hours.now


@pytest.mark.parametrize(
    ("condition", "price", "closes", "hour"),
    [
        ("above", 110.0, [110.0, 110.5], 3),
        ("below", 90.0, [90.0, 89.9], 3),
        ("crosses", 105.0, [104.0, 106.0, 103.0], 3),
        ("crosses", 95.0, [96.0, 94.0], 3),
        # A close at the price has reached it; the next one does not cross it again.
        ("crosses", 105.0, [105.0, 106.0], 2),
        # The close before the alert is the side from which the first bar comes.
        ("crosses", 99.0, [98.0], 2),
        ("crosses", 100.0, [101.0, 102.0], None),
    ],
)
def test_a_close_meets_a_condition(
    hours: Hours,
    make_alert: MakeAlert,
    condition: str,
    price: float,
    closes: list[float],
    hour: int | None,
) -> None:
    alert = make_alert(condition=condition, price=price)
    # High and low do not count: these bars have closed.
    hours.arrive({2 + n: close for n, close in enumerate(closes)}, up=50, down=50)
    alerts.check_closed()

    assert reread(alert).triggered_bar == (None if hour is None else BEGIN + hour * HOUR)


def test_a_forming_a_revised_and_an_older_bar_do_not_trigger(
    hours: Hours, make_alert: MakeAlert
) -> None:
    alert = make_alert()
    hours.arrive({0: 100.0, 1: 100.0, 2: 120.0}, is_last_final=False)
    assert alerts.check_closed() == 0

    hours.arrive({1: 100.0, 2: 101.0})
    assert alerts.check_closed() == 0
    # The volume of a closed bar is revised often; its price is confirmed by a second fetch.
    for hour in (3, 5):
        hours.arrive({1: 100.0, 2: 130.0} | dict.fromkeys(range(3, hour + 1), 101.0))
        assert alerts.check_closed() == 0
    assert hours.arrivals.bars()["close"].to_pylist()[2] == 130.0
    hours.arrive(
        {-2: 130.0, -1: 130.0, 0: 100.0, 1: 100.0, 2: 130.0} | dict.fromkeys(range(3, 6), 101.0)
    )
    assert alerts.check_closed() == 0

    hours.arrive({5: 101.0, 6: 111.0})
    assert alerts.check_closed() == 1
    assert reread(alert).triggered_bar == BEGIN + 6 * HOUR


def test_a_revision_of_the_newest_bar_does_not_trigger(hours: Hours, make_alert: MakeAlert) -> None:
    make_alert()
    hours.arrive({1: 100.0, 2: 101.0})
    assert alerts.check_closed() == 0

    for _ in range(2):
        hours.arrive({1: 100.0, 2: 130.0})
        assert alerts.check_closed() == 0
    assert hours.arrivals.bars()["close"].to_pylist()[2] == 130.0


def test_a_bar_that_closed_before_the_alert_but_arrives_later_does_not_trigger(
    hours: Hours, make_alert: MakeAlert
) -> None:
    hours.now = BEGIN + 4.5 * HOUR
    alert = make_alert(repeats=True)
    hours.arrive({2: 120.0, 3: 121.0, 4: 122.0, 5: 90.0})
    alerts.check_closed()

    assert reread(alert).triggered_bar == BEGIN + 4 * HOUR


def test_a_repeating_alert_sends_one_message_a_bar(
    hours: Hours, make_alert: MakeAlert, webhook: HttpReceiver
) -> None:
    make_alert(repeats=True, note="breakout")
    hours.arrive({2: 111.0, 3: 90.0, 4: 112.0})
    assert (alerts.check_closed(), alerts.check_closed()) == (2, 0)
    hours.arrive({4: 112.0, 5: 113.0})
    assert alerts.check_closed() == 1

    while deliver_due():
        pass
    sent = [json.loads(request.body) for request in webhook.received]
    assert {body["type"] for body in sent} == {"alert.triggered"}
    assert [body["alert"]["triggered_price"] for body in sent] == [111.0, 112.0, 113.0]
    assert sent[0]["alert"]["series"]["symbol"] == "BTCUSDT"
    assert sent[0]["alert"]["bar_time"] == "2025-03-03T02:00:00Z"
    assert sent[0]["alert"]["note"] == "breakout"
    assert sent[0]["alert"]["url"].startswith("http://127.0.0.1:8000/?symbol=BTCUSDT&exchange=")
    assert len({request.headers["webhook-id"] for request in webhook.received}) == 3


def test_a_message_that_is_not_accepted_is_sent_again_and_given_up_after_a_day(
    hours: Hours, make_alert: MakeAlert, webhook: HttpReceiver
) -> None:
    alert = make_alert()
    webhook.answer = receivers.status(500)
    hours.arrive({2: 111.0})
    alerts.check_closed()
    assert deliver_due() == 0
    assert alert.messages.get().state == "waiting"

    hours.now += timedelta(minutes=1)
    webhook.answer = receivers.accept
    assert deliver_due() == 1
    assert alert.messages.get().state == "sent"

    webhook.answer = receivers.status(500)
    alerts.change_alert(alert, state="active", by="test")
    hours.arrive({3: 111.0})
    alerts.check_closed()
    hours.now += timedelta(days=2)
    deliver_due()
    # A message that was sent is deleted with the next trigger, so that an alert keeps few.
    assert alert.messages.get().state == "given_up"


def test_a_process_that_dies_before_the_message_leaves_no_trigger(
    hours: Hours, make_alert: MakeAlert, webhook: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(**values: Any) -> None:
        raise Killed

    alert = make_alert()
    hours.arrive({2: 111.0})
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(IncidentMessage.objects, "create", die)
        alerts.check_closed()
    assert reread(alert).state == "active"

    assert alerts.check_closed() == 1
    assert deliver_due() == 1


def test_an_alert_that_is_armed_again_counts_new_bars_only(
    hours: Hours, make_alert: MakeAlert
) -> None:
    alert = make_alert()
    hours.arrive({2: 111.0})
    alerts.check_closed()
    alerts.change_alert(reread(alert), state="active", by="test")
    assert (alerts.check_closed(), reread(alert).triggered_at) == (0, None)

    hours.arrive({3: 112.0})
    assert alerts.check_closed() == 1
    alerts.change_alert(reread(alert), state="paused", by="test")
    hours.arrive({4: 113.0})
    assert alerts.check_closed() == 0
    assert reread(alert).triggered_bar == BEGIN + 3 * HOUR


def test_a_new_basis_of_the_prices_pauses_the_alert(hours: Hours, make_alert: MakeAlert) -> None:
    alert = make_alert(condition="below", price=90.0)
    hours.arrive({0: 25.0, 1: 25.0, 2: 25.0})
    PriceAlert.objects.filter(pk=alert.pk).update(generation=99)

    assert alerts.check_closed() == 0
    found = reread(alert)
    assert (found.state, found.triggered_at) == ("paused", None)
    assert "new basis" in found.pause_reason


def test_without_new_bars_the_check_is_one_query(
    hours: Hours, make_alert: MakeAlert, django_assert_num_queries: Any
) -> None:
    make_alert()
    alerts.check_closed()

    with django_assert_num_queries(1):
        assert alerts.check_closed() == 0


def test_triggered_alerts_are_deleted_with_the_old_history(
    hours: Hours, make_alert: MakeAlert, webhook: HttpReceiver
) -> None:
    alert, waiting = make_alert(), make_alert(price=1000.0)
    hours.arrive({2: 111.0})
    alerts.check_closed()
    retention_policy.tidy(hours.now)
    assert alert.messages.count() == 1

    removed = retention_policy.tidy(hours.now + timedelta(days=90))

    assert removed.alerts == 1
    assert PriceAlert.objects.get() == waiting
    assert not IncidentMessage.objects.exists()


def test_a_user_has_a_bounded_number_of_alerts(hours: Hours, make_alert: MakeAlert) -> None:
    first = make_alert()
    PriceAlert.objects.bulk_create(
        PriceAlert(series=first.series, condition="above", price=1.0)
        for _ in range(alerts.MOST_ALERTS - 1)
    )

    with pytest.raises(InvalidRequest, match="Delete one first"):
        make_alert()


@pytest.mark.django_db(transaction=True)
def test_several_workers_trigger_each_bar_once(
    hours: Hours, make_alert: MakeAlert, webhook: HttpReceiver
) -> None:
    for price in range(100, 105):
        make_alert(price=float(price), repeats=True)
    hours.arrive({2: 111.0, 3: 112.0})

    def check(_: int) -> int:
        try:
            return alerts.check_closed()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(check, range(4)))

    assert sum(numbers) == IncidentMessage.objects.count() == 10
