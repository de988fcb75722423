"""The naive interpreter, proved against rows that other people's engine gave: it may then judge our compiler."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cohorts.conftest import definition, rows_by_cohort
from tests.cohorts.test_cohorts_circe_be import cases, sets_of, typed
from tests.cohorts.test_cohorts_corpus import cases as corpus_cases
from workbench.cohorts.reference import Database, interpret
from workbench.cohorts.reference.groups import Index, World, events_of, holds
from workbench.cohorts.reference.sets import resolve
from workbench.kernel.errors import InvalidInput

FOLDERS = ["phenotypes_00", "fuzz_00", "fuzz_01"]
SAMPLE = 12


def test_cohorts_of_circe(shared: Path) -> None:
    found = {name: case for name, case in cases(shared, "cohort").items() if case["expected"] is not None}
    for name, case in found.items():
        ours = [(person, str(start), str(end)) for person, start, end in run(case["expression"], case)]
        assert ours == sorted(tuple(row.values())[-3:] for row in case["expected"]), name
    assert len(found) >= 30


def run(document: dict[str, Any], case: dict[str, Any]) -> list[tuple[int, dt.date, dt.date]]:
    """The interpreter's rows over a case's tables."""
    return interpret(document, typed(case["input_tables"]))


def world_of(case: dict[str, Any], sets: list[dict[str, Any]]) -> World:
    """A case's code sets over its tables (`sets` was made first: it completes the vocabulary)."""
    return World({"ConceptSets": sets}, Database(typed(case["input_tables"])))


def test_criteria_of_circe(shared: Path) -> None:
    found = cases(shared, "criteria")
    for name, case in found.items():
        world = world_of(case, sets_of(case))
        people = {
            row["person_id"]
            for table in case["input_tables"]
            for row in world.database.rows(table)
            if "person_id" in row
        }
        events = [event for person in people for event in events_of(case["object"], person, world)]
        got = sorted(
            tuple(str(each) for each in (e.person, e.number, e.start, e.end, e.visit, e.own_start)) for e in events
        )
        columns = ("person_id", "event_id", "start_date", "end_date", "visit_occurrence_id", "sort_date")
        assert got == sorted(tuple(str(row[column]) for column in columns) for row in case["expected"]), name
    assert len(found) == 43


def indexes_of(case: dict[str, Any]) -> list[Index]:
    """The case's cohort as index events, numbered within each person."""
    rows = next(rows for name, rows in typed(case["input_tables"]).items() if name.endswith(".cohort"))
    period = typed(case["input_tables"])["observation_period"][0]
    bounds = (period["observation_period_start_date"], period["observation_period_end_date"])
    people = [row["subject_id"] for row in rows]
    return [
        Index(person, people[: at + 1].count(person), row["cohort_start_date"], row["cohort_end_date"], None, *bounds)
        for at, (person, row) in enumerate(zip(people, rows, strict=True))
    ]


def test_groups_of_circe(shared: Path) -> None:
    found = cases(shared, "group")
    for name, case in found.items():
        world = world_of(case, sets_of(case))
        got = [(one.person, one.number) for one in indexes_of(case) if holds(case["object"], [one], world)]
        assert sorted(got) == sorted((row["person_id"], row["event_id"]) for row in case["expected"]), name
    assert len(found) == 11


def test_windows_of_circe(shared: Path) -> None:
    found = cases(shared, "windowed")
    for name, case in found.items():
        world = world_of(case, sets_of(case))
        exactly = {"Type": 0, "Count": len(case["expected"]), "IsDistinct": False}
        group = {"Type": "ALL", "CriteriaList": [{**case["object"], "Occurrence": exactly}]}
        assert [holds(group, [one], world) for one in indexes_of(case)] == [True], name
    assert len(found) == 30


def test_concept_sets_of_circe(shared: Path) -> None:
    for case in cases(shared, "conceptset").values():
        got = resolve(case["object"], Database(typed(case["input_tables"])))
        assert sorted(got) == sorted(row["concept_id"] for row in case["expected"])


def compare(folder: Path, files: dict[str, Path]) -> None:
    """Demand the expected rows of each definition."""
    tables = {path.stem: pq.read_table(path).to_pylist() for path in (folder / "database").glob("*.parquet")}
    expected = rows_by_cohort(pq.read_table(folder / "expected.parquet"))
    database = Database(tables)
    wrong = [
        name
        for name, file in files.items()
        if Counter(interpret(json.loads(file.read_text()), database)) != expected.get(name, Counter())
    ]
    print(f"{folder.name}: {len(files) - len(wrong)} exact of {len(files)} interpreted")
    assert wrong == []


@pytest.mark.parametrize("corpus", FOLDERS)
def test_sample_of_the_corpora(shared: Path, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    files = corpus_cases(folder)
    compare(folder, {name: files[name] for name in sorted(files)[::SAMPLE]})


@pytest.mark.long
@pytest.mark.parametrize("corpus", FOLDERS)
def test_all_of_the_corpora(shared: Path, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    compare(folder, corpus_cases(folder))


@pytest.mark.parametrize(
    "criterion",
    [
        {"Surgery": {}},
        {"Specimen": {"Colour": {"Value": 1, "Op": "eq"}}},
        {"Specimen": {"Age": {"Value": 1, "Op": "about"}}},
    ],
)
def test_what_has_no_rule_is_said(criterion: dict[str, Any]) -> None:
    day = dt.date(2020, 1, 1)
    event = {"person_id": 1, "specimen_id": 1, "specimen_date": day}
    detail = {"person_id": 1, "visit_detail_id": 1, "visit_detail_start_date": day}
    period = {"person_id": 1, "observation_period_start_date": day, "observation_period_end_date": day}
    tables = {"specimen": [event], "visit_detail": [detail], "observation_period": [period], "person": [event]}
    with pytest.raises(InvalidInput):
        interpret(json.loads(definition(criterion)), tables)
