"""Filters that keep secrets out of Django's error pages and reports, also with `DEBUG=1`."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator
from types import FrameType
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from tvproject.secrecy import STARS, without_secrets


class SecretsFilter(SafeExceptionReporterFilter):
    """Hides settings, headers, cookies, form fields and local variables with the name of a secret."""

    cleansed_substitute = STARS
    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGN|SESSION|COOKIE|CREDENTIAL"
        "|DATABASE|BROKER|CACHE|LOCATION",
        flags=re.IGNORECASE,
    )

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        """Return the names of the cookies, without values: each value may be a credential."""
        return dict.fromkeys(request.COOKIES, self.cleansed_substitute)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """Return the form's fields, with stars for those with the name of a secret."""
        posted: QueryDict | dict[str, Any] = super().get_post_parameters(request)
        return {name: self.cleanse_setting(name, posted[name]) for name in posted}

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        """Return a frame's variables, with stars for those with the name of a secret."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        shown = {
            name: self.cleansed_substitute if self.hidden_settings.search(name) else value
            for name, value in found
        }
        return shown.items()


class SecretsReporter(ExceptionReporter):
    """Replaces every known secret in the finished report by stars."""

    def get_traceback_html(self) -> SafeString:
        """Return the report as a page."""
        return mark_safe(without_secrets(super().get_traceback_html(), self._sent()))

    def get_traceback_text(self) -> SafeString:
        """Return the report as text."""
        return mark_safe(without_secrets(super().get_traceback_text(), self._sent()))

    def _sent(self) -> Iterator[str]:
        """Yield the secrets of the request: cookies, credentials, form fields."""
        if self.request is None:
            return
        yield from self.request.COOKIES.values()
        yield self.request.META.get("HTTP_AUTHORIZATION", "").partition(" ")[2]
        for name, value in self.request.POST.items():
            if SecretsFilter.hidden_settings.search(name):
                yield str(value)
