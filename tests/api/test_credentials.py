"""Credentials that cannot be read are refused; nobody goes on as an anonymous caller instead."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
from django.test import Client

from tests.support.stacks import Feed, Stack

UNREADABLE = [
    "", " ", "garbage", "Token x", "Digest username=a", "Bearer", "Bearer a b", " Bearer x", "Bearer\tx",
    "Bearer é", "Bearer 币", "Basic", "Basic !!!", "Basic a b", "Basic é",
    "Basic " + base64.b64encode(b"no colon").decode(),
    "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/tv/status", "/api/tv/ohlc?symbol=X:Y&wait=0"])
@pytest.mark.parametrize("header", UNREADABLE)
@pytest.mark.django_db
def test_an_authorization_header_that_cannot_be_read_is_refused(
    client: Client, header: str, path: str
) -> None:
    reply = client.get(path, headers={"authorization": header})

    assert reply.status_code == 401
    assert reply.json()["code"] == "not_authenticated"


def test_the_web_server_passes_no_unreadable_credentials_off_as_none(
    tmp_path: Path, clean_feed: Feed
) -> None:
    stack = Stack(tmp_path, clean_feed)
    try:
        stack.start_web()
        port = int(stack.url.rpartition(":")[2])
        for header in (b"Authorization: Bearer \xff\xfe", b"Authorization:"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                request = b"GET /api/tv/status HTTP/1.1\r\nHost: localhost\r\n" + header
                connection.sendall(request + b"\r\nConnection: close\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 401"), header
    finally:
        stack.stop()
