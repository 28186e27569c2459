"""With `DEBUG=1` an error page shows code and variables, and no secret."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from tvproject.secrecy import LineFormatter

SECRETS = {
    "SECRET_KEY": "s3cret-key-Hunter2-0123456789",
    "TV_PASSWORD": 'p&s"w\\rd-Hunter2',
    "TV_SESSION": "sess10n-Hunter2",
    "TV_AUTH_TOKEN": "eyJ-token-Hunter2",
    "ADMIN_PASSWORD": "adm1n-Hunter2",
}
ADDRESSES = {
    "DATABASE_URL": "postgres://bars:db-Hunter2%21@db.example/bars",
    "CELERY_BROKER_URL": "redis://:broker-Hunter2@broker.example/0",
    "CACHE_URL": "rediss://user:cache-Hunter2@cache.example/1",
}
SENT = {
    "sessionid": "cookie-Hunter2-1",
    "csrftoken": "cookie-Hunter2-2",
    "other": "cookie-Hunter2-3",
}


def fail(request: HttpRequest) -> HttpResponse:
    """A view with an error nobody foresaw, and secrets under harmless names in its variables."""
    from django.conf import settings

    innocent = [settings.ENV["TV_PASSWORD"], dict(request.META)]
    where = settings.ENV["CELERY_BROKER_URL"]
    posted = request.POST.get("password", "")
    raise RuntimeError(f"no connection to {where} with {innocent[0]} {posted[:0]}")


urlpatterns = [path("fail", fail), path("api/fail", fail)]


@pytest.fixture
def debugging(settings: Any) -> None:
    """Settings as an operator's, each secret with a value that can be searched for."""
    settings.ENV = settings.ENV | SECRETS | ADDRESSES
    for name, value in (SECRETS | ADDRESSES).items():
        if hasattr(settings, name):
            setattr(settings, name, value)
    settings.DEBUG = True


def spellings(secret: str) -> set[str]:
    return {
        secret,
        html.escape(secret),
        repr(secret)[1:-1],
        html.escape(repr(secret)[1:-1]),
        quote(secret),
    }


@pytest.mark.usefixtures("debugging")
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@override_settings(ROOT_URLCONF=__name__)
def test_the_page_of_a_failing_view_holds_no_secret(
    client: Client, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.raise_request_exception = False
    client.cookies.load(SENT)
    form = {"password": "typed-Hunter2", "symbol": "BINANCE:BTCUSDT"}

    line = LineFormatter("{levelname} {message}", style="{")

    reply = client.post(
        "/fail", form, headers={"accept": accept, "authorization": "Bearer tv_Hunter2-token"}
    )

    page = reply.content.decode()
    assert reply.status_code == 500
    assert "RuntimeError" in page
    assert "broker.example" in page
    assert "BINANCE:BTCUSDT" in page
    secrets = [*SECRETS.values(), *SENT.values(), "typed-Hunter2", "tv_Hunter2-token"]
    secrets += ["db-Hunter2", "broker-Hunter2", "cache-Hunter2"]
    assert [secret for secret in secrets for text in spellings(secret) if text in page] == []
    logged = "".join(line.format(record) for record in caplog.records)
    assert "Internal Server Error: /fail" in logged
    assert [secret for secret in secrets for text in spellings(secret) if text in logged] == []
