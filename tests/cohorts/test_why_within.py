"""Why, cut to what an extract shows: nothing that its reader could not look up there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.conftest import BLEED, concept_set, definition
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.generate import generate
from workbench.cohorts.plan import Match
from workbench.cohorts.why import why
from workbench.cohorts.why_within import View, reads, within
from workbench.cohorts.why_words import Explanation
from workbench.engines.duckdb import DuckDBEngine

CONDITIONS = {("condition_occurrence", "condition_start_date"), ("condition_occurrence", "condition_concept_id")}
DRUGS = {("drug_exposure", "drug_exposure_start_date"), ("drug_exposure", "drug_concept_id")}
PERSON = {("person", "age_at_index"), ("person", "gender_concept_id")}
ALL = CONDITIONS | DRUGS | PERSON


def match(criterion: dict[str, Any], kind: int = 2, count: int = 1) -> dict[str, Any]:
    edges = {"Start": {"Days": None, "Coeff": -1}, "End": {"Days": 30, "Coeff": 1}}
    return {"Criteria": criterion, "StartWindow": edges, "Occurrence": {"Type": kind, "Count": count}}


def asked() -> Definition:
    """Patients with a bleeding; an aspirin, or a man; and in brackets an osteoarthritis with a visit around it."""
    visit = {"Type": "ALL", "CriteriaList": [match({"VisitOccurrence": {}}, 2, 0)]}
    joint = {"ConditionOccurrence": {"CodesetId": 2, "CorrelatedCriteria": visit}}
    male = {"Gender": [{"CONCEPT_ID": 8507, "CONCEPT_NAME": "MALE"}]}
    group = {
        "Type": "ANY",
        "CriteriaList": [match({"DrugExposure": {"CodesetId": 1}}), match(joint), match(BLEED)],
        "DemographicCriteriaList": [male],
    }
    sets = [concept_set(0, 192671), concept_set(1, 1112807), concept_set(2, 80180)]
    rules = [{"name": "any of these", "expression": group}]
    primary = {
        "CriteriaList": [BLEED],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
    return read_definition(definition(BLEED, sets=sets, InclusionRules=rules, PrimaryCriteria=primary))


@pytest.fixture
def found(patients: dict[str, Path]) -> Iterator[tuple[Explanation, date]]:
    """Somebody who had an aspirin before the bleeding, and the day of that bleeding."""
    with DuckDBEngine.over_parquet(patients, threads=2) as engine:
        rows = generate(engine, {"c": asked()}).rows.to_pylist()
        for row in rows:
            told = why(engine, asked(), row["subject_id"])
            if min(told.entries[0].rules[0].criteria[0].days or [0]) < 0:
                yield told, row["cohort_start_date"]
                return
    raise AssertionError("nobody took aspirin")


def view(index: date, columns: set[tuple[str, str]], days: dict[str, set[int]], **more: Any) -> View:
    limits: dict[str, Any] = {"before": 10, "after": 20, "end": 30, "hidden": set(), **more}
    return View(index=index, columns=columns, days=days, **limits)


def test_without_columns_only_that_the_person_is_in(found: tuple[Explanation, date]) -> None:
    told, index = found
    shown = within(told, view(index, set(), {}))
    assert shown.in_cohort
    assert shown.periods == ((0, 30),)
    assert shown.anchor is None
    assert (shown.events_with_codes, shown.events_with_attributes) == (None, None)
    entry = next(iter(shown.entries))
    assert (entry.observed_before, entry.observed_after) == (10, 20)
    assert [(each.holds, each.days) for each in entry.rules[0].criteria] == [(None, None)] * 4
    lines = shown.lines("en")
    assert all(line.startswith("    not shown, since it is not part of the extract: ") for line in lines[3:])
    assert shown.lines("fr")[3].startswith("    non montré, car hors de l’extrait : au moins une exposition")
    assert not any(str(day) in line for line in lines for day in told.entries[0].rules[0].criteria[0].days or ())


def test_days_of_delivered_rows(found: tuple[Explanation, date]) -> None:
    told, index = found
    days = list(told.entries[0].rules[0].criteria[0].days or [])
    shown = within(told, view(index, ALL, {"drug_exposure": {days[0], 3}, "condition_occurrence": {0}}))
    drug, joint, bleed, male = shown.entries[0].rules[0].criteria
    assert drug.holds
    assert drug.days == (days[0],)
    assert (joint.holds, joint.days) == (None, None)  # the visit around it is not in view
    assert bleed.days == (0,)
    assert male.holds is not None


def test_sets_of_a_sensitive_class(found: tuple[Explanation, date]) -> None:
    told, index = found
    bleed = next(each.asked for each in told.entries[0].rules[0].criteria[2:3])
    assert isinstance(bleed, Match)
    shown = within(told, view(index, ALL, {"condition_occurrence": {0}}, hidden={bleed.events.concepts}))
    assert shown.entries[0].rules[0].criteria[2].holds is None
    assert shown.entries[0].rules[0].criteria[0].holds is not None


def test_another_index_shows_no_entry(found: tuple[Explanation, date]) -> None:
    told, index = found
    shown = within(told, view(index + timedelta(1), ALL, {}))
    assert shown.entries == ()
    assert shown.periods == ()


READS = [
    ({"CodesetId": 0}, CONDITIONS),
    ({}, {("condition_occurrence", "condition_start_date")}),
    ({"CodesetId": 0, "Age": {"Value": 40, "Op": "gt"}}, CONDITIONS | {("person", "age_at_index")}),
    ({"CodesetId": 0, "OccurrenceStartDate": {"Value": "2020-01-01", "Op": "gt"}}, CONDITIONS | {("calendar", "date")}),
    (
        {"CodesetId": 0, "OccurrenceEndDate": {"Value": "2020-01-01", "Op": "gt"}},
        CONDITIONS | {("calendar", "date"), ("condition_occurrence", "condition_end_date")},
    ),
    (
        {"CodesetId": 0, "VisitType": [{"CONCEPT_ID": 9201}]},
        CONDITIONS | {("visit_occurrence", "visit_concept_id")},
    ),
    (
        {"CodesetId": 0, "ProviderSpecialty": [{"CONCEPT_ID": 1}]},
        CONDITIONS | {("provider", "provider_id"), ("condition_occurrence", "provider_id")},
    ),
    ({"ConditionSourceConcept": 0}, {("condition_occurrence", "condition_start_date"),
                                     ("condition_occurrence", "condition_source_concept_id")}),
    ({"CodesetId": 0, "StopReason": {"Text": "x", "Op": "contains"}},
     CONDITIONS | {("condition_occurrence", "stop_reason")}),
]  # fmt: skip


@pytest.mark.parametrize(("criterion", "columns"), READS)
def test_what_a_criterion_reads(criterion: dict[str, Any], columns: set[tuple[str, str]]) -> None:
    group = {"Type": "ALL", "CriteriaList": [match({"ConditionOccurrence": criterion})]}
    plan = read_definition(definition(BLEED, InclusionRules=[{"name": "r", "expression": group}])).plan
    asked = plan.rules[0].group.members[0]
    assert isinstance(asked, Match)
    assert reads(asked) == columns


def test_what_counts_and_windows_read() -> None:
    def reading(**more: Any) -> frozenset[tuple[str, str]]:
        group = {"Type": "ALL", "CriteriaList": [{**match(BLEED), **more}]}
        plan = read_definition(definition(BLEED, InclusionRules=[{"name": "r", "expression": group}])).plan
        asked = plan.rules[0].group.members[0]
        assert isinstance(asked, Match)
        return reads(asked) - CONDITIONS

    def distinct(column: str) -> dict[str, Any]:
        return {"Type": 2, "Count": 2, "IsDistinct": True, "CountColumn": column}

    edges = {"Start": {"Days": 0, "Coeff": -1}, "End": {"Days": 30, "Coeff": 1}}
    assert reading() == frozenset()
    assert reading(EndWindow=edges) == {("condition_occurrence", "condition_end_date")}
    assert reading(RestrictVisit=True) == {("condition_occurrence", "visit_occurrence_id")}
    assert reading(Occurrence=distinct("VISIT_ID")) == {("condition_occurrence", "visit_occurrence_id")}
    assert reading(Occurrence=distinct("DURATION")) == {("condition_occurrence", "condition_end_date")}
    assert reading(Occurrence=distinct("START_DATE")) == frozenset()
