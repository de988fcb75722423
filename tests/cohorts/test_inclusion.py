"""Inclusion statistics: those of OHDSI's engine tests, and those that the reference engine keeps; attrition agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.cohorts.test_cohorts_circe_be import cases, engine_over
from tests.cohorts.test_cohorts_corpus import cases as corpus_cases
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.generate import attrition
from workbench.cohorts.inclusion import Combinations, Inclusion, inclusion
from workbench.engines.duckdb import DuckDBEngine

QUICK = 3
_TABLES = {
    "target": "cohort_definition_id BIGINT, subject_id BIGINT, cohort_start_date DATE, cohort_end_date DATE",
    "cohort_inclusion_result": "cohort_definition_id INT, inclusion_rule_mask BIGINT, person_count BIGINT, mode_id INT",
    "cohort_inclusion_stats": "cohort_definition_id INT, rule_sequence INT, person_count BIGINT, gain_count BIGINT, "
    "person_total BIGINT, mode_id INT",
    "cohort_summary_stats": "cohort_definition_id INT, base_count BIGINT, final_count BIGINT, mode_id INT",
    "cohort_censor_stats": "cohort_definition_id INT, lost_count BIGINT",
}


def test_statistics_of_circes_own_tests(shared: Path) -> None:
    asked = {name: case for name, case in cases(shared, "cohort").items() if case["expected_stats"]}
    for case in asked.values():
        with engine_over(case["input_tables"]) as engine:
            found = inclusion(engine, read_definition(json.dumps(case["expression"])))
        expected = case["expected_stats"]
        if "cohort_censor_stats" in expected:
            assert [row["lost_count"] for row in expected["cohort_censor_stats"]] == [found.lost]
        for mode, ours in enumerate((found.events, found.persons)):
            theirs = [row for row in expected.get("cohort_inclusion_result", []) if row["mode_id"] == mode]
            if theirs:
                assert {row["inclusion_rule_mask"]: row["person_count"] for row in theirs} == ours.by_mask
    assert len(asked) == 2


def _reference(database: Mapping[str, Path]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, path in database.items():
        connection.execute(f"CREATE VIEW \"{name}\" AS FROM '{path}'")
    return connection


def _keep(connection: duckdb.DuckDBPyConnection, document: str) -> dict[str, list[tuple[Any, ...]]]:
    """The statistics that the reference engine keeps of a definition. Raises duckdb.Error where it fails."""
    from duckcdm.circe import build_cohort_query  # pyright: ignore[reportMissingTypeStubs]
    from duckcdm.sqlrender import render, split_sql, translate  # pyright: ignore[reportMissingTypeStubs]

    for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall():
        connection.execute(f'DROP TABLE temp."{name}"')
    for name, columns in _TABLES.items():
        connection.execute(f"CREATE TEMP TABLE {name} ({columns})")
    options = {"cdm_schema": "main", "target_table": "temp.target", "result_schema": "temp", "cohort_id": 1}
    text = translate(render(build_cohort_query(document, **options, generate_stats=True)), "duckdb")
    for statement in split_sql(text):
        if statement.strip() and not statement.lstrip().upper().startswith("ANALYZE"):
            connection.execute(statement)
    return {name: connection.execute(f"FROM temp.{name}").fetchall() for name in _TABLES}


def _same(ours: Combinations, theirs: Mapping[str, list[tuple[Any, ...]]], mode: int) -> bool:
    masks = {mask: count for _, mask, count, each in theirs["cohort_inclusion_result"] if each == mode}
    rules = sorted(row[1:5] for row in theirs["cohort_inclusion_stats"] if row[5] == mode)
    totals = [row[1:3] for row in theirs["cohort_summary_stats"] if row[3] == mode]
    mine = [(at, rule.met, rule.gain, ours.total) for at, rule in enumerate(ours.rules)]
    return masks == ours.by_mask and rules == mine and totals == [(ours.total, ours.final)]


def _agree(definition: Definition, ours: Inclusion, engine: DuckDBEngine) -> bool:
    """Whether the rules' rows of the attrition are sums over combinations, and persons in the end those of the best."""
    count = ours.events.rule_count
    rows = attrition(engine, definition)
    at = next(at for at, row in enumerate(rows) if row.persons_without is not None)
    for rule, row in enumerate(rows[at : at + count]):
        first = (1 << rule + 1) - 1
        if row.events != sum(number for mask, number in ours.events.by_mask.items() if mask & first == first):
            return False
    last = rows[at + count - 1]
    return last.persons == ours.persons.final and all(
        row.persons_without is not None and row.persons_without >= ours.persons.final for row in rows[at : at + count]
    )


def _compare(folder: Path, names: Iterator[str] | list[str], most: int) -> None:
    database = {path.stem: path for path in (folder / "database").glob("*.parquet")}
    files = corpus_cases(folder)
    compared = 0
    with _reference(database) as reference, DuckDBEngine.over_parquet(database, threads=1) as engine:
        for name in names:
            definition = read_definition(files[name])
            if not definition.plan.rules or compared == most:
                continue
            theirs = _keep(reference, files[name].read_text(encoding="utf-8"))
            ours = inclusion(engine, definition)
            assert _same(ours.events, theirs, 0), name
            assert _same(ours.persons, theirs, 1), name
            clipped = definition.plan.clip.start or definition.plan.clip.end
            assert ours.lost == (theirs["cohort_censor_stats"][0][1] if clipped else 0), name
            assert _agree(definition, ours, engine), name
            compared += 1
    assert compared == most or most > 50


@pytest.mark.parametrize("corpus", ["fuzz_00", "phenotypes_01"])
def test_statistics_of_a_sample_of_the_corpora(shared: Path, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    _compare(folder, sorted(corpus_cases(folder))[::3], QUICK)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("corpus", ["fuzz_00", "fuzz_01", "phenotypes_00", "phenotypes_01"])
def test_statistics_of_all_of_the_corpora(shared: Path, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    _compare(folder, sorted(corpus_cases(folder)), 1000)
