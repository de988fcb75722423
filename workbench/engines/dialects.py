"""Trees → SQL text of a dialect: sqlglot's own writers, but for a table of what they would let differ in silence.

The rules (each executed on every engine by the conformance table):

- Days between two dates are counted on dates: PostgreSQL's and Spark's own units would count whole days of time.
- PostgreSQL's EXTRACT gives a numeric; a year is a whole number.
- A backslash in a LIKE pattern is a character like any other: PostgreSQL and Spark would take it as an escape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlglot import Dialect, exp

from workbench.engines.sql import CDM

Writer = Callable[[Any, Any], str]
DIALECTS = ("duckdb", "postgres", "spark")


def _days_in_postgres(writer: Any, node: exp.DateDiff) -> str:
    later, earlier = (f"CAST({writer.sql(node, part)} AS DATE)" for part in ("this", "expression"))
    return f"({later} - {earlier})"


def _days_in_spark(writer: Any, node: exp.DateDiff) -> str:
    return str(writer.func("DATEDIFF", node.this, node.expression))


def _whole_part(writer: Any, node: exp.Extract) -> str:
    return f"CAST({writer.extract_sql(node)} AS INT)"


def _like_without_escape(writer: Any, node: exp.Like) -> str:
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        raise TypeError("not portable SQL: LIKE takes a text that is known when the step is made")
    literal = exp.Literal.string(str(pattern.this).replace("\\", "\\\\"))
    return f"{writer.sql(node, 'this')} LIKE {writer.sql(literal)}"


_DIFFERENCES: Mapping[str, Mapping[type[exp.Expr], Writer]] = {
    "duckdb": {},
    "postgres": {exp.DateDiff: _days_in_postgres, exp.Extract: _whole_part, exp.Like: _like_without_escape},
    "spark": {exp.DateDiff: _days_in_spark, exp.Like: _like_without_escape},
}


def view_name(table: str) -> str:
    """Return the name of the temporary view that stands for a data table where an engine's session has no schemas."""
    return f"{CDM}_{table}"


@cache
def _writer(dialect: str) -> type[Any]:
    base: type[Any] = Dialect.get_or_raise(dialect).generator_class
    tables: Writer = lambda writer, node: _table(base, writer, node)  # noqa: E731 - it must know its base
    transforms = {**base.TRANSFORMS, **_DIFFERENCES[dialect], exp.Table: tables}
    return type(f"Portable{base.__name__}", (base,), {"TRANSFORMS": transforms, "views": False, "work": ""})


def _table(base: type[Any], writer: Any, node: exp.Table) -> str:
    alias = f" AS {writer.sql(node.args['alias'])}" if node.args.get("alias") else ""
    if writer.views and node.db == CDM:
        return view_name(node.name) + alias
    if writer.work and not node.db:
        return f"{writer.work}.{node.name}{alias}"
    return str(base.table_sql(writer, node))


def render(tree: exp.Expr, dialect: str, *, views: bool = False, work: str = "", pretty: bool = False) -> str:
    """Return a tree as SQL text for `duckdb`, `postgres` or `spark`.

    With `views`, tables of the schema `cdm` are read from temporary views (`view_name`); with `work`, tables that
    steps make stand in the schema of that name. Raises TypeError where a pattern of LIKE is not a text: a bug of ours.
    """
    writer = _writer(dialect)(dialect=dialect, pretty=pretty)
    writer.views, writer.work = views, work
    return str(writer.generate(tree, copy=False))


def data_tables(tree: exp.Expr) -> set[str]:
    """Return the data tables that a tree reads."""
    return {table.name for table in tree.find_all(exp.Table) if table.db == CDM}


def temporary(name: str, tree: exp.Query, kind: str) -> exp.Create:
    """Return the statement that keeps a query as a temporary TABLE or VIEW of the session."""
    return exp.Create(
        this=exp.Table(this=exp.to_identifier(name)),
        kind=kind,
        expression=tree,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )


def data_view(source: exp.Table, columns: Sequence[tuple[str, bool]]) -> exp.Select:
    """Return a data table's columns in lower case; those named `*_date` that hold a time of day as plain dates.

    `columns` are (name in the database, whether it is a timestamp) pairs.
    """
    chosen: list[exp.Expr] = []
    for name, moment in columns:
        value: exp.Expr = exp.column(exp.to_identifier(name, quoted=True))
        if moment and name.lower().endswith("_date"):
            value = exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.DATE))
        chosen.append(exp.Alias(this=value, alias=exp.to_identifier(name.lower(), quoted=True)))
    return exp.Select(expressions=chosen).from_(source, copy=False)
