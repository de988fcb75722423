"""One table of a source → one typed, sorted Parquet file of the release; what does not fit is set aside, counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.engines.content import content_digest
from workbench.intake import casting
from workbench.intake.casting import Cast
from workbench.intake.nodes import (
    Node,
    both,
    call,
    cast,
    column,
    count_if,
    either,
    is_null,
    named,
    negate,
    render,
    select,
    text,
    when,
)
from workbench.intake.sources import Error, SourceTable
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.repository.cdm import RENAMED, Table
from workbench.store.files import sha256_file

_OPTIONS = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


@dataclass(frozen=True)
class Reading:
    """What a source's table gives: `rows` enter the release; header rows are dropped; the others are set aside for the
    reasons counted in `reasons` (column, reason, rows)."""

    name: str
    rows: int
    header_rows: int = 0
    set_aside: int = 0
    reasons: tuple[tuple[str, str, int], ...] = ()
    missing_columns: tuple[str, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    set_aside_digest: str | None = None

    def with_set_aside(self, digest: str) -> Reading:
        """Return the same reading with the content digest of the rows set aside."""
        return replace(self, set_aside_digest=digest)

    def document(self) -> dict[str, Any]:
        """Return the reading as the manifest keeps it."""
        return {
            "name": self.name,
            "rows": self.rows,
            "header_rows": self.header_rows,
            "set_aside": self.set_aside,
            "set_aside_digest": self.set_aside_digest,
            "reasons": [{"column": name, "reason": why, "rows": rows} for name, why, rows in self.reasons],
            "missing_columns": list(self.missing_columns),
            "unknown_columns": list(self.unknown_columns),
        }


@dataclass(frozen=True)
class Plan:
    """How a source's table is read: one cast for every field of the model, and the tests that set a row aside."""

    model: Table
    source: SourceTable
    casts: tuple[Cast, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    tests: tuple[tuple[str, str, Node], ...] = field(repr=False)

    def header(self) -> Node:
        """Return the condition of a row of column names, never NULL."""
        condition = self.source.header_row()
        return exp.Boolean(this=False) if condition is None else call("coalesce", condition, exp.Boolean(this=False))

    def broken(self) -> Node:
        """Return the condition of a row that is set aside."""
        return either(*(test for _, _, test in self.tests))


def plan(source: SourceTable, model: Table) -> Plan:
    """Match a source's columns to the model's, CDM 5.3 names included; say which lack and which are unknown.

    Raises `InvalidInput` (`release.no_column`) where the column that says whose a row is lacks.
    """
    former = {new: old for old, new in RENAMED.get(model.name, {}).items() if new not in source.columns}
    used = {name: former.get(name, name) for name in model.names}
    present = {name: source.columns[found] for name, found in used.items() if found in source.columns}
    if model.has_person and "person_id" not in present:
        raise InvalidInput("release.no_column", table=model.name, column="person_id")
    casts = tuple(
        casting.read(each, *present[each.name]) if each.name in present else casting.absent(each)
        for each in model.fields
    )
    tests = [(each.field.name, "does_not_fit", each.broken) for each in casts if each.broken is not None]
    owned = [each for each in casts if each.field.name in present and _needed(each, model)]
    blank = [(each.field.name, "missing", both(is_null(each.value), negate(_broken(each)))) for each in owned]
    unknown = sorted(set(source.columns) - set(used.values()))
    missing = tuple(name for name in model.names if name not in present)
    return Plan(model, source, casts, missing, tuple(unknown), (*tests, *blank))


def _needed(each: Cast, model: Table) -> bool:
    """Say whether a row without this value cannot be used: its key, or whose it is."""
    return each.field.name == model.key or (each.field.name == "person_id" and model.has_person)


def _broken(each: Cast) -> Node:
    return each.broken if each.broken is not None else exp.Boolean(this=False)


def count(connection: Any, reading: Plan) -> Reading:
    """Count a table: rows to keep, rows of column names, rows to set aside and why.

    Raises `InvalidInput` (`release.unreadable`) where the source's file cannot be read to its end.
    """
    keep = negate(reading.header())
    whole = [call("count"), count_if(reading.header())]
    tests = [count_if(both(keep, test)) for test in (reading.broken(), *(test for _, _, test in reading.tests))]
    if reading.source.unnamed:  # nearly always nothing but its one row of names: not worth the tests
        total, headers = _numbers(connection, reading, whole)
        aside, *each = _numbers(connection, reading, tests) if total > headers else [0] * len(tests)
    else:
        total, headers, aside, *each = _numbers(connection, reading, [*whole, *tests])
    reasons = [(name, why, rows) for (name, why, _), rows in zip(reading.tests, each, strict=True) if rows]
    return Reading(
        reading.model.name,
        rows=total - headers - aside,
        header_rows=headers,
        set_aside=aside,
        reasons=tuple(reasons),
        missing_columns=reading.missing,
        unknown_columns=reading.unknown,
    )


def _numbers(connection: Any, reading: Plan, counts: list[Node]) -> list[int]:
    query = select(*counts, source=reading.source.relation)
    try:
        row = connection.execute(render(query)).fetchone()
    except Error as error:
        raise InvalidInput("release.unreadable", table=reading.model.name) from error
    return [int(value or 0) for value in row]


def write(connection: Any, reading: Plan, expected: int, path: Path) -> None:
    """Write the rows that fit, typed and sorted, as one Parquet file.

    Raises `Unavailable` (`release.source_changed`) where the source no longer holds the rows that were counted.
    """
    if not expected:
        nothing = [named(casting.absent(each).value, each.name) for each in reading.model.fields]
        copy(connection, exp.Select(expressions=nothing).where(exp.Boolean(this=False)), path)
        return
    values = [named(each.value, each.field.name) for each in reading.casts]
    fit = both(negate(reading.header()), negate(reading.broken()))
    query = select(*values, source=reading.source.relation, where=fit)
    if copy(connection, ordered(query, reading.model), path) != expected:
        raise Unavailable("release.source_changed", table=reading.model.name)


def write_aside(connection: Any, reading: Plan, path: Path) -> str:
    """Write the rows set aside, as text, with the columns that do not fit; return the content digest."""
    reasons = [when(test, text(f"{name}: {why}")) for name, why, test in reading.tests]
    columns = [named(cast(column(found), "VARCHAR"), name) for name, (found, _) in reading.source.columns.items()]
    reason = named(call("concat_ws", text("; "), *reasons), "reason")
    broken = both(negate(reading.header()), reading.broken())
    query = select(reason, *columns, source=reading.source.relation, where=broken)
    copy(connection, query, path)
    return content_digest(path, connection)


def ordered(query: exp.Select, model: Table) -> exp.Select:
    """Return a query in the order of the release: by person, then key. Sources repeat keys; a hash of the whole row
    parts such rows, always in the same way, at a fraction of the cost of sorting by every column."""
    keys = [column(name) for name in model.order]
    keys += [call("hash", *(column(name) for name in model.names))] if model.key else []
    wrapped = select(exp.Star(), source=query)
    wrapped.set("order", exp.Order(expressions=[exp.Ordered(this=key, nulls_first=True) for key in keys]))
    return wrapped


def copy(connection: Any, query: exp.Select, path: Path) -> int:
    """Write a query's rows as one Parquet file; return their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = connection.execute(f"COPY ({render(query)}) TO {render(text(path))} {_OPTIONS}").fetchone()
    return int(row[0])


def entry(connection: Any, model: Table, rows: int, path: Path, folder: Path) -> dict[str, Any]:
    """Return a table's entry of the manifest: its rows, its schema, the digest of its content, and its file."""
    return {
        "name": model.name,
        "rows": rows,
        "schema": [{"name": each.name, "type": each.sql_type} for each in model.fields],
        "content_digest": content_digest(path, connection),
        "files": [
            {"path": path.relative_to(folder).as_posix(), "sha256": sha256_file(path), "bytes": path.stat().st_size}
        ],
    }
