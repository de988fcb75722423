"""The second pass on dates: their form, their shift, and the attack on both through first and last days.

The attacker knows the first day and the cut-off of the release, the rules of the first pass, every person's year of
birth, and what was delivered, but no key. A person is recovered where fewer than 25 weeks fit their index day, or fewer
than 12 of them lie in a year that the extract tells. Keyed cuts and shifts are made anew here, with other
means than they were made with; nothing is shared with the first pass.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from workbench.extracts.reread import Column, People, numbers, places, present
from workbench.governance.deliverable import deliverable
from workbench.governance.keys import derive
from workbench.governance.sealed import Sealed

pc: Any = pyarrow.compute  # its functions are made at import
_Ints = npt.NDArray[np.int64]
Found = tuple[str, str, str]
"""A code of `extract.finding_CODE`, a table, a column."""

CUT: Final = (7, 182)
"""Days that a keyed cut takes, both included; those at the two ends take 189 together."""
SUM: Final = (27, 157)
"""Weeks that the shift and the cut at the end take together."""
SHIFT: Final = (1, 156)
"""Weeks by which dates go back."""
FIT: Final = 25
"""So many weeks have to fit a person's first and last day at least,"""
FIT_YEAR: Final = 12
"""and so many within a year, or a band of years, that the extract tells."""
SAMPLE: Final = 400
"""Of how many persons every date is compared with the release's own."""

_STRUCTURE: Final[Mapping[str, Mapping[bool, frozenset[str]]]] = {
    "cohort": {
        False: frozenset({"end_day", "observation_start_day", "observation_end_day"}),
        True: frozenset({"cohort_start_date", "cohort_end_date", "observation_period_start_date",
                         "observation_period_end_date"}),
    },
    "outcome": {False: frozenset({"start_day"}), True: frozenset({"cohort_start_date"})},
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """What both papers allow: shifted dates, an index year."""

    shifted: bool
    index_year: bool

    @property
    def calendar(self) -> bool:
        """Whether anything is told of the calendar."""
        return self.shifted or self.index_year


def form(request: Mapping[str, Any], protocol: Mapping[str, Any]) -> Form:
    """Return what the request asks for and the protocol approves as well."""
    papers = (request, protocol)
    return Form(
        all(paper.get("dates") == "shifted" for paper in papers), all(paper.get("index_year") for paper in papers)
    )


def day_columns(table: str, protocol: Mapping[str, Any], told: Form) -> frozenset[str]:
    """Return the columns of a table that tell days, or dates, under the names that the form gives them."""
    if table in _STRUCTURE:
        return _STRUCTURE[table][told.shifted]
    kinds = {name: deliverable().get(table, {}).get(name, "") for name in protocol["tables"].get(table, ())}
    dated = {name: kind for name, kind in kinds.items() if kind in ("start", "end")}
    return frozenset(dated) if told.shifted else frozenset(f"{kind}_day" for kind in dated.values())


def look_at_form(
    tables: Mapping[str, Sealed], manifest: Mapping[str, Any], request: Mapping[str, Any], protocol: Mapping[str, Any]
) -> Iterator[Found]:
    """The manifest says what the papers say, dates are whole days, and no table tells time in another form."""
    told, said = form(request, protocol), manifest.get("dates", {})
    sides = {"requested": request, "approved": protocol}
    forms = {name: paper.get("dates", "days_from_index") for name, paper in sides.items()}
    years = {name: bool(paper.get("index_year", False)) for name, paper in sides.items()}
    forms["delivered"] = "shifted" if told.shifted else "days_from_index"
    years["delivered"] = told.index_year
    plain = set(forms.values()) == {"days_from_index"} and not any(years.values())
    if (said.get("form"), said.get("index_year")) != ((None, None) if plain else (forms, years)):
        yield "dates", "manifest", "dates"
    if ("bands" in said) != told.index_year:
        yield "dates", "manifest", "dates"
    if told.index_year and "index_year" not in tables["cohort"].schema.names:
        yield "index_year", "cohort", "index_year"
    for name, rows in tables.items():
        dated = day_columns(name, protocol, told)
        for each in rows.schema:
            if each.name in dated and pa.types.is_date32(each.type) != told.shifted:
                yield "dates", name, each.name
    if told.shifted and "cohort_start_date" not in tables["cohort"].schema.names:
        yield "dates", "cohort", "cohort_start_date"


# -- what is known of the persons


@dataclass(frozen=True)
class Person:
    """The cohort's persons by rising pseudonym: real ids, true index days (since 1970), days of the cut at the end, and
    weeks of the shift; and where each person's days that were delivered lie, from the index (filled while reading)."""

    pseudonyms: _Ints
    ids: _Ints
    index: _Ints
    late: _Ints
    weeks: _Ints
    first: _Ints = field(repr=False)
    last: _Ints = field(repr=False)

    @classmethod
    def of(cls, pseudonyms: _Ints, ids: _Ints, index: _Ints, late: _Ints, secret: bytes, told: Form) -> Person:
        """Make the shifts anew; `late` is already made."""
        weeks = np.zeros(ids.size, dtype=np.int64)
        if told.shifted:
            key, (low, high) = derive(secret, "dates/shift"), SUM
            weeks = low + keyed(key, ids) % (high - low + 1) - late // 7
        none = np.zeros(ids.size, dtype=np.int64)  # a cohort's row has its index day, day 0
        return cls(pseudonyms, ids, index, late, weeks, none, none.copy())

    def where(self, pseudonyms: _Ints) -> _Ints:
        """Return where each pseudonym stands, -1 where it is nobody's."""
        if not self.pseudonyms.size:
            return np.full(pseudonyms.size, -1, dtype=np.int64)
        found = np.searchsorted(self.pseudonyms, pseudonyms).clip(max=self.pseudonyms.size - 1)
        return np.where(self.pseudonyms[found] == pseudonyms, found, -1)


def keyed(key: bytes, persons: _Ints) -> _Ints:
    """Return the first 53 bits of the HMAC of each id."""
    last = int(persons.max(initial=0))
    if persons.size and persons.min() > 0 and last <= min(4 * persons.size, 2**24):
        # Of PBKDF2 with one round, block n is the HMAC of the salt and n as 4 bytes (RFC 8018): of any id below 2^32.
        macs = PBKDF2HMAC(hashes.SHA256(), length=32 * last, salt=bytes(4), iterations=1).derive(key)
        chosen = np.frombuffer(macs, dtype=">u8")[4 * (persons - 1)]
    else:
        messages = persons.astype(">i8").tobytes()
        parts = [hmac.digest(key, messages[at : at + 8], "sha256")[:8] for at in range(0, len(messages), 8)]
        chosen = np.frombuffer(b"".join(parts), dtype=">u8")
    return (chosen >> np.uint64(11)).astype(np.int64)


def keyed_cut(macs: _Ints) -> _Ints:
    """Return the days of the cut at the end from 53 keyed bits."""
    return CUT[0] + macs % (CUT[1] - CUT[0] + 1)


# -- one column


def from_index(seen: Column, whose: People, persons: Person, told: Form) -> tuple[_Ints, _Ints, _Ints]:
    """Return for each run of a person's rows that has a day: the person's place (-1: nobody), and the first and last
    day from the index, dates set back by the shift that the key gives."""
    known = seen.first <= seen.last
    where, first, last = persons.where(whose.ids)[known], seen.first[known], seen.last[known]
    if told.shifted and persons.ids.size:
        origin = (persons.index - 7 * persons.weeks)[where]
        first, last = first - origin, last - origin
    return where, first, last


def look_at_cut(name: str, column: str, days: tuple[_Ints, _Ints, _Ints], persons: Person, first_day: int, cut_off: int
                ) -> Iterator[Found]:  # fmt: skip
    """No day lies beyond its person's keyed cuts; the days are kept for the attack on all of them together."""
    where, first, last = (each[days[0] >= 0] for each in days)
    late, index = persons.late[where], persons.index[where]
    if (first + index < first_day + sum(CUT) - late).any():
        yield "offset", name, column
    if (last + index > cut_off - late).any():
        yield "offset", name, column
    np.minimum.at(persons.first, where, first)
    np.maximum.at(persons.last, where, last)


def look_at_shift(cohort: Sealed, persons: Person) -> Iterator[Found]:
    """Every person's shifted index is the true one, moved back by the keyed weeks, by one at least."""
    if "cohort_start_date" not in cohort.schema.names:
        return
    where = persons.where(numbers(cohort.column("person_id"), -1).astype(np.int64))
    given = numbers(cohort.column("cohort_start_date"), -(2**31)).astype(np.int64)
    mine = where >= 0
    weeks = persons.weeks[where[mine]]
    if (given[mine] != persons.index[where[mine]] - 7 * weeks).any() or ((weeks < SHIFT[0]) | (weeks > SHIFT[1])).any():
        yield "shift", "cohort", "cohort_start_date"


def look_at_rows(
    tables: Mapping[str, Sealed], persons: Person, protocol: Mapping[str, Any], release: Mapping[str, Path]
) -> Iterator[Found]:
    """Of some persons, whose real ids follow each other: set back by the shift, every first date of a row is one that
    the release has for them in the same table, or the day to which a row is cut."""
    some = np.sort(persons.ids)[:SAMPLE]
    chosen = np.flatnonzero(np.isin(persons.ids, some))
    cuts = persons.index + np.maximum(persons.first, _low(protocol, persons.first))
    for name, rows in tables.items():
        start = next((each for each, kind in deliverable().get(name, {}).items() if kind == "start"), "")
        if start not in rows.schema.names or name not in release:
            continue
        given = rows.column(start)
        where = persons.where(numbers(rows.column("person_id"), -1).astype(np.int64))
        mine = np.isin(where, chosen) & present(given)
        where = where[mine]
        true = numbers(given, 0).astype(np.int64)[mine] + 7 * persons.weeks[where]
        cut = (true == cuts[where]) if name in {"condition_era", "drug_era", "visit_occurrence"} else np.False_
        if not (_there(release[name], start, persons.ids[where], true, some) | cut).all():
            yield "shift", name, start


def _low(protocol: Mapping[str, Any], first: _Ints) -> _Ints:
    low = protocol["period"]["from_day"]
    return first if low is None else np.full(first.size, low, dtype=np.int64)


def _there(path: Path, column: str, ids: _Ints, days: _Ints, some: _Ints) -> npt.NDArray[np.bool_]:
    """Answer which pairs of person and day a file of the release has."""
    if not some.size:
        return np.zeros(ids.size, dtype=np.bool_)
    rows = pq.read_table(path, columns=["person_id", column],
                         filters=[("person_id", ">=", int(some[0])), ("person_id", "<=", int(some[-1]))])  # fmt: skip
    dates = rows.column(column).cast(pa.date32(), safe=False)
    known = numbers(rows.column("person_id")).astype(np.int64) * 2**22 + numbers(dates).astype(np.int64)
    return np.isin(ids * 2**22 + days, known)


# -- all columns together: the attacker


def attack(cohort: Sealed, persons: Person, told: Form, first_day: int, cut_off: int) -> Iterator[Found]:
    """Count, for each person delivered, the weeks by which their history could be moved and still lie inside the
    release, a week from its ends, with a shift that there can be."""
    mine = _delivered(cohort, persons)
    low, high = (each[mine] for each in _room(persons, told, first_day, cut_off))
    if (_weeks(low, high) < FIT).any():
        yield "offset", "cohort", "person_id"


def attack_by_years(
    tables: Mapping[str, Sealed], persons: Person, told: Form, release: Mapping[str, Path],
    manifest: Mapping[str, Any], first_day: int, cut_off: int,
) -> Iterator[Found]:  # fmt: skip
    """Count only the weeks within the year that the extract tells: the index year, or the year of birth and the age (or
    all the ages for which it stands, where the manifest names bands of ages)."""
    bands = manifest.get("dates", {}).get("bands", [])
    low, high = _room(persons, told, first_day, cut_off)
    if told.index_year and "index_year" in tables["cohort"].schema.names:
        cohort = tables["cohort"]
        where, values = _values(cohort, "index_year", persons)
        last = {band["from"]: band["to"] for band in bands}
        ends = np.array([last.get(each, each) for each in values.tolist()], dtype=np.int64)
        if _recovered(values, ends, where, persons, low, high):
            yield "offset", "cohort", "index_year"
        yield from _bands(where, values, ends, persons, cohort, bands)
    if "person" in tables and "age_at_index" in tables["person"].schema.names:
        where, age = _values(tables["person"], "age_at_index", persons)
        born = _births(release["person"], persons.ids)[where]
        known = (age < 90) & (born > 0)  # 90 stands for more
        stands = {band["age"]: band for band in manifest.get("coarsened", {}).get("ages", ())}
        youngest, oldest = (
            np.array([stands.get(each, {}).get(edge, each) for each in age[known].tolist()], dtype=np.int64)
            for edge in ("from", "to")
        )
        if _recovered(born[known] + youngest, born[known] + oldest, where[known], persons, low, high):
            yield "offset", "person", "age_at_index"


def _room(persons: Person, told: Form, first_day: int, cut_off: int) -> tuple[_Ints, _Ints]:
    """Return by how many days each person's history could be moved at least and at most."""
    low = first_day + CUT[0] - persons.index - persons.first
    high = cut_off - CUT[0] - persons.index - persons.last
    if told.shifted:
        low = np.maximum(low, 7 * (SHIFT[0] - persons.weeks))
        high = np.minimum(high, 7 * (SHIFT[1] - persons.weeks))
    return low, high


def _weeks(low: _Ints, high: _Ints) -> _Ints:
    """Return how many whole weeks, from none, lie between numbers of days, both included."""
    return high // 7 + (-low) // 7 + 1


def _recovered(first: _Ints, last: _Ints, where: _Ints, persons: Person, low: _Ints, high: _Ints) -> bool:
    """Answer whether taking years at their word (first to last, both included) recovers anybody."""
    index = persons.index[where]
    begin, end = _new_year(first) - index, _new_year(last + 1) - 1 - index
    right = (begin <= 0) & (end >= 0)  # elsewhere the attacker is wrong
    weeks = _weeks(np.maximum(low[where], begin), np.minimum(high[where], end))
    return bool((right & (weeks < FIT_YEAR)).any())


def _bands(where: _Ints, first: _Ints, last: _Ints, persons: Person, cohort: Sealed, bands: list[Any]
           ) -> Iterator[Found]:  # fmt: skip
    """Bands are whole pairs of years, one after the other, of 11 persons or more, and hold the moved indexes."""
    edges = [(band["from"], band["to"]) for band in bands]
    pairs = all(low % 2 == 0 and high % 2 == 1 and low < high for low, high in edges)
    apart = all(before[1] < after[0] for before, after in pairwise(edges))
    moved = (persons.index[where] + persons.late[where] - sum(CUT) // 2).astype("datetime64[D]")
    year = moved.astype("datetime64[Y]").astype(np.int64) + 1970
    held, counts = np.unique(first, return_counts=True)
    full = bool((counts >= 11).all()) and set(held.tolist()) == {low for low, _ in edges}
    everybody = where.size == cohort.rows if edges else not where.size and cohort.rows < 11
    if not (pairs and apart and full and everybody and bool(((first <= year) & (year <= last)).all())):
        yield "index_year", "cohort", "index_year"


def _values(rows: Sealed, column: str, persons: Person) -> tuple[_Ints, _Ints]:
    """Return a column's values that are somebody's, and whose."""
    values = rows.column(column)
    where = persons.where(numbers(rows.column("person_id"), -1).astype(np.int64))
    if not pa.types.is_integer(values.type):
        return where[:0], where[:0]  # found by its type
    known = present(values) & (where >= 0)
    return where[known], numbers(values, 0).astype(np.int64)[known]


def _delivered(cohort: Sealed, persons: Person) -> _Ints:
    where = persons.where(numbers(cohort.column("person_id"), -1).astype(np.int64))
    return where[where >= 0]


def _births(path: Path, ids: _Ints) -> _Ints:
    """Return the year of birth of each id, 0 where it is not known."""
    rows = pq.read_table(path, columns=["person_id", "year_of_birth"])
    found = pc.index_in(pa.array(ids), value_set=rows.column("person_id").cast(pa.int64()).combine_chunks())
    years = rows.column("year_of_birth").take(places(numbers(pa.chunked_array([found]), 0).astype(np.int64)))
    return np.where(present(pa.chunked_array([found])), numbers(years, 0), 0).astype(np.int64)


def _new_year(years: _Ints) -> _Ints:
    return (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
