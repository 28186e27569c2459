"""The page of one's own account: the user's tokens, saved layouts, and today's fetches."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from datasets.fetching import fetch_quotas
from datasets.models import ApiToken
from datasets.serving.permissions import MAY_SEE_AUDIT, is_allowed
from datasets.views import phrases
from datasets.views.form_values import primary_key
from datasets.views.grid.layout_links import layout_links
from datasets.views.people.token_forms import OwnTokenForm, create_token, revoke_token


# Browsers must not keep the page: it can show a secret.
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Show the user's own tokens; a POST creates a token or revokes one."""
    user = request.user
    assert isinstance(user, User)
    if request.method != "POST":
        return _page(request, user, OwnTokenForm(user))
    if "revoke" in request.POST:
        return _revoke(request, user)
    form = OwnTokenForm(user, request.POST)
    if not form.is_valid():
        return _page(request, user, form)
    token, secret = create_token(form, user)
    # In this reply: a redirect would need a place that keeps the secret.
    return _page(request, user, OwnTokenForm(user), made=token, secret=secret)


def _revoke(request: HttpRequest, user: User) -> HttpResponse:
    number = primary_key(request.POST["revoke"])
    token = ApiToken.objects.filter(pk=number, user=user).first()
    if token is None:
        messages.error(request, "You have no such token; it may be revoked already.")
    else:
        revoke_token(token, user)
        messages.success(request, f"The token {token} is revoked and works no more.")
    return HttpResponseRedirect(request.get_full_path())


def _page(request: HttpRequest, user: User, form: OwnTokenForm, **more: Any) -> HttpResponse:
    quota = fetch_quotas.quota_of(user.get_username())
    context = more | {
        "form": form,
        "tokens": ApiToken.objects.filter(user=user),
        "layouts": layout_links(user),
        "quota": phrases.quota_in_words(quota) if quota else "",
        "may_see_audit": is_allowed(user, MAY_SEE_AUDIT),
    }
    return render(request, "account.html", context)
