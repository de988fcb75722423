"""The columns of a table as the bytes that are digested, batch by batch, and whether their rows rise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made at import
_Array = npt.NDArray[Any]
_WIDTHS = {"boolean": "<u1", "date": "<i4"}
"""The bytes of a value; 8, signed, where not said."""
_TEXTS = frozenset({"text", "binary", "decimal"})
_ALL = np.ones(131_072, np.uint8)
_NUMBER = np.int64(2**63 - 1)
_INFINITY, _NAN = np.int64(0x7FF0_0000_0000_0000), np.int64(0x7FF8_0000_0000_0000)
"""A double's bits: all but its sign; of infinity, of the one NaN."""


class Rows:
    """A column of one batch, of at least one row, in the column's Arrow type."""

    def __init__(self, rows: pa.Array, kind: str) -> None:
        self._rows, self._kind = rows, kind

    @property
    def lacks(self) -> bool:
        """Whether some row has no value."""
        return self._rows.null_count > 0

    @cached_property
    def present(self) -> _Array:
        """A byte a row: whether there is a value."""
        if not self._rows.null_count:
            return _ALL[: len(self._rows)] if len(self._rows) <= _ALL.size else np.ones(len(self._rows), np.uint8)
        return _flags(self._rows.is_valid())

    @cached_property
    def numbers(self) -> _Array:
        """The values as they are digested, anything where there is none; doubles as their bits."""
        kind = np.dtype(_WIDTHS.get(self._kind, "<i8"))
        stored: _Array = np.frombuffer(self._rows.buffers()[1], kind)
        values = stored[self._rows.offset : self._rows.offset + len(self._rows)]
        if self._kind != "double":
            return values
        size = values & _NUMBER
        return np.where(size > _INFINITY, _NAN, np.where(size == 0, np.int64(0), values))

    @cached_property
    def keys(self) -> _Array | pa.Array:
        """What orders the rows that have a value: integers, or texts; where there is none, one and the same."""
        if self._kind in _TEXTS:
            texts = self._rows.cast(pa.large_binary())
            return pc.fill_null(texts, b"") if texts.null_count else texts
        values = self.numbers
        if self._kind == "double":
            # A double's bits are an integer that rises with it; of a negative one, all but the sign turned round.
            values = values ^ ((values >> np.int64(63)) & _NUMBER)
        return np.where(self.present, values, values.dtype.type(0)) if self._rows.null_count else values

    def parts(self) -> list[Any]:
        """Return the bytes to digest: presence; the values of the rows that have one; for texts, their lengths."""
        if self._kind not in _TEXTS:
            values = self.numbers[self.present.view(np.bool_)] if self._rows.null_count else self.numbers
            return [self.present, np.ascontiguousarray(values)]
        texts = self._rows.drop_null().cast(pa.large_binary())
        _, offsets, content = texts.buffers()
        ends = np.frombuffer(offsets, "<i8")[texts.offset : texts.offset + len(texts) + 1] if len(texts) else _NONE
        return [self.present, memoryview(content)[ends[0] : ends[-1]] if content is not None else b"", np.diff(ends)]

    def last(self) -> Rows:
        """Return the last row alone."""
        return Rows(self._rows.slice(len(self._rows) - 1), self._kind)

    def after(self, last: Rows) -> Rows:
        """Return the seam of two batches: the last row of the one before, and the first of this."""
        return Rows(pa.concat_arrays([last._rows, self._rows.slice(0, 1)]), self._kind)


_NONE = np.zeros(1, np.int64)


class Column:
    """The running digests of a column of one type."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._hashes = [hashlib.sha256() for _ in range(3 if kind in _TEXTS else 2)]

    def add(self, rows: pa.Array) -> Rows:
        """Add a batch's rows; return them, for comparing."""
        added = Rows(rows, self._kind)
        for running, part in zip(self._hashes, added.parts(), strict=True):
            running.update(memoryview(part))
        return added

    def digests(self) -> list[bytes]:
        """Return the digests of what was added: presence, values, and lengths where values have them."""
        return [each.digest() for each in self._hashes]


def rising(columns: Sequence[Rows]) -> bool:
    """Answer whether no row stands before a lesser one: by the first column, where equal by the second, and so on."""
    undecided: slice | _Array = slice(None)
    for column in columns:
        for part in (column.present, column.keys) if column.lacks else (column.keys,):
            if isinstance(part, pa.Array):
                falls, equal = _compared_texts(part, undecided)
            else:
                before, after = part[:-1][undecided], part[1:][undecided]
                falls, equal = before > after, before == after
            if falls.any():
                return False
            here = np.flatnonzero(equal)
            if not here.size:
                return True
            undecided = here if isinstance(undecided, slice) else undecided[here]
    return True


def _compared_texts(texts: pa.Array, undecided: slice | _Array) -> tuple[_Array, _Array]:
    """Return where a text is greater than, and where it equals, the one after it."""
    pairs = np.arange(len(texts) - 1) if isinstance(undecided, slice) else undecided
    before, after = texts.take(_places(pairs)), texts.take(_places(pairs + 1))
    falls, equal = pc.greater(before, after), pc.equal(before, after)
    return _flags(falls).view(np.bool_), _flags(equal).view(np.bool_)


# From buffers: pyarrow's own ways to NumPy and back import pandas where it is installed, which takes half a second.


def _flags(booleans: pa.Array) -> _Array:
    end = booleans.offset + len(booleans)
    packed = np.frombuffer(booleans.buffers()[1], np.uint8)
    return np.unpackbits(packed, count=end, bitorder="little")[booleans.offset :]


def _places(rows: _Array) -> Any:
    arrow: Any = pa  # has no types
    return arrow.Array.from_buffers(arrow.int64(), rows.size, [None, arrow.py_buffer(rows.astype(np.int64))])
