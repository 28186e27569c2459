"""The admin pages of API tokens. A secret is shown once, on the page after its token is made."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from datasets.admin.recorded_admin import RecordedAdmin
from datasets.models import ApiToken, database
from datasets.serving.permissions import Scope, may_hand_out


@admin.register(ApiToken)
class ApiTokenAdmin(RecordedAdmin):
    """API tokens with user, scope and expiry; a superuser sees all, other users see their own."""

    list_display = ("name", "prefix", "user", "scope", "is_valid", "expires_at", "last_used_at")
    list_filter = ("scope",)
    search_fields = ("name", "prefix", "user__username")
    list_select_related = ("user",)
    fields = ("name", "user", "scope", "expires_at")

    @admin.display(description="valid", boolean=True)
    def is_valid(self, token: ApiToken) -> bool:
        return not token.is_expired and token.user.is_active

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        shown = ("prefix", "created_at", "last_used_at")
        return (*self.fields, *shown) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Only the expiry of an existing token can be changed."""
        return ("name", "user", "scope", "prefix", "created_at", "last_used_at") if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        tokens: QuerySet[ApiToken] = super().get_queryset(request)
        return tokens if _is_superuser(request) else tokens.filter(user=request.user.pk)

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        if db_field.name == "user":
            users = User.objects.filter(is_active=True)
            # A token in another user's name is left to superusers.
            kwargs["queryset"] = (
                users
                if _is_superuser(request)
                else users.filter(username=request.user.get_username())
            )
            kwargs["initial"] = request.user.pk
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_choice_field(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "scope" and not may_hand_out(request.user, Scope.MANAGE):
            # A token gives no more permissions than its user has.
            narrower = [Scope.READ, Scope.FETCH]
            kwargs["choices"] = [(scope.value, scope.label) for scope in narrower]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "expires_at" and request.resolver_match.url_name.endswith("_add"):  # type: ignore[union-attr]
            field.validators.append(_must_be_ahead)
        return field

    def save_model(
        self, request: HttpRequest, obj: ApiToken, form: forms.ModelForm[Any], change: bool
    ) -> None:
        if not change:
            # Kept on the request only, which ends with the page that shows the secret.
            request.token_secret = obj.renew()  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret in this reply; a redirect would need a place that keeps the secret."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The token was created",
            "opts": self.opts,
            "token": obj,
            "secret": request.token_secret,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/datasets/apitoken/made.html", context)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _must_be_ahead(moment: Any) -> None:
    if moment <= database.shared_now():
        raise forms.ValidationError("This instant is in the past; choose a later one.")
