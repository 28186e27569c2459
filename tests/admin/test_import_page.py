"""The admin page that imports a file."""

from __future__ import annotations

import io
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.test import Client

from datasets.admin import import_page
from datasets.models import Dataset, Series
from tests.support.factories import bars_table

PAGE = "/admin/datasets/dataset/import/"
LIST = "/admin/datasets/dataset/"
CSV = b"time,open,high,low,close\n1704204000,1,2,1,2\n1704207600,1,2,1,2\n"
HOURS = b"time,open,high,low,close\n" + b"".join(
    b"%d,1,2,1,2\n" % (1704204000 + 3600 * hour) for hour in range(20)
)


class NoUpload(FileUploadHandler):
    """An upload handler that receives no file."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("the file was read")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        raise AssertionError("the file was read")

    def file_complete(self, file_size: int) -> None:
        raise AssertionError("the file was read")


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def send(client: Client, content: bytes = CSV, **values: str) -> Any:
    fields = {
        "symbol": "nasdaq:aapl", "timeframe": "1h", "session": "regular", "adjustment": "splits",
        "time_zone": "", "columns": "", "file": SimpleUploadedFile("aapl.csv", content),
    }  # fmt: skip
    return client.post(PAGE, fields | values, follow=True)


def test_a_file_is_imported_on_the_admin_page(operator: Client) -> None:
    assert PAGE in operator.get(LIST).content.decode()
    assert "multipart/form-data" in operator.get(PAGE).content.decode()

    reply = send(operator)

    dataset = Dataset.objects.get()
    assert reply.redirect_chain == [(f"/admin/datasets/dataset/{dataset.pk}/change/", 302)]
    assert "New bars imported: 2." in reply.content.decode()
    assert (dataset.source, dataset.symbol, dataset.n_rows) == ("imported", "AAPL", 2)
    assert LogEntry.objects.get().change_message == "Imported aapl.csv."


def test_a_parquet_file_is_imported_too(operator: Client) -> None:
    file = io.BytesIO()
    pq.write_table(bars_table(3000), file)

    send(operator, file.getvalue())

    assert Dataset.objects.get().n_rows == 3000


def test_only_checking_changes_nothing(operator: Client) -> None:
    reply = send(operator, dry_run="on")

    assert "New bars that would be imported: 2." in reply.content.decode()
    assert Series.objects.count() == 0


@pytest.mark.parametrize(
    ("field", "content", "values", "why"),
    [
        ("file", CSV.replace(b"1,2,1,2", b"1,2,1,two"), {}, "Line 3 has &#x27;two&#x27;"),
        ("file", b"\xff\xfe", {}, "aapl.csv is neither parquet nor a text file"),
        ("file", b"PAR1", {}, "aapl.csv is no readable parquet file"),
        ("timeframe", HOURS, {"timeframe": "1D"}, "no bars of 1D"),
        ("symbol", CSV, {"symbol": "AAPL"}, "exchange"),
        ("columns", CSV, {"columns": "size=Vol"}, "names no column"),
        ("columns", CSV, {"columns": "open=First\n"}, "no column &#x27;First&#x27;"),
        ("time_zone", CSV, {"time_zone": "Mars/Base"}, "is no time zone"),
        ("time_zone", CSV.replace(b"1704204000", b"2024-01-02 09:00"), {}, "without a UTC offset"),
    ],
)
def test_an_error_stands_at_its_field(
    operator: Client, field: str, content: bytes, values: dict[str, str], why: str
) -> None:
    reply = send(operator, content, **values)

    assert why in reply.content.decode()
    assert list(reply.context["form"].errors) == [field]
    assert Series.objects.count() == 0


def test_staff_need_the_permission(client: Client, db: None) -> None:
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_dataset"))
    client.force_login(user)
    assert PAGE not in client.get(LIST).content.decode()
    assert (client.get(PAGE).status_code, send(client).status_code) == (403, 403)

    user.user_permissions.add(Permission.objects.get(codename="add_dataset"))

    assert send(client).status_code == 200
    assert Dataset.objects.count() == 1


def test_a_large_upload_is_refused_before_it_is_read(
    operator: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(import_page, "MAX_BYTES", 50)
    assert "larger than 50" in send(operator).content.decode()
    monkeypatch.setattr(import_page, "_MAX_OTHER_BYTES", 50)
    settings.FILE_UPLOAD_HANDLERS = ["tests.admin.test_import_page.NoUpload"]

    reply = send(operator)

    assert reply.status_code == 413
    assert "manage.py import" in reply.content.decode()


def test_a_form_of_another_site_is_refused(operator: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ada"))

    assert send(strict).status_code == 403
    assert Series.objects.count() == 0
