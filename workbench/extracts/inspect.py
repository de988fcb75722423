"""The independent second pass: the package is read again before anybody can see it, by code that shares none with
the first pass. It knows the release and recomputes pseudonyms itself; any finding blocks delivery.

It looks for: files that are not sealed; columns beyond the protocol; dates; text other than names of concepts and
outcomes; real person ids; persons of whom a pseudonym is not theirs; days outside the approved period; and it attacks
the offsets: whoever knows the first day and the cut-off of the release must not recover one index date.
"""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from workbench.governance.deliverable import deliverable
from workbench.governance.keys import StudySecrets, commitment, derive
from workbench.governance.sealed import read_sealed

pc: Any = pyarrow.compute  # its functions are made at import

_STRUCTURE = {
    "cohort": {"person_id", "end_day", "observation_start_day", "observation_end_day"},
    "outcome": {"person_id", "outcome", "start_day"},
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
    """What the second pass knows of the release: all real person ids, the cohort's index dates, both known days."""

    person_ids: frozenset[int]
    index: Mapping[int, date]
    first_day: date
    cut_off: date


def truth(release_tables: Mapping[str, Path], cohort: pa.Table, cut_off: date) -> Truth:
    """Read the truth from the release's Parquet files and the cohort's rows (earliest start of each person)."""
    ids = pq.read_table(release_tables["person"], columns=["person_id"]).column(0)
    starts = pq.read_table(release_tables["observation_period"], columns=["observation_period_start_date"]).column(0)
    first = cohort.group_by("subject_id").aggregate([("cohort_start_date", "min")]).to_pydict()
    index = dict(zip(first["subject_id"], first["cohort_start_date_min"], strict=True))
    return Truth(frozenset(ids.to_pylist()), index, pc.min(starts).as_py(), cut_off)


def inspect_extract(
    folder: Path, manifest: Mapping[str, Any], protocol: Mapping[str, Any], secrets: StudySecrets, known: Truth
) -> tuple[Finding, ...]:
    """Return everything that should not be in the package, in a stable order; empty means that it can be delivered."""
    tables: dict[str, pa.Table] = {}
    found: list[Finding] = []
    listed = {entry["files"][0]["path"] for entry in manifest["tables"]} | {"manifest.json"}
    found += _unlisted(folder, listed)
    for entry in manifest["tables"]:
        path = folder / entry["files"][0]["path"]
        with path.open("rb") as file:
            if file.read(4) != b"PARE":
                found.append(Finding("not_sealed", entry["name"]))
                continue
        sealed_as = f"extract/{manifest['study']}/{entry['name']}/{entry['content_digest']}"
        tables[entry["name"]] = read_sealed(path, secrets.data, sealed_as)
    if manifest["key_commitment"] != commitment(secrets.pseudonym):
        found.append(Finding("other_key", "manifest"))
    for name, rows in tables.items():
        found += _columns(name, rows, protocol)
        found += _types(name, rows, manifest)
        found += _real_ids(name, rows, known)
        found += _periods(name, rows, protocol)
    persons = _index_by_pseudonym(secrets, known)
    for name, rows in tables.items():
        found += _strangers(name, rows, persons, manifest["pseudonym_collisions"])
    found += _offsets(tables, persons, known)
    found += _manifest_text(manifest, known)
    return tuple(dict.fromkeys(found))


def _unlisted(folder: Path, listed: set[str]) -> Iterator[Finding]:
    """No file but the listed ones; features and models, made later beneath the extract, have their own manifests."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = path.relative_to(folder)
        if place.as_posix() not in listed and place.parts[0] not in {"features", "models"}:
            yield Finding("unlisted_file", path.name)


def _columns(name: str, rows: pa.Table, protocol: Mapping[str, Any]) -> Iterator[Finding]:
    """Only columns of the protocol, under their delivered names."""
    kinds = deliverable().get(name, {})
    approved = {"person_id"} if name in protocol["tables"] else set[str]()
    for column in protocol["tables"].get(name, ()):
        kind = kinds.get(column)
        approved |= {f"{kind}_day"} if kind in ("start", "end") else {column} if kind else set()
    for column in set(rows.column_names) - _STRUCTURE.get(name, approved):
        yield Finding("unapproved_column", name, column)


def _types(name: str, rows: pa.Table, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """No dates, no times, no text but names of concepts and outcomes; nothing in the file's own metadata."""
    outcomes = set(manifest["outcome_names"])
    if rows.schema.metadata:
        yield Finding("metadata", name)
    for field in rows.schema:
        if pa.types.is_temporal(field.type):
            yield Finding("date", name, field.name)
        elif not _is_number(field.type) and (name, field.name) not in _TEXT:
            yield Finding("text", name, field.name)
    if name == "outcome" and set(pc.unique(rows.column("outcome")).to_pylist()) - outcomes:
        yield Finding("text", name, "outcome")


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _real_ids(name: str, rows: pa.Table, known: Truth) -> Iterator[Finding]:
    """No key column meets the release's real person ids more often than chance allows (53-bit numbers)."""
    for column in rows.column_names:
        if not column.endswith("_id") or column.endswith(("concept_id", "domain_id", "vocabulary_id")):
            continue
        values = pc.drop_null(pc.unique(rows.column(column)))
        expected = len(values) * len(known.person_ids) / 2.0**53
        real = pa.array(known.person_ids, pa.int64())
        met = pc.sum(pc.is_in(pc.cast(values, pa.int64()), value_set=real)).as_py() or 0
        if met > expected + 5 * math.sqrt(expected):
            yield Finding("real_id", name, column)


def _periods(name: str, rows: pa.Table, protocol: Mapping[str, Any]) -> Iterator[Finding]:
    """Every day lies inside the approved period of its table."""
    usual = protocol["period"]
    outcome = protocol.get("outcome_period", {"from_day": 0, "to_day": None})
    low, high = usual["from_day"], usual["to_day"]
    if name == "outcome":
        low, high = outcome["from_day"], outcome["to_day"]
    if name == "cohort":
        low = None if low is None or outcome["from_day"] is None else min(low, outcome["from_day"], 0)
        high = None if high is None or outcome["to_day"] is None else max(high, outcome["to_day"], 0)
    for column in _days(rows) if rows.num_rows else ():
        ends = pc.min_max(rows.column(column)).as_py()
        early = low is not None and ends["min"] is not None and ends["min"] < low
        late = high is not None and ends["max"] is not None and ends["max"] > high
        if early or late:
            yield Finding("outside_period", name, column)


def _days(rows: pa.Table) -> list[str]:
    """Return the columns that count days; one that is no integer is found by its type."""
    return [field.name for field in rows.schema if field.name.endswith("_day") and pa.types.is_integer(field.type)]


def _index_by_pseudonym(secrets: StudySecrets, known: Truth) -> dict[int, date]:
    """Recompute pseudonyms with the standard library's HMAC: pseudonym → true index date."""
    key = derive(secrets.pseudonym, "person")
    return {
        int.from_bytes(hmac.new(key, person.to_bytes(8, "big", signed=True), "sha256").digest()[:8], "big") >> 11: day
        for person, day in known.index.items()
    }


def _strangers(name: str, rows: pa.Table, persons: Mapping[int, date], collisions: int) -> Iterator[Finding]:
    """Every person delivered is somebody of the cohort (but for resolved collisions), once, in no telling order."""
    if "person_id" not in rows.column_names:
        return
    delivered = pc.unique(rows.column("person_id")).to_pylist()
    if len(set(delivered) - persons.keys()) > collisions:
        yield Finding("not_in_cohort", name, "person_id")
    if name in {"cohort", "person"} and len(delivered) < rows.num_rows:
        yield Finding("duplicate_person", name, "person_id")
    ordered = rows.column("person_id").to_numpy()
    if (ordered[1:] < ordered[:-1]).any():
        yield Finding("order", name, "person_id")


def _offsets(tables: Mapping[str, pa.Table], persons: Mapping[int, date], known: Truth) -> Iterator[Finding]:
    """Attack: take each person's first and last day in all tables as the release's first day and cut-off."""
    extremes: dict[int, tuple[int, int]] = {}
    for rows in tables.values():
        if "person_id" not in rows.column_names:
            continue
        for column in _days(rows):
            grouped = rows.group_by("person_id").aggregate([(column, "min"), (column, "max")]).to_pydict()
            for person, low, high in zip(
                grouped["person_id"], grouped[f"{column}_min"], grouped[f"{column}_max"], strict=True
            ):
                if low is not None:
                    before = extremes.get(person, (low, high))
                    extremes[person] = (min(before[0], low), max(before[1], high))
    for person, (low, high) in extremes.items():
        index = persons.get(person)
        if index is None:
            continue
        if index + timedelta(days=low) <= known.first_day:
            yield Finding("offset", "cohort", "observation_start_day")
        if index + timedelta(days=high) >= known.cut_off:
            yield Finding("offset", "cohort", "observation_end_day")


def _manifest_text(manifest: Mapping[str, Any], known: Truth) -> Iterator[Finding]:
    """The manifest says neither when nor where, and holds no list of persons: no member is named after them."""
    text = json.dumps(manifest)
    if any(day.isoformat() in text for day in {known.cut_off, known.first_day, *known.index.values()}):
        yield Finding("date", "manifest")
