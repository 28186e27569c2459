"""Places for requests that may hold a thread, and what is answered without one."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from django.test import Client

from datasets.api import busy_threads
from datasets.errors import Busy
from datasets.serving.places import Places
from tests.support.stacks import wait_until


def test_without_a_place_a_request_is_refused_and_the_next_one_at_once() -> None:
    places = Places(2, "All places are taken.", patience_s=0.05)
    with places.place(), places.place():
        for _ in range(2):
            with pytest.raises(Busy, match="All places are taken"):
                places.take()

    with places.place(), places.place():
        pass


def test_a_request_waits_while_places_become_free() -> None:
    places = Places(1, "All places are taken.", patience_s=20)
    places.take()
    done: list[bool] = []

    def wait() -> None:
        with places.place():
            done.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    places.give_back()
    wait_until(lambda: done == [True], what="the place")
    thread.join()


def test_the_probe_is_answered_while_everything_else_is_stuck(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Places(1, "All places are taken.", patience_s=0)
    monkeypatch.setattr(busy_threads, "answers", stuck)
    with stuck.place():
        refused = client.get("/api/tv/status")
        probe = client.get("/healthz")

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert refused["Retry-After"]
    assert probe.status_code == 200


def test_a_body_without_a_place_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = Places(2, "Too many bodies.", patience_s=0)
    monkeypatch.setattr(busy_threads, "bodies", bodies)
    with ExitStack() as taken:
        for _ in range(2):
            taken.enter_context(bodies.place())
        refused = client.post("/api/tv/fetches", {"symbol": "X:Y"}, "application/json")

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")


def test_some_threads_are_left_for_the_probe() -> None:
    from datasets.api.reply_pieces import MOST_AT_A_TIME

    assert busy_threads.answers.number + MOST_AT_A_TIME + 2 == 32
