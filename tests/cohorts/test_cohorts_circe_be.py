"""OHDSI's own engine tests (circe-be) as plain cases: whole cohorts, criteria, windows, groups, concept sets."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.cohorts.conftest import Rows, definition
from tests.cohorts.small_database import arrow
from workbench.cohorts.circe import read_definition
from workbench.cohorts.compile import compile_batch
from workbench.cohorts.compile_criteria import Workshop
from workbench.cohorts.compile_groups import judge
from workbench.cohorts.generate import generate, prepare
from workbench.cohorts.plan import Bound, Group, Match, Plan, Rule, Window
from workbench.cohorts.reference import interpret
from workbench.cohorts.survey import survey
from workbench.engines import sql
from workbench.engines.duckdb import DuckDBEngine, connect
from workbench.kernel.errors import UserError
from workbench.kernel.progress import silent
from workbench.repository.cdm import TABLES

_MOVED = 1_000_000


def cases(shared: Path, kind: str) -> dict[str, dict[str, Any]]:
    """The cases of a kind, by name."""
    found = {path.stem: json.loads(path.read_text()) for path in (shared / "data/circe/circe_be_cases").glob("*.json")}
    return {name: case for name, case in found.items() if case["kind"] == kind}


def engine_over(tables: dict[str, list[dict[str, Any]]], older: Mapping[str, list[str]] | None = None) -> DuckDBEngine:
    """An engine over an OMOP 5.4 database that holds some rows, and perhaps columns of older models."""
    connection = connect(threads=1)
    made = ["CREATE SCHEMA cdm"]
    filled: list[tuple[str, list[Any]]] = []
    for name, table in TABLES.items():
        rows = [{key.lower(): value for key, value in row.items()} for row in tables.get(name, ())]
        kinds = {column.name: column.sql_type for column in table.fields}
        # Columns of older models that a case fills, such as dose_unit_concept_id.
        kinds |= {key: "BIGINT" for row in rows for key in row if key not in kinds and key.endswith("_id")}
        kinds |= dict.fromkeys((older or {}).get(name, ()), "BIGINT")
        columns = ", ".join(f'"{key}" {kind}' for key, kind in kinds.items())
        made.append(f'CREATE TABLE cdm."{name}" ({columns})')
        for row in rows:
            kept = {key: value for key, value in row.items() if key in kinds}
            names, marks = ", ".join(f'"{key}"' for key in kept), ", ".join("?" * len(kept))
            filled.append((f'INSERT INTO cdm."{name}" ({names}) VALUES ({marks})', list(kept.values())))
    connection.execute("; ".join(made)).fetchall()
    for statement, values in filled:
        connection.execute(statement, values).fetchall()
    return DuckDBEngine(connection)


def typed(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """A case's tables with lower-case names and real dates."""
    return {
        name: [{key.lower(): _value(key.lower(), value) for key, value in row.items()} for row in rows]
        for name, rows in tables.items()
    }


def _value(column: str, value: Any) -> Any:
    if value is not None and column.endswith("_date"):
        return dt.date.fromisoformat(value[:10])
    return value


def one_database(found: dict[str, dict[str, Any]]) -> tuple[dict[str, pa.Table], dict[str, Any], Rows]:
    """All cases in one database: tables, expressions and expected rows, each case with its own persons and concepts.

    A case's ids of any kind are moved by so many that no two cases meet (a concept 0 stays the unknown one). Only the
    rows of a case's own persons are to be compared (`own`): some cases ask for events of any concept.
    """
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    expressions: dict[str, Any] = {}
    expected: Rows = {}
    for at, (name, case) in enumerate(found.items()):
        base = at * _MOVED
        for table, rows in typed(case["input_tables"]).items():
            tables[table] += [{key: _moved(key, value, base) for key, value in row.items()} for row in rows]
        expressions[name] = _moved("", case["expression"], base)
        rows = [tuple(row.values())[-3:] for row in case["expected"]]
        day = dt.date.fromisoformat
        expected[name] = Counter((person + base, day(start), day(end)) for person, start, end in rows)
    return {name: arrow(name, rows) for name, rows in tables.items()}, expressions, expected


def own(rows: Counter[tuple[int, dt.date, dt.date]], at: int) -> Counter[tuple[int, dt.date, dt.date]]:
    """The rows of the persons of the case at a place."""
    return Counter({row: count for row, count in rows.items() if row[0] // _MOVED == at})


def _moved(key: str, value: Any, base: int) -> Any:
    """A part of a document, or a value of a row, with its ids moved."""
    if isinstance(value, dict):
        return {name: _moved(name, below, base) for name, below in value.items()}
    if isinstance(value, list):
        return [_moved(key, below, base) for below in value]
    is_id = key == "CONCEPT_ID" or (key.endswith("_id") or key.rpartition("_")[0].endswith("concept_id"))
    return value + base if is_id and isinstance(value, int) and value else value


def codesets(case: dict[str, Any]) -> list[dict[str, int]]:
    """The code sets that a case gives ready-made; their concepts are added to its vocabulary."""
    rows = [row for name, rows in case["input_tables"].items() if name.endswith(".codesets") for row in rows]
    concepts = case["input_tables"].setdefault("concept", [])
    known = {row["concept_id"] for row in concepts}
    concepts += [{"concept_id": each} for each in sorted({row["concept_id"] for row in rows} - known)]
    return rows


def sets_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Concept sets that resolve to the case's code sets."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in codesets(case):
        item = {"concept": {"CONCEPT_ID": row["concept_id"]}, "isExcluded": False, "includeDescendants": False}
        found.setdefault(row["codeset_id"], []).append(item)
    return [{"id": key, "name": str(key), "expression": {"items": items}} for key, items in found.items()]


def test_cohorts(shared: Path) -> None:
    for name, case in cases(shared, "cohort").items():
        if case["expected"] is None:
            continue
        with engine_over(case["input_tables"]) as engine:
            made = generate(engine, {"c": read_definition(json.dumps(case["expression"]))})
        assert not made.failed, name
        ours = sorted(
            (r["subject_id"], str(r["cohort_start_date"]), str(r["cohort_end_date"])) for r in made.rows.to_pylist()
        )
        assert ours == sorted(tuple(row.values())[-3:] for row in case["expected"]), name


def test_cohorts_without_expected_rows_run(shared: Path) -> None:
    """They use every criterion, so also a column of OMOP 5.0: there they run, elsewhere the column is named."""
    found = {name: case for name, case in cases(shared, "cohort").items() if case["expected"] is None}
    for name, case in found.items():
        one = {"c": read_definition(json.dumps(case["expression"]))}
        with engine_over(case["input_tables"]) as engine:
            error = generate(engine, one).failed["c"]
        assert error.code == "cohort.column_missing", name
        assert (error.facts["table"], error.facts["column"]) == ("drug_exposure", "dose_unit_concept_id")
        assert str(error.facts["path"]).endswith(".DrugExposure")
        with engine_over(case["input_tables"], older={"drug_exposure": ["dose_unit_concept_id"]}) as engine:
            made = generate(engine, one)
        assert not made.failed, name
        ours = [tuple(row.values())[1:] for row in made.rows.to_pylist()]
        assert ours == interpret(case["expression"], typed(case["input_tables"])), name
    assert len(found) == 2


def test_cohorts_that_circe_refuses(shared: Path) -> None:
    for case in cases(shared, "cohort_error").values():
        with pytest.raises(UserError):
            read_definition(json.dumps(case["expression"]))


def reading_visits(plan: Plan) -> Plan:
    """The plan with a rule that looks at visits: else no event's visit is read."""
    always = Window(Bound(None, True), Bound(None, False))
    same_visit = Match(plan.entry.events[0], (always,), ">=", 0, same_visit=True)
    return replace(plan, rules=(Rule("", Group("all", 0, (same_visit,))),))


def test_criteria(shared: Path) -> None:
    found = cases(shared, "criteria")
    for name, case in found.items():
        plan = read_definition(definition(case["object"], sets=sets_of(case))).plan
        script = compile_batch({"c": reading_visits(plan)})
        with engine_over(case["input_tables"]) as engine:
            prepare(engine, script, silent)
            ours = engine.fetch(script.cohorts["c"].entries)
        columns = ("person_id", "event_id", "start_date", "end_date", "visit_occurrence_id", "sort_date")
        got = sorted(tuple(str(row[column]) for column in columns) for row in ours.to_pylist())
        assert got == sorted(tuple(str(row[column]) for column in columns) for row in case["expected"]), name
    assert len(found) == 43


def context_of(case: dict[str, Any]) -> pa.Table:
    """The case's cohort as index events."""
    rows = next(rows for name, rows in case["input_tables"].items() if name.endswith(".cohort"))
    period = case["input_tables"]["observation_period"][0]
    day = dt.date.fromisoformat
    people = [row["subject_id"] for row in rows]
    table = {
        "person_id": people,
        "event_id": [people[: at + 1].count(person) for at, person in enumerate(people)],
        "start_date": [day(row["cohort_start_date"][:10]) for row in rows],
        "end_date": [day(row["cohort_end_date"][:10]) for row in rows],
        "visit_occurrence_id": pa.array([None] * len(rows), pa.int64()),
        "op_start_date": [day(period["observation_period_start_date"][:10])] * len(rows),
        "op_end_date": [day(period["observation_period_end_date"][:10])] * len(rows),
    }
    return pa.table(table)


def held(case: dict[str, Any], group: dict[str, Any]) -> list[tuple[int, int]]:
    """The index events of a case on which a group holds."""
    plan = read_definition(
        definition({"Death": {}}, sets=sets_of(case), InclusionRules=[{"name": "r", "expression": group}])
    ).plan
    script = compile_batch({"c": plan})
    with engine_over(case["input_tables"]) as engine:
        prepare(engine, script, silent)
        engine.load("context", context_of(case))
        step = judge(Workshop(survey([plan])), "context", [plan.rules[0].group], "g")
        engine.materialise(step)
        columns = sql.columns("g", "person_id", "event_id", "r0")
        rows = engine.fetch(sql.select(columns, sql.work_table(step.name, "g"))).to_pylist()
    return sorted((row["person_id"], row["event_id"]) for row in rows if row["r0"])


def test_groups(shared: Path) -> None:
    found = cases(shared, "group")
    for name, case in found.items():
        expected = sorted((row["person_id"], row["event_id"]) for row in case["expected"])
        assert held(case, case["object"]) == expected, name
    assert len(found) == 11


def test_windows(shared: Path) -> None:
    found = cases(shared, "windowed")
    for name, case in found.items():
        count = len(case["expected"])
        match = {**case["object"], "Occurrence": {"Type": 0, "Count": count, "IsDistinct": False}}
        group = {"Type": "ALL", "CriteriaList": [match], "DemographicCriteriaList": [], "Groups": []}
        assert held(case, group) == [(1, 1)], name
    assert len(found) == 30


def test_concept_sets(shared: Path) -> None:
    for case in cases(shared, "conceptset").values():
        sets = [{"id": 0, "name": "s", "expression": case["object"]}]
        script = compile_batch({"c": read_definition(definition({"Death": {"CodesetId": 0}}, sets=sets)).plan})
        with engine_over(case["input_tables"]) as engine:
            prepare(engine, script, silent)
            columns = {"concept_id": sql.col("s", "concept_id")}
            rows = engine.fetch(sql.select(columns, sql.work_table("sets", "s")))["concept_id"].to_pylist()
        assert sorted(rows) == sorted(row["concept_id"] for row in case["expected"])
