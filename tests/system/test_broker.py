"""The broker's folder: messages that survive a power cut, and takes that cost the same in a long queue."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from kombu.simple import SimpleQueue

from tvproject import broker

# What a power cut leaves of a file that was not synced, and what nobody of ours has written.
NO_MESSAGES = {
    "empty": b"",
    "zeros": bytes(200),
    "truncated": b'{"body": "W10=", "headers": {"la',
    "not text": b"\xff\xfe\x00",
    "a list": b"[]",
    "another document": b'{"body": "W10="}',
    "no tag": b'{"body": "W10=", "headers": {}, "properties": {}}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "broker"
    made.mkdir()
    return made


@pytest.fixture
def queue(folder: Path) -> Iterator[SimpleQueue]:
    """A queue in an empty folder."""
    broker.install()
    options = {"data_folder_in": str(folder)}
    with Connection("filesystem://", transport_options=options) as connection:
        found = connection.SimpleQueue("fetches", no_ack=True)
        yield found
        found.close()


def take_all(queue: SimpleQueue) -> list[Any]:
    taken = []
    while queue.qsize():
        taken.append(queue.get(timeout=5).payload)
    return taken


def test_each_message_is_taken_once_and_its_file_is_gone(queue: SimpleQueue, folder: Path) -> None:
    for number in range(5):
        queue.put([number])

    assert sorted(take_all(queue)) == [[0], [1], [2], [3], [4]]
    assert list(folder.iterdir()) == []


def test_what_is_no_message_is_set_aside_with_one_line_and_the_others_are_taken(
    queue: SimpleQueue, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, content in NO_MESSAGES.items():
        (folder / f"{name}.fetches.msg").write_bytes(content)
    queue.put(["good"])

    with caplog.at_level(logging.WARNING, logger="tvproject.broker"):
        assert queue.get(timeout=5).payload == ["good"]
        with pytest.raises(queue.Empty):
            queue.get(block=False)

    assert len(caplog.messages) == len(NO_MESSAGES)
    set_aside = {path.name.split(".")[0]: path for path in (folder / "unreadable").iterdir()}
    assert {name: path.read_bytes() for name, path in set_aside.items()} == NO_MESSAGES


def test_a_message_is_synced_before_it_has_its_name_and_so_is_the_folder_after(
    queue: SimpleQueue, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, bool]] = []
    real_sync = os.fsync

    def sync(descriptor: int) -> None:
        real_sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        is_there = bool(list(folder.glob("*.msg")))
        done.append(("folder" if path == folder else path.suffix, is_there))

    monkeypatch.setattr(os, "fsync", sync)
    queue.put(["good"])

    assert done == [(".draft", False), ("folder", True)]


def test_a_take_costs_the_same_with_ten_thousand_messages_as_with_a_hundred(
    queue: SimpleQueue, folder: Path
) -> None:
    queue.put(["good"])
    (path,) = folder.iterdir()
    message = json.loads(path.read_bytes())

    def seconds_of_a_take(n_messages: int) -> float:
        for number in range(n_messages):
            (folder / f"{number}.fetches.msg").write_text(json.dumps(message))
        found = []
        for _ in range(30):
            began = time.perf_counter()
            queue.get(timeout=5)
            found.append(time.perf_counter() - began)
        return min(found)

    few, many = seconds_of_a_take(100), seconds_of_a_take(10_000)

    assert many < 10 * few, (few, many)
