"""nginx in front of the web server, with the configuration that compose.yaml uses."""

from __future__ import annotations

import io
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

from tests.support.front import Front, front
from tests.support.servers import Need
from tests.support.stacks import Feed, Stack, wait_until

OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
# Of one request, or of one connection.
OWN = {"date", "server", "x-request-id", "connection", "keep-alive", "transfer-encoding", "x-cache"}


@pytest.fixture(scope="module")
def fronted(
    feed: Feed, tmp_path_factory: pytest.TempPathFactory, need: Need
) -> Iterator[tuple[Stack, Front]]:
    """Return an open service with stored bars and two places for bodies, and the nginx before it."""
    folder = tmp_path_factory.mktemp("fronted")
    stack = Stack(
        folder, feed, WEB_THREADS="8", TRUSTED_PROXIES="1", X_ACCEL_PREFIX="/stored/", X_ACCEL_EXPIRES_S="60",
        CORS_ALLOWED_ORIGINS="https://app.example",
    )  # fmt: skip
    stack.start_web()
    stack.start_worker()
    try:
        assert requests.get(stack.url + OHLC, timeout=60).status_code == 200
        stack.manage("createsuperuser", "--noinput", "--username", "root", "--email", "", DJANGO_SUPERUSER_PASSWORD="of-root-9")  # fmt: skip
        with front(stack, folder / "nginx", need) as made:
            yield stack, made
    finally:
        stack.stop()


def facts(reply: requests.Response) -> dict[str, str]:
    return {name.lower(): text for name, text in reply.headers.items() if name.lower() not in OWN}


def test_slow_bodies_and_idle_connections_do_not_reach_the_web_server(
    fronted: tuple[Stack, Front],
) -> None:
    _, nginx = fronted
    start = (
        b"POST /api/tv/fetches HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    with ExitStack() as held:
        for number in range(300):
            address = ("127.0.0.1", nginx.port)
            client = held.enter_context(socket.create_connection(address, timeout=20))
            if number % 2:
                client.sendall(start)

        # Bodies are read too: without nginx, two silent clients would hold both places.
        body = {"symbol": "BINANCE:LTCUSDT", "use_cache": False}
        begun = requests.post(f"{nginx.url}/api/tv/fetches", json=body, timeout=20)
        pages = [requests.get(nginx.url + path, timeout=20) for path in ("/healthz", "/datasets/")]

    assert begun.status_code == 202
    assert [page.status_code for page in pages] == [200, 200]


def test_a_file_from_nginx_has_the_bytes_and_headers_of_one_from_the_web_server(
    fronted: tuple[Stack, Front],
) -> None:
    stack, nginx = fronted
    path = f"/api/tv/datasets/{dataset_of(nginx)}/file"
    with_nginx = stack.url
    plain = stack.start_web(X_ACCEL_PREFIX="")
    without_nginx, stack.url = stack.url, with_nginx

    for part in ({}, {"Range": "bytes=4-99"}, {"Range": "bytes=-8"}):
        headers = {"Accept-Encoding": "gzip", "Origin": "https://app.example", **part}
        direct = requests.get(without_nginx + path, headers=headers, timeout=20)
        sent = requests.get(nginx.url + path, headers=headers, timeout=20)
        assert sent.status_code == direct.status_code == (206 if part else 200)
        assert sent.content == direct.content
        said = facts(direct)
        if part:
            # nginx leaves it out of a part.
            said.pop("accept-ranges")
        assert facts(sent) == said
    plain.kill()

    tag = sent.headers["ETag"]
    for headers, status in (({"If-None-Match": tag}, 304), ({"Range": "bytes=4-99", "If-Range": tag}, 206)):  # fmt: skip
        assert requests.get(nginx.url + path, headers=headers, timeout=20).status_code == status
    whole = requests.get(nginx.url + path, timeout=20)
    assert pq.read_table(io.BytesIO(whole.content)).num_rows == 300


def test_nobody_reaches_the_files_without_the_web_server(fronted: tuple[Stack, Front]) -> None:
    stack, nginx = fronted
    [file] = list(stack.datasets_folder.rglob("*BTCUSDT*_300.parquet"))
    name = file.relative_to(stack.datasets_folder)

    for address in (f"/stored/{name}", f"/stored//{name}", f"/stored/../stored/{name}", "/stored/"):
        assert requests.get(nginx.url + address, timeout=20).status_code == 404, address


def test_bars_are_kept_for_a_moment_and_by_their_content_for_long(
    fronted: tuple[Stack, Front],
) -> None:
    _, nginx = fronted
    address = f"{nginx.url}{OHLC}&fields=time,close"

    first, second = (requests.get(address, timeout=20) for _ in range(2))
    path = first.json()["bars_url"]
    immutable = [requests.get(nginx.url + path, timeout=20) for _ in range(2)]

    assert [first.headers["X-Cache"], second.headers["X-Cache"]] == ["MISS", "HIT"]
    assert facts(first) == facts(second)
    assert first.json() == second.json()
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert "X-Accel-Expires" not in first.headers
    assert [reply.headers["X-Cache"] for reply in immutable] == ["MISS", "HIT"]
    assert immutable[1].headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert immutable[1].json()["ohlc"] == first.json()["ohlc"]
    known = {"If-None-Match": immutable[1].headers["ETag"]}
    unchanged = requests.get(nginx.url + path, headers=known, timeout=20)
    assert (unchanged.status_code, unchanged.headers["X-Cache"]) == (304, "HIT")


def test_a_part_of_kept_parquet_bytes_comes_from_nginx(fronted: tuple[Stack, Front]) -> None:
    _, nginx = fronted
    content_hash = requests.get(nginx.url + OHLC, timeout=20).json()["content_hash"]
    address = f"{nginx.url}/api/tv/bars/{content_hash}?format=parquet"
    whole = requests.get(address, timeout=20)

    part = requests.get(address, headers={"Range": "bytes=-8"}, timeout=20)

    assert (part.status_code, part.headers["X-Cache"]) == (206, "HIT")
    assert part.content == whole.content[-8:]


def test_each_encoding_format_and_origin_has_a_reply_of_its_own(
    fronted: tuple[Stack, Front],
) -> None:
    _, nginx = fronted
    address = f"{nginx.url}{OHLC}&fields=time,open"
    asked: list[dict[str, Any]] = [
        {"Accept-Encoding": "gzip, deflate, br"},
        {"Accept-Encoding": "identity"},
        {"Accept-Encoding": "gzip;q=0"},
        {"Accept": "text/csv"},
        {"Origin": "https://app.example"},
    ]

    for _ in range(2):
        replies = [requests.get(address, headers=headers, timeout=20) for headers in asked]
        assert [reply.headers.get("Content-Encoding") for reply in replies] == ["gzip", None, None, "gzip", "gzip"]  # fmt: skip
        assert replies[3].headers["Content-Type"] == "text/csv"
        assert [reply.headers.get("Access-Control-Allow-Origin") for reply in replies] == [None] * 4 + ["https://app.example"]  # fmt: skip
    # The second way to refuse gzip shares the reply of the first.
    assert [reply.headers["X-Cache"] for reply in replies] == ["HIT"] * 5


def test_a_reply_to_somebody_with_credentials_is_never_given_to_another(
    fronted: tuple[Stack, Front],
) -> None:
    _, nginx = fronted
    address = f"{nginx.url}{OHLC}&fields=time,low"

    known = requests.get(address, auth=("root", "of-root-9"), timeout=20)
    stranger = requests.get(address, timeout=20)
    again = requests.get(address, auth=("root", "of-root-9"), timeout=20)
    wrong = requests.get(address, headers={"Authorization": "Bearer tv_wrong"}, timeout=20)
    with_cookie = requests.get(address, cookies={"sessionid": "x" * 32}, timeout=20)
    tag = {"If-None-Match": again.headers["ETag"]}
    unchanged = requests.get(address, auth=("root", "of-root-9"), headers=tag, timeout=20)

    assert [known.headers["X-Cache"], stranger.headers["X-Cache"]] == ["BYPASS", "MISS"]
    assert [again.headers["X-Cache"], wrong.status_code] == ["BYPASS", 401]
    assert with_cookie.headers["X-Cache"] == "BYPASS"
    # The web server, not nginx, compares the tag.
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_refused_request_and_a_fetch_are_not_kept(fronted: tuple[Stack, Front]) -> None:
    _, nginx = fronted

    address = f"{nginx.url}/api/tv/ohlc?symbol=BINANCE:SOLUSDT&n_bars=20"

    for query in ("&fields=wrong", "&use_cache=false&max_age=5", "&redirect=true"):
        replies = [
            requests.get(f"{address}{query}", timeout=60, allow_redirects=False) for _ in range(2)
        ]
        assert [reply.headers["X-Cache"] for reply in replies] == ["MISS", "MISS"], query


def test_each_security_header_is_sent_once(fronted: tuple[Stack, Front]) -> None:
    stack, nginx = fronted
    [content] = re.findall(r"bars/(\w+)", requests.get(nginx.url + OHLC, timeout=20).text)[:1]

    for path in (
        "/",
        OHLC,
        f"/api/tv/bars/{content}",
        f"/api/tv/datasets/{dataset_of(nginx)}/file",
    ):
        raw = requests.get(nginx.url + path, timeout=20, stream=True).raw.headers
        for name in ("X-Frame-Options", "X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy", "Cache-Control", "ETag", "X-Request-Id"):  # fmt: skip
            is_expected = path != "/" or name not in ("ETag", "Cache-Control")
            assert len(raw.getlist(name)) == is_expected, (path, name)


def test_the_web_server_counts_the_clients_own_address(fronted: tuple[Stack, Front]) -> None:
    stack, nginx = fronted
    body = {"symbol": "BINANCE:ETHUSDT", "n_bars": 10}

    # The client's own header is not believed: nginx appends the address of the connection.
    begun = requests.post(
        f"{nginx.url}/api/tv/fetches", json=body, headers={"X-Forwarded-For": "203.0.113.9"}, timeout=20
    )  # fmt: skip

    assert begun.status_code == 202
    told = "from datasets.models import Fetch; print(Fetch.objects.latest('pk').requested_by)"
    assert stack.manage("shell", "-c", told).stdout.splitlines()[-1] == "127.0.0.1"


def test_nginx_logs_the_id_of_a_request_and_no_token(fronted: tuple[Stack, Front]) -> None:
    _, nginx = fronted
    secret = "tv_secret-in-the-path"

    requests.get(
        f"{nginx.url}/udf/t/{secret}/config?x=1", headers={"X-Request-Id": "mine-1"}, timeout=20
    )

    line = wait_until(
        lambda: [line for line in nginx.access_log().splitlines() if "mine-1" in line],
        what="the line",
    )[0]
    assert "GET /udf/t/***/config?x=1" in line
    assert secret not in nginx.access_log()


def test_https_with_a_certificate_serves_the_pages_and_http_leads_to_it(
    feed: Feed, tmp_path: Path, need: Need
) -> None:
    stack = Stack(tmp_path, feed, TRUSTED_PROXIES="1", SITE_URL="https://127.0.0.1")
    try:
        stack.start_web()
        with front(stack, tmp_path / "nginx", need, has_tls=True) as nginx:
            url = f"https://127.0.0.1:{nginx.tls_port}"
            page = requests.get(f"{url}/login/", verify=str(nginx.certificate), timeout=20)
            led = requests.get(f"{nginx.url}/datasets/?q=1", timeout=20, allow_redirects=False)
            context = ssl.create_default_context(cafile=str(nginx.certificate))
            with (
                socket.create_connection(("127.0.0.1", nginx.tls_port), timeout=20) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
            ):
                version = wrapped.version()
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(f"{url}/login/", timeout=20)
    finally:
        stack.stop()

    assert (page.status_code, version) == (200, "TLSv1.3")
    assert page.raw.headers.getlist("Strict-Transport-Security") == ["max-age=2592000"]
    assert "secure" in page.headers["Set-Cookie"].lower()
    assert (led.status_code, led.headers["Location"]) == (308, "https://127.0.0.1/datasets/?q=1")


def dataset_of(nginx: Front) -> int:
    number: int = requests.get(nginx.url + OHLC, timeout=20).json()["dataset"]
    return number
