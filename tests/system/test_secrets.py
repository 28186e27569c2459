"""Nothing that a run leaves behind, says or shows holds a secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.stacks import Feed, Stack

PASSWORD = 'p&s"w\\rd %41-Tr0ub4dor'
COOKIE = "c00kie+/=;sess10n-Hunter2"
SIGN = "v2:s1gn/+=Hunter2"
ADMIN = "adm1n-Hunter2-pass"
SECRET_KEY = "k3y-Hunter2-0123456789-0123456789-0123456789-0123456789"


def spellings(secret: str) -> set[bytes]:
    """Return the ways in which a secret could have been written down."""
    texts = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    }
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode())}


def found_in(content: bytes, secrets: list[str]) -> list[str]:
    return [
        secret for secret in secrets if any(spelling in content for spelling in spellings(secret))
    ]


@pytest.fixture(params=["password", "wrong password", "cookies"])
def stack(request: pytest.FixtureRequest, tmp_path: Path, clean_feed: Feed) -> Iterator[Stack]:
    credentials = {
        "password": {"TV_USERNAME": "ada", "TV_PASSWORD": PASSWORD},
        "wrong password": {"TV_USERNAME": "wrong", "TV_PASSWORD": PASSWORD},
        "cookies": {"TV_SESSION": COOKIE, "TV_SESSION_SIGN": SIGN, "TV_USER_ID": ""},
    }[request.param]
    made = Stack(tmp_path, clean_feed, SECRET_KEY=SECRET_KEY, ADMIN_PASSWORD=ADMIN, **credentials)
    yield made
    made.stop()


def test_no_secret_is_in_any_file_log_or_reply(stack: Stack, clean_feed: Feed) -> None:
    stack.start_worker()
    stack.start_web()
    replies = [
        stack.get("ohlc", symbol=symbol, n_bars=20, wait=20)
        for symbol in ("BINANCE:BTCUSDT", "X:NO")
    ]
    replies += [stack.get(address) for address in ("status", "fetches", "datasets")]
    printed = stack.manage("datasets", "list", check=False)
    fetched = stack.manage("fetch", "BINANCE:ETHUSDT", "-n", "5", "--json", check=False)
    # What the feed saw tells that the credentials were really used.
    used = clean_feed.stats()
    assert used["sign_ins"] + used["cookie_pages"] + len(used["tokens"]) > 0

    secrets = [PASSWORD, COOKIE, SIGN, ADMIN, SECRET_KEY, *used["tokens"]]
    secrets = [secret for secret in secrets if secret != "unauthorized_user_token"]
    said = b"".join(reply.content + repr(reply.headers).encode() for reply in replies)
    said += (printed.stdout + printed.stderr + fetched.stdout + fetched.stderr).encode()
    assert found_in(said, secrets) == []
    for path in stack.folder.rglob("*"):
        if path.is_file():
            assert found_in(path.read_bytes(), secrets) == [], path
