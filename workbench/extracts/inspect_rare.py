"""The second pass on rare values: each age, concept, outcome, site and provider is counted again, on the package.

Shares no code with the first pass. A value is looked at until it has been seen with as many persons as it needs; that
no table of names tells of a concept which no row has is looked at too. All concepts met are known afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from workbench.extracts.reread import People, is_number, is_text, numbers, places
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.sealed import Sealed

pc: Any = pyarrow.compute  # its functions are made at import
_Ints = npt.NDArray[np.int64]
_NONE = -1
_FIRST = 2**13
_ONE_MEANING = {"provider_id": "care_sites", "care_site_id": "care_sites"}
"""Columns that have one meaning in all tables, and the kind under which a protocol may keep what is rare in them."""


class Rare:
    """The columns of a package, seen one after the other. `protocol` says what may stay rare."""

    def __init__(self, protocol: Mapping[str, Any]) -> None:
        self._kept: Collection[str] = protocol.get("keep_rare", {}).get("values", ())
        self._seen: dict[str, _Values] = {}
        self._where: list[tuple[str, str, str]] = []
        self._named: _Ints | None = None
        self._uncounted: dict[tuple[str, str], list[_Ints]] = {}
        self._outcomes: dict[str, _Ints] = {}

    def see(self, table: str, column: str, rows: Sealed, whose: People, part: pa.ChunkedArray, done: int) -> None:
        """Take in a part of a column; `done` rows of it were seen before."""
        if (table, column) == ("outcome", "outcome") and is_text(rows.schema.field(column).type) and whose.heads.size:
            self._see_outcomes(part, done, whose)
        if not is_number(rows.schema.field(column).type):
            return  # found by its type
        if (table, column) == ("concept", "concept_id"):
            ids = numbers(part, _NONE).astype(np.int64)
            self._named = ids if self._named is None else np.concatenate([self._named, ids])
        kind = _kind(column)
        if kind is None or kind in self._kept or not whose.heads.size:
            if kind == "concepts":
                distinct = numbers(pa.chunked_array([pc.unique(part)]), _NONE).astype(np.int64)
                self._uncounted.setdefault((table, column), []).append(distinct)
            return
        name = column if column in _ONE_MEANING else f"{table}.{column}"
        if (table, column, name) not in self._where:
            self._where.append((table, column, name))
        values = self._seen.setdefault(name, _Values({_NONE, 0} if kind == "concepts" else {_NONE}))
        values.add(part, done, whose)

    def _see_outcomes(self, part: pa.ChunkedArray, done: int, whose: People) -> None:
        """Take in who has each outcome; a name is looked for only until it has been seen with persons enough."""
        for name in pc.unique(pc.drop_null(part)).to_pylist():
            before = self._outcomes.get(name, np.empty(0, dtype=np.int64))
            if before.size < THRESHOLD:
                rows = numbers(pa.chunked_array([pc.indices_nonzero(pc.equal(part, name))])).astype(np.int64)
                persons = whose.ids[np.searchsorted(whose.heads, rows + done, side="right") - 1]
                self._outcomes[name] = np.union1d(before, persons)

    def found(self) -> Iterator[tuple[str, str, str]]:
        """Yield code, table and column of each finding."""
        for table, column, name in self._where:
            if self._seen[name].rare().size:
                yield "rare_value", table, column
        if "concepts" not in self._kept and any(each.size < THRESHOLD for each in self._outcomes.values()):
            yield "rare_value", "outcome", "outcome"
        if self._named is not None and "concepts" not in self._kept:
            seen = [self._seen[name].all() for _, column, name in self._where if _kind(column) == "concepts"]
            if np.setdiff1d(self._named, np.concatenate([np.array([0]), *seen])).size:
                yield "rare_value", "concept", "concept_id"

    def concepts(self) -> Iterator[tuple[str, str, _Ints]]:
        """Yield table, column and all concepts of each column that has any, rare or not; 0 and -1 stand for none."""
        for table, column, name in self._where:
            if _kind(column) == "concepts":
                yield table, column, self._seen[name].all()
        for (table, column), parts in self._uncounted.items():
            yield table, column, np.concatenate(parts)
        if self._named is not None:
            yield "concept", "concept_id", self._named


def _kind(column: str) -> str | None:
    if column.endswith("_concept_id"):
        return "concepts"
    return "birth_years" if column == "age_at_index" else _ONE_MEANING.get(column)


class _Values:
    """The values of one meaning: those seen with persons enough, and of the others the pairs of value and person."""

    def __init__(self, exempt: Collection[int]) -> None:
        self._enough = np.array(sorted(exempt), dtype=np.int64)
        self._values = self._persons = np.empty(0, dtype=np.int64)

    def add(self, part: pa.ChunkedArray, done: int, whose: People) -> None:
        """Take in a part; its first rows first, after which hardly any value waits for more persons."""
        start, size = 0, _FIRST
        while start < len(part):
            self._add(part.slice(start, size), done + start, whose)
            start, size = start + size, 4 * size

    def _add(self, part: pa.ChunkedArray, done: int, whose: People) -> None:
        settled = pc.is_in(part, value_set=places(self._enough).cast(part.type))
        rows = numbers(pa.chunked_array([pc.indices_nonzero(pc.invert(settled))])).astype(np.int64)
        if not rows.size:
            return
        values = numbers(part, _NONE)[rows].astype(np.int64)
        persons = whose.ids[np.searchsorted(whose.heads, rows + done, side="right") - 1]
        values, persons = np.append(self._values, values), np.append(self._persons, persons)
        order = np.lexsort((persons, values))
        values, persons = values[order], persons[order]
        new_value = np.append(True, values[1:] != values[:-1])
        new_pair = new_value | np.append(True, persons[1:] != persons[:-1])
        values, persons = values[new_pair], persons[new_pair]
        heads = np.flatnonzero(new_value[new_pair])
        sizes = np.diff(np.append(heads, values.size))
        enough = (sizes >= THRESHOLD) | np.isin(values[heads], self._enough)
        self._enough = np.union1d(self._enough, values[heads[enough]])
        few = np.repeat(~enough, sizes)
        self._values, self._persons = values[few], persons[few]

    def rare(self) -> _Ints:
        """Return the values that too few persons have."""
        return np.unique(self._values)

    def all(self) -> _Ints:
        """Return all values."""
        return np.append(self._enough, self._values)
