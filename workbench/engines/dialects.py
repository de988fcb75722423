"""Trees → SQL text of a dialect: sqlglot's own writers, after what they would let differ in silence is spelt out.

The rules (each executed on every engine by the conformance table):

- Days between two dates are counted on dates: PostgreSQL's and Spark's own units would count whole days of time.
- PostgreSQL's EXTRACT gives a numeric; a year is a whole number.
- A backslash in a LIKE pattern is a character like any other: PostgreSQL and Spark would take it as an escape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from workbench.engines.sql import CDM, cast

Rewrite = Callable[[Any], exp.Expr]
DIALECTS = ("duckdb", "postgres", "spark")


def _days_in_postgres(node: exp.DateDiff) -> exp.Expr:
    later, earlier = (cast(node.args[part], "DATE") for part in ("this", "expression"))
    return exp.Paren(this=exp.Sub(this=later, expression=earlier))


def _days_in_spark(node: exp.DateDiff) -> exp.Expr:
    return exp.Anonymous(this="DATEDIFF", expressions=[node.args["this"], node.args["expression"]])


def _whole_part(node: exp.Extract) -> exp.Expr:
    return cast(node.copy(), "INT")


def _like_without_escape(node: exp.Like) -> exp.Expr:
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        raise TypeError("not portable SQL: LIKE takes a text that is known when the step is made")
    literal = exp.Literal.string(str(pattern.this).replace("\\", "\\\\"))
    return exp.Like(this=node.this, expression=literal)


_DIFFERENCES: Mapping[str, Mapping[type[exp.Expr], Rewrite]] = {
    "duckdb": {},
    "postgres": {exp.DateDiff: _days_in_postgres, exp.Extract: _whole_part, exp.Like: _like_without_escape},
    "spark": {exp.DateDiff: _days_in_spark, exp.Like: _like_without_escape},
}


def view_name(table: str) -> str:
    """Return the name of the temporary view that stands for a data table where an engine's session has no schemas."""
    return f"{CDM}_{table}"


def render(
    tree: exp.Expr, dialect: str, *, views: bool = False, data: str = CDM, work: str = "", pretty: bool = False
) -> str:
    """Return a tree as SQL text for `duckdb`, `postgres` or `spark`; the tree stays as it is.

    The data tables are read from the schema `data`; with `views`, from temporary views instead (`view_name`). With
    `work`, tables that steps make stand in the schema of that name. Raises TypeError where a pattern of LIKE is not a
    text: a bug of ours.
    """
    written = tree.copy()
    rewrites = _DIFFERENCES[dialect]
    if rewrites:
        # Inner nodes first: what stands around them then takes them over as they have become.
        for node in reversed(list(written.find_all(*rewrites, bfs=True))):
            node.replace(rewrites[type(node)](node))
    for table in list(written.find_all(exp.Table)) if views or work or data != CDM else ():
        _place(table, views, data, work)
    return written.sql(dialect=dialect, pretty=pretty, copy=False)


def _place(table: exp.Table, views: bool, data: str, work: str) -> None:
    if views and table.db == CDM:
        table.set("this", exp.to_identifier(view_name(table.name)))
        table.set("db", None)
    elif table.db == CDM:
        table.set("db", exp.to_identifier(data))
    elif work and not table.db:
        table.set("db", exp.to_identifier(work))


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


def data_view(source: exp.Table, columns: Sequence[tuple[str, str]]) -> exp.Select:
    """Return a data table's columns in lower case; those named `*_date` that hold a time of day as plain dates.

    `columns` are (name in the database, type) pairs.
    """
    chosen: list[exp.Expr] = []
    for name, kind in columns:
        value: exp.Expr = exp.column(exp.to_identifier(name, quoted=True))
        if kind.startswith("timestamp") and name.lower().endswith("_date"):
            value = exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.DATE))
        chosen.append(exp.Alias(this=value, alias=exp.to_identifier(name.lower(), quoted=True)))
    return exp.Select(expressions=chosen).from_(source, copy=False)
