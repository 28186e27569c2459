"""Signing in: every way, every refusal, one sign-in for all, and no secret anywhere."""

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

from datasets import errors, tokens
from datasets.models import SignIn
from datasets.tradingview import http
from datasets.tradingview.signin import GUEST_TOKEN, Credentials, Token, read_claims, sign_in
from tests.processes import Feed, free_port

Configure = Callable[..., None]


@pytest.fixture
def configure(settings: Any, clean_feed: Feed) -> Configure:
    """Return a function that sets credentials as the environment would."""
    settings.TV_SITE_URL = clean_feed.site_url

    def change(**values: str) -> None:
        for name, value in values.items():
            setattr(settings, name, value)

    return change


def sign(feed: Feed, **values: str) -> Token:
    return sign_in(Credentials(**values), feed.site_url)


def test_without_credentials_we_are_a_guest(clean_feed: Feed) -> None:
    assert sign(clean_feed).value == GUEST_TOKEN
    assert clean_feed.stats()["sign_ins"] == 0


def test_a_password_gives_a_token_that_ends_after_four_hours(clean_feed: Feed) -> None:
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
def test_each_refusal_has_a_name_and_says_what_to_do(
    clean_feed: Feed, username: str, error: type[errors.FetchError], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        sign(clean_feed, username=username, password="lovelace")


def test_half_of_a_password_sign_in_is_refused_before_anything_is_sent(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthFailed, match="belong together"):
        sign(clean_feed, username="ada")
    assert clean_feed.stats()["sign_ins"] == 0


def test_a_site_that_never_answers_is_given_up(
    clean_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.3)

    with pytest.raises(errors.FeedTimeout, match="sign-in"):
        sign(clean_feed, username="hang", password="lovelace")


def test_a_site_that_is_not_there_is_unreachable() -> None:
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
def test_a_browsers_cookies_give_a_token(clean_feed: Feed, values: dict[str, str]) -> None:
    assert read_claims(sign(clean_feed, **values).value)["exp"] > time.time()


@pytest.mark.parametrize("values", [{"session": "expired"}, {"session": "signed"}])
def test_expired_cookies_say_which_to_copy_anew(clean_feed: Feed, values: dict[str, str]) -> None:
    with pytest.raises(errors.AuthExpired, match="sessionid_sign"):
        sign(clean_feed, **values)


def test_a_session_of_another_account_is_refused(clean_feed: Feed) -> None:
    with pytest.raises(errors.AuthFailed, match="another account"):
        sign(clean_feed, session="abc", user_id="999999999")


def test_a_ready_token_is_used_as_it_is(clean_feed: Feed) -> None:
    value = sign(clean_feed, username="ada", password="lovelace").value
    clean_feed.reset()

    assert sign(clean_feed, auth_token=value, username="ada", password="lovelace").value == value
    assert clean_feed.stats()["sign_ins"] == 0


def test_nothing_shows_a_secret() -> None:
    values = dict.fromkeys(
        ("username", "password", "session", "session_sign", "user_id", "auth_token"), "hunter2"
    )

    for text in (
        repr(Credentials(**values)),
        str(Credentials(**values)),
        f"{Token('hunter2', 1)!r} {Token('hunter2', 1)}",
    ):
        assert "hunter2" not in text


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.é.c", "a.W10.c"])
def test_a_token_that_is_no_jwt_claims_nothing(text: str) -> None:
    assert read_claims(text) == {}


# --- one sign-in for all -----------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_many_workers_sign_in_once(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")

    def work(_: int) -> str:
        try:
            return tokens.current_token()
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        found = set(pool.map(work, range(24)))

    assert len(found) == 1
    assert clean_feed.stats()["sign_ins"] == 1


@pytest.mark.django_db
def test_the_kept_token_is_not_readable_where_it_is_kept(
    configure: Configure, settings: Any
) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")
    token = tokens.current_token()

    sealed = cache.get("tokens:token")
    assert token.encode() not in sealed

    settings.SECRET_KEY = "another key"
    assert tokens._kept_token(tokens._fingerprint(tokens.credentials())) is None


@pytest.mark.django_db
def test_a_token_about_to_end_is_renewed(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="shorttoken", TV_PASSWORD="lovelace")

    tokens.current_token()
    tokens.current_token()

    assert clean_feed.stats()["sign_ins"] == 2


@pytest.mark.django_db
def test_a_refused_token_is_replaced(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")
    first = tokens.current_token()

    assert tokens.current_token(refused=first) != first
    assert clean_feed.stats()["sign_ins"] == 2


@pytest.mark.django_db
def test_a_refusal_is_not_tried_again_until_its_cool_down_is_over(
    configure: Configure, clean_feed: Feed
) -> None:
    configure(TV_USERNAME="wrong", TV_PASSWORD="lovelace")

    for _ in range(3):
        with pytest.raises(errors.AuthFailed) as caught:
            tokens.current_token()

    assert clean_feed.stats()["sign_ins"] == 1
    assert caught.value.retry_after_s is not None
    assert tokens.sign_in_state()["state"] == "refused"

    SignIn.objects.update(refused_until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(errors.AuthFailed):
        tokens.current_token()
    assert clean_feed.stats()["sign_ins"] == 2


@pytest.mark.django_db
def test_other_credentials_are_tried_at_once(configure: Configure, clean_feed: Feed) -> None:
    configure(TV_USERNAME="wrong", TV_PASSWORD="lovelace")
    with pytest.raises(errors.AuthFailed):
        tokens.current_token()

    configure(TV_USERNAME="ada")

    assert tokens.current_token()
    assert tokens.sign_in_state()["state"] == "signed_in"


@pytest.mark.django_db
def test_a_lock_that_a_dead_worker_left_is_passed_over(configure: Configure) -> None:
    configure(TV_USERNAME="ada", TV_PASSWORD="lovelace")
    SignIn.objects.create(
        pk=SignIn.SINGLETON, locked_by="dead", locked_until=timezone.now() - timedelta(seconds=1)
    )

    assert tokens.current_token()
