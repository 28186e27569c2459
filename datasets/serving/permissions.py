"""Callers, scopes and permissions: one rule for the API, the pages and the early replies."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest

from datasets.errors import Disabled, Forbidden
from datasets.models import ApiToken
from datasets.serving import clients

Scope = ApiToken.Scope
_WIDENING = [Scope.READ, Scope.FETCH, Scope.MANAGE]

# Permissions of staff for the actions that need `Scope.MANAGE`.
MAY_FETCH_AGAIN = "datasets.fetch_dataset"
MAY_INVALIDATE = "datasets.invalidate_dataset"
MAY_DELETE = "datasets.delete_dataset"
MAY_VERIFY = "datasets.verify_dataset"
MAY_PIN = "datasets.pin_dataset"
MAY_IMPORT = "datasets.add_dataset"
MAY_WATCH = "datasets.change_watchlist"
MAY_DECIDE = "datasets.change_revision"
MAY_SEE_AUDIT = "datasets.view_auditentry"


@dataclass(frozen=True, slots=True)
class Need:
    """The requirement of an action: a scope and, for a signed-in user, a permission.

    Only superusers and `manage` tokens meet a need of `Scope.MANAGE` without a permission. A
    personal need is about rows of the caller's own, so `API_ACCESS` grants it to nobody.
    """

    scope: ApiToken.Scope
    permission: str = ""
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of one request: an API token, a signed-in user, or an address alone."""

    address: str
    user: User | None = None
    token: ApiToken | None = None
    # Whether another site's page had the browser send the request.
    is_sent_by_other_site: bool = False

    @classmethod
    def of(cls, request: HttpRequest, token: ApiToken | None = None) -> Caller:
        """Return the caller of an authenticated request; `token` is the API token that it sent."""
        user = request.user
        # Browsers set the header, and scripts on a page cannot change it.
        is_cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
        return cls(
            clients.address_of(request),
            None if isinstance(user, AnonymousUser) else user,
            token,
            is_cross_site and request.headers.get("Origin") not in settings.CORS_ALLOWED_ORIGINS,
        )

    @property
    def is_stranger(self) -> bool:
        """Whether the request has no credentials."""
        return self.user is None

    @property
    def client(self) -> str:
        """The name under which the caller's requests are counted."""
        if self.token is not None:
            return clients.token_client(self.token.pk)
        return self.address if self.user is None else f"user-{self.user.pk}"

    @property
    def name(self) -> str:
        """The name in a fetch's row: the user and the token, else the address."""
        if self.user is None:
            return self.address
        name = self.user.get_username()
        return name if self.token is None else f"{name}, token {self.token.name}"

    def may(self, need: Need) -> bool:
        """Return whether the caller meets the need."""
        if self.token is not None:
            # The token's scope also limits it where the API is open.
            return includes(Scope(self.token.scope), need.scope)
        if self.user is None:
            return strangers_may(need.scope) and not need.is_personal
        if need.scope == Scope.MANAGE:
            return is_allowed(self.user, need.permission)
        return self.user.is_active

    def require_fetch(self) -> None:
        """Count one new fetch; raise `Forbidden` or `TooManyRequests` when the caller may not start it."""
        self.require_own_site()
        if not self.may(Need(Scope.FETCH)):
            raise Forbidden(
                "No cached dataset answers this, and these credentials may only read what is cached."
            )
        clients.fetches.count(self.client)

    def require_own_site(self) -> None:
        """Raise `Forbidden` for a request that a page of another site sent through the user's browser.

        Such a page may show cached bars. It must not cause calls to TradingView, or change anything.
        """
        if self.is_sent_by_other_site and self.token is None:
            raise Forbidden(
                "A page of another site sent this request, and it needs a call to TradingView or changes an alert. "
                "Send it from this service's own pages, with a token, or name the other site in CORS_ALLOWED_ORIGINS."
            )


def require_enabled() -> None:
    """Raise `Disabled` when the operator has turned off fetching and the API."""
    if not settings.TV_ENABLED:
        raise Disabled("Fetching and the API are turned off (TV_ENABLED=0); the admin still works.")


def includes(granted: ApiToken.Scope, needed: ApiToken.Scope) -> bool:
    """Return whether the scope `granted` includes the scope `needed`."""
    return _WIDENING.index(granted) >= _WIDENING.index(needed)


def strangers_may(needed: ApiToken.Scope) -> bool:
    """Return whether `API_ACCESS` grants the scope to callers without credentials."""
    return settings.API_ACCESS == "open" and includes(Scope.FETCH, needed)


def is_allowed(user: User | AnonymousUser, permission: str) -> bool:
    """Return whether the user is staff with this permission; for an empty one, a superuser."""
    if not (user.is_active and user.is_staff):
        return False
    return user.has_perm(permission) if permission else user.is_superuser


def may_hand_out(user: User | AnonymousUser, scope: ApiToken.Scope) -> bool:
    """Return whether the user may create a token of this scope: no wider than their permissions."""
    needed = (MAY_FETCH_AGAIN, MAY_INVALIDATE)
    return scope != Scope.MANAGE or all(is_allowed(user, permission) for permission in needed)
