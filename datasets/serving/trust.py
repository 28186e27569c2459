"""Trust in what this process has checked, so that a hot read waits for no database and no disk."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from django.conf import settings

from datasets.lru_cache import LruCache

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


class Trusted(Generic[Key, Value]):
    """Values that were checked at most `WEB_TRUST_MS` ago; at most `most` of them."""

    def __init__(self, most: int = 1024) -> None:
        self._checked: LruCache[Key, _Checked[Value]] = LruCache(most)

    def get(
        self,
        key: Key,
        check: Callable[[], Value | None],
        *,
        is_lasting: Callable[[Value], bool] = lambda value: True,
    ) -> Value | None:
        """Return the trusted value, else the result of `check`; it is trusted from now on if `is_lasting`.

        None is never trusted. A trusted value that is no longer `is_lasting` is checked again.
        """
        now, generation = monotonic(), _generation
        trust_s = settings.WEB_TRUST_MS / 1000
        found = self._checked.find(key)
        if (
            found is not None
            and found.generation == generation
            and now - found.at < trust_s
            and is_lasting(found.value)
        ):
            return found.value
        value = check()
        if trust_s and value is not None and is_lasting(value):
            # The instant and the generation from before the check: a change meanwhile counts.
            self._checked.keep(key, _Checked(value, now, generation))
        return value
