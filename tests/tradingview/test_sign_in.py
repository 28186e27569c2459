"""Sign-in: each kind, each refusal, one sign-in for all workers, and no visible secret."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from datasets import errors
from datasets.fetching import credentials
from datasets.models import SignIn
from datasets.tradingview import http
from datasets.tradingview.auth_token import GUEST_TOKEN, AuthToken, Credentials, read_claims
from datasets.tradingview.sign_in import sign_in
from tests.support.stacks import Feed, free_port

Configure = Callable[..., None]


@pytest.fixture
def configure(settings: Any, clean_feed: Feed) -> Configure:
    """Return a function that sets credentials in the settings."""
    settings.TV_SITE_URL = clean_feed.site_url

    def change(**values: str) -> None:
        for name, value in values.items():
            setattr(settings, name, value)

    return change


def sign(feed: Feed, **values: str) -> AuthToken:
    return sign_in(Credentials(**values), feed.site_url)


def test_without_credentials_we_are_a_guest(clean_feed: Feed) -> None:
    assert sign(clean_feed).value == GUEST_TOKEN
    assert clean_feed.stats()["sign_ins"] == 0


def test_a_password_gives_an_auth_token_that_ends_after_four_hours(clean_feed: Feed) -> None:
    token = sign(clean_feed, username="ada", password="lovelace")

    assert read_claims(token.value)["exp"] == token.expires_at
    assert 14_300 < token.expires_at - time.time() < 14_500


@pytest.mark.parametrize(
    ("username", "error", "advice"),
    [
        ("captcha", errors.AuthCaptcha, "TV_SESSION"),
        ("twofactor", errors.AuthTwoFactor, "TV_SESSION"),
        ("lockout", errors.RateLimited, "pause"),
        ("html", errors.AuthFailed, "browser"),
        ("wrong", errors.AuthFailed, "Check both"),
    ],
)
def test_each_refusal_has_its_error_and_its_advice(
    clean_feed: Feed, username: str, error: type[errors.FetchError], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        sign(clean_feed, username=username, password="lovelace")


def test_half_of_a_password_sign_in_is_refused_before_anything_is_sent(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthFailed, match="belong together"):
        sign(clean_feed, username="ada")
    assert clean_feed.stats()["sign_ins"] == 0


@pytest.mark.parametrize("how", ["hang", "drip", "drip_headers"])
@pytest.mark.parametrize("with_cookies", [False, True])
def test_a_site_with_an_endless_answer_is_a_timeout(
    clean_feed: Feed, monkeypatch: pytest.MonkeyPatch, how: str, with_cookies: bool
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.15)
    started = time.monotonic()

    with pytest.raises(errors.FeedTimeout, match="It can be tried again"):
        sign(clean_feed, **_named(how, with_cookies))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("with_cookies", [False, True])
def test_a_server_error_of_the_site_is_not_a_refusal_of_the_credentials(
    clean_feed: Feed, with_cookies: bool
) -> None:
    with pytest.raises(errors.FeedUnreachable, match="HTTP 503"):
        sign(clean_feed, **_named("busy", with_cookies))


def _named(how: str, with_cookies: bool) -> dict[str, str]:
    return {"session": how} if with_cookies else {"username": how, "password": "lovelace"}


def test_an_absent_site_is_unreachable() -> None:
    with pytest.raises(errors.FeedUnreachable) as caught:
        sign_in(Credentials(username="ada", password="lovelace"), f"http://127.0.0.1:{free_port()}")

    chain = repr(caught.value) + repr(caught.value.__cause__) + repr(vars(caught.value.__cause__))
    assert "lovelace" not in chain


@pytest.mark.parametrize(
    "values",
    [
        {"session": "abc"},
        {"session": "abc", "session_sign": "v2:sign"},
        {"session": "signed", "session_sign": "x"},
    ],
)
def test_a_browsers_cookies_give_an_auth_token(clean_feed: Feed, values: dict[str, str]) -> None:
    assert read_claims(sign(clean_feed, **values).value)["exp"] > time.time()


@pytest.mark.parametrize("values", [{"session": "expired"}, {"session": "signed"}])
def test_the_error_of_expired_cookies_names_the_cookies_to_copy(
    clean_feed: Feed, values: dict[str, str]
) -> None:
    with pytest.raises(errors.AuthExpired, match="sessionid_sign"):
        sign(clean_feed, **values)


def test_a_refused_page_is_not_an_expired_cookie(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthFailed, match="for a robot.*TV_SESSION"):
        sign(clean_feed, session="html")


def test_the_error_of_another_countrys_cookies_names_its_host(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthExpired, match=r"fr\.tradingview\.com.*TV_SITE_URL"):
        sign(clean_feed, session="moved")


def test_a_page_that_redirects_to_itself_is_an_expired_cookie(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthExpired, match="sessionid_sign") as caught:
        sign(clean_feed, session="loop")
    assert "TV_SITE_URL" not in str(caught.value)
    assert clean_feed.stats()["cookie_pages"] == 1


@pytest.mark.parametrize("value", ["“abc”", "a b", "abc\n", "ä"])
@pytest.mark.parametrize("name", ["session", "session_sign"])
def test_an_impossible_cookie_is_refused_before_it_is_sent(
    clean_feed: Feed, name: str, value: str
) -> None:
    with pytest.raises(errors.AuthFailed, match=f"TV_{name.upper()} holds a character") as caught:
        sign(clean_feed, **({"session": "abc"} | {name: value}))
    assert value not in str(caught.value)
    assert clean_feed.stats()["cookie_pages"] == 0


def test_a_session_of_another_account_is_refused(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthFailed, match="another account"):
        sign(clean_feed, session="abc", user_id="999999999")


def test_a_configured_auth_token_is_used_unchanged(clean_feed: Feed) -> None:
    value = sign(clean_feed, username="ada", password="lovelace").value
    clean_feed.reset()

    assert sign(clean_feed, auth_token=value, username="ada", password="lovelace").value == value
    assert clean_feed.stats()["sign_ins"] == 0


def test_no_repr_shows_a_secret() -> None:
    values = dict.fromkeys(
        ("username", "password", "session", "session_sign", "user_id", "auth_token"), "hunter2"
    )

    for text in (
        repr(Credentials(**values)),
        str(Credentials(**values)),
        f"{AuthToken('hunter2', 1)!r} {AuthToken('hunter2', 1)}",
    ):
        assert "hunter2" not in text


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.é.c", "a.W10.c"])
def test_a_token_that_is_not_a_jwt_has_no_claims(text: str) -> None:
    assert read_claims(text) == {}


# --- one sign-in for all -----------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_many_workers_sign_in_once(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")

    def work(_: int) -> str:
        try:
            return credentials.current_auth_token()
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        found = set(pool.map(work, range(24)))

    assert len(found) == 1
    assert clean_feed.stats()["sign_ins"] == 1


@pytest.mark.django_db
def test_the_cache_holds_the_auth_token_encrypted(configure: Configure, settings: Any) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")
    token = credentials.current_auth_token()

    sealed = cache.get("tokens:token")
    assert token not in str(sealed)

    settings.SECRET_KEY = "another key"
    assert credentials._kept_auth_token(credentials._fingerprint(credentials.credentials())) == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("username", "still_good_s", "renewed_s"), [("ada", 14_000, 14_200), ("shorttoken", 20, 40)]
)
def test_a_token_is_kept_until_shortly_before_its_end_and_a_short_one_for_half_its_life(
    configure: Configure,
    clean_feed: Feed,
    monkeypatch: pytest.MonkeyPatch,
    username: str,
    still_good_s: int,
    renewed_s: int,
) -> None:
    configure(TV_USERNAME=username, TV_PASSWORD="lovelace")
    now = time.time()

    for seconds, n_sign_ins in ((0, 1), (still_good_s, 1), (renewed_s, 2)):
        monkeypatch.setattr(time, "time", lambda: now + seconds)  # noqa: B023
        credentials.current_auth_token()
        assert clean_feed.stats()["sign_ins"] == n_sign_ins


@pytest.mark.django_db
def test_a_refused_token_is_replaced(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")
    first = credentials.current_auth_token()

    assert credentials.current_auth_token(refused=first) != first
    assert clean_feed.stats()["sign_ins"] == 2


@pytest.mark.django_db
def test_refused_credentials_are_not_sent_again_before_the_cool_down_ends(
    configure: Configure, clean_feed: Feed
) -> None:
    configure(TV_USERNAME="wrong", TV_PASSWORD="lovelace")

    for _ in range(3):
        with pytest.raises(errors.AuthFailed) as caught:
            credentials.current_auth_token()

    assert clean_feed.stats()["sign_ins"] == 1
    assert caught.value.retry_after_s is not None
    assert credentials.sign_in_state()["state"] == "refused"

    SignIn.objects.update(refused_until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(errors.AuthFailed):
        credentials.current_auth_token()
    assert clean_feed.stats()["sign_ins"] == 2


@pytest.mark.django_db
def test_other_credentials_are_tried_at_once(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="wrong", TV_PASSWORD="lovelace")
    with pytest.raises(errors.AuthFailed):
        credentials.current_auth_token()

    configure(TV_USERNAME="ada")

    assert credentials.current_auth_token()
    assert credentials.sign_in_state()["state"] == "signed_in"


@pytest.mark.django_db
def test_the_expired_lock_of_a_dead_worker_is_ignored(configure: Configure) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")
    SignIn.objects.create(
        pk=SignIn.SINGLETON, locked_by="dead", locked_until=timezone.now() - timedelta(seconds=1)
    )

    assert credentials.current_auth_token()
