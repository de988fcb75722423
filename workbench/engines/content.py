"""The digest of a table's content: the same for the same rows, whatever their order, file, writer or thread count.

The canonical form, so that anybody can compute it with other tools:

1. Columns in the order of their names (code points), each of one type: `boolean integer decimal double text binary date
   time timestamp timestamp_ns timestamp_utc`. Integers of any width are one type, so are single and double precision,
   and all texts.
2. Rows in rising order of the columns that `order` names, then of all others in the order of their names. No value
   comes before any value, false before true, NaN after every number; texts and binary go by their bytes.
3. A column has two digests: the SHA-256 of a byte a row (1: a value, 0: none), and that of its values one after the
   other, lowest byte first: booleans 1 byte; integers 8, signed; doubles 8 (IEEE 754; `-0.0` is `0.0`, every NaN
   `7ff8000000000000`); dates 4 (days since 1970-01-01); times and timestamps 8 (microseconds since midnight or
   1970-01-01; nanoseconds for `timestamp_ns`); texts in UTF-8, decimals as texts without trailing zeros. Texts,
   decimals and binary have a third: that of the lengths of their values in bytes, 8 bytes each.
4. The table's digest is the SHA-256 of a header in RFC 8785 JSON, `{"columns": [[name, type], …], "form": 2, "order":
   [name, …]}`, a line feed, and the columns' digests (32 bytes each), column by column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pyarrow as pa
from sqlglot import exp

from workbench.engines.content_columns import Column, Rows, rising
from workbench.engines.duckdb import connect
from workbench.kernel.digest import canonical_json

_INTEGERS = [f"{sign}{name}" for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT") for sign in ("", "U")]
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(_INTEGERS, "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "double"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"), "timestamp"),
    "BOOLEAN": "boolean",
    "VARCHAR": "text",
    "BLOB": "binary",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP_NS": "timestamp_ns",
    "TIMESTAMP WITH TIME ZONE": "timestamp_utc",
}
_FORM = 2
_SOURCE = "content_source"
_BATCH = 131_072


class ArrowStream(Protocol):
    """Anything that hands out Arrow: an Arrow table or reader, a polars frame."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the capsule of the Arrow C stream interface."""
        ...


def content_digest(
    table: ArrowStream | Path | Sequence[Path], connection: Any = None, *, order: Sequence[str] = ()
) -> str:
    """Return the digest of a table's content, 64 hexadecimal digits (canonical form: this module's docstring).

    `table` is an Arrow table or reader (a reader is used up), a polars frame, one Parquet file, or several that hold
    one table between them. `order` names the columns by which its rows stand first, and is part of the digest: a table
    that lies in the canonical order already is read once (by Arrow alone where it is an Arrow table of plain numbers,
    dates and texts), any other is sorted, out of core where it is large. `connection` is a DuckDB connection to use
    instead of one of its own (a quarter of the time of a small table).
    Raises `TypeError` naming a column whose type has no canonical form (lists, structures, intervals, …), and what
    DuckDB raises for integers beyond 64 bits.
    """
    if isinstance(table, pa.Table) and (digest := _digest_as_it_lies(table, order)):
        return digest
    if connection is None:
        with TemporaryDirectory(prefix="workbench-digest-") as spill, connect(spill=Path(spill)) as own:
            return _digest(own, table, order)
    return _digest(connection, table, order)


def _digest_as_it_lies(table: pa.Table, order: Sequence[str]) -> str | None:
    """Return the digest of a table of plain types that lies in its canonical order, None of any other."""
    if len(set(table.column_names)) < table.num_columns or any(kind not in _PLAIN for kind in table.schema.types):
        return None
    columns = sorted((field.name, _PLAIN[field.type]) for field in table.schema)
    parts = _column_digests(_plain_batches(table), columns, _keys(columns, order))
    return None if parts is None else _whole(columns, order, parts)


_PLAIN: Mapping[pa.DataType, str] = {
    **dict.fromkeys((pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()), "integer"),
    pa.float64(): "double",
    pa.date32(): "date",
    pa.string(): "text",
    pa.large_string(): "text",
}


def _plain_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    wide = [(each.name, pa.int64() if _PLAIN[each.type] == "integer" else each.type) for each in table.schema]
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield batch.cast(pa.schema(wide))


def _keys(columns: Sequence[tuple[str, str]], order: Sequence[str]) -> list[str]:
    return [*order, *(name for name, _ in columns if name not in order)]


def _whole(columns: Sequence[tuple[str, str]], order: Sequence[str], parts: Sequence[bytes]) -> str:
    header = {"columns": [[name, kind] for name, kind in columns], "form": _FORM, "order": list(order)}
    return hashlib.sha256(canonical_json(header) + b"\n" + b"".join(parts)).hexdigest()


def _digest(connection: Any, table: ArrowStream | Path | Sequence[Path], order: Sequence[str]) -> str:
    source, files = _register(connection, table)
    try:
        columns = sorted(_columns(connection, source, files))
        parts: list[bytes] = []
        if columns:
            keys = _keys(columns, order)
            stored = _canonical(columns, source)
            once = isinstance(table, pa.RecordBatchReader)
            found = None if once else _column_digests(_batches(connection, stored, files), columns, keys)
            if found is None:
                sorting = stored.order_by(*(_nulls_first(name) for name in keys), copy=False)
                found = _column_digests(_batches(connection, sorting, files), columns, ())
            parts = found or []
        return _whole(columns, order, parts)
    finally:
        if not files:
            connection.unregister(_SOURCE)


def _register(connection: Any, table: ArrowStream | Path | Sequence[Path]) -> tuple[exp.Table, dict[str, Any]]:
    """Return the table expression to select from and the parameters that it needs."""
    files = [table] if isinstance(table, Path) else table
    if isinstance(files, Sequence):
        options = [exp.PropertyEQ(this=exp.to_identifier(k), expression=exp.Boolean(this=v)) for k, v in _READ.items()]
        call = exp.Anonymous(this="read_parquet", expressions=[exp.Placeholder(this="files"), *options])
        return exp.Table(this=call), {"files": [str(path) for path in files]}
    connection.register(_SOURCE, table)
    return exp.to_table(_SOURCE), {}


_READ = {"union_by_name": True, "hive_partitioning": False}


def _columns(connection: Any, source: exp.Table, files: dict[str, Any]) -> list[tuple[str, str]]:
    described = connection.execute(f"DESCRIBE {exp.select('*').from_(source).sql('duckdb')}", files).fetchall()
    return [(str(row[0]), _kind(str(row[0]), str(row[1]))) for row in described]


def _kind(name: str, sql_type: str) -> str:
    if sql_type.startswith("DECIMAL"):
        return "decimal"
    if sql_type.startswith("ENUM"):
        return "text"
    if sql_type not in _KINDS:
        raise TypeError(f"column {name!r} of type {sql_type} has no canonical form")
    return _KINDS[sql_type]


def _batches(connection: Any, query: exp.Select, files: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    with connection.sql(query.sql("duckdb"), params=files).to_arrow_reader(_BATCH) as reader:
        yield from reader


def _column_digests(
    batches: Iterator[pa.RecordBatch], columns: Sequence[tuple[str, str]], keys: Sequence[str]
) -> list[bytes] | None:
    """Return the columns' digests, in the order of `columns`; None where the rows do not rise by `keys`."""
    running = {name: Column(kind) for name, kind in columns}
    last: dict[str, Rows] = {}
    try:
        for batch in batches:
            if not batch.num_rows:
                continue
            added = {name: column.add(batch.column(name)) for name, column in running.items()}
            if keys:
                seam = [added[name].after(last[name]) for name in keys] if last else []
                if not rising(seam) or not rising([added[name] for name in keys]):
                    return None
                last = {name: added[name].last() for name in keys}
    finally:
        batches.close()  # type: ignore[attr-defined]  # a generator: its connection is free again
    return [digest for name, _ in columns for digest in running[name].digests()]


def _canonical(columns: Sequence[tuple[str, str]], source: exp.Table) -> exp.Select:
    """Return the query of the table's values as they are digested."""
    values = [
        exp.Alias(
            this=_value(exp.column(exp.to_identifier(name, quoted=True)), kind),
            alias=exp.to_identifier(name, quoted=True),
        )
        for name, kind in columns
    ]
    return exp.Select(expressions=values).from_(source, copy=False)


def _value(column: exp.Condition, kind: str) -> exp.Condition:
    makers: dict[str, Callable[[], exp.Condition]] = {
        "boolean": lambda: _cast(column, "UTINYINT"),
        "integer": lambda: _cast(column, "BIGINT"),
        "double": lambda: _cast(column, "DOUBLE"),
        "timestamp": lambda: _cast(column, "TIMESTAMP"),
        "text": lambda: _cast(column, "VARCHAR"),
        "decimal": lambda: _without_trailing_zeros(_cast(column, "VARCHAR")),
    }
    return makers[kind]() if kind in makers else column


def _without_trailing_zeros(text: exp.Condition) -> exp.Condition:
    point, zero = exp.Literal.string("."), exp.Literal.string("0")
    trimmed = _call("rtrim", _call("rtrim", text, zero), point)
    return _case(_call("contains", text, point), trimmed, text)


def _nulls_first(name: str) -> exp.Ordered:
    return exp.Ordered(this=exp.column(exp.to_identifier(name, quoted=True)), nulls_first=True)


def _call(name: str, *arguments: exp.Condition) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _case(condition: exp.Condition, then: exp.Condition, otherwise: exp.Condition) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


def _cast(expression: exp.Condition, to: str) -> exp.Cast:
    return exp.Cast(this=expression, to=exp.DataType.build(to, dialect="duckdb"))
