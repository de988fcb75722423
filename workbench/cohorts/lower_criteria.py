"""Circe (ATLAS) document → plan: one criterion, its attributes, its concept sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from workbench.cohorts.document import MOST_EXACT, Part
from workbench.cohorts.domains import CRITERIA_TYPES, DOMAINS, Attribute, Domain
from workbench.cohorts.plan import (
    Abnormal,
    Adjust,
    Compare,
    Demographics,
    Events,
    Group,
    InSet,
    Operator,
    Test,
    TextTest,
)
from workbench.kernel.errors import InvalidInput
from workbench.vocabulary.concept_sets import ConceptSet, Item

_OPERATORS: Mapping[str, Operator] = {
    "lt": "<", "lte": "<=", "eq": "=", "!eq": "<>", "gt": ">", "gte": ">=", "bt": "between", "!bt": "not between",
}  # fmt: skip
_PLACES = {"contains": "contains", "startsWith": "starts", "endsWith": "ends"}
_ABNORMAL = ConceptSet((Item(4155142), Item(4155143)), literal=True)
"""SNOMED "abnormally low" and "abnormally high", the two coded values that Circe takes for abnormal."""
_DEMOGRAPHICS: Mapping[str, Attribute] = {
    "Age": Attribute("whole", "age_at_start"),
    "Gender": Attribute("concepts", "gender"),
    "GenderCS": Attribute("selection", "gender"),
    "Race": Attribute("concepts", "race"),
    "RaceCS": Attribute("selection", "race"),
    "Ethnicity": Attribute("concepts", "ethnicity"),
    "EthnicityCS": Attribute("selection", "ethnicity"),
    "OccurrenceStartDate": Attribute("date", "start_date"),
    "OccurrenceEndDate": Attribute("date", "end_date"),
}


@dataclass(frozen=True)
class Sets:
    """The concept sets of one document, by their id there."""

    found: Mapping[int, ConceptSet]
    names: Mapping[int, str]

    @classmethod
    def read(cls, part: Part) -> Sets:
        """Read the document's concept sets. Raises InvalidInput where two have one id."""
        found: dict[int, ConceptSet] = {}
        names: dict[int, str] = {}
        for each in part.each():
            key = each.get("id").whole(0)
            if key in found:
                raise InvalidInput("cohort.set_twice", path=each.path, id=key)
            items = tuple(_item(item) for item in each.get("expression").get("items").each())
            found[key] = ConceptSet(items)
            names[key] = " ".join((each.get("name").label() or str(key)).split())
        return cls(found, names)

    def find(self, part: Part) -> ConceptSet:
        """Return the set that a part refers to. Raises InvalidInput where the document has none of that id."""
        key = part.whole()
        if key not in self.found:
            raise InvalidInput("cohort.set_missing", path=part.path, id=key)
        return self.found[key]

    def label(self, part: Part) -> str:
        """Return the name of the set that a part refers to; empty where it refers to none."""
        return self.names.get(part.whole(), "") if part else ""


def _item(part: Part) -> Item:
    concept = part.need("concept").need("CONCEPT_ID")
    flags = (part.get(member).flag() for member in ("isExcluded", "includeDescendants", "includeMapped"))
    return Item(concept.whole(most=MOST_EXACT), *flags)


def events(part: Part, sets: Sets, group: Callable[[Part, Sets], Group]) -> Events:
    """Return the events of one criterion `{TYPE: {…}}`."""
    criteria = [each for each in part.members() if each.name in CRITERIA_TYPES]
    if len(criteria) > 1:
        raise InvalidInput("cohort.two_criteria", path=part.path, names=", ".join(each.name for each in criteria))
    if not criteria:
        for each in part.members():
            raise InvalidInput("cohort.unknown_criteria", path=each.path, name=each.name)
        raise InvalidInput("cohort.member_missing", path=part.path)
    found = criteria[0]
    spec = DOMAINS[found.name]
    return _events(found, spec, sets, group)


def _events(part: Part, spec: Domain, sets: Sets, group: Callable[[Part, Sets], Group]) -> Events:
    codes = part.get("CodesetId") if "UserDefinedPeriod" not in spec.attributes else Part(None)
    source = part.get(spec.source_member) if spec.source_member else Part(None)
    around, period = part.get("CorrelatedCriteria"), part.get("UserDefinedPeriod")
    start, end = period.get("StartDate"), period.get("EndDate")
    context = group(around, sets) if around else None
    return Events(
        domain=spec.criteria,
        concepts=sets.find(codes) if codes else None,
        source=sets.find(source) if source else None,
        first=part.get("First").flag() and spec.criteria not in ("Death", "LocationRegion"),
        adjust=_adjust(part.get("DateAdjustment"), spec),
        tests=_tests(part, spec.attributes, sets),
        period_start=start.day() if start else None,
        period_end=end.day() if end else None,
        around=context if context and context.members else None,
        label=sets.label(codes),
        source_label=sets.label(source),
        path=part.path,
    )


def _adjust(part: Part, spec: Domain) -> Adjust | None:
    if not part or not spec.adjusts:
        return None
    words = {"START_DATE": "start", "END_DATE": "end", 0: "start", 1: "end"}
    sides: list[Literal["start", "end"]] = []
    for member, default in (("StartWith", "START_DATE"), ("EndWith", "END_DATE")):
        word = part.get(member)
        # A null is no start: Circe then takes the end.
        key = word.value if word else "END_DATE" if part.holds(member) else default
        if not isinstance(key, str | int) or key not in words:
            raise word.wrong("START_DATE", "END_DATE")
        sides.append(cast("Literal['start', 'end']", words[key]))
    if spec.criteria == "Death":  # Circe starts from the death and ends from the day after, whatever is asked
        sides = ["start", "end"]
    return Adjust(sides[0], part.get("StartOffset").days(0), sides[1], part.get("EndOffset").days(0))


def demographics(part: Part, sets: Sets) -> Demographics:
    """Return the tests of a demographic criterion."""
    return Demographics(_tests(part, _DEMOGRAPHICS, sets), part.path)


def _tests(part: Part, attributes: Mapping[str, Attribute], sets: Sets) -> tuple[Test, ...]:
    found: list[Test] = []
    for member, attribute in attributes.items():
        value = part.get(member)
        if value and attribute.kind != "period":
            exclude = attribute.exclude is not None and part.get(attribute.exclude).flag()
            found += _test(value, attribute, exclude, sets)
    return tuple(found)


def _test(part: Part, attribute: Attribute, exclude: bool, sets: Sets) -> list[Test]:
    """Return the test of one attribute, or none where it is an empty list or a flag that is off."""
    match attribute.kind:
        case "concepts":
            return _concepts(part, attribute.field, exclude)
        case "selection":
            chosen, negated = part.get("CodesetId"), part.get("IsExclusion").flag()
            concepts = sets.find(chosen) if chosen else None
            return [InSet(attribute.field, concepts, negated, label=sets.label(chosen))]
        case "set":
            return [InSet(attribute.field, sets.find(part), label=sets.label(part))]
        case "text":
            return [_text(part, attribute.field)]
        case "abnormal":
            return [Abnormal(_ABNORMAL)] if part.flag() else []
        case _:
            return [_range(part, attribute)]


def _concepts(part: Part, where: str, negated: bool) -> list[Test]:
    parts = list(part.each())
    if not parts:
        return []
    ids = tuple(sorted({each.need("CONCEPT_ID").whole(most=MOST_EXACT) for each in parts}))
    names = (each.get("CONCEPT_NAME").label() or each.get("CONCEPT_ID").label() for each in parts)
    label = ", ".join(dict.fromkeys(names))
    return [InSet(where, ConceptSet(tuple(Item(concept) for concept in ids), literal=True), negated, label=label)]


def _text(part: Part, where: str) -> TextTest:
    word = part.need("Op").text()
    place = word.removeprefix("!")
    if place not in _PLACES:
        raise part.get("Op").wrong(*(f"{no}{op}" for no in ("", "!") for op in _PLACES))
    # A filter without its text is one for the word "null" in Circe; its rows are the rows to give. So are those of a
    # quote after backslashes: they are gone.
    words = re.sub(r"\\*'", "'", part.get("Text").text()) if part.get("Text") else "null"
    return TextTest(where, cast("Literal['contains']", _PLACES[place]), words, word.startswith("!"))


def _range(part: Part, attribute: Attribute) -> Compare:
    word = part.need("Op").text()
    if word not in _OPERATORS:
        raise part.get("Op").wrong(*_OPERATORS)
    ends = [part.need("Value")] + ([part.need("Extent")] if word.endswith("bt") else [])
    match attribute.kind:
        case "date":
            values = [each.day() for each in ends]
        case "whole":
            values = [each.number().to_integral_value("ROUND_DOWN") for each in ends]
        case _:
            values = [each.decimal() for each in ends]
    return Compare(attribute.field, _OPERATORS[word], values[0], values[1] if len(values) > 1 else None)
