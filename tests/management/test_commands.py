"""`manage.py datasets …`, and the parts of `manage.py fetch` that need no worker."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from datasets.catalog import records
from datasets.formats import FORMATS
from datasets.models import Dataset, Fetch
from datasets.storage import FolderStore
from tests.support.factories import a_key, bars_table, fetched_bars

MakeDataset = Callable[..., Dataset]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command and returns its exit status and its output."""

    def run_command(*arguments: str) -> tuple[int, str]:
        status = 0
        try:
            call_command(*arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        return status, capsys.readouterr().out

    return run_command


def outcomes(printed: str) -> dict[str, int]:
    counts: dict[str, int] = json.loads(printed)["counts"]
    return counts


def test_list_and_show_print_the_datasets(run: Run, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(300)
    make_dataset(20, symbol="ETHUSDT")

    assert "BINANCE:ETHUSDT" in run("datasets", "list")[1]
    rows = json.loads(run("datasets", "list", "--json", "BINANCE:BTCUSDT")[1])
    assert [(row["id"], row["count"], row["path"]) for row in rows] == [
        (dataset.pk, 300, "sample/BINANCE_BTCUSDT_1h_300.parquet")
    ]
    assert dataset.content_hash in run("datasets", "show", str(dataset.pk))[1]


def test_verify_exits_with_1_when_a_file_is_wrong(
    run: Run, make_dataset: MakeDataset, store: FolderStore
) -> None:
    make_dataset(300)
    assert run("datasets", "verify") == (0, "1 ok\n")

    damaged = make_dataset(20)
    (store.folder / damaged.path).write_bytes(b"")
    status, printed = run("datasets", "verify", "--json")

    assert (status, outcomes(printed)) == (1, {"ok": 1, "corrupt": 1})


def test_rebuild_restores_a_lost_catalog(
    run: Run, make_dataset: MakeDataset, store: FolderStore
) -> None:
    make_dataset(300)
    gone = make_dataset(20)
    Dataset.objects.exclude(pk=gone.pk).delete()
    (store.folder / gone.path).unlink()

    status, printed = run("datasets", "rebuild", "--json")

    assert (status, outcomes(printed)) == (0, {"adopted": 1, "missing": 1})
    assert set(Dataset.objects.values_list("n_rows", "state")) == {(300, "ready"), (20, "missing")}


def test_a_dry_run_of_prune_only_lists_the_datasets(
    run: Run, make_dataset: MakeDataset, store: FolderStore
) -> None:
    for n_rows in (10, 20, 30):
        make_dataset(n_rows)

    dry = json.loads(run("datasets", "prune", "--keep-newest", "1", "--dry-run", "--json")[1])
    assert len(dry) == 2
    assert Dataset.objects.count() == 3

    assert "2 datasets removed" in run("datasets", "prune", "--keep-newest", "1")[1]
    assert len(list(store.all_paths())) == 1


def test_prune_names_a_file_that_it_could_not_delete_and_keeps_its_row(
    run: Run, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    path = store.folder / dataset.path
    path.unlink()
    path.mkdir()

    with pytest.raises(CommandError, match="could not be deleted"):
        run("datasets", "prune", "--keep-newest", "0")

    assert Dataset.objects.filter(pk=dataset.pk).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prune"], "Name a rule"),
        (["prune", "--older-than", "soon"], "90d"),
        (["prune", "--older-than", "99999999999d"], "calendar"),
        (["prune", "--max-size", "big"], "500M"),
        (["prune", "--keep-newest=-1"], "0 or more"),
        (["export", "--to", "/proc/none"], "/proc/none cannot be written to"),
        (["show", "99"], "no dataset 99"),
        (["show", "NASDAQ:NOTHING"], "no dataset NASDAQ:NOTHING"),
        (["frobnicate"], "invalid choice"),
    ],
)
@pytest.mark.django_db
def test_a_wrong_command_line_is_refused_with_a_reason(
    run: Run, arguments: list[str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        run("datasets", *arguments)


def test_an_invalidated_dataset_is_fetched_again(run: Run, make_dataset: MakeDataset) -> None:
    make_dataset(300)

    run("datasets", "invalidate", "BINANCE:BTCUSDT")

    assert Dataset.objects.get().state == "invalidated"


@pytest.mark.parametrize("file_format", ["parquet", "csv", "arrow"])
def test_export_copies_the_bars(
    run: Run, make_dataset: MakeDataset, tmp_path: Path, file_format: str
) -> None:
    make_dataset(300)

    run("datasets", "export", "--to", str(tmp_path / "out"), "--format", file_format)

    path = tmp_path / "out" / f"BINANCE_BTCUSDT_1h_300.{file_format}"
    assert path.stat().st_size > 0
    if file_format == "parquet":
        assert pq.read_table(path).num_rows == 300
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("file_format", ["csv", "arrow", "spreadsheet", "spreadsheet_comma"])
@pytest.mark.parametrize("has_volume", [True, False])
def test_an_export_is_the_same_bytes_as_the_apis_reply(
    run: Run, store: FolderStore, client: Client, db: None, tmp_path: Path, file_format: str, has_volume: bool
) -> None:  # fmt: skip
    table = bars_table(300, has_volume=has_volume)
    dataset = records.record(store.write(a_key(), fetched_bars(table)))

    run("datasets", "export", "--to", str(tmp_path / "out"), "--format", file_format)

    reply = client.get(f"/api/tv/datasets/{dataset.pk}/bars?format={file_format}")
    exported = tmp_path / "out" / f"BINANCE_BTCUSDT_1h_300.{FORMATS[file_format].suffix}"
    assert exported.read_bytes() == reply.content
    if file_format == "arrow":
        assert pa.ipc.open_stream(exported.read_bytes()).read_all() == table


def test_export_writes_sample_bars_and_real_bars_to_separate_folders(
    run: Run, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    paths = [make_dataset(10).path, make_dataset(10, source="tradingview").path]

    run("datasets", "export", "--to", str(tmp_path / "out"))

    assert all((tmp_path / "out" / path).exists() for path in paths)


def test_one_failed_export_does_not_stop_the_others(
    run: Run, make_dataset: MakeDataset, store: FolderStore, tmp_path: Path
) -> None:
    gone, there = make_dataset(10), make_dataset(20)
    (store.folder / gone.path).unlink()

    status, printed = run("datasets", "export", "--to", str(tmp_path / "out"), "--json")

    assert (status, [row["id"] for row in json.loads(printed)]) == (1, [there.pk])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [Path(there.path).name]


def test_an_interrupted_export_leaves_no_partial_file(
    run: Run, make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(10)

    def write_half(path: Path, content: bytes) -> int:
        path.write_text("time,open")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)

    with pytest.raises(CommandError, match="No space left"):
        run("datasets", "export", "--to", str(tmp_path / "out"), "--format", "csv")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_table_in_a_pipe_is_not_cut(run: Run, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(300, symbol="A" * 60)

    assert dataset.key.full_symbol in run("datasets", "list")[1]
    assert dataset.path in run("fetch", dataset.key.full_symbol, "-n", "300")[1]


def test_a_pinned_dataset_does_not_stop_the_invalidation_of_the_others(
    run: Run, make_dataset: MakeDataset
) -> None:
    make_dataset(10)
    Dataset.objects.update(is_pinned=True)
    make_dataset(20)

    status, printed = run("datasets", "invalidate", "BINANCE:BTCUSDT", "--json")

    assert (status, [row["state"] for row in json.loads(printed)]) == (1, ["invalidated"])
    assert dict(Dataset.objects.values_list("n_bars", "state")) == {10: "ready", 20: "invalidated"}


def test_verify_checks_a_named_dataset_in_any_state(
    run: Run, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(10)
    (store.folder / dataset.path).unlink()
    Dataset.objects.update(state="missing")

    assert run("datasets", "verify") == (0, "There are no datasets.\n")
    status, printed = run("datasets", "verify", str(dataset.pk), "--json")

    assert (status, outcomes(printed)) == (1, {"missing": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "at least one"),
        (["nothing"], "exchange=BINANCE"),
        (["X:Y", "-t", "9"], "1, 3, 5"),
        (["X:Y", "-n", "50001"], "TV_MAX_BARS"),
        (["X:Y", "-n", "0"], "below 1"),
        (["--file", "/nowhere/symbols.txt"], "No such file"),
        (["--file", sys.executable], "not a text file in UTF-8"),
    ],
)
@pytest.mark.django_db
def test_fetch_refuses_a_wrong_command_line_and_fetches_nothing(
    run: Run, arguments: list[str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        run("fetch", *arguments)
    assert not Fetch.objects.exists()


def test_a_cached_dataset_is_not_fetched_again(
    run: Run, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    make_dataset(300)
    # With the byte order mark that some editors write.
    (tmp_path / "symbols.txt").write_text(
        "BINANCE:BTCUSDT  # the first\n# mine\n\nbinance:btcusdt\n", encoding="utf-8-sig"
    )

    status, printed = run("fetch", "--file", str(tmp_path / "symbols.txt"), "-n", "300", "--json")

    assert status == 0
    assert [(row["outcome"], row["count"]) for row in json.loads(printed)] == [("cached", 300)]
    assert not Fetch.objects.exists()


def test_a_failed_fetch_shows_in_the_table_and_in_the_exit_status(
    run: Run, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fetch_id: int) -> None:
        values: dict[str, Any] = {
            "state": "failed",
            "error_code": "symbol_not_found",
            "error_message": "Unknown.",
        }
        Fetch.objects.filter(pk=fetch_id).update(**values)

    monkeypatch.setattr("datasets.fetching.tasks.enqueue", fail)
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function: function())

    status, printed = run("fetch", "X:NOTHING", "--json")

    assert status == 1
    assert json.loads(printed)[0] | {"fetch": 0} == a_key(exchange="X", symbol="NOTHING", n_bars=5000).as_dict() | {
        "outcome": "failed", "code": "symbol_not_found", "detail": "Unknown.", "retryable": False,
        "fetch": 0, "dataset": None, "count": 0, "path": None,
    }  # fmt: skip


def test_a_pinned_dataset_is_refused_and_the_others_are_fetched(
    run: Run, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(10)
    Dataset.objects.update(is_pinned=True)

    def finish(fetch_id: int) -> None:
        Fetch.objects.filter(pk=fetch_id).update(state="succeeded")

    monkeypatch.setattr("datasets.fetching.tasks.enqueue", finish)
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function: function())

    status, printed = run("fetch", "BINANCE:BTCUSDT", "X:Y", "-n", "10", "--refresh", "--json")

    rows = json.loads(printed)
    assert (status, [row["outcome"] for row in rows]) == (1, ["refused", "succeeded"])
    assert "is pinned" in rows[0]["detail"]


# --- tidy --------------------------------------------------------------------------------


@pytest.fixture
def history(store: FolderStore, make_dataset: MakeDataset) -> dict[str, Fetch]:
    """Fetches of two years ago in every state, a new one, and a file set aside just now."""
    dataset = make_dataset(300)
    long_ago = timezone.now() - timedelta(days=730)
    fetches = {
        state: Fetch.objects.create(
            **a_key(symbol=state.upper()).as_dict(),
            state=state,
            requested_via="api",
            requested_at=long_ago,
            finished_at=None if state in Fetch.ACTIVE else long_ago,
            dataset=dataset if state == "succeeded" else None,
        )
        for state in Fetch.State.values
    }
    fetches["new"] = Fetch.objects.create(
        **a_key().as_dict(), state="failed", requested_via="api", finished_at=timezone.now()
    )
    (store.folder / dataset.path).write_bytes(b"spoilt")
    assert store.quarantine(dataset.path) is not None
    store.keep_reply("odd", b"???")
    return fetches


def test_tidy_deletes_old_ended_fetches_and_nothing_else(
    run: Run, history: dict[str, Fetch]
) -> None:
    dry = json.loads(run("tidy", "--older-than", "90d", "--dry-run", "--json")[1])
    assert dry == {
        "fetches": 3,
        "audit_entries": 0,
        "incidents": 0,
        "alerts": 0,
        "files": 0,
        "bytes": 0,
        "dry_run": True,
    }
    assert Fetch.objects.count() == len(history)

    status, printed = run("tidy", "--older-than", "90d")

    assert (status, printed) == (
        0,
        "3 ended fetches, 0 audit entries, 0 incidents, 0 triggered alerts and 0 files set aside (0 bytes) deleted.\n",
    )
    left = {history[name].pk for name in ("queued", "running", "new")}
    assert set(Fetch.objects.values_list("pk", flat=True)) == left
    assert Dataset.objects.count() == 1


def test_tidy_deletes_many_fetches_in_small_steps(
    run: Run, history: dict[str, Fetch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.models.database._AT_A_TIME", 2)

    assert run("tidy", "--older-than", "90d")[1].startswith("3 ended fetches")


@pytest.mark.usefixtures("history")
def test_tidy_deletes_files_set_aside_but_no_dataset(
    run: Run, store: FolderStore, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(20)
    outputs = store.folder.parent
    assert len([*outputs.rglob("*.parquet.*")]) == 1

    dry = json.loads(run("tidy", "--older-than", "0m", "--dry-run", "--json")[1])
    done = json.loads(run("tidy", "--older-than", "0m", "--json")[1])

    assert dry == done | {"dry_run": True}
    assert (done["files"], done["bytes"]) == (2, 9)
    kept = [path.name for path in outputs.rglob("*") if path.is_file()]
    assert Path(dataset.path).name in kept
    assert not [name for name in kept if "odd" in name or ".parquet." in name]


@pytest.mark.usefixtures("history")
def test_tidy_names_the_file_that_it_could_not_delete(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)

    with pytest.raises(CommandError, match="parquet.* could not be deleted: Permission denied"):
        run("tidy", "--older-than", "0m")


@pytest.mark.django_db
def test_tidy_requires_an_age(run: Run) -> None:
    with pytest.raises(CommandError, match="--older-than"):
        run("tidy")
    with pytest.raises(CommandError, match="90d"):
        run("tidy", "--older-than", "soon")


@pytest.mark.django_db
def test_tidy_deletes_expired_sessions(run: Run) -> None:
    for key, days in (("old", -1), ("new", 1)):
        expires = timezone.now() + timedelta(days=days)
        Session.objects.create(session_key=key, session_data="", expire_date=expires)

    run("tidy", "--older-than", "90d")

    assert [*Session.objects.values_list("session_key", flat=True)] == ["new"]
