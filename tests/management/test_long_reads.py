"""`datasets rebuild` and `verify` of many files: several processes, progress, and going on after a stop."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from datasets import catalog
from datasets.errors import StoreFailed
from datasets.management import long_reads
from datasets.models import CalendarVersion, Dataset
from datasets.storage import FolderStore, parallel_reads
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.stacks import ROOT, wait_until

N_FILES = 600
MakeDataset = Callable[..., Dataset]


@pytest.fixture
def files(db: Any, store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files of `N_FILES` series without rows, and a second file of the last series."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    fetched = fetched_bars(bars_table(3))
    keys = [a_key(symbol=f"S{index:05}", n_bars=300) for index in range(N_FILES)]
    for key in [*keys, a_key(symbol=keys[-1].symbol, n_bars=5000)]:
        store.write(key, fetched)
    return list(store.all_paths())


def columns() -> list[tuple[Any, ...]]:
    names = [field.name for field in Dataset._meta.fields if field.name not in ("id", "calendar")]
    return list(Dataset.objects.order_by("path").values_list(*names, "calendar__content_hash"))


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes read the files, though they are few."""
    monkeypatch.setattr(parallel_reads, "FEW_FILES", 100)


@pytest.mark.usefixtures("in_processes")
@pytest.mark.parametrize("n_workers", [1, 4])
def test_rows_of_many_files_are_those_that_one_file_at_a_time_gets(
    files: list[str], store: FolderStore, n_workers: int
) -> None:
    found = list(catalog.adopt_files(n_workers))

    assert Counter(each.outcome for each in found) == {"adopted": len(files)}
    together = columns()
    Dataset.objects.all().delete()
    CalendarVersion.objects.all().delete()
    for path in files[:20]:
        catalog.adoption._adopt(store, path)
    assert together[:20] == columns()
    assert [row[-1] for row in together] == [together[0][-1]] * len(files)


def test_a_resumed_rebuild_reads_only_what_has_no_right_row(
    files: list[str], store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(catalog.adopt_files(2))
    Dataset.objects.filter(path=files[7]).delete()
    Dataset.objects.filter(path=files[8]).update(version="1-1")
    Dataset.objects.filter(path=files[9]).update(state=Dataset.State.MISSING)
    read, seen = FolderStore.read, []

    def count(self: FolderStore, path: str, **more: Any) -> Any:
        seen.append(path)
        return read(self, path, **more)

    monkeypatch.setattr(FolderStore, "read", count)
    found = Counter(each.outcome for each in catalog.adopt_files(2, is_resumed=True))

    assert found == {"ok": len(files) - 3, "adopted": 3}
    assert set(seen) == set(files[7:10])


@pytest.mark.usefixtures("in_processes")
def test_one_corrupt_and_one_replaced_file_are_found_among_many(
    files: list[str], store: FolderStore
) -> None:
    list(catalog.adopt_files(4))
    (store.folder / files[10]).write_bytes(b"PAR1 nothing else")
    store.write(a_key(symbol="S00020", n_bars=300), fetched_bars(bars_table(4)))
    (store.folder / files[30]).unlink()

    rows = Dataset.objects.order_by("path")
    found = {each.path: each.outcome for each in catalog.verify_each(rows.iterator(), 4)}

    assert list(found) == files
    assert {path: outcome for path, outcome in found.items() if outcome != "ok"} == {
        files[10]: "corrupt",
        files[20]: "adopted",
        files[30]: "missing",
    }


@pytest.mark.usefixtures("in_processes")
def test_a_killed_reader_is_an_error_with_the_way_on(files: list[str], store: FolderStore) -> None:
    endless = parallel_reads.read_each(store, cycle(files), lambda path: path, 2)
    next(endless)
    for process in multiprocessing.active_children():
        process.kill()

    with pytest.raises(StoreFailed, match=r"--resume and fewer --workers"):
        for _ in endless:
            pass


@pytest.mark.usefixtures("in_processes")
def test_a_stopped_verify_goes_on_at_its_place_and_tells_its_progress(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    list(catalog.adopt_files(2))
    monkeypatch.setattr(long_reads, "EVERY_S", 0.0)
    verify_each = catalog.verify_each

    def stopped(*arguments: Any) -> Any:
        for number, finding in enumerate(verify_each(*arguments)):
            if number == 100:
                raise KeyboardInterrupt
            yield finding

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "verify_each", stopped)
        with pytest.raises(KeyboardInterrupt):
            call_command("datasets", "verify")
    capsys.readouterr()
    call_command("datasets", "verify", "--resume")
    printed = capsys.readouterr()

    assert f"{len(files) - 100} ok" in printed.out
    assert f"100 of {len(files) - 100:,} files, " in printed.err
    assert not (settings.STATE_DIR / "verify-place").exists()
    call_command("datasets", "verify")
    assert f"{len(files)} ok" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--workers", "x"], ["--resume", "1"]])
def test_wrong_arguments_are_refused_with_a_sentence(
    make_dataset: MakeDataset, arguments: list[str]
) -> None:
    make_dataset(20)
    with pytest.raises(Exception, match=r"write 1 to 64|write 0 or more|name none"):
        call_command("datasets", "verify", *arguments)


def children(pid: int) -> list[int]:
    """Return the processes that this process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Return whether the process exists and has not ended; an ended one may wait for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_killed_rebuild_is_completed_by_a_resumed_one(tmp_path: Path) -> None:
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tvproject.settings",
        "OUTPUTS_URL": str(tmp_path / "outputs"),
        "TV_SOURCE": "sample",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
    }
    store = FolderStore(tmp_path / "outputs" / "datasets")
    fetched = fetched_bars(bars_table(3))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        for index in range(1500):
            store.write(a_key(symbol=f"S{index:05}", n_bars=300), fetched)

    def manage(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    with manage("migrate", "-v0") as migrated:
        migrated.communicate()
    with manage("datasets", "rebuild") as killed:
        assert killed.stdout is not None
        # A small pipe: the command cannot print the other rows before it is killed.
        fcntl.fcntl(killed.stdout, fcntl.F_SETPIPE_SZ, 4096)
        assert killed.stdout.readline().startswith("adopted: ")
        readers = children(killed.pid)
        assert readers
        killed.send_signal(signal.SIGKILL)
        wait_until(
            lambda: not any(is_running(pid) for pid in readers),
            what="the end of the processes that read",
        )
    with manage("datasets", "rebuild", "--resume") as resumed:
        printed = resumed.communicate()[0]

    adopted = printed.count("adopted: ")
    assert 0 < adopted <= 1000
    assert f"{adopted} adopted, {1500 - adopted} ok" in printed
