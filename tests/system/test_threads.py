"""The threads of a web process: a few run at a time, and nobody who waits holds the others up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.stacks import wait_until
from tvproject.threads import Threads

LONG_S = 60.0


class Work:
    """Tasks that say when they have begun and run until they are let go."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.seen: set[threading.Thread] = set()
        self._lets_go: dict[str, threading.Event] = {}

    def submit(self, name: str, *, waits: bool = False) -> None:
        self._lets_go[name] = threading.Event()

        def task() -> None:
            self.seen.add(threading.current_thread())
            self.begun.append(name)
            if waits:
                self.threads.about_to_wait()
            assert self._lets_go[name].wait(20)
            self.ended.append(name)

        self.threads.submit(task)

    def wait_for(self, *names: str) -> None:
        wait_until(lambda: self.begun == list(names), what=f"the beginning of {names}")

    def end(self, *names: str) -> None:
        for name in names:
            self._lets_go[name].set()
            wait_until(lambda name=name: name in self.ended, what=f"the end of {name}")  # type: ignore[misc]

    def end_all(self) -> None:
        for let_go in self._lets_go.values():
            let_go.set()


@pytest.fixture
def work() -> Iterator[Callable[[Threads], Work]]:
    made: list[Work] = []

    def make(threads: Threads) -> Work:
        made.append(Work(threads))
        return made[-1]

    yield make
    for one in made:
        one.end_all()


def test_tasks_run_so_many_at_a_time_in_the_order_of_their_coming(
    work: Callable[[Threads], Work],
) -> None:
    all_of = work(Threads(2, 8, patience_s=LONG_S))
    for name in "abcd":
        all_of.submit(name)

    wait_until(lambda: len(all_of.begun) == 2, what="the first two")
    assert sorted(all_of.begun) == ["a", "b"]
    all_of.end("b")
    wait_until(lambda: all_of.begun[2:] == ["c"], what="the third")
    all_of.end("a")
    wait_until(lambda: all_of.begun[2:] == ["c", "d"], what="the fourth")


def test_who_says_that_it_waits_lets_the_next_one_begin(work: Callable[[Threads], Work]) -> None:
    one_by_one = work(Threads(1, 8, patience_s=LONG_S))

    one_by_one.submit("waits", waits=True)
    one_by_one.wait_for("waits")
    one_by_one.submit("next")
    one_by_one.submit("later")

    one_by_one.wait_for("waits", "next")
    one_by_one.end("waits")
    assert one_by_one.begun == ["waits", "next"]
    one_by_one.end("next")
    one_by_one.wait_for("waits", "next", "later")


def test_who_runs_for_too_long_is_overtaken_by_all(work: Callable[[Threads], Work]) -> None:
    one_by_one = work(Threads(1, 8, patience_s=0.02))

    for name in "abc":
        one_by_one.submit(name)

    one_by_one.wait_for("a", "b", "c")
    one_by_one.end("a", "b", "c")
    one_by_one.submit("d")
    one_by_one.wait_for("a", "b", "c", "d")


def test_there_are_never_more_threads_than_allowed(work: Callable[[Threads], Work]) -> None:
    three = work(Threads(1, 3, patience_s=0.01))

    for name in "abcde":
        three.submit(name, waits=True)
    wait_until(lambda: len(three.begun) == 3, what="the first three")

    assert len(three.seen) == 3
    three.end(*three.begun)
    wait_until(lambda: len(three.begun) == 5, what="the others")
    assert len(three.seen) == 3


def test_a_thread_without_work_ends_and_another_takes_up_what_comes(
    work: Callable[[Threads], Work],
) -> None:
    brief = work(Threads(2, 8, idle_s=0.02))

    brief.submit("a")
    brief.end("a")
    (first,) = brief.seen
    wait_until(lambda: not first.is_alive(), what="the thread's end")
    brief.submit("b")

    brief.wait_for("a", "b")


def test_a_task_that_fails_takes_nothing_with_it(
    work: Callable[[Threads], Work], caplog: pytest.LogCaptureFixture
) -> None:
    threads = Threads(1, 1)

    for error in (ZeroDivisionError, SystemExit):

        def fail(error: type[BaseException] = error) -> None:
            raise error

        threads.submit(fail)
    after = work(threads)
    after.submit("after")

    after.wait_for("after")
    assert caplog.text.count("a task failed") == 2


def test_thousands_of_tasks_from_many_threads_all_run_once() -> None:
    threads, done, lock = Threads(2, 16, patience_s=0.01, idle_s=0.01), list[int](), threading.Lock()  # fmt: skip

    def task(number: int) -> None:
        if number % 7 == 0:
            threads.about_to_wait()
        with lock:
            done.append(number)

    def submit(first: int) -> None:
        for number in range(first, 4000, 8):
            threads.submit(lambda number=number: task(number))  # type: ignore[misc]

    submitting = [threading.Thread(target=submit, args=(first,)) for first in range(8)]
    for thread in submitting:
        thread.start()
    for thread in submitting:
        thread.join(20)

    wait_until(lambda: len(done) == 4000, what="the last task")
    assert sorted(done) == list(range(4000))
    wait_until(lambda: not threads._running and not threads._n_called, what="rest")
