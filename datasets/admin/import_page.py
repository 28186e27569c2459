"""The admin page that imports bars from an uploaded file."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from datasets.admin.read_only_admin import ReadOnlyAdmin
from datasets.bars import Adjustment, Session, Timeframe
from datasets.errors import DatasetsError, InvalidRequest
from datasets.importing.columns import read_names
from datasets.importing.imports import ImportReport
from datasets.importing.requests import ImportRequest, run_import
from datasets.models import Dataset
from datasets.serving.permissions import MAY_IMPORT, is_allowed
from datasets.storage.atomic_write import store_failures
from datasets.views import staff_actions

# About 150,000 bars as CSV, whose check takes a web process a few seconds. `manage.py import`
# takes larger files.
MAX_BYTES = 8 * 2**20
# The other fields of the form, and the boundaries between them.
_MAX_OTHER_BYTES = 64 * 2**10


class ImportForm(forms.Form):
    """A file of bars, the series that they belong to, and how to read the file."""

    file = forms.FileField(
        help_text="CSV or parquet; the first line of a CSV file names its columns."
    )
    symbol = forms.CharField(max_length=200, help_text="Such as NASDAQ:AAPL.")
    timeframe = forms.ChoiceField(
        choices=[(each.value, each.label) for each in Timeframe], initial=Timeframe.HOUR_1.value
    )
    session = forms.ChoiceField(choices=[(each.value, each.value) for each in Session])
    adjustment = forms.ChoiceField(choices=[(each.value, each.value) for each in Adjustment])
    time_zone = forms.CharField(
        required=False,
        max_length=64,
        help_text="Zone of times without a UTC offset, such as UTC or America/New_York.",
    )
    columns = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Only for unusual names: one column a line, such as volume=Vol.",
    )
    dry_run = forms.BooleanField(required=False, label="Only check, change nothing")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(too_large())
        return file

    def add_refusal(self, error: DatasetsError) -> None:
        """Show the error at the fields that it names, else above the form."""
        found = error.errors if isinstance(error, InvalidRequest) else {"": [str(error)]}
        for field, sentences in found.items():
            shown = "symbol" if field == "exchange" else field
            self.add_error(shown if shown in self.fields else None, sentences)


def too_large() -> str:
    """Return the sentence for a file above `MAX_BYTES`."""
    return (
        f"The file is larger than {filesizeformat(MAX_BYTES)}, so it was not read. "
        "Import it on the server with `python manage.py import`, or split it by time."
    )


class ImportPage(ReadOnlyAdmin):
    """A model admin with a page that imports a file, and a link to that page above its list."""

    change_list_template = "admin/datasets/dataset/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(csrf_exempt(self.import_bars))
        return [path("import/", view, name="datasets_dataset_import"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = (extra_context or {}) | {"may_import": is_allowed(_user(request), MAY_IMPORT)}
        return super().changelist_view(request, context)

    def import_bars(self, request: HttpRequest) -> HttpResponse:
        """Show the form, or import the file that was sent.

        Exempt from the check of the form's origin only until the size is known: that check reads
        the whole file.
        """
        if not is_allowed(_user(request), MAY_IMPORT):
            raise PermissionDenied
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES + _MAX_OTHER_BYTES:
            messages.error(request, too_large())
            return self._page(request, ImportForm(), status=413)
        return csrf_protect(self._import_sent)(request)

    def _import_sent(self, request: HttpRequest) -> HttpResponse:
        form = ImportForm(request.POST or None, request.FILES or None)
        if not form.is_valid():
            return self._page(request, form)
        try:
            report = _import_file(form.cleaned_data, by=_user(request).get_username())
        except DatasetsError as error:
            form.add_refusal(error)
            return self._page(request, form)
        for sentence in report.sentences():
            messages.success(request, sentence)
        if report.is_dry:
            return self._page(request, form)
        dataset = Dataset.objects.get(path=report.path)
        result = staff_actions.Result(f"Imported {form.cleaned_data['file'].name}.")
        staff_actions.note(_user(request), [(dataset, result)])
        return redirect(reverse("admin:datasets_dataset_change", args=[dataset.pk]))

    def _page(self, request: HttpRequest, form: ImportForm, *, status: int = 200) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": "Import bars",
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(
            request, "admin/datasets/dataset/import.html", context, status=status
        )


def _import_file(values: dict[str, Any], *, by: str) -> ImportReport:
    """Import the file of a valid form. Raises as `run_import`, and `StoreFailed` for a full disk."""
    sent = values["file"]
    with NamedTemporaryFile() as file:
        with store_failures(Path(sent.name)):
            for chunk in sent.chunks():
                file.write(chunk)
            file.flush()
        names = ("symbol", "timeframe", "session", "adjustment", "time_zone")
        request = ImportRequest(
            path=Path(file.name),
            name=sent.name,
            columns=read_names(values["columns"].splitlines()),
            **{name: values[name] for name in names},
        )
        return run_import(request, dry_run=values["dry_run"], by=by, via="admin")


def _user(request: HttpRequest) -> User:
    """Return the signed-in user; the admin admits no anonymous visitor."""
    assert isinstance(request.user, User)
    return request.user
