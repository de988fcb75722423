"""Persons taken out of a release for good: what stays is what a load of the same source without them would give.

A load takes out, right after reading, whoever objects; an erasure does the same to a release that is there. Whose a row
is tells `person_id`, in rows set aside too; where that cannot be read there (a record that is no row), any number in
the text that is one of theirs condemns it. Tables without `person_id` lose the rows that belong to theirs (`LINKED`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from workbench.engines.content import content_digest
from workbench.intake import aside, tables
from workbench.intake.nodes import (
    Node,
    both,
    call,
    cast,
    column,
    either,
    equal,
    is_null,
    named,
    negate,
    not_null,
    number,
    render,
    scan,
    select,
    text,
    try_cast,
    union,
)
from workbench.intake.work import Ids, Objecting, Work
from workbench.repository.cdm import TABLES

_PERSONS, _ROWS = "erased_persons", "erased_rows"
_DOMAINS: Mapping[str, tuple[int, str]] = {
    "visit_occurrence": (8, "Visit"),
    "procedure_occurrence": (10, "Procedure"),
    "drug_exposure": (13, "Drug"),
    "device_exposure": (17, "Device"),
    "condition_occurrence": (19, "Condition"),
    "measurement": (21, "Measurement"),
    "observation": (27, "Observation"),
    "specimen": (36, "Specimen"),
    "person": (56, "Person"),
    "note": (5085, "Note"),
}
"""Table → how `fact_relationship` (a concept) and `cost` (a domain's name) call it. Of any other, ids alone decide."""

_KEYED = tuple(name for name, model in TABLES.items() if model.has_person and model.key)
LINKED: Mapping[str, tuple[str, ...]] = {
    "cohort": (),
    "note_nlp": ("note",),
    "episode_event": ("episode",),
    "location": ("person",),
    "cost": _KEYED,
    "fact_relationship": _KEYED,
}
"""Tables whose rows may belong to persons without naming them → the tables that say to whom."""


def read_whole(present: Sequence[str]) -> frozenset[str]:
    """Return the tables that a load cannot take over once persons were erased from the release before: what belongs to
    them is found by reading what it belongs to."""
    linked = [name for name in present if name in LINKED]
    return frozenset([*linked, *(target for name in linked for target in LINKED[name])])


def take_out(work: Work, objecting: Objecting) -> Ids:
    """Take who objects out of what was read so far: files, readings and rows set aside. Return who that was.

    Files are written anew and renamed, so that other releases that share them keep theirs.
    """
    persons = objecting(seen(work))
    if persons.size:
        _keep_ids(work, persons)
        pairs: list[tuple[Path, Path]] = []
        for name in [*work.files]:
            pairs += _filter(work, name)
        for position, reading in enumerate(work.readings):
            work.readings[position], changed = _reading(work, reading)
            pairs += changed
        for written, path in pairs:  # last: what is a person's is found in the tables as they were
            written.replace(path)
    return persons


def _keep_ids(work: Work, persons: Ids) -> None:
    """Keep who that is, and the ids of their rows by table, for the connection."""
    incoming = pa.table({"person_id": pa.array(persons, pa.int64())})
    work.connection.register("incoming_persons", incoming)
    query = select(column("person_id"), source=exp.to_table("incoming_persons"))
    work.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_PERSONS} AS {render(query)}").fetchall()
    work.connection.unregister("incoming_persons")
    _note_rows(work)


def seen(work: Work) -> Ids:
    """Return every number that may be a person: in `person` and `cohort`, and in rows set aside."""
    queries = [select(column("person_id"), source=scan("read_parquet", work.files["person"]))]
    if "cohort" in work.files:
        found = named(column("subject_id"), "person_id")
        queries.append(select(found, source=scan("read_parquet", work.files["cohort"])))
    for name, path in _asides(work):
        source, whose = scan("read_parquet", path), try_cast(column("person_id"), "BIGINT")
        queries.append(select(named(whose, "person_id"), source=source, where=not_null(whose)))
        if TABLES[name].has_person or name == "cohort":
            words = call("unnest", _numbers(column("row")))
            each = select(named(words, "word"), source=source, where=is_null(whose))
            queries.append(select(named(try_cast(column("word"), "BIGINT"), "person_id"), source=each))
    query = select(column("person_id"), source=union(queries), where=not_null(column("person_id")))
    found = work.connection.sql(render(query.distinct(copy=False))).to_arrow_table()
    return np.unique(found["person_id"].to_numpy())


def _asides(work: Work) -> Iterator[tuple[str, Path]]:
    for reading in work.readings:
        if reading["set_aside"]:
            yield reading["name"], aside.place_of(work.into, reading["name"])


def _numbers(value: Node) -> Node:
    return call("regexp_extract_all", value, text("0*([0-9]+)"), number(1))


def _note_rows(work: Work) -> None:
    """Keep the ids of their rows, by table."""
    queries: list[exp.Query] = []
    for name in _KEYED:
        if name in work.files:
            fields = [named(text(name), "of_table"), named(column(str(TABLES[name].key)), "id")]
            source = scan("read_parquet", work.files[name])
            queries.append(select(*fields, source=source, where=_in(column("person_id"), _PERSONS, "person_id")))
    query = render(union(queries))
    work.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_ROWS} AS {query}").fetchall()


def _in(value: Node, table: str, name: str, where: Node | None = None) -> Node:
    return exp.In(this=value, query=exp.Subquery(this=select(column(name), source=exp.to_table(table), where=where)))


def _theirs(name: str, files: Mapping[str, Path], value: Callable[[str], Node] = column) -> Node | None:
    """Return the condition of their rows in a table, None where it has none; `value` reads a column."""
    if TABLES[name].has_person or name == "cohort":
        return _in(value("subject_id" if name == "cohort" else "person_id"), _PERSONS, "person_id")
    if name in {"note_nlp", "episode_event"}:
        target = LINKED[name][0]
        return _row_of(target, value(str(TABLES[target].key)))
    if name == "cost":
        domain = call("lower", value("cost_domain_id"))
        return _fact(domain, value("cost_event_id"), {key: text(word.lower()) for key, (_, word) in _DOMAINS.items()})
    if name == "fact_relationship":
        sides = [(value(f"domain_concept_id_{side}"), value(f"fact_id_{side}")) for side in (1, 2)]
        concepts = {key: number(concept) for key, (concept, _) in _DOMAINS.items()}
        return either(*(_fact(domain, fact, concepts) for domain, fact in sides))
    return _alone_at(value("location_id"), files) if name == "location" else None


def _row_of(table: str, value: Node) -> Node:
    return _in(value, _ROWS, "id", equal(column("of_table"), text(table)))


def _fact(domain: Node, value: Node, domains: Mapping[str, Node]) -> Node:
    known = [both(equal(domain, word), _row_of(table, value)) for table, word in domains.items()]
    other = call("coalesce", negate(exp.In(this=domain, expressions=list(domains.values()))), exp.true())
    return either(*known, both(other, _in(value, _ROWS, "id")))


def _alone_at(value: Node, files: Mapping[str, Path]) -> Node:
    """Return the condition of a place where they lived and nobody else, and no care site is."""
    theirs = _in(column("person_id"), _PERSONS, "person_id")
    people = scan("read_parquet", files["person"])
    lived = both(theirs, not_null(column("location_id")))
    there = select(column("location_id"), source=people, where=lived)
    used: list[exp.Query] = [select(column("location_id"), source=people, where=negate(theirs))]
    if "care_site" in files:
        used.append(select(column("location_id"), source=scan("read_parquet", files["care_site"])))
    others = select(column("location_id"), source=union(used), where=not_null(column("location_id")))
    return both(
        exp.In(this=value, query=exp.Subquery(this=there)),
        negate(exp.In(this=value, query=exp.Subquery(this=others))),
    )


def _filter(work: Work, name: str) -> list[tuple[Path, Path]]:
    """Write a table without their rows aside, if it has any; return what is to be renamed to what."""
    theirs, path = _theirs(name, work.files), work.files[name]
    if theirs is None:
        return []
    lost = call("coalesce", theirs, exp.Boolean(this=False))
    counted = select(call("count"), source=scan("read_parquet", path), where=lost)
    if not work.connection.execute(render(counted)).fetchone()[0]:
        return []
    stays = select(exp.Star(), source=scan("read_parquet", path), where=negate(lost))
    written = path.with_suffix(".without")
    work.add(name, tables.copy(work.connection, stays, written))
    work.before.taken.pop(name, None)
    return [(written, path)]


def _reading(work: Work, reading: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[Path, Path]]]:
    """Return a table's reading without them, and what is to be renamed where rows of theirs were set aside."""
    name = reading["name"]
    changed = {**reading, "rows": work.rows.get(name, reading["rows"])}
    if not reading["set_aside"]:
        return changed, []
    path = aside.place_of(work.into, name)
    lost = call("coalesce", _theirs_aside(name, work.files), exp.Boolean(this=False))
    stays = select(exp.Star(), source=scan("read_parquet", path), where=negate(lost))
    written = path.with_suffix(".without")
    rows = tables.copy(work.connection, stays, written)
    if rows in {0, reading["set_aside"]}:
        written.unlink()
    if rows == reading["set_aside"]:
        return changed, []
    if not rows:
        path.unlink()
        return {**changed, "set_aside": 0, "set_aside_digest": None, "reasons": []}, []
    reasons = [{"column": at, "reason": why, "rows": n} for at, why, n in aside.reasons(work.connection, written)]
    digest = content_digest(written, work.connection)
    return {**changed, "set_aside": rows, "set_aside_digest": digest, "reasons": reasons}, [(written, path)]


def _theirs_aside(name: str, files: Mapping[str, Path]) -> Node:
    """Return the condition of their rows among those set aside."""

    def read(field: str) -> Node:
        found = call("json_extract_string", column("row"), text(f"$.{field}"))
        written = exp.Case(ifs=[exp.If(this=call("json_valid", column("row")), true=found)])
        return try_cast(written, TABLES[name].by_name[field].sql_type)

    if not TABLES[name].has_person:
        return _theirs(name, files, read) or exp.Boolean(this=False)
    whose = try_cast(column("person_id"), "BIGINT")
    listed = select(named(cast(column("person_id"), "VARCHAR"), "word"), source=exp.to_table(_PERSONS))
    words: Any = exp.Subquery(this=select(call("list", column("word")), source=listed))
    unread = both(is_null(whose), call("list_has_any", _numbers(column("row")), words))
    return either(_in(whose, _PERSONS, "person_id"), unread)
