"""What a careful reader would question in a definition: it runs, but perhaps not as its author means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from workbench.cohorts.circe import Definition
from workbench.cohorts.document import Part
from workbench.cohorts.lower import lower
from workbench.kernel.errors import UserError
from workbench.kernel.text import Lang, say

_SET_MEMBERS = frozenset({"CodesetId", "DrugCodesetId"})


@dataclass(frozen=True)
class Warning:  # noqa: A001 - the word of the interface; Python's own warnings are not meant here
    """A question about one part of a definition: its code, the part's path, and words in both languages."""

    code: str
    path: str
    facts: Mapping[str, object] = field(default_factory=dict[str, object])

    def text(self, lang: Lang) -> str:
        """Return the question in one language."""
        return say(f"cohort.check_{self.code}", lang, **self.facts)


def check(definition: Definition) -> list[Warning]:
    """Return the questions about a definition, in the order of the document. What cannot be run is one of them."""
    root = Part(definition.document)
    found = [*_unrunnable(definition), *_sets(root)]
    for part in _walk(root):
        found += _window(part)
        found += _numbers(part)
        found += _group(part)
        found += _drug_end(part)
    found += [Warning("unknown_member", path) for path in definition.unknown]
    return found


def _unrunnable(definition: Definition) -> Iterator[Warning]:
    try:
        lower(definition.document)
    except UserError as error:
        yield Warning("cannot_run", str(error.facts.get("path", "$")), {"reason": error.text("en").what})


def _walk(part: Part) -> Iterator[Part]:
    """Yield every object of the document outside the concept sets, outer ones first."""
    if isinstance(part.value, dict):
        yield part
        for member in part.members():
            if member.name not in ("ConceptSets", "concept"):
                yield from _walk(member)
    elif isinstance(part.value, list):
        for each in part.each():
            yield from _walk(each)


def _sets(root: Part) -> Iterator[Warning]:
    used = {member.value for part in _walk(root) for member in part.members() if _names_set(member)}
    for each in root.get("ConceptSets").each():
        name = str(each.get("name").value or each.get("id").value)
        items: list[Any] = list(each.get("expression").get("items").each())
        if each.get("id").value not in used:
            yield Warning("set_unused", each.path, {"name": name})
        elif not items:
            yield Warning("set_empty", each.path, {"name": name})
        elif all(item.get("isExcluded").flag() for item in items):
            yield Warning("set_only_excluded", each.path, {"name": name})
        for item in items:
            standard = item.get("concept").get("STANDARD_CONCEPT").value
            if standard in ("N", "C") and not item.get("includeMapped").flag():
                label = str(item.get("concept").get("CONCEPT_NAME").value or "")
                yield Warning("not_standard", item.path, {"name": label})


def _names_set(member: Part) -> bool:
    """Whether a member refers to a concept set: by its known names, or by a number under `…Concept`."""
    return isinstance(member.value, int) and (member.name in _SET_MEMBERS or member.name.endswith("Concept"))


def _window(part: Part) -> Iterator[Warning]:
    """A window whose start lies after its end holds nothing."""
    if part.name not in ("StartWindow", "EndWindow"):
        return
    edges = [part.get("Start"), part.get("End")]
    days = [edge.get("Days") for edge in edges]
    if all(days):
        low, high = (edge.get("Coeff").whole(0) * day.whole() for edge, day in zip(edges, days, strict=True))
        if low > high:
            yield Warning("window_empty", part.path, {"low": low, "high": high})
    elif not days[1] and edges[1].get("Coeff").whole(0) == -1:
        yield Warning("window_before_observation", part.path)


def _numbers(part: Part) -> Iterator[Warning]:
    """A range whose end lies before its start holds nothing."""
    if part.get("Op").value != "bt" or not part.get("Extent"):
        return
    try:
        ends: list[Decimal | date] = (
            [part.get("Value").day(), part.get("Extent").day()]
            if isinstance(part.get("Value").value, str)
            else [part.get("Value").number(), part.get("Extent").number()]
        )
    except UserError:
        return
    if ends[0] > ends[1]:  # type: ignore[operator]
        yield Warning("range_empty", part.path, {"low": str(ends[0]), "high": str(ends[1])})


def _group(part: Part) -> Iterator[Warning]:
    kind = part.get("Type").value
    if not isinstance(kind, str) or not part.get("CriteriaList"):
        return
    members = sum(len(list(part.get(name).each())) for name in ("CriteriaList", "DemographicCriteriaList", "Groups"))
    count = part.get("Count").value
    if members == 0 and kind.upper() in ("ALL", "ANY", "AT_LEAST", "AT_MOST"):
        yield Warning("group_empty", part.path)
    elif kind.upper() == "AT_LEAST" and isinstance(count, int) and count > members:
        yield Warning("group_impossible", part.path, {"count": count, "members": members})


def _drug_end(part: Part) -> Iterator[Warning]:
    """Circe tests a drug exposure's start where the end is asked for; so do we, to give its rows."""
    if part.name == "DrugExposure" and part.get("OccurrenceEndDate"):
        yield Warning("drug_end_date", f"{part.path}.OccurrenceEndDate")
