"""Negative control outcomes: the rows of OHDSI's engine tests, and what is wrong with a rule is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.test_cohorts_circe_be import cases, engine_over
from workbench.cohorts.negative_controls import OutcomeRule, negative_controls
from workbench.kernel.errors import InvalidInput

VISITS = [
    {"visit_occurrence_id": at, "person_id": person, "visit_concept_id": concept, "visit_start_date": f"2020-01-0{at}"}
    for at, person, concept in ((3, 1, 2), (2, 1, 3), (1, 1, 1), (4, 2, 1))
]
DRUGS = [{"drug_exposure_id": 1, "person_id": 2, "drug_concept_id": 3, "drug_exposure_start_date": "2019-12-31"}]
ABOVE = [{"ancestor_concept_id": 1, "descendant_concept_id": each} for each in (1, 2)]


def test_rows_of_circes_own_tests(shared: Path) -> None:
    found = cases(shared, "negcontrol")
    for name, case in found.items():
        with engine_over(case["input_tables"]) as engine:
            rows = negative_controls(engine, [1], OutcomeRule.read(case["expression"])).to_pylist()
        ours = [tuple(str(each) for each in row.values()) for row in rows]
        assert ours == sorted(tuple(str(each) for each in row.values()) for row in case["expected"]), name
    assert len(found) == 4


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"domains": ["VISIT", "drug"]}, [(1, 1, "01"), (1, 1, "03"), (1, 2, "04")]),
        ({"domains": ["visit"], "occurrenceType": "first"}, [(1, 1, "01"), (1, 2, "04")]),
        ({"domains": ["visit"], "detectOnDescendants": False}, [(1, 1, "01"), (1, 2, "04"), (3, 1, "02")]),
        ({"domains": ["drug"], "detectOnDescendants": False}, [(3, 2, "31")]),
        ({"domains": ["drug"]}, []),
    ],
)
def test_one_cohort_a_concept(rule: dict[str, Any], expected: list[tuple[int, int, str]]) -> None:
    concepts = [{"concept_id": each} for each in (1, 2, 3)]
    tables = {"visit_occurrence": VISITS, "drug_exposure": DRUGS, "concept": concepts, "concept_ancestor": ABOVE}
    with engine_over(tables) as engine:
        rows = negative_controls(engine, [1, 3, 9], OutcomeRule.read(rule)).to_pylist()
    assert [(row["concept_id"], row["subject_id"], str(row["cohort_start_date"])[-2:]) for row in rows] == expected


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({}, "$.domains"),
        ({"domains": []}, "$.domains"),
        ({"domains": "drug"}, "$.domains"),
        ({"Domains": ["drug", "weather"]}, "$.Domains[1]"),
        ({"domains": [None]}, "$.domains[0]"),
        ({"domains": ["drug"], "OccurrenceType": "LAST"}, "$.OccurrenceType"),
        ({"domains": ["drug"], "occurrenceType": 3}, "$.occurrenceType"),
        ({"domains": ["drug"], "detectOnDescendants": "perhaps"}, "$.detectOnDescendants"),
    ],
)
def test_what_is_wrong_is_named_in_its_own_words(rule: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        OutcomeRule.read(rule)
    assert (caught.value.code, caught.value.facts["path"]) == ("cohort.outcome_rule", path)
