"""A PostgreSQL schema as a source: read as it stood at one moment, and only where its content changed.

The server itself computes what a table holds: a digest for each bucket of keys (numbers that lie close together), over
the rows as they would be read. A load compares them with those of the release before and asks for the rows of changed
buckets only; a deleted row changes its bucket as a corrected one does. (A column of change times would miss deletions.)

A numeric comes as a double, or as text where the model wants whole numbers: an id must keep its last digit. Times with
a zone come as UTC. A date that is infinite becomes one that does not fit, and its row is set aside.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp

from workbench.engines.postgres_reader import PostgresReader
from workbench.intake.nodes import Node, call, cast, column, named, negate, number, select, table, text
from workbench.intake.sources import Buckets, Source, SourceTable, rows_digest
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput
from workbench.repository.cdm import RENAMED, TABLES, Table

_SHIFT, _MANY = 14, 1 << 16
_RUNS = 400
_WHOLE = ("smallint", "integer", "bigint")
_BEYOND = "0001-01-01 BC"


class ServerRows:
    """A query's rows, once. There are no ragged records on a server."""

    def __init__(self, reader: PostgresReader, query: str, name: str, ragged: Path) -> None:
        self.problem: Exception | None = None
        self.ragged, self.ragged_rows = ragged, 0
        self._schema, self._batches = reader.rows(query, name)

    def reader(self) -> Any:
        """Return the rows as a stream; what goes wrong meanwhile is kept in `problem`."""
        return pa.lib.RecordBatchReader.from_batches(self._schema, self._rows())

    def close(self) -> None:
        """End the query."""
        self._batches.close()

    def _rows(self) -> Generator[Any]:
        try:
            yield from self._batches
        except Exception as error:
            self.problem = error
            raise


def open_server(url: str, only: Sequence[str] = ()) -> Source:
    """Open a schema, and compute on the server what each table that the model knows holds.

    Raises what `PostgresReader` raises, and `InvalidInput` (`release.table_twice`, `intake.column_twice`).
    """
    reader = PostgresReader.over_url(url)
    try:
        return _source(reader, only)
    except BaseException:
        reader.close()
        raise


def _source(reader: PostgresReader, only: Sequence[str]) -> Source:
    labels: dict[str, str] = {}
    for label in reader.columns:
        if label.lower() in labels:
            facts = {"first": labels[label.lower()], "second": label}
            raise InvalidInput("release.table_twice", source=reader.schema, table=label.lower(), **facts)
        labels[label.lower()] = label
    wanted = {name: label for name, label in labels.items() if name in TABLES and (not only or name in only)}
    tables = {name: _table(reader, label, TABLES[name]) for name, label in wanted.items()}
    origin = [
        {"kind": "postgresql", "name": each.files[0], "sha256": each.digest}
        for each in sorted(tables.values(), key=lambda each: each.name)
    ]
    return Source("postgresql", tables, sorted(set(labels) - set(TABLES)), (), origin, close=reader.close)


def _table(reader: PostgresReader, label: str, model: Table) -> SourceTable:
    columns = _columns(reader.columns[label], model)
    rows = select(*(named(value, name) for name, (value, _) in columns.items()), source=table(label, reader.schema))
    buckets = _buckets(reader, rows, columns, model)
    name = f"{reader.schema}.{model.name}"
    parts = buckets.digests.to_pydict()
    said = {"name": name, "key": buckets.key, "shift": buckets.shift, "columns": buckets.columns}
    cut = [list(map(str, part)) for part in zip(parts["bucket"], parts["rows"], parts["digest"], strict=True)]

    def stream(ragged: Path, changed: Sequence[int | None] | None) -> ServerRows:
        query = rows if changed is None else select(exp.Star(), source=rows, where=_within(buckets, changed))
        return ServerRows(reader, _render(query), model.name, ragged)

    return SourceTable(
        model.name,
        {each: (each, kind) for each, (_, kind) in columns.items()},
        rows_digest("postgresql", [{**said, "sha256": digest_document(cut)}]),
        (name,),
        stream=stream,
        file=cast(text(name), "VARCHAR"),
        buckets=buckets,
    )


def _columns(found: Sequence[tuple[str, str]], model: Table) -> dict[str, tuple[Node, str]]:
    """Return how each column is asked for: name in lower case → value, and the type in which it comes."""
    types = {field.name: field.type for field in model.fields}
    types |= {old: types[new] for old, new in RENAMED.get(model.name, {}).items()}
    columns: dict[str, tuple[Node, str]] = {}
    for label, kind in found:
        if label.lower() in columns:
            raise InvalidInput("intake.column_twice", file=model.name, column=label.lower())
        columns[label.lower()] = _value(column(label), kind, types.get(label.lower(), "text"))
    return columns


def _value(found: Node, kind: str, wanted: str) -> tuple[Node, str]:
    if kind in _WHOLE:
        return cast(found, "BIGINT"), "BIGINT"
    if kind in {"real", "double precision"} or (kind == "numeric" and wanted != "integer"):
        return cast(found, "DOUBLE"), "DOUBLE"
    if kind == "date":
        return _finite(found, "DATE"), "DATE"
    if kind == "timestamp with time zone":
        in_utc: Any = exp.AtTimeZone(this=found, zone=text("UTC"))
        return _finite(in_utc, "TIMESTAMP"), "TIMESTAMP"
    if kind.startswith("timestamp"):
        return _finite(found, "TIMESTAMP"), "TIMESTAMP"
    return (found, "BOOLEAN") if kind == "boolean" else (cast(found, "TEXT"), "VARCHAR")


def _finite(found: Node, kind: str) -> Node:
    """Return a date or time; instead of an infinite one, a day so early that it does not fit."""
    infinite = exp.If(this=negate(call("isfinite", found)), true=cast(text(_BEYOND), kind))
    return exp.Case(ifs=[infinite], default=cast(found, kind))


def _buckets(
    reader: PostgresReader, rows: exp.Select, columns: Mapping[str, tuple[Node, str]], model: Table
) -> Buckets:
    key = _key(columns, model)
    shift = _shift(reader, rows, key, model.name) if key else 0
    its = exp.BitwiseRightShift(this=column(key), expression=number(shift)) if key else cast(exp.Null(), "BIGINT")
    row = cast(call("ROW", *(column(each) for each in columns)), "TEXT")
    digest = call("sha256", call("convert_to", row, text("UTF8")))
    each = select(named(its, "bucket"), named(digest, "h"), source=rows)
    in_order = exp.Order(this=cast(text(""), "BYTEA"), expressions=[exp.Ordered(this=column("h"))])
    joined: Any = exp.Anonymous(this="string_agg", expressions=[column("h"), in_order])
    content = call("encode", call("sha256", joined), text("hex"))
    bucket, count = column("bucket"), call("count", column("h"))
    query = select(bucket, named(count, "rows"), named(content, "digest"), source=each, group=bucket)
    found = reader.table(_render(query), model.name)
    kinds = [list(part) for part in ((name, kind) for name, (_, kind) in columns.items())]
    digests = pa.table({name: found[name] for name in ("bucket", "rows", "digest")})
    return Buckets(key, shift, digest_document(kinds), digests.sort_by("bucket"))


def _key(columns: Mapping[str, tuple[Node, str]], model: Table) -> str | None:
    """Return the column that cuts a table into buckets: its key, or whose or what a row is, where it is a number."""
    first = [model.key] if model.key else ["person_id"] if model.has_person else []
    if not model.key:
        first += [field.name for field in model.fields if field.type == "integer" and field.required]
    return next((name for name in first if name in columns and columns[name][1] == "BIGINT"), None)


def _shift(reader: PostgresReader, rows: exp.Select, key: str, name: str) -> int:
    """Return by how many bits keys are shifted: buckets of 16,384 numbers, wider where there would be too many."""
    query = select(named(call("min", column(key)), "low"), named(call("max", column(key)), "high"), source=rows)
    low, high = (found or 0 for found in reader.table(_render(query), name).to_pylist()[0].values())
    shift = _SHIFT
    while (high >> shift) - (low >> shift) >= _MANY:
        shift += 1
    return shift


def _within(buckets: Buckets, changed: Sequence[int | None]) -> Node:
    """Return the condition of a row of these buckets, as ranges of keys where they are few: an index serves those."""
    key, numbers = column(str(buckets.key)), sorted(each for each in changed if each is not None)
    runs: list[list[int]] = []
    for each in numbers:
        if runs and runs[-1][1] == each:
            runs[-1][1] = each + 1
        else:
            runs.append([each, each + 1])
    tests: list[Node] = [exp.Is(this=key, expression=exp.Null())] if None in changed else []
    if len(runs) <= _RUNS:
        tests += [_between(key, low << buckets.shift, (high << buckets.shift) - 1) for low, high in runs]
    else:
        its = exp.BitwiseRightShift(this=key, expression=number(buckets.shift))
        tests.append(exp.In(this=its, expressions=[_signed(each) for each in numbers]))
    found: Node = exp.Boolean(this=False)
    for test in tests:
        found = exp.Or(this=found, expression=exp.Paren(this=test))
    return found


def _between(key: Node, low: int, high: int) -> Node:
    return exp.Between(this=key, low=_signed(low), high=_signed(high))


def _signed(value: int) -> Node:
    return exp.Neg(this=number(-value)) if value < 0 else number(value)


def _render(tree: exp.Query) -> str:
    return str(tree.sql(dialect="postgres", copy=False))
