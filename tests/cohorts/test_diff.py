"""The difference of two definitions, word for word."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tests.cohorts.small_cases import documents
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.diff import diff
from workbench.cohorts.plan import Limit, Plan
from workbench.cohorts.shipped import shipped
from workbench.kernel.errors import UserError
from workbench.kernel.text import LANGS, Lang, say

SHIPPED = read_definition(shipped()["celecoxib_without_prior_gi_bleed"])


def edited(*edits: Any) -> Definition:
    """The shipped definition after some edits: a function of the document each."""
    document = copy.deepcopy(dict(SHIPPED.document))
    for edit in edits:
        edit(document)
    return read_definition(json.dumps(document))


def rule(document: Any, at: int) -> Any:
    return document["InclusionRules"][at]["expression"]


def _window(document: Any) -> None:
    rule(document, 0)["CriteriaList"][0]["StartWindow"]["Start"]["Days"] = 180


def _concepts(document: Any) -> None:
    items = document["ConceptSets"][1]["expression"]["items"]
    items[0]["includeDescendants"] = False
    extra = copy.deepcopy(document["ConceptSets"][3]["expression"]["items"][0])
    items.append({**extra, "isExcluded": True})


def _sets(document: Any) -> None:
    document["ConceptSets"][0]["name"] = "Coxibs"
    extra = copy.deepcopy(document["ConceptSets"][1])
    document["ConceptSets"].append({**extra, "id": 9, "name": "Knee"})


def _rules(document: Any) -> None:
    document["InclusionRules"][0]["name"] = "Osteoarthritis before entry"
    removed = document["InclusionRules"].pop()
    adult = {"Type": "ALL", "CriteriaList": [], "DemographicCriteriaList": [{"Age": {"Value": 18, "Op": "gte"}}]}
    document["InclusionRules"].append({"name": "Adults", "expression": {**adult, "Groups": []}})
    assert removed["name"] != "Adults"


def _entry(document: Any) -> None:
    primary = document["PrimaryCriteria"]
    primary["ObservationWindow"]["PriorDays"] = 180
    primary["PrimaryCriteriaLimit"]["Type"] = "All"
    primary["CriteriaList"][0]["DrugExposure"]["Age"] = {"Value": 40, "Op": "gte"}
    primary["CriteriaList"].append({"Death": {}})


def _exit(document: Any) -> None:
    document["EndStrategy"] = {"DateOffset": {"DateField": "StartDate", "Offset": 30}}
    document["CensoringCriteria"] = [{"Death": {}}]
    document["CollapseSettings"]["EraPad"] = 7
    document["CensorWindow"] = {"StartDate": "2015-01-01"}
    document["ExpressionLimit"] = {"Type": "All"}


def _count(document: Any) -> None:
    match = rule(document, 0)["CriteriaList"][0]
    match["Occurrence"]["Count"] = 2
    match["RestrictVisit"] = True
    rule(document, 0)["Type"] = "ANY"


def _adjust(document: Any) -> None:
    document["PrimaryCriteria"]["CriteriaList"][0]["DrugExposure"]["DateAdjustment"] = {"StartOffset": 1}


EDITS = (_window, _concepts, _sets, _rules, _entry, _exit, _count, _adjust)
GOLDEN = json.loads((Path(__file__).parent / "golden/diff.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("lang", LANGS)
def test_words(edit: Any, lang: Lang) -> None:
    assert diff(SHIPPED, edited(edit), lang) == GOLDEN[edit.__name__.strip("_")][lang]


def test_equal_documents() -> None:
    assert diff(SHIPPED, edited(), "en") == ["The two definitions are the same."]
    assert diff(SHIPPED, edited(), "fr") == ["Les deux définitions sont identiques."]


def test_parts_without_effect() -> None:
    changed = edited(lambda document: document.update(Author="someone"))
    assert diff(SHIPPED, changed, "en") == ["They differ only in parts that have no effect on the rows."]


def test_other_numbers_of_the_same_sets_are_no_difference() -> None:
    def renumber(document: Any) -> None:
        document["ConceptSets"][0]["id"] = 77
        document["PrimaryCriteria"]["CriteriaList"][0]["DrugExposure"]["CodesetId"] = 77

    assert diff(SHIPPED, edited(renumber), "en") == ["They differ only in parts that have no effect on the rows."]


def test_other_moved_dates_are_told_once() -> None:
    def later(document: Any) -> None:
        _adjust(document)
        drug = document["PrimaryCriteria"]["CriteriaList"][0]["DrugExposure"]
        drug["DateAdjustment"]["StartOffset"] = 2

    (told,) = diff(edited(_adjust), edited(later), "en")
    assert "counted from 1 day after the start to the end" in told
    assert (
        "→ their first-ever drug exposure to “Celecoxib” (dates counted from 2 days after the start to the end)" in told
    )
    assert told.endswith("[$.PrimaryCriteria.CriteriaList[0]]")


def test_rules_in_another_order() -> None:
    found = diff(SHIPPED, edited(lambda document: document["InclusionRules"].reverse()), "en")
    assert found == ["Rules stand in another order (attrition changes, the rows do not) [$.InclusionRules]"]


PHASES = (Phase.explicit, Phase.generate)  # a definition of this size takes minutes to shrink
SLOW = list(HealthCheck)


def leaves(part: Any) -> list[tuple[Any, Any]]:
    """Every object or list of a document with each of its members that is a plain value."""
    found: list[tuple[Any, Any]] = []
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        found += leaves(value) if isinstance(value, dict | list) else [(part, key)]
    return found


def other(value: Any) -> Any:
    """Another value of the same kind."""
    words = {"ALL": "ANY", "All": "Last", "gt": "lt", "START_DATE": "END_DATE", "StartDate": "EndDate"}
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else words.get(value, value)


def effective(plan: Plan) -> Plan:
    """A plan without what has no effect: the limit after additional criteria where there are none."""
    return plan if plan.additional is not None else replace(plan, qualified=Limit("all"))


@given(document=documents(), at=st.integers(0, 10_000))
@settings(max_examples=150, deadline=None, database=None, derandomize=True, phases=PHASES, suppress_health_check=SLOW)
def test_whatever_changes_the_plan_is_told(document: Any, at: int) -> None:
    changed = copy.deepcopy(document)
    places = leaves(changed)
    part, key = places[at % len(places)]
    part[key] = other(part[key])
    before, after = Definition(document), Definition(changed)
    try:
        same = effective(before.plan) == effective(after.plan)
    except UserError:
        assume(False)
    for lang in LANGS:
        lines = diff(before, after, lang)
        assert same or all(line.endswith("]") for line in lines)


def test_concepts_of_one_name_are_told_apart() -> None:
    def other_code(document: Any) -> None:
        document["ConceptSets"][1]["expression"]["items"][0]["concept"]["CONCEPT_ID"] = 7

    concept = SHIPPED.document["ConceptSets"][1]["expression"]["items"][0]["concept"]
    gone, come = diff(SHIPPED, edited(other_code), "en")
    assert f"removed {concept['CONCEPT_NAME']} ({concept['CONCEPT_ID']})" in gone
    assert f"added {concept['CONCEPT_NAME']} (7)" in come


def _written_otherwise(value: Any, key: str = "") -> Any:
    """A document with its numbers as texts, or as texts with a fraction, and its flags as words."""
    if isinstance(value, dict):
        return {name: _written_otherwise(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_written_otherwise(each) for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if key in ("CodesetId", "id") else f" {value}.0"
    return value


@pytest.mark.parametrize("lang", LANGS)
def test_what_is_only_written_in_another_way_is_no_difference(lang: Lang) -> None:
    for name, path in shipped().items():
        before = read_definition(path)
        after = read_definition(json.dumps(_written_otherwise(before.document)))
        assert after.plan == before.plan, name
        assert diff(before, after, lang) == diff(after, before, lang) == [say("cohort.diff_no_effect", lang)], name


def test_a_flag_that_is_off_is_a_flag_that_is_absent_but_for_one() -> None:
    def windows(**flags: Any) -> Definition:
        def edit(document: Any) -> None:
            match = rule(document, 0)["CriteriaList"][0]
            match["EndWindow"] = {"Start": {"Days": 9, "Coeff": -1}, "End": {"Days": 0, "Coeff": 1}, **flags}

        return edited(edit)

    assert diff(windows(), windows(UseIndexEnd=False), "en") == [say("cohort.diff_no_effect", "en")]
    assert len(diff(windows(), windows(UseEventEnd=False), "en")) == 1


def test_texts_that_look_like_numbers_are_texts() -> None:
    def told(text: str) -> Definition:
        entry = {"Observation": {"ValueAsString": {"Text": text, "Op": "contains"}}}
        return edited(lambda document: document["PrimaryCriteria"]["CriteriaList"].append(entry))

    assert len(diff(told("1"), told("1.0"), "en")) == 1
