"""Files of many datasets, read by several threads and given back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# A few results wait for the reader, so that the threads go on while the rows are written.
_AHEAD_A_THREAD = 16


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], n_workers: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with `read(item)`, in order; `n_workers` threads read some items ahead.

    `read` runs in threads without a connection to the database, so it makes no queries. Its errors are raised here.
    """
    if n_workers == 1:
        for item in items:
            yield item, read(item)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(n_workers) as pool:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > _AHEAD_A_THREAD * n_workers:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
