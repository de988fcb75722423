"""The difference of two definitions, word for word."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.cohorts.small_cases import documents
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.diff import diff
from workbench.cohorts.shipped import shipped
from workbench.kernel.text import Lang

SHIPPED = read_definition(shipped()["celecoxib_without_prior_gi_bleed"])


def edited(**edits: Any) -> Definition:
    """The shipped definition after some edits: a function of the document each."""
    document = copy.deepcopy(dict(SHIPPED.document))
    for edit in edits.values():
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


GOLDEN: dict[str, tuple[Any, list[str], list[str]]] = {}
