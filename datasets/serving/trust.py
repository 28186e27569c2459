"""Trust in what this process has checked, so that a hot read waits for no database and no disk."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from threading import Lock
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError

from datasets.lru_cache import LruCache

# Seconds. While one thread checks a value again and the check hangs, the other threads get the old
# value for at most this long. A statement that hangs is given up sooner.
_OLDEST_S = 60.0

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_generations = count(1)
_generation = 0


def distrust_all() -> None:
    """End the trust in everything that was checked so far, because this process changed something."""
    global _generation
    _generation = next(_generations)


class _Checked(NamedTuple, Generic[Value]):
    value: Value
    at: float
    generation: int
    # Held by the thread that checks the value again.
    check: Lock


class Trusted(Generic[Key, Value]):
    """Values that were checked at most `times` times `WEB_TRUST_MS` ago; at most `most` of them."""

    def __init__(self, most: int = 1024, *, times: int = 1) -> None:
        self._times = times
        self._checked: LruCache[Key, _Checked[Value]] = LruCache(most)

    def get(
        self,
        key: Key,
        check: Callable[[], Value | None],
        *,
        is_lasting: Callable[[Value], bool] = lambda value: True,
    ) -> Value | None:
        """Return the trusted value, else the result of `check`; it is trusted from now on if `is_lasting`.

        None is never trusted. A trusted value that is no longer `is_lasting` is checked again. One
        thread at a time checks a value again: the other threads get the old value meanwhile, so
        that a hung database holds one thread a value. Where the database does not answer, the old
        value is good for a minute after its check, so that readers notice no restart.
        """
        found = self._checked.find(key)
        if found is None or found.generation != _generation or not is_lasting(found.value):
            return self._check(key, check, is_lasting)
        age_s = monotonic() - found.at
        if age_s < self._times * settings.WEB_TRUST_MS / 1000:
            return found.value
        if not found.check.acquire(blocking=False):
            return found.value if age_s < _OLDEST_S else self._check(key, check, is_lasting)
        try:
            return self._check(key, check, is_lasting)
        except (OperationalError, InterfaceError):
            if monotonic() - found.at < _OLDEST_S:
                return found.value
            raise
        finally:
            found.check.release()

    def _check(
        self, key: Key, check: Callable[[], Value | None], is_lasting: Callable[[Value], bool]
    ) -> Value | None:
        # The instant and the generation from before the check: a change meanwhile counts.
        now, generation = monotonic(), _generation
        value = check()
        if settings.WEB_TRUST_MS and value is not None and is_lasting(value):
            self._checked.keep(key, _Checked(value, now, generation, Lock()))
        return value
