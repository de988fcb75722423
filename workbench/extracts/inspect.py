"""The independent second pass: the package is read again before anybody can see it, by code that shares none with
the first pass. It knows the release and recomputes pseudonyms itself; any finding blocks delivery.

It looks for: files that are not sealed; columns and days beyond the protocol or the request; dates; text other than
names of concepts and outcomes; real person ids; persons of whom a pseudonym is not theirs; concepts beyond those
approved and requested, or of a sensitive class that the protocol does not name; dates in another form, or not shifted
by their person's key; values that too few persons have; and it attacks the offsets: whoever knows the first day and
the cut-off of the release must not recover one index date (`inspect_dates.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from workbench.extracts import inspect_concepts, inspect_dates, inspect_rare, reread
from workbench.extracts.canaries import Canaries
from workbench.extracts.inspect_dates import Form, Person
from workbench.extracts.reread import Column, People, is_number
from workbench.governance.deliverable import deliverable
from workbench.governance.keys import StudySecrets, commitment, derive
from workbench.governance.sealed import Sealed

pc: Any = pyarrow.compute  # its functions are made at import
_Ints = npt.NDArray[np.int64]
_Days = npt.NDArray[np.datetime64]
_DATE = re.compile(r"(?=(\d{4}-\d{2}-\d{2}))")

_STRUCTURE = {
    "cohort": {"person_id"},
    "outcome": {"person_id", "outcome"},
    "concept": {"concept_id", "concept_name", "domain_id", "vocabulary_id"},
}
_TEXT = {("concept", "concept_name"), ("concept", "domain_id"), ("concept", "vocabulary_id"), ("outcome", "outcome")}


@dataclass(frozen=True)
class Finding:
    """What was found: a code of `extract.finding_CODE`, the table and column; never a value or an id."""

    code: str
    table: str
    column: str = ""


@dataclass(frozen=True)
class Truth:
    """What the second pass knows of the release: all real person ids (rising), the cohort's persons and, position by
    position, their index days, both known days, and the release's files by table.
    """

    person_ids: _Ints
    persons: _Ints
    index: _Days
    first_day: date
    cut_off: date
    tables: Mapping[str, Path]


def truth(release_tables: Mapping[str, Path], cohort: pa.Table, cut_off: date) -> Truth:
    """Read the truth from the release's Parquet files and the cohort's rows (earliest start of each person)."""
    ids = pq.ParquetFile(release_tables["person"]).read(["person_id"]).column(0)
    starts = pq.ParquetFile(release_tables["observation_period"]).read(["observation_period_start_date"]).column(0)
    persons = reread.numbers(cohort.column("subject_id")).astype(np.int64)
    days = reread.numbers(cohort.column("cohort_start_date").cast(pa.date32(), safe=False))
    order = np.lexsort((days, persons))
    first = order[np.diff(persons[order], prepend=persons[order][:1] - 1) != 0]
    index = days[first].astype("datetime64[D]")
    ids = _distinct(reread.numbers(ids))
    return Truth(ids, persons[first], index, pc.min(starts).as_py(), cut_off, release_tables)


def inspect_extract(
    folder: Path, manifest: Mapping[str, Any], protocol: Mapping[str, Any], request: Mapping[str, Any],
    secrets: StudySecrets, known: Truth,
) -> tuple[Finding, ...]:  # fmt: skip
    """Return everything that should not be in the package, in a stable order; empty means that it can be delivered."""
    tables: dict[str, Sealed] = {}
    found: list[Finding] = []
    told, both = inspect_dates.form(request, protocol), _both(request, protocol)
    listed = {entry["files"][0]["path"] for entry in manifest["tables"]} | {"manifest.json"}
    found += _unlisted(folder, listed)
    for entry in manifest["tables"]:
        path = folder / entry["files"][0]["path"]
        with path.open("rb") as file:
            if file.read(4) != b"PARE":
                found.append(Finding("not_sealed", entry["name"]))
                continue
        sealed_as = f"extract/{manifest['study']}/{entry['name']}/{entry['content_digest']}"
        tables[entry["name"]] = Sealed(path, secrets.data, sealed_as)
    if manifest["key_commitment"] != commitment(secrets.pseudonym):
        found.append(Finding("other_key", "manifest"))
    members = _members(secrets, known, told)
    ends = _days_since_1970(known.first_day), _days_since_1970(known.cut_off)
    canaries = Canaries(known.tables, (known.persons, known.index), derive(secrets.pseudonym, "person"))
    rare = inspect_rare.Rare(protocol)
    for name, rows in tables.items():
        found += _columns(name, rows, both, told)
        found += _types(name, rows, inspect_dates.day_columns(name, both, told) if told.shifted else frozenset())
        whose = reread.people(rows)
        found += _strangers(name, whose, members, manifest["pseudonym_collisions"])
        theirs = canaries.rows_of(whose)
        low, high = _ids_between(known, canaries)
        seen = {
            each: reread.column(rows, each, whose, theirs.rows, low, high, partial(rare.see, name, each, rows, whose))
            for each in rows.schema.names
        }
        theirs = theirs.starting(seen.get("start_day"))
        for each in seen.values():
            found += _outcomes(name, each, manifest)
            found += _real_ids(name, each, rows, known)
            if each.ends is not None:
                days = inspect_dates.from_index(each, whose, members, told)
                found += _periods(name, each, days, both, told)
                found += (Finding(*what) for what in inspect_dates.look_at_cut(name, each.name, days, members, *ends))
            found += (Finding(*what) for what in canaries.look(name, each, rows.rows, theirs))
    found += (Finding(*what) for what in _dates(tables, manifest, request, protocol, members, known))
    found += (Finding(*what) for what in inspect_concepts.look(tables, manifest, (request, protocol), known.tables))
    found += (Finding(*what) for what in rare.found())
    found += (Finding(*what) for what in inspect_concepts.look_for_sensitive(rare.concepts(), protocol, known.tables))
    found += _manifest_text(manifest, known)
    found += (Finding(*each) for each in canaries.look_in_text("manifest", json.dumps(manifest, ensure_ascii=False)))
    return tuple(dict.fromkeys(found))


def _dates(
    tables: Mapping[str, Sealed], manifest: Mapping[str, Any], request: Mapping[str, Any], protocol: Mapping[str, Any],
    members: Person, known: Truth,
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """What is looked at once all days were read: their form, their shift, the attacks on all of them together."""
    if "cohort" not in tables or not is_number(tables["cohort"].schema.field("person_id").type):
        return  # found by its file or its type
    told, cohort = inspect_dates.form(request, protocol), tables["cohort"]
    ends = _days_since_1970(known.first_day), _days_since_1970(known.cut_off)
    yield from inspect_dates.look_at_form(tables, manifest, request, protocol)
    yield from inspect_dates.attack(cohort, members, told, *ends)
    if inspect_dates.form(protocol, protocol).calendar:  # another extract of the study may tell what this one does not
        yield from inspect_dates.attack_by_years(tables, members, told, known.tables, manifest, *ends)
    if told.shifted:
        yield from inspect_dates.look_at_shift(cohort, members)
        yield from inspect_dates.look_at_rows(tables, members, protocol, known.tables)


def _both(request: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `tables`, `period` and `outcome_period` inside which both papers leave what is delivered."""
    asked = request["tables"]
    tables = {name: [each for each in columns if each in asked[name]] for name, columns in protocol["tables"].items()
              if name in asked}  # fmt: skip
    usual = {"outcome_period": {"from_day": 0, "to_day": None}}
    found: dict[str, Any] = {"tables": {name: columns for name, columns in tables.items() if columns}}
    for name in ("period", "outcome_period"):
        sides = [paper[name] for paper in (request, {**usual, **protocol}) if name in paper]
        lows, highs = ([side[end] for side in sides if side[end] is not None] for end in ("from_day", "to_day"))
        found[name] = {"from_day": max(lows, default=None), "to_day": min(highs, default=None)}
    return found


def _days_since_1970(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _unlisted(folder: Path, listed: set[str]) -> Iterator[Finding]:
    """No file but the listed ones; what is made of the extract later lies beneath it, with manifests of its own."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = path.relative_to(folder)
        if place.as_posix() not in listed and place.parts[0] not in {"features", "meds", "models"}:
            yield Finding("unlisted_file", path.name)


def _columns(name: str, rows: Sealed, both: Mapping[str, Any], told: Form) -> Iterator[Finding]:
    """Only columns that both papers name, under their delivered names."""
    kinds = deliverable().get(name, {})
    approved = {"person_id"} if name in both["tables"] else set[str]()
    approved |= {each for each in both["tables"].get(name, ()) if kinds.get(each) not in (None, "start", "end")}
    approved = _STRUCTURE.get(name, approved) | inspect_dates.day_columns(name, both, told)
    approved |= {"index_year"} if name == "cohort" and told.index_year else set()
    for column in set(rows.schema.names) - approved:
        yield Finding("unapproved_column", name, column)


def _types(name: str, rows: Sealed, dated: frozenset[str]) -> Iterator[Finding]:
    """No times, no dates but in columns of shifted ones, no text but names of concepts and outcomes; nothing in the
    file's own metadata."""
    if rows.schema.metadata:
        yield Finding("metadata", name)
    for field in rows.schema:
        if field.name in dated and pa.types.is_date32(field.type):
            continue
        if pa.types.is_temporal(field.type):
            yield Finding("date", name, field.name)
        elif not is_number(field.type) and (name, field.name) not in _TEXT:
            yield Finding("text", name, field.name)


def _outcomes(name: str, seen: Column, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    if (name, seen.name) == ("outcome", "outcome") and seen.texts - set(manifest["outcome_names"]):
        yield Finding("text", name, "outcome")


def _ids_between(known: Truth, canaries: Canaries) -> tuple[int, int]:
    """Return between which numbers all real ids of the release lie."""
    low, high = known.person_ids.min(initial=canaries.low), known.person_ids.max(initial=canaries.high)
    return int(low), int(high)


def _real_ids(name: str, seen: Column, rows: Sealed, known: Truth) -> Iterator[Finding]:
    """No key column meets the release's real person ids more often than chance allows (53-bit numbers)."""
    if not seen.name.endswith("_id") or seen.name.endswith(("concept_id", "domain_id", "vocabulary_id")):
        return
    if not is_number(seen.type):
        return  # found by its type
    low, high = known.person_ids[:1], known.person_ids[-1:]
    near = _distinct(seen.near[(seen.near >= low) & (seen.near <= high)]) if low.size else seen.near[:0]
    met = int(np.isin(near, known.person_ids).sum())
    if not met:  # so it is nearly always, and then nobody has to know how many values differ
        return
    expected = pc.count_distinct(rows.column(seen.name)).as_py() * known.person_ids.size / 2.0**53
    if met > expected + 5 * math.sqrt(expected):
        yield Finding("real_id", name, seen.name)


def _periods(
    name: str, seen: Column, days: tuple[_Ints, _Ints, _Ints], both: Mapping[str, Any], told: Form
) -> Iterator[Finding]:
    """Every day lies inside the period of its table that both papers leave."""
    first, last = seen.ends or (0, 0)
    if told.shifted and days[0].size:
        first, last = days[1].min(), days[2].max()
    usual, outcome = both["period"], both["outcome_period"]
    low, high = usual["from_day"], usual["to_day"]
    if name == "outcome":
        low, high = outcome["from_day"], outcome["to_day"]
    if name == "cohort":
        low = None if low is None or outcome["from_day"] is None else min(low, outcome["from_day"], 0)
        high = None if high is None or outcome["to_day"] is None else max(high, outcome["to_day"], 0)
    early = low is not None and first < low
    late = high is not None and last > high
    if early or late:
        yield Finding("outside_period", name, seen.name)


def _members(secrets: StudySecrets, known: Truth, told: Form) -> Person:
    """Recompute pseudonyms and cuts, with other means than they were made with."""
    pseudonyms = inspect_dates.keyed(derive(secrets.pseudonym, "person"), known.persons)
    late = inspect_dates.keyed_cut(inspect_dates.keyed(derive(secrets.pseudonym, "dates/end"), known.persons))
    order, index = np.argsort(pseudonyms), known.index.astype("datetime64[D]").astype(np.int64)
    return Person.of(pseudonyms[order], known.persons[order], index[order], late[order], secrets.pseudonym, told)


def _strangers(name: str, whose: People, members: Person, collisions: int) -> Iterator[Finding]:
    """Every person delivered is somebody of the cohort (but for resolved collisions), once, in no telling order."""
    delivered = _distinct(whose.ids)
    if np.count_nonzero(members.where(delivered) < 0) > collisions:
        yield Finding("not_in_cohort", name, "person_id")
    if name in {"cohort", "person"} and whose.ids.size and delivered.size < whose.rows:
        yield Finding("duplicate_person", name, "person_id")
    if (whose.ids[1:] < whose.ids[:-1]).any():
        yield Finding("order", name, "person_id")


def _distinct(ids: _Ints) -> _Ints:
    """Return distinct ids, rising: NumPy's own way through a hash table takes ten times as long."""
    rising = np.sort(ids.astype(np.int64))
    return rising[np.flatnonzero(np.concatenate([np.ones(min(ids.size, 1), dtype=np.bool_), np.diff(rising) != 0]))]


def _manifest_text(manifest: Mapping[str, Any], known: Truth) -> Iterator[Finding]:
    """The manifest says neither when nor where, and holds no list of persons: no member is named after them."""
    said = set(_DATE.findall(json.dumps(manifest)))
    days = {str(day) for day in np.unique(known.index)} if said else set[str]()
    if said & (days | {known.cut_off.isoformat(), known.first_day.isoformat()}):
        yield Finding("date", "manifest")
