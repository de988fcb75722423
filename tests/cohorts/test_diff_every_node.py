"""Whatever changes in a definition is told, and where: one node at a time, and attribute by attribute."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.cohorts.check_cases import match, rule
from tests.cohorts.conftest import BLEED, definition
from tests.cohorts.every_attribute import SETS, samples
from tests.cohorts.test_describe import whole
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.diff import diff
from workbench.cohorts.domains import DOMAINS
from workbench.kernel.errors import UserError
from workbench.kernel.text import LANGS, say

QUIET = {say(f"cohort.diff_{key}", lang) for key in ("none", "no_effect") for lang in LANGS}
WORDS = {
    "ALL": "ANY", "ANY": "ALL", "AT_LEAST": "AT_MOST", "All": "Last", "First": "Last", "gte": "lt", "ERA": "ERA",
    "StartDate": "EndDate", "2010-01-01": "2011-01-01", "2020-01-01": "2021-01-01",
}  # fmt: skip
DECORATION = re.compile(r"CONCEPT_NAME|STANDARD_CONCEPT|CollapseType|\.concept$")
"""What no rule reads."""


def nodes(part: Any, path: str = "$") -> Iterator[tuple[str, list[Any]]]:
    """Every plain value of a document: its path, and the way to it."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in items:
        here = f"{path}.{key}" if isinstance(part, dict) else f"{path}[{key}]"
        if isinstance(value, dict | list):
            yield from ((deeper, [key, *way]) for deeper, way in nodes(value, here))
        else:
            yield here, [key]


def changed(document: dict[str, Any], way: list[Any], value: Any) -> Definition:
    made = copy.deepcopy(document)
    part: Any = made
    for step in way[:-1]:
        part = part[step]
    part[way[-1]] = value
    return read_definition(json.dumps(made))


def others(value: Any) -> list[Any]:
    """Other values of a kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1]
    return [WORDS.get(value, f"{value} x")] if isinstance(value, str) else []


def near(path: str, lines: list[str]) -> bool:
    """Whether a line names the part, something in it, or what it is in."""
    named = [found[1] for line in lines if (found := re.search(r"\[(\$.*)\]$", line))]
    return any(each.startswith(path) or path.startswith(each) for each in named)


def demand(before: Definition, after: Definition, path: str) -> None:
    for lang in LANGS:
        lines = diff(before, after, lang)
        assert lines, path
        assert not QUIET & set(lines), path
        assert near(path, lines), (path, lines)


def test_any_single_node_is_told_with_its_path() -> None:
    document = whole()
    before = read_definition(json.dumps(document))
    told = 0
    for path, way in nodes(document):
        value: Any = document
        for step in way:
            value = value[step]
        for other in others(value) if not DECORATION.search(path) else []:
            try:
                after = changed(document, way, other)
            except UserError:  # a concept set that is not there, a word that Circe does not know
                continue
            if after.plan == before.plan and "name" not in path:
                continue
            demand(before, after, path)
            told += 1
    assert told > 80


REMOVED = [
    "AdditionalCriteria", "InclusionRules", "EndStrategy", "CensoringCriteria", "CensorWindow", "CollapseSettings",
    "QualifiedLimit",
]  # fmt: skip


@pytest.mark.parametrize("member", REMOVED)
def test_a_part_that_comes_or_goes_is_told(member: str) -> None:
    document = whole()
    with_it = read_definition(json.dumps(document))
    without = read_definition(json.dumps({key: value for key, value in document.items() if key != member}))
    if with_it.plan != without.plan:
        demand(with_it, without, f"$.{member}")
        demand(without, with_it, f"$.{member}")


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_every_attribute_is_told_with_its_criterion(domain: str) -> None:
    for sample in samples():
        if sample.domain != domain:
            continue
        made = [_ruled(domain, each) for each in (sample.bare, *sample.filled)]
        path = f"$.InclusionRules[0].expression.CriteriaList[0].Criteria.{domain}.{sample.member}"
        for before, after in [*pairwise(made), (made[-1], made[0])]:
            demand(before, after, path)


def _ruled(domain: str, criterion: dict[str, Any]) -> Definition:
    rules = [rule(match({domain: criterion}, -30, 0))]
    return read_definition(definition(BLEED, sets=SETS, InclusionRules=rules))


def test_places_of_lists() -> None:
    """Criteria and rules that come first, last or between are told where they stand."""
    extra = {"Death": {}}
    for at in (0, 1, 2):
        document = whole()
        before = read_definition(json.dumps(document))
        document["PrimaryCriteria"]["CriteriaList"].insert(at, {"VisitOccurrence": {}})
        document["CensoringCriteria"].insert(min(at, 1), extra)
        after = read_definition(json.dumps(document))
        lines = diff(before, after, "en")
        assert any(f"$.PrimaryCriteria.CriteriaList[{at}]" in line for line in lines)
        assert any(f"$.CensoringCriteria[{min(at, 1)}]" in line for line in lines)
