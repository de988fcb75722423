"""Canaries: real values that may never come out, taken from the release itself and looked for in what is delivered.

The officer's question is "how do you know that no identifier got through?". The first pass answers with rules; this
one with a search. Of persons whom a key chooses it takes what identifies them: their ids, those of their stays, events,
providers and places, their source identifiers and texts, their index dates and years of birth.
Then:

- no link column may hold a real id of any table: pseudonyms have 53 bits, so one real id among them is no chance;
- no other number may be a person's *own* identifier or date more often than it is another's. Small numbers meet small
  ids by chance, but a neighbour's as often as one's own: the neighbours' count is what chance gives;
- no text, in tables or manifest, may contain an identifying text. A text of which half the rows have another one is
  identifying; what public concepts are called is not.

Nothing is shared with the first pass. Cost: a few row groups of ids, and the delivered rows of at most 1,000 persons.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from workbench.extracts.reread import Column, People, is_number, is_text, mask, numbers, present

pc: Any = pyarrow.compute  # its functions are made at import
_Table: Any = pa.Table  # has no types
_Ints = npt.NDArray[np.int64]
_Days = npt.NDArray[np.datetime64]

PERSONS: Final = 400
"""Of how many persons values are looked for."""
EACH: Final = 200
"""How many delivered rows of each person, and table, are looked at."""
TEXTS: Final = 40
GROUPS: Final = 8
"""How many row groups of a table are read at most; of each, so many rows."""
MOST: Final = 4_000
SHORTEST: Final = 6
"""Shorter texts occur anywhere."""
LOCAL: Final = 2_000_000_000
"""From here on concepts are a hospital's own (OMOP's convention); below, their names are public."""
_SHIFTS: Final = 8
_SHARE: Final = 0.02
_CONCEPT: Final = re.compile(r"(concept|domain|vocabulary|concept_class)_id$")
_VOCABULARY: Final = frozenset({
    "concept", "concept_ancestor", "concept_relationship", "concept_synonym", "concept_class", "vocabulary", "domain",
    "relationship", "drug_strength", "source_to_concept_map", "cdm_source", "metadata",
})  # fmt: skip

Found = tuple[str, str, str]
"""A code of `extract.finding_CODE`, a table, a column."""


@dataclass(frozen=True)
class Own:
    """What is some persons' own: the distinct values, rising, and pairs (place of the value · number of persons + place
    of the person), rising."""

    values: _Ints
    pairs: _Ints


@dataclass(frozen=True)
class Ids:
    """A table's own id column, and the smallest and largest id in it."""

    path: Path
    column: str
    low: int
    high: int


@dataclass(frozen=True)
class Sample:
    """The canaries: `persons` (pseudonyms) with their index days since 1970, their own numbers, and texts."""

    persons: _Ints
    index: _Ints
    own: tuple[Own, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Theirs:
    """The delivered rows of the sample's persons: places in the table, rising, whose each is, and the day on which it
    starts (0 where the table has none)."""

    rows: _Ints
    people: _Ints
    start: _Ints

    def starting(self, days: Column | None) -> Theirs:
        """Return the same rows with their start days, where there is such a column."""
        if days is None or not is_number(days.type):
            return self
        return replace(self, start=numbers(days.some))


class Canaries:
    """What is looked for in an extract. `release` are the release's Parquet files by table; `members` the cohort's real
    person ids and their index days; `key` the study's key of persons (pseudonyms are its HMACs).
    """

    def __init__(self, release: Mapping[str, Path], members: tuple[_Ints, _Days], key: bytes) -> None:
        self._release = release
        self._real = list(_id_columns(release))
        self._sample = draw(release, members, key) if members[0].size else None

    @property
    def low(self) -> int:
        """The smallest id of any table."""
        return min((each.low for each in self._real), default=0)

    @property
    def high(self) -> int:
        """The largest id of any table."""
        return max((each.high for each in self._real), default=-1)

    def rows_of(self, whose: People) -> Theirs:
        """Return the rows of the sample's persons in a table. Rows are sorted by person (where they are not, that is a
        finding of its own)."""
        persons = self._sample.persons if self._sample else np.empty(0, dtype=np.int64)
        ends = np.append(whose.heads, whose.rows)
        starts, ends = (ends[np.searchsorted(whose.ids, persons, side=side)] for side in ("left", "right"))
        ends, order = np.minimum(ends, starts + EACH), np.argsort(starts)
        mine = np.concatenate([np.empty(0, np.int64), *map(np.arange, starts[order], ends[order])])
        return Theirs(mine, np.repeat(order, (ends - starts)[order]), np.zeros(mine.size, np.int64))

    def look(self, name: str, column: Column, rows: int, theirs: Theirs) -> Iterator[Found]:
        """Yield what of the release was found in a column of a delivered table with so many rows."""
        if is_text(column.type):
            yield from self._in_texts(name, column)
        elif _is_link(column):
            if _has_real_id(column.near, rows, self._real):
                yield "canary_id", name, column.name
        elif self._sample and column.name != "person_id" and is_number(column.type) and theirs.rows.size:
            yield from _in_numbers(name, column.name, column.some, theirs, self._sample)

    def look_in_text(self, name: str, text: str) -> Iterator[Found]:
        """Yield whether an identifying text stands in a text."""
        if self._pattern and self._pattern.search(text):
            yield "canary_text", name, ""

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        texts = self._sample.texts if self._sample else ()
        return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, texts)) + r")(?!\w)") if texts else None

    def _in_texts(self, name: str, column: Column) -> Iterator[Found]:
        if self._pattern:
            hits = {text for text in column.texts if text is not None and self._pattern.search(text)}
            if hits - _public(hits, self._release):
                yield "canary_text", name, column.name


# -- link columns: all rows


def _is_link(column: Column) -> bool:
    return column.name.endswith("_id") and not _CONCEPT.search(column.name) and pa.types.is_integer(column.type)


def _has_real_id(near: npt.NDArray[Any], rows: int, real: Sequence[Ids]) -> bool:
    """Answer whether a link column meets the ids of some table more often than chance allows.

    `near` are its values near real ids. These lie in a small part of the 53 bits, so nearly always there is none, and
    nothing is read.
    """
    delivered = _rising(near.astype(np.int64))
    for each in real:
        mine = delivered[(delivered >= each.low) & (delivered <= each.high)]
        if not mine.size:
            continue
        ids = _rising(numbers(pc.drop_null(pq.ParquetFile(each.path).read([each.column]).column(0))).astype(np.int64))
        expected = rows * ids.size / 2.0**53
        if np.count_nonzero(_meets(ids, mine)) > expected + 5 * expected**0.5:
            return True
    return False


def _id_columns(release: Mapping[str, Path]) -> Iterator[Ids]:
    """Yield every table's own id column that has a row: `visit_occurrence_id`, `provider_id`, `measurement_id`, …"""
    for table, path in release.items():
        file, column = pq.ParquetFile(path), f"{table}_id"
        place = file.schema_arrow.get_field_index(column)
        if table in _VOCABULARY or place < 0 or not file.metadata.num_rows:
            continue
        stats = [file.metadata.row_group(at).column(place).statistics for at in range(file.num_row_groups)]
        if all(each is not None and each.has_min_max for each in stats):
            yield Ids(path, column, min(each.min for each in stats), max(each.max for each in stats))
        else:
            ends = pc.min_max(file.read([column]).column(0)).as_py()
            yield Ids(path, column, ends["min"] or 0, ends["max"] or 0)


# -- what is taken from the release


def draw(release: Mapping[str, Path], members: tuple[_Ints, _Days], key: bytes) -> Sample:
    """Take the canaries of a cohort from its release: of persons who follow each other, from a place that the key
    chooses, so that few row groups hold them."""
    order = np.argsort(members[0])
    ids, index = members[0][order], members[1][order].astype("datetime64[D]").astype(np.int64)
    chosen = hmac.digest(key, b"canaries", "sha256")
    first = int.from_bytes(chosen[:8], "big") % max(ids.size - PERSONS + 1, 1)
    ids, index = ids[first : first + PERSONS], index[first : first + PERSONS]
    own, texts = [_own(np.arange(ids.size), ids, ids.size)], list[str]()
    for table, path in sorted(release.items()):
        if table not in _VOCABULARY:
            more, said = _taken(path, ids)
            own += more
            texts += said
    return Sample(_pseudonyms(ids, key), index, tuple(own), tuple(dict.fromkeys(texts)))


def _taken(path: Path, ids: _Ints) -> tuple[list[Own], list[str]]:
    """Return a table's own numbers of the persons, column by column, and its identifying texts."""
    file = pq.ParquetFile(path)
    fields = {field.name: field for field in file.schema_arrow}
    persons = "person_id" in fields
    wanted = [name for name, field in fields.items() if is_text(field.type) or (persons and _is_own(field))]
    if not wanted or not file.num_row_groups:
        return [], []
    rows = _rows_of(file, [*wanted, "person_id"], ids) if persons else file.read_row_group(0, columns=wanted)
    own: list[Own] = []
    texts: list[str] = []
    for column in wanted:
        values = rows.column(column)
        if is_text(values.type):
            if not _identifying(values):
                continue
            said = dict.fromkeys(text.strip() for text in pc.drop_null(values).to_pylist())
            texts += [text for text in said if len(text) >= SHORTEST][:TEXTS]
            values = _parsed(values)
        if persons:
            known = present(values)
            places = np.searchsorted(ids, numbers(rows.column("person_id"))[known])
            own.append(_own(places, numbers(pc.drop_null(values)).astype(np.int64), ids.size))
    return own, texts


def _own(places: _Ints, values: _Ints, people: int) -> Own:
    distinct, coded = np.unique(values, return_inverse=True)
    return Own(distinct, _rising(coded * people + places))


def _is_own(field: pa.Field) -> bool:
    """Ids that are not concepts, and the year of birth."""
    is_id = field.name.endswith("_id") and field.name != "person_id" and not _CONCEPT.search(field.name)
    return pa.types.is_integer(field.type) and (is_id or field.name == "year_of_birth")


def _identifying(values: pa.ChunkedArray) -> bool:
    """Answer whether more than half of the rows with a text have one that no other row has: a name, not a word."""
    count = len(values) - values.null_count
    return count > 1 and 2 * pc.count_distinct(values).as_py() > count


def _parsed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts of digits as numbers, others as none."""
    digits = pc.match_substring_regex(values, "^[0-9]{1,18}$")
    return pc.if_else(digits, values, pa.nulls(len(values), values.type)).cast(pa.int64())


def _rows_of(file: pq.ParquetFile, columns: Sequence[str], ids: _Ints) -> pa.Table:
    """Return rows of some persons (rising): those of the first row groups that may hold them."""
    parts = [_Table.from_batches([], pa.schema([file.schema_arrow.field(each) for each in columns]))]
    place = file.schema_arrow.get_field_index("person_id")
    read = 0
    for group in range(file.num_row_groups):
        stats = file.metadata.row_group(group).column(place).statistics
        beside = stats is not None and stats.has_min_max and (stats.max < ids[0] or stats.min > ids[-1])
        if beside or read == GROUPS:
            continue
        rows = file.read_row_group(group, columns=list(columns)).select(list(columns))
        people = numbers(rows.column("person_id"))
        near = np.searchsorted(ids, people).clip(max=ids.size - 1)
        parts.append(rows.filter(mask(ids[near] == people)).slice(0, MOST))
        read += 1
    return pa.concat_tables(parts)


def _pseudonyms(ids: _Ints, key: bytes) -> _Ints:
    """Recompute pseudonyms with the standard library's HMAC: eight bytes, big end first, cut to 53 bits."""
    macs = [hmac.digest(key, int(each).to_bytes(8, "big", signed=True), "sha256")[:8] for each in ids]
    return np.array([int.from_bytes(mac, "big") >> 11 for mac in macs], dtype=np.int64)


# -- other numbers: the delivered rows of the sample's persons


def _in_numbers(name: str, column: str, values: pa.ChunkedArray, theirs: Theirs, sample: Sample) -> Iterator[Found]:
    """Whether a number is its person's own identifier, or tells its person's index day."""
    numbers, known = _whole(values)
    said = _said(theirs.people[known], numbers[known], sample.persons.size)
    if any(_tells(said, own, sample.persons.size) for own in sample.own):
        yield "canary_id", name, column
    if column.endswith("_day"):
        return  # the attack on first and last days judges these
    for day in _as_days(numbers):
        dated = known & (day > -(2**40))
        if any(_tells_index(theirs.people[dated], each[dated], sample) for each in (day, day - theirs.start)):
            yield "canary_date", name, column


def _whole(values: pa.ChunkedArray) -> tuple[_Ints, npt.NDArray[np.bool_]]:
    """Return the numbers, and which are whole ones that a double holds exactly."""
    plain = numbers(values.cast(pa.float64(), safe=False), float("nan"))
    known = np.isfinite(plain) & (np.abs(plain) < 2.0**53) & (plain == np.floor(plain))
    return np.where(known, plain, 0).astype(np.int64), known


def _as_days(numbers: _Ints) -> Iterator[_Ints]:
    """Read numbers as days since 1970: as they are, as spreadsheets count, as YYYYMMDD (a far day where none)."""
    none = np.int64(-(2**41))
    yield numbers
    yield numbers - 25_569  # 1899-12-30, where spreadsheets begin
    year, month, day = numbers // 10_000, numbers // 100 % 100, numbers % 100
    real = (year > 1800) & (year < 2200) & (month > 0) & (month < 13) & (day > 0) & (day < 32)
    months = np.where(real, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    yield np.where(real, months.astype("datetime64[D]").astype(np.int64) + day - 1, none)


def _said(places: _Ints, numbers: _Ints, people: int) -> tuple[_Ints, _Ints, _Ints]:
    """Return the distinct numbers, rising, and who says which: each person each number once (its place, the person)."""
    values, coded = np.unique(numbers, return_inverse=True)
    return values, *np.divmod(_rising(coded * people + places), people)


def _tells(said: tuple[_Ints, _Ints, _Ints], own: Own, people: int) -> bool:
    """Answer whether numbers are their persons' own values: in more persons than chance allows, and not only here and
    there (who has much of everything meets more by chance)."""
    values, which, person = said
    if not own.values.size or not values.size:
        return False
    at = np.searchsorted(own.values, values).clip(max=own.values.size - 1)
    known = (own.values[at] == values)[which]
    value, person = at[which[known]], person[known]
    if np.unique(person).size <= 6:  # never beyond chance: see _beyond
        return False
    met = [_meets(own.pairs, value * people + (person + shift) % people) for shift in range(_SHIFTS + 1)]
    counts = [int(np.count_nonzero(np.bincount(person[each], minlength=people))) for each in met]
    return _beyond(counts) and int(np.count_nonzero(met[0])) >= _SHARE * which.size


def _meets(rising: _Ints, wanted: _Ints) -> npt.NDArray[np.bool_]:
    return rising[np.searchsorted(rising, wanted).clip(max=rising.size - 1)] == wanted


def _rising(values: _Ints) -> _Ints:
    """Return distinct numbers, rising: NumPy's own way through a hash table takes ten times as long."""
    ordered = np.sort(values)
    return ordered[np.concatenate([np.ones(min(ordered.size, 1), np.bool_), ordered[1:] != ordered[:-1]])]


def _tells_index(places: _Ints, days: npt.NDArray[Any], sample: Sample) -> bool:
    """Answer whether days are their persons' index days in more persons than chance allows."""
    people = sample.persons.size
    said = [places[days == sample.index[(places + shift) % people]] for shift in range(_SHIFTS + 1)]
    return _beyond([int(np.count_nonzero(np.bincount(each))) for each in said])


def _beyond(counts: Sequence[int]) -> bool:
    """Answer whether the first count, one's own, lies five standard deviations beyond the others', the neighbours'."""
    chance = sum(counts[1:]) / _SHIFTS
    return counts[0] > chance + 5 * (chance + 1) ** 0.5 + 1


# -- texts


def _public(texts: set[str], release: Mapping[str, Path]) -> set[str]:
    """Return those of some texts that are names of public concepts."""
    if not texts or "concept" not in release:
        return set()
    filters = [("concept_id", "<", LOCAL), ("concept_name", "in", sorted(texts))]
    return set(pq.read_table(release["concept"], columns=["concept_name"], filters=filters).column(0).to_pylist())
