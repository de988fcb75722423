"""Where ids stand among others: what a join finds out, at the cost of reading an array, where ids are dense."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_SPARSE = 8
"""Ids are dense where their range is at most so many times their number: then a table of all of it is made."""


def places(ids: Ints, wanted: Ints) -> npt.NDArray[np.int32]:
    """Return for each wanted id its place among `ids` (distinct, rising, fewer than 2^31), -1 where it is not there."""
    if not ids.size:
        return np.full(wanted.size, -1, dtype=np.int32)
    low, high = int(ids[0]), int(ids[-1])
    if high - low <= _SPARSE * ids.size:
        return _by_table(ids, wanted, low, high)
    heads = run_starts(wanted)  # ids of rows that belong together mostly follow each other
    found = np.searchsorted(ids, wanted[heads]).clip(max=ids.size - 1)
    found = np.where(ids[found] == wanted[heads], found, -1).astype(np.int32)
    return np.repeat(found, np.diff(np.append(heads, wanted.size)))


def _by_table(ids: Ints, wanted: Ints, low: int, high: int) -> npt.NDArray[np.int32]:
    table = np.full(high - low + 2, -1, dtype=np.int32)
    table[ids - low] = np.arange(ids.size, dtype=np.int32)
    if wanted.size and (int(wanted.min()) < low or int(wanted.max()) > high):
        wanted = np.where((wanted >= low) & (wanted <= high), wanted, high + 1)  # a place that stays empty
    return table[wanted - low]


def run_starts(values: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return where each run of equal values begins."""
    return np.flatnonzero(starts_run(values))


def starts_run(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Return for each value whether it differs from the one before; the first does."""
    starts = np.empty(values.size, dtype=np.bool_)
    starts[:1] = True
    np.not_equal(values[1:], values[:-1], out=starts[1:])
    return starts


def distinct(values: Ints) -> Ints:
    """Return the distinct values, rising."""
    if values.size:
        low, high = int(values.min()), int(values.max())
        if high - low <= _SPARSE * values.size:
            there = np.zeros(high - low + 1, dtype=np.bool_)
            there[values - low] = True
            return np.flatnonzero(there) + low
    rising = np.sort(values)
    return rising[starts_run(rising)]
