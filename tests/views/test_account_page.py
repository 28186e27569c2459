"""The page of one's own account: tokens that a person makes and revokes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from datasets.models import ApiToken, AuditEntry
from datasets.views.people.token_forms import MAX_TOKENS

NEW = {"name": "nightly", "scope": "fetch", "expires": "30"}


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def signed_in(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def secret_in(page: str) -> str:
    found = re.search(r'id="token-secret"[^>]*>(tv_[\w-]+)<', page)
    assert found is not None
    return found[1]


def status_with(secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    return Client().get("/api/tv/status", headers=headers).status_code


def test_a_person_makes_a_token_that_works_and_revokes_it(signed_in: Client, ada: User) -> None:
    reply = signed_in.post("/account/", NEW)
    secret = secret_in(reply.content.decode())
    token = ApiToken.objects.get()

    assert status_with(secret) == 200
    assert (token.user, token.name, token.scope) == (ada, "nightly", "fetch")
    assert abs(token.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert "no-store" in reply["Cache-Control"]
    # Shown once: neither the page nor the database has the secret afterwards.
    assert secret not in signed_in.get("/account/").content.decode()
    assert secret not in str(list(ApiToken.objects.values()) + list(AuditEntry.objects.values()))

    page = signed_in.post("/account/", {"revoke": token.pk}, follow=True).content.decode()

    assert "is revoked" in page
    assert status_with(secret) == 401
    said = [(entry.actor, entry.via, entry.action) for entry in AuditEntry.objects.order_by("pk")]
    assert said == [("ada", "page", "created"), ("ada", "page", "deleted")]


def test_a_token_goes_no_further_than_its_person(signed_in: Client, ada: User) -> None:
    page = signed_in.get("/account/").content.decode()
    refused = signed_in.post("/account/", NEW | {"scope": "manage"}).content.decode()

    assert 'value="fetch"' in page
    assert 'value="manage"' not in page
    assert "Select a valid choice" in refused
    assert not ApiToken.objects.exists()

    ada.is_staff = True
    ada.save()
    codenames = ["fetch_dataset", "invalidate_dataset"]
    ada.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    signed_in.post("/account/", NEW | {"scope": "manage"})
    assert ApiToken.objects.get().scope == "manage"


def test_a_person_sees_and_revokes_only_their_own_tokens(signed_in: Client, db: None) -> None:
    other = ApiToken(user=User.objects.create_user("bob"), name="bob's machine")
    other.renew()
    other.save()

    page = signed_in.get("/account/").content.decode()
    said = signed_in.post("/account/", {"revoke": other.pk}, follow=True).content.decode()

    assert "bob" not in page
    assert "You have no such token" in said
    assert ApiToken.objects.exists()


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": "x" * 61}, {"expires": "0"}, {"scope": ""}]
)
def test_a_wrong_form_makes_no_token_and_names_the_field(
    signed_in: Client, change: dict[str, str]
) -> None:
    page = signed_in.post("/account/", NEW | change).content.decode()

    assert f'id="{next(iter(change))}-problem"' in page
    assert not ApiToken.objects.exists()


def test_one_person_has_a_limited_number_of_tokens(signed_in: Client, ada: User) -> None:
    rows = [ApiToken(user=ada, name=str(number)) for number in range(MAX_TOKENS)]
    for row in rows:
        row.renew()
    ApiToken.objects.bulk_create(rows)

    page = signed_in.post("/account/", NEW).content.decode()

    assert f"You have {MAX_TOKENS} tokens, the most for one person." in page
    assert ApiToken.objects.count() == MAX_TOKENS


def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, db: None) -> None:
    reply = client.get("/account/")

    assert (reply.status_code, reply["Location"]) == (302, "/login/?next=/account/")


@pytest.mark.parametrize(
    "address", ["/", "/datasets/", "/series/", "/fetches/", "/api/docs/errors"]
)
def test_every_page_shows_who_is_signed_in(client: Client, ada: User, address: str) -> None:
    before = client.get(address).content.decode()
    client.force_login(ada)
    after = client.get(address).content.decode()

    assert f'href="/login/?next={address}"' in before
    assert '<span class="visually-hidden">Signed in as </span>ada</a>' in after
    assert "Sign in</a>" not in after


def test_tokens_of_the_admin_are_audited_too(client: Client, db: None, settings: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    user = User.objects.get()
    day = {"expires_at_0": "2099-01-01", "expires_at_1": "00:00:00"}
    made = {"name": "x", "user": user.pk, "scope": "read"} | day
    client.post("/admin/datasets/apitoken/add/", made)
    token = ApiToken.objects.get()
    client.post(f"/admin/datasets/apitoken/{token.pk}/change/", {"expires_at_0": "2098-01-01", "expires_at_1": "00:00:00"})  # fmt: skip
    chosen = {"action": "delete_selected", "_selected_action": [token.pk], "post": "yes"}
    client.post("/admin/datasets/apitoken/", chosen)

    said = [(entry.action, entry.kind, entry.via) for entry in AuditEntry.objects.order_by("pk")]
    assert said == [(action, "API token", "admin") for action in ("created", "changed", "deleted")]
    assert not ApiToken.objects.exists()
