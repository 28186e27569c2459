"""A cool-down is visible on every page for operators, who can end it there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from datasets.errors import RateLimited
from datasets.fetching import throttle

REASON = "TradingView refused the connection (HTTP 429)."


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="fetch_dataset"))
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def cool_down(db: None) -> None:
    throttle.cool_down(RateLimited(REASON))


def test_the_page_of_fetches_shows_the_pause_and_its_reason(client: Client) -> None:
    page = client.get("/fetches/").content.decode()

    assert "All fetches pause for" in page
    assert REASON in page
    assert "End the pause now" not in page


def test_the_status_shows_the_pause_and_its_reason(client: Client) -> None:
    said = client.get("/api/tv/status").json()

    assert 50 < said["cool_down_s"] <= 60
    assert said["cool_down_reason"] == REASON


def test_the_admin_shows_the_pause_and_links_the_page_that_ends_it(operator: Client) -> None:
    page = operator.get("/admin/").content.decode()

    assert REASON in page
    assert 'href="/status/#cool-down"' in page


def test_an_operator_ends_the_pause_on_the_page(operator: Client) -> None:
    assert "End the pause now" in operator.get("/fetches/").content.decode()

    page = operator.post("/fetches/", {"end_cool_down": "1"}, follow=True).content.decode()

    assert "The pause is over" in page
    assert throttle.cool_down_left() == 0
    assert "All fetches pause" not in page


def test_an_operator_ends_the_pause_through_the_api(operator: Client) -> None:
    reply = operator.delete("/api/tv/status/cool-down")

    assert reply.status_code == 204
    assert throttle.cool_down_left() == 0
    assert operator.get("/api/tv/status").json()["cool_down_reason"] is None


def test_an_anonymous_user_cannot_end_the_pause(client: Client) -> None:
    assert client.post("/fetches/", {"end_cool_down": "1"}).status_code == 403
    assert client.delete("/api/tv/status/cool-down").status_code in (401, 403)
    assert throttle.cool_down_left() > 0


def test_the_refusal_after_an_ended_pause_counts_as_the_first(operator: Client) -> None:
    operator.delete("/api/tv/status/cool-down")

    assert throttle.cool_down(RateLimited(REASON)) == throttle.FIRST_COOL_DOWN_S
