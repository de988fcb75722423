"""Chance without a state: every number is a hash of the seed, of what it decides, and of whom it is about.

So a draw does not depend on what was drawn before it: not on the order of the work, not on chunks, not on threads.
What follows from a draw is integer arithmetic on tables that are rounded when they are made, so that a compiler's or
a processor's last bit of a float cannot change it: the same seed gives the same hospital on any machine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Tags = NDArray[np.uint64]
Flags = NDArray[np.bool_]

UNIT = 1 << 32
"""The grid of probabilities."""
SD = 1024
"""One standard deviation, in the integers that `normal` gives."""
MICRO = 1_000_000
"""The mean of `exponential`, in the integers that it gives."""


class Chance:
    """The draws of one seed. `stream` names what is decided; `tags` say about whom; `n` tells draws of one kind apart.

    The text of a stream is part of every digest that follows from it: renaming one makes another hospital.
    """

    def __init__(self, seed: int) -> None:
        """Start the streams of a seed (any integer)."""
        self._seed = seed
        self._keys: dict[str, int] = {}

    def bits(self, stream: str, tags: Tags, n: int = 0) -> Tags:
        """Return 64 bits per tag."""
        key = self._keys.get(stream)
        if key is None:
            digest = hashlib.sha256(f"{self._seed}/{stream}".encode()).digest()
            key = self._keys[stream] = int.from_bytes(digest[:8], "little")
        start = np.array([(key + n * 0x9E3779B97F4A7C15) % 2**64], dtype=np.uint64)
        return mixed(tags ^ mixed(start))

    def tags(self, stream: str, tags: Tags, numbers: ArrayLike = 0) -> Tags:
        """Return new tags, for things that belong to the tagged (the visits of a person, say), told apart by number."""
        with np.errstate(over="ignore"):
            return mixed(
                self.bits(stream, tags) + np.asarray(numbers).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            )

    def happens(self, stream: str, tags: Tags, probability: ArrayLike, n: int = 0) -> Flags:
        """Return whether what has this probability (one, or one per tag) happens."""
        limit = np.rint(np.asarray(probability, dtype=np.float64) * UNIT).astype(np.uint64)
        return (self.bits(stream, tags, n) >> np.uint64(32)) < limit

    def below(self, stream: str, tags: Tags, limit: ArrayLike, n: int = 0) -> Ints:
        """Return integers from 0 to `limit` (one, or one per tag), which is left out; 0 where it is not positive."""
        top = np.maximum(np.asarray(limit, dtype=np.int64), 0).astype(np.uint64)
        return (((self.bits(stream, tags, n) >> np.uint64(32)) * top) >> np.uint64(32)).astype(np.int64)

    def normal(self, stream: str, tags: Tags, n: int = 0) -> Ints:
        """Return standard normal numbers, in units of 1/1024."""
        return normal_table()[(self.bits(stream, tags, n) >> np.uint64(48)).astype(np.int64)]

    def exponential(self, stream: str, tags: Tags, n: int = 0) -> Ints:
        """Return exponential numbers of mean 1, in units of 1/1,000,000."""
        return exponential_table()[(self.bits(stream, tags, n) >> np.uint64(48)).astype(np.int64)]

    def pick(self, stream: str, tags: Tags, weights: Sequence[float], n: int = 0) -> Ints:
        """Return positions in `weights`, each as often as its weight says."""
        total = math.fsum(weights)
        ends = [round(math.fsum(weights[: last + 1]) / total * UNIT) for last in range(len(weights))]
        found = np.searchsorted(
            np.array(ends[:-1]), (self.bits(stream, tags, n) >> np.uint64(32)).astype(np.int64), "right"
        )
        return found.astype(np.int64)


def mixed(state: Tags) -> Tags:
    """Return the finalizer of splitmix64 (Steele, Lea, Flood 2014) of each number."""
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


_SIZE = 65536


@cache
def normal_table() -> Ints:
    """Return the quantiles of the standard normal law at the middles of 65,536 equal steps, in 1/1024."""
    quantile = NormalDist().inv_cdf
    return np.array([round(quantile((step + 0.5) / _SIZE) * SD) for step in range(_SIZE)], dtype=np.int64)


@cache
def exponential_table() -> Ints:
    """Return the quantiles of the exponential law of mean 1 at the middles of 65,536 equal steps, in 1/1,000,000."""
    return np.array([round(-math.log1p(-(step + 0.5) / _SIZE) * MICRO) for step in range(_SIZE)], dtype=np.int64)


@cache
def lognormal_table(sigma: float) -> Ints:
    """Return exp(sigma × z) for z from -4 to 4 in steps of 1/1024, in 1/10,000: look up with `z + 4096`, cut to it."""
    return np.array([round(math.exp(sigma * step / SD) * 10_000) for step in range(-4096, 4097)], dtype=np.int64)


def lognormal(sigma: float, z: Ints) -> Ints:
    """Return exp(sigma × z) in 1/10,000, `z` in 1/1024."""
    return lognormal_table(sigma)[np.clip(z, -4096, 4096) + 4096]


def logistic(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-score)), rounded to a grid of 2^-30, coarser than any machine's error in `exp`."""
    return np.rint((1 << 30) / (1 + np.exp(-scores))) / (1 << 30)
