"""Why one person is in a cohort or not: equal to the plan's own numbers, and in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.conftest import BLEED, concept_set, definition
from workbench.cohorts.circe import read_definition
from workbench.cohorts.generate import attrition, generate
from workbench.cohorts.shipped import shipped
from workbench.cohorts.why import why
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import InvalidInput

NAME = "celecoxib_without_prior_gi_bleed"


@pytest.fixture
def people(patients: dict[str, Path]) -> Iterator[tuple[DuckDBEngine, list[int], list[int]]]:
    """An engine, some persons of the cohort, and some who took the drug and are not in it."""
    with DuckDBEngine.over_parquet(patients, threads=2) as engine:
        names = (NAME, "celecoxib_new_users")
        made = generate(engine, {name: read_definition(shipped()[name]) for name in names})
        inside, users = (set(made.of(name)["subject_id"].to_pylist()) for name in names)
        yield engine, sorted(inside)[:2], sorted(users - inside)[:4]


def test_rules_explain_who_is_in_and_who_is_out(people: tuple[DuckDBEngine, list[int], list[int]]) -> None:
    engine, inside, outside = people
    asked = read_definition(shipped()[NAME])
    for person in inside:
        found = why(engine, asked, person)
        assert found.in_cohort
        assert [entry.verdict for entry in found.entries] == ["kept"]
        assert all(rule.holds for rule in found.entries[0].rules)
        assert found.periods[0][0] == 0
    for person in outside:
        found = why(engine, asked, person)
        assert not found.in_cohort
        assert [entry.verdict for entry in found.entries] == ["rule_failed"]
        for rule in found.entries[0].rules:
            assert rule.holds == all(each.holds for each in rule.criteria)
            assert all(each.holds == (each.found == 0) for each in rule.criteria if rule.name.startswith("No"))
            assert all(day <= 0 for each in rule.criteria for day in each.days or ())


def test_words(people: tuple[DuckDBEngine, list[int], list[int]]) -> None:
    engine, inside, _ = people
    found = why(engine, read_definition(shipped()[NAME]), inside[0])
    lines = found.lines("en")
    assert lines[0].startswith("In the cohort, from day 0 to day ")
    assert lines[1] == (
        "Events with the codes of the entry event: 1; with all their attributes: 1; "
        "observed as asked and kept by the limit: 1"
    )
    assert "    passed: no diagnosis of “Peptic ulcer” up to the day before entry (none found)" in lines
    assert (
        "    remplie : aucun diagnostic de « Peptic ulcer » jusqu’à la veille de l’entrée (rien trouvé)"
        in found.lines("fr")
    )
    assert str(found.anchor) not in "".join(lines)


def test_nobody_and_what_cannot_run(engine: DuckDBEngine) -> None:
    found = why(engine, read_definition(shipped()[NAME]), 999_999_999)
    assert found.lines("en")[0] == "Not in the cohort"
    assert found.lines("en")[-1] == "No entry event: no rule was judged"
    with pytest.raises(InvalidInput):
        why(engine, read_definition(definition(BLEED, EndStrategy={"Whenever": {}})), 1)


def _match(criterion: dict[str, Any], low: int, high: int, **more: Any) -> dict[str, Any]:
    edges = {"Start": {"Days": abs(low), "Coeff": -1 if low < 0 else 1}, "End": {"Days": high, "Coeff": 1}}
    return {"Criteria": criterion, "StartWindow": edges, "Occurrence": {"Type": 2, "Count": 1}, **more}


def test_all_persons_agree_with_the_attrition(engine: DuckDBEngine) -> None:
    """Nested criteria, additional criteria, limits: the sums over persons are the attrition's numbers."""
    inner = {"Type": "ALL", "CriteriaList": [_match({"VisitOccurrence": {}}, -30, 30)]}
    first = {"DrugExposure": {"CodesetId": 1, "First": True, "CorrelatedCriteria": inner}}
    group = {"Type": "ANY", "CriteriaList": [_match(first, -9999, 0), _match(BLEED, 1, 9999)]}
    adult = {"Type": "ALL", "DemographicCriteriaList": [{"Age": {"Value": 30, "Op": "gte"}}]}
    text = definition(
        BLEED,
        sets=[concept_set(0, 192671), concept_set(1, 1118084)],
        AdditionalCriteria=group,
        InclusionRules=[{"name": "adult", "expression": adult}],
    )
    asked = read_definition(json.dumps(json.loads(text)))
    rows = generate(engine, {"c": asked}).rows
    people = sorted(set(rows["subject_id"].to_pylist()))[:3]
    assert people
    for person in people:
        found = why(engine, asked, person)
        assert found.in_cohort
        kept = next(entry for entry in found.entries if entry.included)
        assert kept.additional is not None
        assert any(each.holds and each.found for each in kept.additional.criteria)
        assert kept.rules[0].criteria[0].days is None
    assert attrition(engine, asked)[-1].persons == len(set(rows["subject_id"].to_pylist()))
