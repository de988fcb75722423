"""The digest of a table's content: the same for the same rows, whatever their order, file, writer or thread count.

The canonical form, so that anybody can compute it with other tools:

1. Columns in the order of their names (code points). A header in RFC 8785 JSON: `{"columns": [[name, type], …]}`, where
   the type is one of `boolean integer decimal double text binary date time timestamp timestamp_ns timestamp_utc`.
   Integers of any width are one type, so are single and double precision, and all texts.
2. A value is its length in UTF-8 bytes, a colon, and its text; no value (NULL) is a hyphen. Texts: booleans `true` and
   `false`; integers in decimal; doubles as C's `%.16e` (17 significant digits name one double and no other; `-0.0` is
   `0.0`, every NaN is `nan`); dates `YYYY-MM-DD`; times and timestamps in whole microseconds since midnight or since
   1970-01-01 (nanoseconds for `timestamp_ns`); binary in upper-case hexadecimal; decimals without trailing zeros.
3. A row's digest is the SHA-256 of its values written one after the other (lengths make that unambiguous).
4. The table's digest is the SHA-256 of the header, a line feed, and the rows' digests (32 bytes each) in rising order.
   Equal rows count as often as they occur.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from sqlglot import exp

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
_SOURCE = "content_source"
_BATCH = 65_536


class ArrowStream(Protocol):
    """Anything that hands out Arrow: an Arrow table or reader, a polars frame."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the capsule of the Arrow C stream interface."""
        ...


def content_digest(table: ArrowStream | Path | Sequence[Path], connection: Any = None) -> str:
    """Return the digest of a table's content, 64 hexadecimal digits (canonical form: this module's docstring).

    `table` is an Arrow table or reader (a reader is used up), a polars frame, one Parquet file, or several that hold
    one table between them. Memory stays bounded for files and readers: rows' digests are sorted out of core.
    `connection` is a DuckDB connection to use instead of one of its own (a quarter of the time of a small table).
    Raises `TypeError` naming a column whose type has no canonical form (lists, structures, intervals, …).
    """
    if connection is None:
        with TemporaryDirectory(prefix="workbench-digest-") as spill, connect(spill=Path(spill)) as own:
            return _digest(own, table)
    return _digest(connection, table)


def _digest(connection: Any, table: ArrowStream | Path | Sequence[Path]) -> str:
    source, files = _register(connection, table)
    try:
        columns = sorted(_columns(connection, source, files))
        result = hashlib.sha256(canonical_json({"columns": [[name, kind] for name, kind in columns]}) + b"\n")
        if columns:
            _add_rows(result, connection, _row_digests(columns, source).sql("duckdb", copy=False), files)
        return result.hexdigest()
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


def _row_digests(columns: list[tuple[str, str]], source: exp.Table) -> exp.Select:
    """Return the query of the rows' digests in rising order."""
    values = [part for name, kind in columns for part in _value(exp.column(exp.to_identifier(name, quoted=True)), kind)]
    row = _call("unhex", _call("sha256", _call("concat", *values)))
    query = exp.Select(expressions=[exp.Alias(this=row, alias=exp.to_identifier("row_digest"))])
    return query.from_(source, copy=False).order_by("row_digest", copy=False)


def _value(column: exp.Condition, kind: str) -> tuple[exp.Condition, exp.Condition]:
    """Return a value's length with a colon, and its text; a hyphen and nothing for NULL."""
    text = _text(column, kind)
    length = exp.DPipe(this=_cast(_call("strlen", text)), expression=exp.Literal.string(":"))
    return _call("coalesce", length, exp.Literal.string("-")), _call("coalesce", text, exp.Literal.string(""))


def _text(column: exp.Condition, kind: str) -> exp.Condition:
    """Return the text of a value that is not NULL."""
    makers: dict[str, Callable[[], exp.Condition]] = {
        "double": lambda: _unless_infinite(column, _call("format", exp.Literal.string("{:.16e}"), _plain(column))),
        "timestamp": lambda: _unless_infinite(column, _cast(_call("epoch_us", column))),
        "timestamp_utc": lambda: _unless_infinite(column, _cast(_call("epoch_us", column))),
        "timestamp_ns": lambda: _unless_infinite(column, _cast(_call("epoch_ns", column))),
        "time": lambda: _cast(_call("epoch_us", column)),
        "binary": lambda: _call("hex", column),
        "decimal": lambda: _without_trailing_zeros(_cast(column)),
    }
    return makers[kind]() if kind in makers else _cast(column)


def _unless_infinite(column: exp.Condition, text: exp.Condition) -> exp.Condition:
    return _case(_call("isinf", column), _cast(column), text)


def _plain(column: exp.Condition) -> exp.Condition:
    """Return the number as a double, negative zero as zero (their sum with 0.0 is 0.0), every NaN as one NaN."""
    double = _cast(column, "DOUBLE")
    nan = _cast(exp.Literal.string("nan"), "DOUBLE")
    return _case(_call("isnan", double), nan, exp.Add(this=double, expression=exp.Literal.number("0.0")))


def _without_trailing_zeros(text: exp.Condition) -> exp.Condition:
    point, zero = exp.Literal.string("."), exp.Literal.string("0")
    trimmed = _call("rtrim", _call("rtrim", text, zero), point)
    return _case(_call("contains", text, point), trimmed, text)


def _call(name: str, *arguments: exp.Condition) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _case(condition: exp.Condition, then: exp.Condition, otherwise: exp.Condition) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


def _cast(expression: exp.Condition, to: str = "VARCHAR") -> exp.Cast:
    return exp.Cast(this=expression, to=exp.DataType.build(to))


def _add_rows(result: Any, connection: Any, query: str, files: dict[str, Any]) -> None:
    """Feed the sorted digests to a running hash, block by block, straight from Arrow's buffers."""
    reader: Any = connection.sql(query, params=files).to_arrow_reader(_BATCH)
    for batch in reader:
        column = batch.column(0).cast("large_binary")
        start = 32 * column.offset
        if len(column):
            result.update(memoryview(column.buffers()[2])[start : start + 32 * len(column)])
