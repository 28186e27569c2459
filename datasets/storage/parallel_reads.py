"""Files of many datasets, read by several workers and given back in order."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

from datasets.errors import StoreError, StoreFailed
from datasets.storage.dataset_file import StoredFile
from datasets.storage.folder_store import FolderStore
from datasets.storage.store import Store

Item = TypeVar("Item")
FileRead = StoredFile | StoreError | StoreFailed

# Fewer files are read by this process: the start of other processes would take longer.
FEW_FILES = 1_000
# Files of one call of a worker, and calls of each worker that are ahead of the caller.
_A_CALL, _CALLS_AHEAD = 100, 4


def read_each(
    store: Store, items: Iterable[Item], path_of: Callable[[Item], str | None], n_workers: int = 1
) -> Iterator[tuple[Item, FileRead | None]]:
    """Yield each item with its file, or with the error of reading the file, in order.

    The files of a folder are read by processes, because Python runs one thread at a time and a small file costs more of
    the processor than of the disk. The objects of a bucket are read by threads: they wait for the network, and a
    client of a bucket must not get into another process.

    Parameters
    ----------
    path_of
        Returns the path of an item's file; None for an item whose file is not to be read, which is
        yielded with None.
    n_workers
        Number of processes or threads.

    Raises
    ------
    StoreFailed
        A process was killed.
    """
    rest = iter(items)
    few = list(islice(rest, FEW_FILES))
    if n_workers == 1 or len(few) < FEW_FILES:
        for item in chain(few, rest):
            (found,) = _read_all(store, [path_of(item)])
            yield item, found
        return
    waiting: deque[tuple[list[Item], Future[list[FileRead | None]]]] = deque()
    try:
        with _workers(store, n_workers) as pool:
            for some in in_batches(chain(few, rest), _A_CALL):
                call = pool.submit(_read_all, store, [path_of(item) for item in some])
                waiting.append((some, call))
                if len(waiting) > _CALLS_AHEAD * n_workers:
                    yield from _next(waiting)
            while waiting:
                yield from _next(waiting)
    except BrokenProcessPool as error:
        raise StoreFailed(
            "A process that reads files was killed, perhaps because the memory was full. The files are unchanged. "
            "Run the command again with --resume and fewer --workers."
        ) from error


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _next(
    waiting: deque[tuple[list[Item], Future[list[FileRead | None]]]],
) -> Iterator[tuple[Item, FileRead | None]]:
    items, call = waiting.popleft()
    return zip(items, call.result(), strict=True)


def _read_all(store: Store, paths: list[str | None]) -> list[FileRead | None]:
    return [None if path is None else _read(store, path) for path in paths]


def _read(store: Store, path: str) -> FileRead:
    try:
        return store.read(path)[1]
    except (StoreError, StoreFailed) as error:
        # The other files may still be readable.
        return error


def _workers(store: Store, number: int) -> Executor:
    if not isinstance(store, FolderStore):
        return ThreadPoolExecutor(number)
    # Not forked: a fork copies the locks that other threads of this process hold.
    return ProcessPoolExecutor(number, mp_context=get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    """End with the process that started this one; Ctrl+C is for that process alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_parent, daemon=True).start()
