"""The compiler's rows on DuckDB and the interpreter's rows, on small random definitions and databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.cohorts.small_cases import attribute_cases, period_cases, small_cases, window_cases
from tests.cohorts.small_database import Json, Rows, arrow
from workbench.cohorts.circe import Definition
from workbench.cohorts.generate import generate
from workbench.cohorts.reference import interpret
from workbench.engines.duckdb import DuckDBEngine, connect

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
QUICK = settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=_SLOW)
LONG = settings(max_examples=1000, deadline=None, database=None, suppress_health_check=_SLOW)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """One instance for all examples: each replaces the tables that it reads."""
    with connect(threads=1) as opened:
        opened.execute("CREATE SCHEMA cdm")
        yield opened


def load(connection: duckdb.DuckDBPyConnection, tables: Rows) -> DuckDBEngine:
    """Put rows into the tables of an engine; what makes the model another is gone where it is not given."""
    connection.execute("DROP TABLE IF EXISTS cdm.location_history")
    for name, rows in tables.items():
        connection.register("incoming", arrow(name, rows))
        connection.execute(f'CREATE OR REPLACE TABLE cdm."{name}" AS FROM incoming')
        connection.unregister("incoming")
    return DuckDBEngine(connection)


def compiled(engine: DuckDBEngine, definitions: list[Json]) -> list[list[tuple[int, dt.date, dt.date]]]:
    """The compiler's rows of a batch, each definition's sorted."""
    names = [f"c{at}" for at in range(len(definitions))]
    made = generate(engine, {name: Definition(each, name) for name, each in zip(names, definitions, strict=True)})
    assert not made.failed
    rows: list[dict[str, Any]] = made.rows.to_pylist()
    columns = ("subject_id", "cohort_start_date", "cohort_end_date")
    return [sorted(tuple(row[column] for column in columns) for row in rows if row["cohort"] == name) for name in names]


def agree(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    """Demand equal rows of a case."""
    definitions, tables = case
    ours = compiled(load(connection, tables), definitions)
    theirs = [interpret(each, tables) for each in definitions]
    note(f"compiler {ours}\ninterpreter {theirs}")
    assert ours == theirs


@given(case=small_cases())
@QUICK
def test_compiler_and_interpreter_agree(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)


@pytest.mark.long
@pytest.mark.timeout(3600)  # a thousand examples each
@given(case=small_cases())
@LONG
def test_compiler_and_interpreter_agree_at_length(
    connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]
) -> None:
    agree(connection, case)


@given(case=attribute_cases())
@QUICK
def test_every_attribute_agrees(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)


@pytest.mark.long
@pytest.mark.timeout(3600)  # a thousand examples each
@given(case=attribute_cases())
@LONG
def test_every_attribute_agrees_at_length(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)


@given(case=window_cases())
@QUICK
def test_every_window_agrees(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)


@pytest.mark.long
@pytest.mark.timeout(3600)  # a thousand examples each
@given(case=window_cases())
@LONG
def test_every_window_agrees_at_length(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)


@given(case=period_cases())
@QUICK
def test_every_period_agrees(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)


@pytest.mark.long
@pytest.mark.timeout(3600)  # a thousand examples each
@given(case=period_cases())
@LONG
def test_every_period_agrees_at_length(connection: duckdb.DuckDBPyConnection, case: tuple[list[Json], Rows]) -> None:
    agree(connection, case)
