"""What changed between two releases: rows, persons and concepts, as numbers. The release notes of a load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.engines.duckdb import connect
from workbench.intake import derived
from workbench.intake.nodes import (
    Node,
    below,
    both,
    call,
    cast,
    column,
    equal,
    named,
    negate,
    not_null,
    number,
    render,
    scan,
    select,
    union,
    when,
)
from workbench.kernel.digest import digest_manifest
from workbench.kernel.progress import Progress, silent
from workbench.kernel.schemas import validate
from workbench.repository.cdm import RECORDS, TABLES
from workbench.repository.releases import Release

FORMAT = "workbench/release_notes/1"
_MOVED, _TOUCHED = "moved_rows", "touched_persons"


def changes(before: Release, folder: Path, manifest: Mapping[str, Any], progress: Progress = silent) -> dict[str, Any]:
    """Return the release notes of a release that lies in `folder` against the one before.

    Only tables of other content are read. A row is the same if all its values are; a changed row is one whose id was
    there before with other values (rows of tables without ids come and go, and so do eras and observation periods that
    were made here, whose ids are but numbers in a row). `persons.changed` counts who was there before and still is, and
    whose rows are not the same. Spills to disk inside `folder`.
    """
    old = {entry["name"]: entry for entry in before.manifest["tables"]}
    new = {entry["name"]: entry for entry in manifest["tables"]}
    files = {name: folder / entry["files"][0]["path"] for name, entry in new.items()}
    made = {*derived.made(before.manifest), *derived.made(manifest)}
    moved = [name for name in sorted({*old, *new}) if _digest(old, name) != _digest(new, name)]
    with connect(memory="2GB", spill=folder / ".spill") as connection:
        connection.execute(f"CREATE TEMP TABLE {_TOUCHED} (person_id BIGINT)").fetchall()
        tables: list[dict[str, Any]] = []
        for done, name in enumerate(moved):
            progress(done / len(moved), name)
            keyed = name not in made
            counted = _rows(connection, name, before.tables.get(name), files.get(name), keyed=keyed)
            tables.append({"name": name, "before": _count(old, name), "after": _count(new, name), **counted})
        persons = _persons(connection, before.table("person"), files["person"])
        concepts = _concepts(connection, before.tables, files)
    notes: dict[str, Any] = {
        "format": FORMAT,
        "release": digest_manifest(manifest),
        "parent": before.digest,
        "tables": tables,
        "unchanged": sorted(set(new) - set(moved)),
        "persons": persons,
        "concepts": concepts,
        "vocabulary": {"before": before.manifest["vocabulary"]["version"], "after": manifest["vocabulary"]["version"]},
        "observation_period_rule": {
            "before": before.manifest["observation_period_rule"]["code"],
            "after": manifest["observation_period_rule"]["code"],
        },
    }
    validate(notes, "release_notes")
    return notes


def _digest(entries: Mapping[str, Any], name: str) -> str | None:
    return entries[name]["content_digest"] if name in entries else None


def _count(entries: Mapping[str, Any], name: str) -> int:
    return int(entries[name]["rows"]) if name in entries else 0


def _rows(connection: Any, name: str, old: Path | None, new: Path | None, *, keyed: bool) -> dict[str, int]:
    """Return how many rows were added, removed and changed; note whose they are. `keyed`: whether an id of the table,
    if it has one, says which row is which."""
    model = TABLES[name]
    keyed = keyed and model.key is not None
    key = column(str(model.key)) if keyed else exp.Null()
    person: Node = column("person_id") if model.has_person else cast(exp.Null(), "BIGINT")
    row = call("hash", *(column(each) for each in model.names if keyed or each != model.key))
    sides = [
        select(
            named(key, "key"),
            named(person, "person_id"),
            named(row, "row_hash"),
            named(number(1) if sign > 0 else exp.Neg(this=number(1)), "sign"),
            source=scan("read_parquet", path),
        )
        for path, sign in ((old, -1), (new, 1))
        if path is not None
    ]
    balance = call("sum", column("sign"))
    by = [column("key"), column("person_id"), column("row_hash")]
    moved = select(*by, named(cast(balance, "BIGINT"), "balance"), source=union(sides)).group_by(*by, copy=False)
    moved = moved.having(negate(equal(balance, number(0))), copy=False)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_MOVED} AS {render(moved)}").fetchall()
    whose = select(column("person_id"), source=exp.to_table(_MOVED), where=not_null(column("person_id")))
    connection.execute(f"INSERT INTO {_TOUCHED} {render(whose.distinct(copy=False))}").fetchall()
    return _totals(connection, keyed=keyed)


def _totals(connection: Any, *, keyed: bool) -> dict[str, int]:
    """Pair, under one id, rows that went with rows that came: those changed."""
    balance, none = column("balance"), number(0)
    came = call("coalesce", call("sum", when(below(none, balance), balance)), none)
    went = call("coalesce", call("sum", when(below(balance, none), exp.Neg(this=balance))), none)
    group = column("key") if keyed else None
    each = select(named(came, "came"), named(went, "went"), source=exp.to_table(_MOVED), group=group)
    changed = call("least", column("came"), column("went")) if keyed else none
    totals = [call("sum", part) for part in (column("came"), column("went"), changed)]
    found = connection.execute(render(select(*totals, source=each))).fetchone()
    all_came, all_went, all_changed = (int(value or 0) for value in found)
    return {"added": all_came - all_changed, "removed": all_went - all_changed, "changed": all_changed}


def _persons(connection: Any, old: Path, new: Path) -> dict[str, int]:
    files = (scan("read_parquet", path) for path in (old, new))
    before, after = (select(column("person_id"), source=file).distinct(copy=False) for file in files)
    same = exp.Intersect(this=before, expression=after, distinct=True)
    touched = exp.In(this=column("person_id"), query=exp.Subquery(this=same))
    mine = select(column("person_id"), source=exp.to_table(_TOUCHED), where=touched).distinct(copy=False)
    queries = {"before": before, "after": after, "same": same}
    counts = {name: _number(connection, query) for name, query in queries.items()}
    stayed = counts.pop("same")
    moved = {"added": counts["after"] - stayed, "removed": counts["before"] - stayed}
    return {**counts, **moved, "changed": _number(connection, mine)}


def _concepts(connection: Any, old: Mapping[str, Path], new: Mapping[str, Path]) -> dict[str, int]:
    """Return how many standard concepts the records of both releases use, and how many came and went."""
    sides = [union(list(_used(files))) for files in (old, new)]
    before, after = (select(exp.Star(), source=side).distinct(copy=False) for side in sides)
    came = exp.Except(this=after, expression=before, distinct=True)
    went = exp.Except(this=before, expression=after, distinct=True)
    queries = {"before": before, "after": after, "added": came, "removed": went}
    return {name: _number(connection, query) for name, query in queries.items()}


def _used(files: Mapping[str, Path]) -> Iterator[exp.Select]:
    yield select(named(cast(exp.Null(), "BIGINT"), "concept")).where(exp.Boolean(this=False))
    for name in RECORDS:
        concept = TABLES[name].standard_concept
        if name in files and concept:
            mapped = both(not_null(column(concept)), negate(equal(column(concept), number(0))))
            source = scan("read_parquet", files[name])
            yield select(named(column(concept), "concept"), source=source, where=mapped).distinct(copy=False)


def _number(connection: Any, query: exp.Query) -> int:
    return int(connection.execute(render(select(call("count"), source=query))).fetchone()[0])
