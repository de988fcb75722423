"""The shipped cohorts on GiBleed: rows equal to duckcdm's, sentences, attrition, exported SQL."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.cohorts.conftest import rows_by_cohort
from workbench.cohorts.check import check
from workbench.cohorts.circe import read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.generate import attrition, generate
from workbench.cohorts.shipped import shipped
from workbench.cohorts.sql import sql
from workbench.engines.duckdb import DuckDBEngine

NAMES = sorted(shipped())
PERSONS = {
    "celecoxib_new_users": 1800,
    "celecoxib_without_prior_gi_bleed": 1142,
    "diclofenac_new_users": 830,
    "gi_bleed": 479,
    "gi_bleed_within_30_days_of_nsaid": 159,
    "nsaid_new_users": 2630,
    "osteoarthritis": 2630,
    "recurrent_viral_sinusitis": 203,
    "women_over_40_with_osteoarthritis": 554,
}


def database(patients: dict[str, Path], path: Path) -> duckdb.DuckDBPyConnection:
    """GiBleed as a DuckDB file, with its tables in `main`."""
    connection = duckdb.connect(str(path))
    for name, file in patients.items():
        connection.execute(f"CREATE TABLE {name} AS FROM '{file}'").fetchall()
    return connection


def reference(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """The rows that duckcdm gives."""
    from duckcdm.circe import build_cohort_query
    from duckcdm.sqlrender import render, split_sql, translate

    text = shipped()[name].read_text(encoding="utf-8")
    query = build_cohort_query(
        text, cdm_schema="main", target_table="temp.target", result_schema="temp", vocabulary_schema="main",
        cohort_id=1, generate_stats=False,
    )  # fmt: skip
    rows = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'"
    for (left,) in connection.execute(rows).fetchall():
        connection.execute(f'DROP TABLE temp."{left}"').fetchall()
    columns = "cohort_definition_id BIGINT, subject_id BIGINT, cohort_start_date DATE, cohort_end_date DATE"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE target ({columns})").fetchall()
    for statement in split_sql(translate(render(query), "duckdb")):
        if statement.strip() and not statement.lstrip().upper().startswith("ANALYZE"):
            connection.execute(statement).fetchall()
    result = connection.sql(
        "SELECT ? AS cohort, subject_id, cohort_start_date, cohort_end_date FROM temp.target", params=[name]
    )
    return result.to_arrow_table()


def test_rows_and_counts_are_duckcdms(patients: dict[str, Path], engine: DuckDBEngine, tmp_path: Path) -> None:
    made = generate(engine, {name: read_definition(path) for name, path in shipped().items()})
    assert not made.failed
    assert {name: made.persons(name) for name in NAMES} == PERSONS
    ours = rows_by_cohort(made.rows)
    with database(patients, tmp_path / "all.duckdb") as connection:
        for name in NAMES:
            assert ours[name] == rows_by_cohort(reference(connection, name))[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_sentence_beside_a_definition_is_its_own(name: str) -> None:
    path = shipped()[name]
    definition = read_definition(path)
    expected = f"# {name}\n\n{describe(definition, 'fr')}\n\n{describe(definition, 'en')}\n"
    assert path.with_suffix(".md").read_text(encoding="utf-8") == expected
    assert [question for question in check(definition) if question.level == "question"] == []


def test_attrition_ends_with_the_cohort(engine: DuckDBEngine) -> None:
    for name in NAMES:
        definition = read_definition(shipped()[name])
        steps = attrition(engine, definition)
        assert steps[-1].persons == PERSONS[name]
        assert all(after.persons <= before.persons for before, after in pairwise(steps))
        rules = [step for step in steps if step.persons_without is not None]
        assert len(rules) == len(definition.plan.rules)


def test_attrition_of_the_rules(engine: DuckDBEngine) -> None:
    steps = attrition(engine, read_definition(shipped()["celecoxib_without_prior_gi_bleed"]))
    assert [(step.persons, step.events, step.persons_without) for step in steps] == [
        (1844, 1844, None),
        (1844, 1844, None),
        (1800, 1800, None),
        (1800, 1800, 1142),
        (1800, 1800, 1142),
        (1142, 1142, 1800),
        (1142, 1142, None),
    ]


@pytest.mark.parametrize("name", ["recurrent_viral_sinusitis", "women_over_40_with_osteoarthritis"])
def test_exported_sql_runs_as_it_is(patients: dict[str, Path], tmp_path: Path, name: str) -> None:
    with database(patients, tmp_path / "own.duckdb") as connection:
        rows = connection.execute(sql(read_definition(shipped()[name]), "duckdb")).fetchall()
    assert len({person for person, _, _ in rows}) == PERSONS[name]


def test_exported_sql_reads_dates_with_a_time_of_day_in_any_schema(patients: dict[str, Path], tmp_path: Path) -> None:
    definition = read_definition(shipped()["celecoxib_without_prior_gi_bleed"])
    with database(patients, tmp_path / "own.duckdb") as connection:
        plain = connection.execute(sql(definition, "duckdb")).fetchall()
    with database(patients, tmp_path / "timed.duckdb") as connection:
        connection.execute('CREATE SCHEMA "hôpital 2"').fetchall()
        for name in patients:
            dates = [
                column
                for column, kind, *_ in connection.execute(f"DESCRIBE {name}").fetchall()
                if kind == "DATE" and column.endswith("_date")
            ]
            timed = ", ".join(f"CAST({column} AS TIMESTAMP) AS {column}" for column in dates)
            chosen = f"* REPLACE ({timed})" if dates else "*"
            connection.execute(f'CREATE TABLE "hôpital 2".{name} AS SELECT {chosen} FROM {name}').fetchall()
            connection.execute(f"DROP TABLE {name}").fetchall()
        timed_rows = connection.execute(sql(definition, "duckdb", "hôpital 2")).fetchall()
    assert plain
    assert sorted(timed_rows) == sorted(plain)


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark"])
def test_exported_sql_holds_no_word_of_the_definition(dialect: str) -> None:
    content = shipped()["gi_bleed"].read_text(encoding="utf-8").replace("Gastrointestinal", "'; DROP TABLE person; --")
    assert "DROP TABLE person" not in sql(read_definition(content), dialect)


def test_excluded_persons_are_left_out(engine: DuckDBEngine) -> None:
    definitions = {"gi_bleed": read_definition(shipped()["gi_bleed"])}
    every = generate(engine, definitions)
    out = pa.table({"person_id": every.rows["subject_id"].slice(0, 5)})
    left = generate(engine, definitions, exclude=out)
    assert left.persons("gi_bleed") == 474
    assert attrition(engine, definitions["gi_bleed"], exclude=out)[-1].persons == 474
