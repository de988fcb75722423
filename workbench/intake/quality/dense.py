"""Look-ups of ids that lie close together: an id is a place in an array, so that looking it up reads one value.

Ids of persons, visits and events are mostly numbers counted up, those of concepts a few ranges of such. Pages of 4,096
neighbours get room as their first id comes; a directory, one entry a page, says where. Ids that are far apart (64-bit
hashes) would need far more room than there are ids: `None` says so, and SQL looks them up, with a hash for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from workbench.intake.nodes import call, cast, column, named, select
from workbench.intake.quality.data import BATCH, Data

Ints = NDArray[np.int64]
Days = NDArray[np.int32]
"""Days since 1970 (`Data.batches`)."""

PAGE = 12
"""Bits of an id that say its place on its page."""

SPREAD = 16
"""Places for each id from which on ids are far apart."""

SMALL = 1 << 24
"""Places that may be taken however few the ids."""

MOST = 1 << 29
"""Bytes that the values of all places may take, and those of a directory."""

_WHOLE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT")


class _Far(Exception):
    """Ids are so far apart, or so many, that they need too much room."""


class _Places:
    """The places of ids between `low` and `high`, at most so many. Unknown ids have theirs on the first page, which
    no known one is on."""

    def __init__(self, low: int, high: int, most: int) -> None:
        self._below = (low >> PAGE) - 1  # an empty page at either end stands for all that lies beyond
        pages = (high >> PAGE) - self._below + 2
        if pages * 8 > MOST:
            raise _Far
        self._directory: Ints = np.zeros(pages, np.int64)
        self._most = most
        self._page, self._found = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
        self.size = 1 << PAGE

    def find(self, ids: Ints) -> Ints:
        """Return the place of each id, until the next call: all of them write to the same memory."""
        page, places = self._page[: len(ids)], self._found[: len(ids)]
        np.right_shift(ids, PAGE, out=page)
        np.subtract(page, self._below, out=page)
        self._directory.take(page, mode="clip", out=places)
        np.bitwise_and(ids, (1 << PAGE) - 1, out=page)
        return np.bitwise_or(places, page, out=places)

    def add(self, ids: Ints) -> Ints:
        """Return the place of each id, with room for those that had none. Raises _Far where there is too little."""
        new = self.find(ids) < 1 << PAGE
        if not new.any():
            return self._found[: len(ids)]
        pages = _runs(np.sort(_runs(ids[new] >> PAGE))) - self._below
        self._directory[pages] = self.size + (np.arange(len(pages)) << PAGE)
        self.size += len(pages) << PAGE
        if self.size > self._most:
            raise _Far
        return self.find(ids)


class Known:
    """Which ids there are, and perhaps what is known of each of them (`values`: columns of days)."""

    def __init__(self, places: _Places, there: NDArray[np.bool_], values: Sequence[Days]) -> None:
        self._places = places
        self._there = there
        self._values = values

    def __len__(self) -> int:
        return int(np.count_nonzero(self._there))

    def lost(self, ids: Ints) -> int:
        """Return how many of the ids are not there."""
        return len(ids) - int(np.count_nonzero(self._there.take(self._places.find(ids))))

    def of(self, ids: Ints) -> tuple[NDArray[np.bool_], list[Days]]:
        """Say of each id whether it is there, and return the columns' values: any, for one that is not."""
        places = self._places.find(ids)
        return self._there.take(places), [values.take(places) for values in self._values]

    def without(self, batches: Iterator[Ints]) -> int:
        """Return how many of the ids do not come in any of the batches."""
        come = np.zeros_like(self._there)
        for ids in batches:
            come[self._places.find(_runs(ids))] = True
        return int(np.count_nonzero(self._there & ~come))


def known(data: Data, table: str, key: str, query: exp.Select | None = None, days: int = 0) -> Known | None:
    """Return the ids of a column; None where they are far apart or no whole numbers.

    `query` gives them with so many columns of `days`, each id once; else the ids are those of the table.
    """
    if not is_whole(data, table, key):
        return None
    low, high = data.lines(select(call("min", column(key)), call("max", column(key)), source=data.scan(table)))[0]
    if low is None:
        return None
    count = data.filled[table, key]
    most = min(max(SMALL, SPREAD * count), MOST // (1 + 4 * days))
    if count > most:
        return None
    batches = data.batches(query) if query is not None else ((ids,) for ids in data.ids(table, key))
    try:
        return _filled(_Places(low, high, most), batches, count, days)
    except _Far:
        return None


def once(data: Data, table: str, key: str) -> bool | None:
    """Answer whether no id of a column stands twice, and keep the ids then; None where they are far apart."""
    ids = data.kept.get((table, key)) or known(data, table, key)
    if ids is None or len(ids) < data.filled[table, key]:
        return None if ids is None else False
    data.kept[table, key] = ids
    return True


def rises(data: Data, table: str, key: str) -> bool:
    """Answer whether each id of a column is greater than the one before, so that none stands twice. Keys counted up as
    a release is sorted do; where they do not, this most often ends at the first rows."""
    last: int | None = None
    for ids in data.ids(table, key):
        if len(ids) and ((last is not None and ids[0] <= last) or not (ids[1:] > ids[:-1]).all()):
            return False
        last = int(ids[-1]) if len(ids) else last
    return True


def is_whole(data: Data, table: str, name: str) -> bool:
    """Say whether a column holds whole numbers of at most 64 bits."""
    return data.types[table].get(name) in _WHOLE


def whole(name: str) -> exp.Alias:
    """Return a column of ids as it is looked up."""
    return named(cast(column(name), "BIGINT"), name)


def _filled(places: _Places, batches: Iterator[tuple[Any, ...]], count: int, days: int) -> Known:
    room = count + count // 8 + (64 << PAGE)  # most often enough: making more room copies what is there
    there = np.zeros(room, np.bool_)
    values = [np.zeros(room, np.int32) for _ in range(days)]
    for ids, *columns in batches:
        place = places.add(ids)
        if places.size > len(there):
            more = max(places.size, 2 * len(there)) - len(there)
            there = np.concatenate([there, np.zeros(more, np.bool_)])
            values = [np.concatenate([each, np.zeros(more, np.int32)]) for each in values]
        there[place] = True
        for each, column_of_days in zip(values, columns, strict=True):
            each[place] = column_of_days
    return Known(places, there, values)


def _runs(ids: Ints) -> Ints:
    """Return the first id of each run of equal ones: rows of one person follow each other in a release."""
    first = np.ones(len(ids), np.bool_)
    np.not_equal(ids[1:], ids[:-1], out=first[1:])
    return ids[np.flatnonzero(first)]
