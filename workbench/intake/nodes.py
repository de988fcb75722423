"""The few SQL nodes that reading sources needs, in DuckDB's words; names are always quoted, values are literals.

Trees are written once and never changed, so nodes are shared instead of copied (copies were half of a load's time).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp

Node = exp.Condition


def render(tree: Any) -> str:
    """Return a tree as DuckDB's SQL."""
    return str(tree.sql(dialect="duckdb", copy=False))


def column(name: str, table: str | None = None) -> Node:
    """Return a column, quoted."""
    return exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(table, quoted=True) if table else None)


def table(name: str, schema: str | None = None, database: str | None = None) -> exp.Table:
    """Return a table, quoted."""
    parts = {"this": name, "db": schema, "catalog": database}
    return exp.Table(**{key: exp.to_identifier(part, quoted=True) for key, part in parts.items() if part})


def text(value: str | Path) -> Node:
    """Return a string value."""
    return exp.Literal.string(str(value))


def number(value: int) -> Node:
    """Return a whole number."""
    return exp.Literal.number(value)


def call(name: str, *arguments: Node) -> Node:
    """Return a call of one of DuckDB's functions, as written."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def scan(function: str, path: Path | Sequence[Path], **options: Node) -> exp.Table:
    """Return a file, or several that hold one table between them, as a table: `read_parquet` with named options."""
    named = [exp.PropertyEQ(this=exp.to_identifier(name), expression=value) for name, value in options.items()]
    files = text(path) if isinstance(path, Path) else exp.Array(expressions=[text(each) for each in path])
    return exp.Table(this=exp.Anonymous(this=function, expressions=[files, *named]))


def cast(node: Node, to: str) -> Node:
    """Return CAST(node AS to)."""
    return exp.Cast(this=node, to=exp.DataType.build(to, dialect="duckdb"))


def try_cast(node: Node, to: str) -> Node:
    """Return TRY_CAST(node AS to): NULL where the value does not fit."""
    return exp.TryCast(this=node, to=exp.DataType.build(to, dialect="duckdb"))


def is_null(node: Node) -> Node:
    """Return `node IS NULL`."""
    return exp.Is(this=node, expression=exp.Null())


def not_null(node: Node) -> Node:
    """Return `node IS NOT NULL`."""
    return exp.Not(this=is_null(node))


def both(*nodes: Node) -> Node:
    """Return the conjunction; TRUE of nothing."""
    return _fold(exp.And, nodes, empty=True)


def either(*nodes: Node) -> Node:
    """Return the disjunction; FALSE of nothing."""
    return _fold(exp.Or, nodes, empty=False)


def negate(node: Node) -> Node:
    """Return NOT (node)."""
    return exp.Not(this=exp.Paren(this=node))


def equal(left: Node, right: Node) -> Node:
    """Return `left = right`."""
    return exp.EQ(this=left, expression=right)


def below(left: Node, right: Node) -> Node:
    """Return `left < right`."""
    return exp.LT(this=left, expression=right)


def when(condition: Node, then: Node) -> Node:
    """Return `CASE WHEN condition THEN then END`."""
    return exp.Case(ifs=[exp.If(this=condition, true=then)])


def count_if(condition: Node) -> Node:
    """Return the number of rows that meet a condition."""
    return call("count_if", condition)


def named(node: Node, name: str) -> exp.Alias:
    """Return `node AS name`."""
    return exp.Alias(this=node, alias=exp.to_identifier(name, quoted=True))


def select(*columns: Any, source: Any = None, where: Node | None = None, group: Node | None = None) -> exp.Select:
    """Return SELECT columns FROM source WHERE … GROUP BY …; a query given as the source becomes a derived table, and
    None is no source."""
    origin = source.subquery("rows_read", copy=False) if isinstance(source, exp.Query) else source
    query = exp.Select(expressions=list(columns))
    if origin is not None:
        query = query.from_(origin, copy=False)
    if where is not None:
        query = query.where(where, copy=False)
    return query if group is None else query.group_by(group, copy=False)


def union(queries: Sequence[exp.Query]) -> exp.Query:
    """Return the rows of all queries, repeated ones too; at least one query."""
    result = queries[0]
    for query in queries[1:]:
        result = exp.Union(this=result, expression=query, distinct=False)
    return result


def over(function: Node, partition: Sequence[Node] = (), order: Sequence[Node] = ()) -> Node:
    """Return `function OVER (PARTITION BY … ORDER BY …)`."""
    by = exp.Order(expressions=list(order)) if order else None
    return exp.Window(this=function, partition_by=list(partition), order=by)


def before_this(function: Node, partition: Sequence[Node], order: Sequence[Node]) -> Node:
    """Return an aggregate over the rows before this one: `function OVER (… ROWS … AND 1 PRECEDING)`."""
    window = over(function, partition, order)
    bounds = {"start": "UNBOUNDED", "start_side": "PRECEDING", "end": number(1), "end_side": "PRECEDING"}
    window.set("spec", exp.WindowSpec(kind="ROWS", **bounds))
    return window


def _fold(kind: type[exp.And] | type[exp.Or], nodes: Iterable[Node], *, empty: bool) -> Node:
    parts: list[Node] = [exp.Paren(this=node) for node in nodes]
    if not parts:
        return exp.Boolean(this=empty)
    result = parts[0]
    for part in parts[1:]:
        result = kind(this=result, expression=part)
    return result
