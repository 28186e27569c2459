"""Framing: both units of a length, and bytes that are not frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import FeedProtocol
from datasets.tradingview import frames

texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5
)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(texts.filter(lambda payloads: not any("~" in payload for payload in payloads)))
def test_frames_counted_in_utf16_units_are_split(payloads: list[str]) -> None:
    message = "".join(f"~m~{utf16_units(payload)}~m~{payload}" for payload in payloads)

    assert [part.decode() for part in frames.split_message(message.encode())] == payloads


@given(texts.filter(lambda payloads: not any("~" in payload for payload in payloads)))
def test_frames_counted_in_bytes_are_split(payloads: list[str]) -> None:
    message = "".join(f"~m~{len(payload.encode())}~m~{payload}" for payload in payloads)

    assert [part.decode() for part in frames.split_message(message.encode())] == payloads


@given(st.binary(max_size=60))
def test_any_bytes_are_frames_or_a_named_error(data: bytes) -> None:
    try:
        parts = frames.split_message(data)
    except FeedProtocol:
        return
    assert sum(map(len, parts)) <= len(data)


@pytest.mark.parametrize(
    "message",
    [
        b"hello",
        b"~m~5~m~abc",
        b"~m~2~m~abc",
        b"~m~-1~m~",
        b"~m~~m~",
        b"~m~99999999999~m~a",
        b"~m~2~m~ab~m~",
    ],
)
def test_a_wrong_length_is_named(message: bytes) -> None:
    with pytest.raises(FeedProtocol):
        frames.split_message(message)


def test_text_that_is_not_utf8_is_named() -> None:
    with pytest.raises(FeedProtocol, match="UTF-8"):
        frames.split_message(b"~m~2~m~\xff\xfe")


@pytest.mark.parametrize("payload", [b"", b"nothing", b"[1]", b"12", b'{"m":', b"[" * 100_000])
def test_a_payload_that_is_not_a_message_is_named(payload: bytes) -> None:
    with pytest.raises(FeedProtocol):
        frames.decode(payload)


def test_our_messages_are_ascii_with_a_unique_length() -> None:
    message = frames.encode("resolve_symbol", ['={"symbol":"X:Ä\\"\\\\"}'])

    assert message.isascii()
    assert frames.decode(frames.split_message(message.encode())[0])["p"] == [
        '={"symbol":"X:Ä\\"\\\\"}'
    ]
