"""The rows of a table of events between reading and delivery: column by column, in as little memory as they need.

They come batch by batch. A table held whole as it was read, and changed whole step by step, would be handed out by the
system again and again, which takes as long as the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow

from workbench.extracts.ordering import Column

pa: Any = pyarrow  # has no types
_Ints = npt.NDArray[np.int64]
_Codes = npt.NDArray[np.int32]
_PART = 2**16
_PAGE, _PAGES = 8, 2**23


class Concepts:
    """Concept ids as short numbers, in the order in which they were met; 0 stands for none."""

    def __init__(self) -> None:
        self._pages = np.zeros(_PAGES, dtype=np.int32)  # by an id's upper bits, which part of the cells it has
        self._cells = np.zeros(2**_PAGE, dtype=np.int32)
        self._far: dict[int, int] = {}  # ids beyond 31 bits, which the CDM does not know and a release may have
        self._ids = [0]

    @property
    def ids(self) -> _Ints:
        """The id of each code, anything for 0."""
        return np.array(self._ids, dtype=np.int64)

    @property
    def rank(self) -> _Codes:
        """Numbers of codes that rise with their ids; 0 for none."""
        rank = np.zeros(len(self._ids), dtype=np.int32)
        rank[1 + np.argsort(self.ids[1:])] = np.arange(1, rank.size)
        return rank

    def codes(self, ids: pl.Series) -> _Codes:
        """Return the codes of ids."""
        if ids.null_count():
            known = ids.is_not_null().to_numpy()
            codes = np.zeros(known.size, dtype=np.int32)
            codes[known] = self.codes(ids.drop_nulls())
            return codes
        values = ids.to_numpy()
        near = (values >= 0) & (values < _PAGES << _PAGE)
        if near.all():
            return self._near(values)
        codes = np.empty(values.size, dtype=np.int32)
        codes[near] = self._near(values[near])
        distinct, places = np.unique(values[~near], return_inverse=True)
        codes[~near] = np.array([self._far_code(each) for each in distinct.tolist()], dtype=np.int32)[places]
        return codes

    def _near(self, values: _Ints) -> _Codes:
        upper = values >> _PAGE
        pages = self._pages[upper]
        if not pages.all():
            new = np.flatnonzero(np.bincount(upper[pages == 0]))
            self._pages[new] = np.arange(new.size) + (self._cells.size >> _PAGE)
            self._cells = np.concatenate([self._cells, np.zeros(new.size << _PAGE, dtype=np.int32)])
            pages = self._pages[upper]
        cells = (pages.astype(np.int64) << _PAGE) + (values & (2**_PAGE - 1))
        codes = self._cells[cells]
        if not codes.all():
            new, first = np.unique(cells[codes == 0], return_index=True)
            self._cells[new] = np.arange(new.size) + len(self._ids)
            self._ids += values[codes == 0][first].tolist()
            codes = self._cells[cells]
        return codes

    def _far_code(self, value: int) -> int:
        if value not in self._far:
            self._far[value] = len(self._ids)
            self._ids.append(value)
        return self._far[value]


class Held:
    """Columns of numbers, all of one length, with room for about so many rows."""

    def __init__(self, room: int) -> None:
        self.rows, self._room = 0, room
        self._values: dict[str, _Growing] = {}
        self._missing: dict[str, _Growing] = {}

    def add(self, columns: Mapping[str, Column], rows: int) -> None:
        """Keep more rows of all columns: the same ones, of the same types, each time."""
        for name, (values, missing) in columns.items():
            self._values.setdefault(name, _Growing(values.dtype, self._room)).add(values)
            if missing is not None and name not in self._missing:
                self._missing[name] = _Growing(np.dtype(np.bool_), self._room)
                self._missing[name].add(np.zeros(self.rows, dtype=np.bool_))
            if name in self._missing:
                self._missing[name].add(np.zeros(rows, dtype=np.bool_) if missing is None else missing)
        self.rows += rows

    def column(self, name: str) -> Column:
        """Return a column's values, and where it has none, if anywhere."""
        return self._values[name].used, self._missing[name].used if name in self._missing else None

    def rows_of(self, name: str) -> Callable[[_Ints], Column]:
        """Return what gives a column's values in some rows, as `column` gives all."""
        values, missing = self.column(name)
        return lambda rows: (values[rows], None if missing is None else missing[rows])

    def forget(self, name: str) -> None:
        """Let a column go."""
        del self._values[name]
        self._missing.pop(name, None)

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Keep some rows of all columns."""
        for each in (*self._values.values(), *self._missing.values()):
            each.keep(rows)
        self.rows = int(np.count_nonzero(rows))

    def change(self, name: str, change: Callable[[Column], Column]) -> None:
        """Put in the place of a column's values what becomes of them, part by part; their type stays."""
        values, missing = self.column(name)
        for start in range(0, self.rows, _PART):
            here = slice(start, start + _PART)
            values[here], lacks = change((values[here], None if missing is None else missing[here]))
            if lacks is not None and missing is None:
                self._missing[name] = _Growing(np.dtype(np.bool_), self._room)
                self._missing[name].add(np.zeros(self.rows, dtype=np.bool_))
                missing = self._missing[name].used
            if lacks is not None and missing is not None:
                missing[here] = lacks


def columns_of(frame: pl.DataFrame, concepts: Concepts, coded: Collection[str]) -> dict[str, Column]:
    """Return a frame's columns of numbers; those named in `coded` as codes of concepts, 0 where there is none."""
    return {
        each.name: (concepts.codes(each), None)
        if each.name in coded
        else (each.fill_null(0).to_numpy(), each.is_null().to_numpy() if each.null_count() else None)
        for each in frame.get_columns()
    }


class _Growing:
    """An array with room for more; what is not used of it costs nothing."""

    def __init__(self, kind: np.dtype[Any], room: int) -> None:
        self._all = np.empty(room, dtype=kind)
        self._size = 0

    @property
    def used(self) -> npt.NDArray[Any]:
        """What was added."""
        return self._all[: self._size]

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Keep some of the values."""
        kept = self.used[rows]
        self._all[: kept.size] = kept
        self._size = kept.size

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add values at the end."""
        end = self._size + values.size
        if end > self._all.size:
            larger = np.empty(max(end, self._all.size * 3 // 2), dtype=self._all.dtype)
            larger[: self._size] = self.used
            self._all = larger
        self._all[self._size : end] = values
        self._size = end


def to_series(name: str, values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None) -> pl.Series:
    """Return an array as a column without copying it."""
    # From buffers: `pyarrow.array` imports pandas where it is installed, which takes half a second.
    present = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing is not None and missing.any() else None
    kind = {"int32": pa.int32(), "int64": pa.int64(), "float64": pa.float64()}[values.dtype.name]
    return pl.Series(name, pa.Array.from_buffers(kind, values.size, [present, pa.py_buffer(values)]))
