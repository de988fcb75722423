"""How often each concept stands in each column of a release: one query a table, all tables in one result.

Rows are grouped by all columns that are mostly filled at once, and these groups, far fewer than rows, by each column: a
column's concepts come in few combinations with those of the others. A column that is mostly empty is grouped alone.

`crowd` bounds the persons behind a number from below, so that a small group is never shown. Each person falls into one
of 64 classes by a hash of the id; a concept's crowd is how many classes occur. Two classes are two persons, so at least
`crowd` persons are behind it. Counting the persons themselves would cost a sort of every table; a bit for each class
costs one operation a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp

from workbench.engines import footers

SCHEMA = pa.schema(
    [
        ("table_name", pa.string()),
        ("column_name", pa.string()),
        ("concept_id", pa.int64()),
        ("records", pa.int64()),
        ("crowd", pa.int64()),
    ]
)
"""One row for each concept of each column; `concept_id` is null for the rows without a value, `crowd` for these and
where the table's rows belong to nobody."""


OWN = 2_000_000_000
"""Ids of concepts above this are a hospital's own (OMOP's convention)."""

DERIVED = ("condition_era", "dose_era", "drug_era")
"""Tables made of the records of others: what they hold is not counted twice."""


_GROUPED, _COUNTED = "grouped", "counted"


@dataclass(frozen=True)
class Used:
    """A table whose columns `columns` hold concepts; `person` says whether its rows belong to persons."""

    table: str
    path: Path
    columns: Sequence[str]
    person: bool


def count_use(connection: Any, tables: Iterable[Used]) -> pa.Table:
    """Return the records of every concept in every column (`SCHEMA`), sorted by its first three columns."""
    names = ", ".join(SCHEMA.names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE {_COUNTED} (table_name VARCHAR, column_name VARCHAR, concept_id BIGINT, "
            "records BIGINT, crowd BIGINT)"
        ).fetchall()
        for each in tables:
            rows, filled = footers.filled(each.path)
            lacking = {name: 0 if count is None else rows - count for name, count in filled.items()}
            nothing = [(each.table, name, None, lacking[name], None) for name in each.columns if lacking[name]]
            if nothing:  # rows without a value: the files' own statistics count them
                cursor.executemany(f"INSERT INTO {_COUNTED} VALUES (?, ?, ?, ?, ?)", nothing)  # noqa: S608
            some = {name: lacking[name] > 0 for name in each.columns if lacking[name] < rows}
            together = [name for name in some if 2 * lacking[name] < rows]
            if some:
                query = _query(each, some, together if len(together) > 1 else ())
                cursor.execute(exp.Insert(this=exp.to_table(_COUNTED), expression=query).sql("duckdb")).fetchall()
        return cursor.sql(f"SELECT {names} FROM {_COUNTED} ORDER BY ALL").to_arrow_table()  # noqa: S608


def classes_of(person: exp.Condition) -> exp.Condition:
    """Return the aggregate of which of the 64 classes of persons occur in a group of rows, as bits."""
    one = exp.Cast(this=exp.Literal.number(1), to=exp.DataType.build("UBIGINT", dialect="duckdb"))
    place = exp.BitwiseAnd(this=_call("hash", person), expression=exp.Literal.number(63))
    return _call("bit_or", exp.BitwiseLeftShift(this=one, expression=exp.Paren(this=place)))


def crowd_of(person: exp.Condition) -> exp.Condition:
    """Return the aggregate that bounds from below how many persons are behind a group of rows (0 to 64)."""
    return _call("bit_count", classes_of(person))


def _query(used: Used, columns: Mapping[str, bool], together: Sequence[str]) -> exp.Query:
    """Return one query a table. `columns`: name → whether rows without a value are counted already; `together`: those
    whose combinations are counted first."""
    rows = exp.Table(this=_call("read_parquet", exp.Literal.string(str(used.path))))
    nobody = exp.Cast(this=exp.Null(), to=exp.DataType.build("UBIGINT", dialect="duckdb"))
    classes = classes_of(_named("person_id")) if used.person else nobody
    counts = {"records": _call("count"), "classes": classes}
    parts = [_column(used, name, known, rows, counts) for name, known in columns.items() if name not in together]
    if together:
        names = [_named(name) for name in together]
        grouped = exp.Select(expressions=[*names, *_aliased(counts)]).from_(rows, copy=False)
        grouped = grouped.group_by(*names, copy=False)
        sums = {"records": _call("sum", _named("records")), "classes": _call("bit_or", _named("classes"))}
        source = exp.to_table(_GROUPED)
        parts += [_column(used, name, columns[name], source, sums) for name in together]
    result: exp.Query = parts[0]
    for part in parts[1:]:
        result = exp.Union(this=result, expression=part, distinct=False)
    return result.with_(_GROUPED, as_=grouped, materialized=True, copy=False) if together else result


def _column(used: Used, name: str, known: bool, source: exp.Table, counts: Mapping[str, exp.Condition]) -> exp.Select:
    value = _named(name)
    nobody = exp.Cast(this=exp.Null(), to=exp.DataType.build("BIGINT", dialect="duckdb"))
    columns = {
        "table_name": exp.Literal.string(used.table),
        "column_name": exp.Literal.string(name),
        "concept_id": value,
        "records": counts["records"],
        "crowd": _call("bit_count", counts["classes"]) if used.person else nobody,
    }
    query = exp.Select(expressions=_aliased(columns)).from_(source).group_by(value, copy=False)
    return query.where(exp.Not(this=exp.Is(this=value, expression=exp.Null())), copy=False) if known else query


def _aliased(columns: Mapping[str, exp.Condition]) -> list[exp.Alias]:
    return [exp.Alias(this=node, alias=exp.to_identifier(name)) for name, node in columns.items()]


def _named(name: str) -> exp.Condition:
    return exp.column(exp.to_identifier(name, quoted=True))


def _call(name: str, *arguments: exp.Condition) -> exp.Condition:
    return exp.Anonymous(this=name, expressions=list(arguments))
