"""Deterministic pseudo-random numbers: hashes of a seed and a position."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def seed_of(*names: str) -> np.uint64:
    """Return the seed of one stream of one instrument."""
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "big"))


def words(seed: np.uint64, positions: Integers) -> Words:
    """Return 64 pseudo-random bits for each position (the finaliser of splitmix64)."""
    mixed = positions.astype(np.uint64)
    mixed *= _GOLDEN
    mixed ^= seed
    mixed ^= mixed >> np.uint64(30)
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def uniform(seed: np.uint64, positions: Integers) -> Floats:
    """Return a number from -1 up to 1 for each position."""
    return (words(seed, positions) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def value_noise(name: str, days: Integers, octaves: int) -> Floats:
    """Return a smooth random curve over the days, the sum of octaves.

    The first octave has a period of one day and amplitude 1; each next one is twice as long and
    1.41 times as high. The value of a day does not depend on the other days in `days`.
    """
    total = np.zeros(len(days))
    for octave in range(octaves):
        seed = seed_of(name, f"octave {octave}")
        cell = days >> octave
        within = (days - (cell << octave)) * 2.0**-octave
        eased = within * within * (3.0 - 2.0 * within)
        left, right = uniform(seed, cell), uniform(seed, cell + 1)
        total += (left + (right - left) * eased) * 2.0 ** (octave / 2)
    return total
