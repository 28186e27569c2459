"""Rendered replies: what is held in memory is counted whole, and what is on disk is used again."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as project
from django.test import Client

from datasets.models import Dataset
from datasets.serving.reply_bodies import bodies, rendering
from datasets.serving.reply_bodies.body_cache import Rendered, rendered_cache
from datasets.serving.reply_bodies.body_files import RenderedFiles

MakeDataset = Callable[..., Dataset]
MB = 2**20
OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
ZIPPED = {"Accept-Encoding": "gzip"}
HEADERS = (("Covers-Start", "true"), ("Held-From", "2026-01-01T00:00:00Z"))


@pytest.fixture(autouse=True)
def own_state(settings: Any, tmp_path: Path) -> Path:
    settings.STATE_DIR = tmp_path / "state"
    bodies.rendered.clear()
    return tmp_path / "state" / "rendered"


@pytest.fixture
def n_rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the formats that are rendered, one for each time."""
    found: list[str] = []
    render = rendering.render_plain

    def noted(answer: Any, request: Any) -> Rendered:
        found.append(request.format)
        return render(answer, request)

    monkeypatch.setattr(rendering, "render_plain", noted)
    return found


def a_reply(number: int, size: int = 50) -> Rendered:
    return Rendered(f"{number:>{size}}".encode(), f'"{number:032}"', False, HEADERS)


# --- in memory ---------------------------------------------------------------------------


def test_many_small_replies_stay_within_the_bound_with_all_that_is_held_for_them() -> None:
    cache = rendered_cache(4 * MB)

    tracemalloc.start()
    try:
        for number in range(20_000):
            headers = tuple((str(name), f"{value} {number}") for name, value in HEADERS)
            reply = Rendered(f"{number:>50}".encode(), f'"{number:032}"', False, headers)
            cache.keep(number.to_bytes(16, "big"), reply)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 2 * MB < held <= 4 * MB
    assert cache.weight <= cache.max_weight


def test_moving_bounds_do_not_grow_the_process(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)
    before = bodies.rendered.max_weight
    bodies.rendered.max_weight = 200_000
    try:
        for minutes in range(100):
            end = (datetime(2023, 11, 15, tzinfo=UTC) + timedelta(minutes=minutes)).isoformat()
            assert client.get(f"{OHLC}&end={quote(end)}").status_code == 200
        assert bodies.rendered.weight <= 200_000
        # As much again for each key, whatever its body: none is free.
        assert len(bodies.rendered._kept) * 700 <= 200_000
    finally:
        bodies.rendered.max_weight = before


def test_a_reply_that_replaces_another_is_counted_once() -> None:
    cache = rendered_cache(MB)

    for size in (1000, 50, 2000):
        cache.keep(b"key", a_reply(1, size))

    assert cache.weight == a_reply(1, 2000).held_bytes + 3


def test_the_gzipped_body_alone_is_held_and_others_get_it_unpacked(
    client: Client, make_dataset: MakeDataset, n_rendered: list[str]
) -> None:
    make_dataset(300)

    plain = client.get(OHLC)
    size_of_plain = bodies.rendered.weight
    zipped = client.get(OHLC, headers=ZIPPED)
    size_of_zipped = bodies.rendered.weight
    again = client.get(OHLC)

    assert size_of_zipped < size_of_plain / 2
    assert gzip.decompress(zipped.content) == plain.content == again.content
    assert plain["ETag"] == again["ETag"] != zipped["ETag"]
    assert n_rendered == ["json"]
    known = client.get(OHLC, headers={"If-None-Match": plain["ETag"]})
    assert known.status_code == 304


# --- on disk -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["json", "csv", "parquet"])
@pytest.mark.parametrize("headers", [{}, ZIPPED])
def test_after_a_restart_nothing_is_rendered_again(
    client: Client, make_dataset: MakeDataset, n_rendered: list[str], own_state: Path, name: str, headers: dict[str, str],
) -> None:  # fmt: skip
    dataset = make_dataset(300)
    address = f"{OHLC}&format={name}"
    first = client.get(address, headers=headers)
    bodies.rendered.clear()

    again = client.get(address, headers=headers)

    assert n_rendered == [name]
    assert again.content == first.content
    # Each request has an id of its own.
    assert again.headers.pop("X-Request-Id") != first.headers.pop("X-Request-Id")
    assert again.headers == first.headers
    (kept,) = own_state.iterdir()
    assert kept.name.startswith(dataset.content_hash[:16])


def test_other_content_has_another_file(
    client: Client, make_dataset: MakeDataset, n_rendered: list[str], own_state: Path
) -> None:
    make_dataset(300)
    client.get(OHLC)
    Dataset.objects.all().delete()
    make_dataset(300, reply={"last_bar_final": False})
    bodies.rendered.clear()

    assert json.loads(client.get(OHLC).content)["last_bar_final"] is False
    assert len(n_rendered) == 2


def test_replies_of_another_version_are_not_used(
    client: Client,
    make_dataset: MakeDataset,
    n_rendered: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_dataset(300)
    client.get(OHLC)
    bodies.rendered.clear()
    monkeypatch.setattr(bodies, "_MADE_BY", b"another version")

    client.get(OHLC)

    assert len(n_rendered) == 2


def test_bounds_that_move_leave_no_file(
    client: Client, make_dataset: MakeDataset, own_state: Path
) -> None:
    make_dataset(300)

    assert client.get(f"{OHLC}&end=2023-11-15T00:00:00Z").status_code == 200
    assert not own_state.exists()


@pytest.mark.parametrize("spoil", [b"", b"{}\n", b"[\n", b"cut"])
def test_a_file_that_is_not_whole_is_not_served(
    client: Client, make_dataset: MakeDataset, own_state: Path, spoil: bytes
) -> None:
    make_dataset(300)
    first = client.get(OHLC)
    (kept,) = own_state.iterdir()
    kept.write_bytes(spoil if spoil != b"cut" else kept.read_bytes()[:-1])
    bodies.rendered.clear()

    assert client.get(OHLC).content == first.content
    bodies.rendered.clear()
    assert client.get(OHLC).content == first.content


def test_the_folder_is_made_and_may_be_deleted_and_may_be_unwritable(
    client: Client, make_dataset: MakeDataset, own_state: Path, settings: Any
) -> None:
    make_dataset(300)
    own_state.parent.mkdir()
    own_state.write_text("in the way")

    assert client.get(OHLC).status_code == 200
    bodies.rendered.clear()
    own_state.unlink()
    assert client.get(OHLC).status_code == 200
    assert list(own_state.iterdir())
    settings.WEB_CACHE_DISK_MB = 0
    bodies.rendered.clear()
    assert client.get(OHLC).status_code == 200


def test_the_disk_holds_the_most_recently_used_within_its_bound(tmp_path: Path) -> None:
    files = RenderedFiles(tmp_path / "rendered", max_bytes=64 * 8192)
    for number in range(200):
        files.keep(f"{number:03}", a_reply(number, 7000))
        # Used again and again.
        assert files.find("000") == a_reply(0, 7000)

    files.prune()

    left = sorted(path.name for path in (tmp_path / "rendered").iterdir())
    assert "000" in left
    assert "199" in left
    assert len(left) == 64


def test_the_default_sizes_are_the_settings() -> None:
    assert bodies.rendered.max_weight == project.WEB_CACHE_MB * MB
