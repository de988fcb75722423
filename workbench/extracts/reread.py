"""A sealed table as the inspection reads it again: every column once, and with it authenticated, a row group at a time.

Of a column only what the checks look at is kept, so an extract of any length is inspected in little memory, and nothing
is handed out by the system and given back for each of its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from workbench.governance.sealed import Sealed

pc: Any = pyarrow.compute  # its functions are made at import
_Ints = npt.NDArray[np.int64]
_FAR = 2**31 - 1
"""Days that give nobody away, in place of none: six million years."""


@dataclass(frozen=True)
class People:
    """Whose the rows of a table are: where each run of one person's rows begins, that person's id (-1: nobody), and the
    number of rows. No run where the table says nothing of persons.
    """

    heads: _Ints
    ids: _Ints
    rows: int


@dataclass(frozen=True)
class Column:
    """What is looked at of a column: its type; of days the ends and, for each run of `People`, the first and the last
    (`_FAR` and its opposite where there is none); of keys the values between two; texts; the values in some rows.
    """

    name: str
    type: pa.DataType
    ends: tuple[int, int] | None
    first: _Ints
    last: _Ints
    near: npt.NDArray[Any]
    texts: frozenset[str | None]
    some: pa.ChunkedArray


def people(rows: Sealed) -> People:
    """Read whose each row is, -1 (nobody) for an id that is missing or no whole number; text is found by its type."""
    heads, ids = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    if "person_id" not in rows.schema.names or not is_number(rows.schema.field("person_id").type):
        return People(heads[0], ids[0], rows.rows)
    done, before = 0, None
    for part in rows.parts("person_id"):
        who = numbers(part, -1)
        who = who if who.dtype.kind in "iu" else np.where(who == np.floor(who), who, -1).astype(np.int64)
        starts = np.flatnonzero(np.concatenate([[before is None or who[0] != before], who[1:] != who[:-1]]))
        heads.append(starts + done)
        ids.append(who[starts].astype(np.int64))
        done, before = done + who.size, who[-1]
    return People(np.concatenate(heads), np.concatenate(ids), rows.rows)


def column(
    rows: Sealed, name: str, whose: People, some: _Ints, low: int, high: int, also: _See | None = None
) -> Column:
    """Read a column. `some` are the rows (rising) whose values are kept, `low` and `high` the ids that keys are
    compared with; `also` is shown each part, and how many rows stand before it.
    """
    kind = rows.schema.field(name).type
    first, last = (np.full(whose.heads.size, far, dtype=np.int64) for far in (_FAR, -_FAR))
    ends: list[int] = []
    near: list[npt.NDArray[Any]] = [np.empty(0, dtype=np.int64)]
    texts: set[str | None] = set()
    chosen: list[pa.Array] = []
    for done, part in _placed(rows.parts(name)):
        if also is not None:
            also(part, done)
        if is_day(name, kind):
            days = part.cast(pa.int32()) if pa.types.is_date32(kind) else part
            ends += [end for end in pc.min_max(days).as_py().values() if end is not None]
            _days_by_run(part, done, whose.heads, first, last)
        if name.endswith("_id") and not name.endswith("concept_id") and is_number(kind):
            keys = numbers(pc.drop_null(part))
            near.append(keys[(keys >= low) & (keys <= high)])
        if is_text(kind):
            texts.update(pc.unique(part).to_pylist())
        here = slice(*np.searchsorted(some, (done, done + len(part))))
        chosen += part.take(places(some[here] - done)).chunks
    spread = (min(ends), max(ends)) if ends else None
    kept = pa.chunked_array(chosen, kind)
    return Column(name, kind, spread, first, last, np.concatenate(near), frozenset(texts), kept)


_See = Callable[[pa.ChunkedArray, int], None]


def _placed(parts: Iterator[pa.ChunkedArray]) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """Yield the parts of a column, and the number of rows before each."""
    done = 0
    for part in parts:
        yield done, part
        done += len(part)


def _days_by_run(part: pa.ChunkedArray, done: int, heads: _Ints, first: _Ints, last: _Ints) -> None:
    """Put the first and last day of each run that a part touches into `first` and `last`."""
    begin, end = np.searchsorted(heads, (done, done + len(part)), side="left")
    runs = slice(max(begin - (begin == heads.size or heads[begin] > done), 0), end)  # the part may begin within a run
    begins = np.maximum(heads[runs] - done, 0)
    if not begins.size:
        return
    low, high = numbers(part, _FAR), numbers(part, -_FAR)
    first[runs] = np.minimum(first[runs], np.minimum.reduceat(low, begins))
    last[runs] = np.maximum(last[runs], np.maximum.reduceat(high, begins))


def is_number(kind: pa.DataType) -> bool:
    """Answer whether a column holds numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def is_text(kind: pa.DataType) -> bool:
    """Answer whether a column holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_day(name: str, kind: pa.DataType) -> bool:
    """Answer whether a column counts days, or has dates (read as days since 1970); others are found by their type."""
    return (name.endswith("_day") and pa.types.is_integer(kind)) or pa.types.is_date32(kind)


# -- Arrow and NumPy, from buffers: pyarrow's own ways between them import pandas where it is installed (half a second)


_KINDS = {"halffloat": "float16", "float": "float32", "double": "float64", "date32[day]": "int32"}


def numbers(values: pa.ChunkedArray, none: float = 0) -> npt.NDArray[Any]:
    """Return a column of numbers or dates (days since 1970), `none` where it has no value."""
    kind = np.dtype(_KINDS.get(str(values.type), str(values.type)))
    parts = [np.empty(0, dtype=kind)] if values.num_chunks != 1 else []
    for chunk in values.chunks:
        stored = np.frombuffer(chunk.buffers()[1] or b"", dtype=kind)[chunk.offset : chunk.offset + len(chunk)]
        parts.append(np.where(_flags(chunk.is_valid()), stored, none) if chunk.null_count else stored)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def present(values: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return where a column has a value."""
    return np.concatenate([np.empty(0, dtype=np.bool_), *(_flags(chunk.is_valid()) for chunk in values.chunks)])


def _flags(booleans: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    end = booleans.offset + len(booleans)
    packed = np.frombuffer(booleans.buffers()[1] or b"", dtype=np.uint8)
    return np.unpackbits(packed, count=end, bitorder="little")[booleans.offset :].view(np.bool_)


def places(rows: _Ints) -> pa.Int64Array:
    """Return numbers of rows for Arrow's `take`."""
    return pa.Int64Array.from_buffers(pa.int64(), rows.size, [None, pa.py_buffer(np.ascontiguousarray(rows))])


def mask(flags: npt.NDArray[np.bool_]) -> pa.BooleanArray:
    """Return flags for Arrow's `filter`."""
    packed = pa.py_buffer(np.packbits(flags, bitorder="little"))
    return pa.BooleanArray.from_buffers(pa.bool_(), flags.size, [None, packed])
