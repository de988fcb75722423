"""A definition as SQL text of a dialect: the plan's own steps, with the small tables that they load as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import compile_batch
from workbench.engines import sql as trees
from workbench.engines.base import Step
from workbench.engines.columns import Numbers
from workbench.engines.dialects import render, temporary

SCHEMAS: Mapping[str, str] = {"duckdb": "main", "postgres": "cdm", "spark": "cdm"}
"""Where each dialect's databases have their OMOP tables, unless another schema is named."""


def sql(definition: Definition, dialect: str, schema: str = "") -> str:
    """Return statements that make a definition's rows, for `duckdb`, `postgres` or `spark`.

    OMOP tables are read from `schema`, else from the dialect's own (`SCHEMAS`); the last statement gives the rows.
    Dates are read as dates where a database keeps them with a time of day. Work tables are temporary; on Spark, which
    has no temporary tables, they stand in a schema of their own, named after the definition (temporary views would be
    worked out again at each use). Raises InvalidInput where the definition cannot be run.
    """
    script = compile_batch({definition.name: definition.plan})
    cohort = script.cohorts[definition.name]
    columns = ("subject_id", "cohort_start_date", "cohort_end_date")
    trees_of = [
        *(_create(Step(name, _values(table)), dialect) for name, table in script.loads.items()),
        *(_create(step, dialect) for step in (*script.shared, *cohort.steps)),
        trees.select(trees.columns("c", *columns), trees.work_table(cohort.cohort, "c")),
    ]
    work = f"workbench_{definition.digest[:12]}" if dialect == "spark" else ""
    data = schema or SCHEMAS[dialect]
    texts = [
        *_schema(work),
        *(render(_plain_dates(tree), dialect, data=data, work=work, pretty=True) for tree in trees_of),
    ]
    return "".join(f"{text};\n\n" for text in texts)


def _schema(work: str) -> list[str]:
    """Make the schema of the work tables anew; the name is ours, made of hexadecimal digits."""
    if not work:
        return []
    remark = f"-- The work tables stay in the schema {work} until you say: DROP SCHEMA {work} CASCADE"
    return [f"{remark}\nDROP SCHEMA IF EXISTS {work} CASCADE", f"CREATE SCHEMA {work}"]


def _plain_dates(tree: exp.Expr) -> exp.Expr:
    """Return a tree that reads each `*_date` of an OMOP table as a date; a date stays what it is."""
    written = tree.copy()  # parts of a tree may stand in several places, and are changed in each
    for table in [found for found in written.find_all(exp.Table) if found.db == trees.CDM]:
        query = table.parent_select
        for column in [] if query is None else list(query.find_all(exp.Column)):
            if column.table == table.alias and column.name.endswith("_date") and column.parent is not None:
                _read_as_date(column, column.parent)
    return written


def _read_as_date(column: exp.Column, where: exp.Expr) -> None:
    if isinstance(where, exp.Cast):
        return
    read = trees.cast(column.copy(), "DATE")
    named = isinstance(where, exp.Select)
    column.replace(exp.Alias(this=read, alias=trees.name(column.name)) if named else read)


def _create(step: Step, dialect: str) -> exp.Create:
    if dialect != "spark":
        return temporary(step.name, step.tree, "TABLE")
    parquet = exp.FileFormatProperty(this=exp.Var(this="PARQUET"))
    table = exp.Table(this=trees.name(step.name))
    properties = exp.Properties(expressions=[parquet])
    return exp.Create(this=table, kind="TABLE", expression=step.tree, properties=properties)


def _values(table: Numbers) -> exp.Query:
    """A small table as values, typed by a first row that nothing keeps."""
    rows = list(_rows(table))
    empty = {name: trees.null("BIGINT") for name in table}  # an empty table still has its columns
    nothing = trees.select(empty, _one_row(), where=[trees.compare(trees.number(1), "=", trees.number(0))])
    return trees.union_all([nothing, *rows])


def _one_row() -> trees.Expr:
    return trees.sub(trees.bare_select({"one": trees.number(1)}), "one")


def _rows(table: Numbers) -> Iterator[exp.Query]:
    """One SELECT without FROM a row."""
    for row in zip(*table.values(), strict=True):
        values = (trees.cast(trees.number(value), "BIGINT") for value in row)
        yield trees.bare_select(dict(zip(table, values, strict=True)))
