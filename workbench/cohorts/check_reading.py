"""What checks read: the document's parts, its criteria, and its criteria in groups beside their plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal, cast

from workbench.cohorts.circe import Definition
from workbench.cohorts.describe_events import Words
from workbench.cohorts.document import Part
from workbench.cohorts.domains import CRITERIA_TYPES, DOMAINS, Domain
from workbench.cohorts.lower import lower
from workbench.cohorts.plan import Demographics, Events, Group, Match, Plan
from workbench.kernel.errors import UserError
from workbench.kernel.text import LANGS, Lang, say

LISTS = ("CriteriaList", "DemographicCriteriaList", "Groups")
_SET_MEMBERS = frozenset({"CodesetId", "DrugCodesetId"})
HINTS = frozenset(
    {
        "set_same_concepts", "set_unnamed", "concept_twice", "concept_invalid", "rule_unnamed", "domain_partly_wrong",
        "source_standard", "value_without_unit", "first_before_tests", "range_idle", "distinct_one", "drug_end_date",
        "window_unobserved", "follow_up_unobserved", "rule_implied", "qualified_idle", "limit_idle", "prior_long",
        "all_until_observation_ends", "pad_idle", "exit_drug_foreign", "exclusion_idle", "exit_before_end",
    }
)  # fmt: skip
"""Codes of what is worth knowing; all others are questions that their author should answer."""
_COUNTED = frozenset(
    {
        "concept_twice", "concept_in_and_out", "not_standard", "concept_invalid", "domain_partly_wrong",
        "concept_unknown", "exclusion_idle", "group_impossible", "group_idle",
    }
)  # fmt: skip
"""Codes that have words of their own (`one_…`) where their `count` is one."""


@dataclass(frozen=True)
class Question:
    """A question about one part of a definition: its code, the part's path, and words in both languages."""

    code: str
    path: str
    facts: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)

    @property
    def level(self) -> Literal["question", "hint"]:
        """Return whether it is a question, or a hint that changes no verdict."""
        return "hint" if self.code in HINTS else "question"

    def text(self, lang: Lang) -> str:
        """Return the question in one language."""
        key = "one" if self.code in _COUNTED and self.facts.get("count") == 1 else "check"
        return say(f"cohort.{key}_{self.code}", lang, **{name: _in(value, lang) for name, value in self.facts.items()})


def set_id(part: Part) -> int:
    """Return the number of a concept set, where it stands or where it is referred to, as the plan reads it."""
    return part.whole(0)


def days_in_words(count: int) -> dict[Lang, str]:
    """Return a number of days in both languages, as a fact of a question."""
    return {lang: Words(lang).days(count) for lang in LANGS}


def _in(value: object, lang: Lang) -> object:
    """A fact in one language, where it is given in both."""
    return cast("dict[str, object]", value)[lang] if isinstance(value, dict) else value


@dataclass(frozen=True)
class Criterion:
    """One criterion of the document: its attributes, its domain."""

    part: Part
    spec: Domain


@dataclass(frozen=True)
class Placed:
    """A member of a group beside its plan. `must` is whether every event kept meets it, and `nested` whether its index
    is not the entry event."""

    part: Part
    member: Match | Demographics
    must: bool
    nested: bool


@dataclass(frozen=True)
class Reading:
    """A definition as checks see it; `plan` is None where it cannot be run, `error` says why."""

    definition: Definition
    root: Part
    plan: Plan | None
    error: UserError | None
    today: date

    @classmethod
    def of(cls, definition: Definition, today: date) -> Reading:
        """Read a definition."""
        root = Part(definition.document)
        try:
            return cls(definition, root, lower(definition.document), None, today)
        except UserError as error:
            return cls(definition, root, None, error, today)

    @cached_property
    def everything(self) -> list[Part]:
        """Every object and list item of the document, outer ones first."""
        return list(_walk(self.root))

    @cached_property
    def parts(self) -> list[Part]:
        """Every object outside the concept sets and single concepts, outer ones first."""
        return [part for part in self.everything if not part.path.startswith("$.ConceptSets") and _plain(part)]

    @cached_property
    def criteria(self) -> list[Criterion]:
        """Every criterion of the document, nested ones too."""
        return [
            Criterion(part, DOMAINS[part.name])
            for part in self.parts
            if part.name in CRITERIA_TYPES and not part.path.endswith("]")
        ]

    @cached_property
    def sets(self) -> dict[int, Part]:
        """The concept sets by their id."""
        return {set_id(each.get("id")): each for each in self.root.get("ConceptSets").each()}

    @cached_property
    def used(self) -> dict[int, list[Part]]:
        """Where each concept set is referred to, by its id."""
        found: dict[int, list[Part]] = {}
        for part in self.parts:
            for member in part.members():
                if names_set(member):
                    found.setdefault(set_id(member), []).append(member)
        return found

    def set_of(self, reference: Part) -> Part | None:
        """Return the concept set that a member refers to, if the document has it."""
        return self.sets.get(set_id(reference)) if reference else None

    @cached_property
    def placed(self) -> list[Placed]:
        """The members of all groups beside their plans."""
        return list(self._placed()) if self.plan else []

    @property
    def required(self) -> list[Placed]:
        """What every entry event that is kept must meet."""
        return [each for each in self.placed if each.must and not each.nested]

    def _placed(self) -> Iterator[Placed]:
        assert self.plan is not None
        if self.plan.additional is not None:
            yield from _members(self.root.get("AdditionalCriteria"), self.plan.additional, must=True, nested=False)
        for part, rule in zip(self.root.get("InclusionRules").each(), self.plan.rules, strict=True):
            yield from _members(part.get("expression"), rule.group, must=True, nested=False)
        lists = (self.root.get("PrimaryCriteria").get("CriteriaList"), self.root.get("CensoringCriteria"))
        for places, kinds in zip(lists, (self.plan.entry.events, self.plan.censoring), strict=True):
            for part, events in zip(places.each(), kinds, strict=True):
                yield from _around(part, events)


def _walk(part: Part) -> Iterator[Part]:
    value = part.value
    if isinstance(value, dict):
        yield part
        for member in part.members():
            yield from _walk(member)
    elif isinstance(value, list):
        for place, each in enumerate(cast("list[Any]", value)):
            if each is not None:  # where a rule reads it, `cannot_run` names the gap
                yield from _walk(Part(each, f"{part.path}[{place}]"))


def _plain(part: Part) -> bool:
    return not (part.get("CONCEPT_ID") or part.name == "concept")


def names_set(member: Part) -> bool:
    """Return whether a member refers to a concept set: by its known names, or by a number under `…Concept`."""
    return isinstance(member.value, int | float | str) and (
        member.name in _SET_MEMBERS or member.name.endswith("Concept")
    )


def _members(part: Part, group: Group, *, must: bool, nested: bool) -> Iterator[Placed]:
    """The members of a group; those of a group that asks for all of them must be met where the group must."""
    binding = must and (group.kind == "all" or (group.kind in ("any", "at least") and len(group.members) <= 1))
    binding = binding or (must and group.kind == "at least" and group.count >= len(group.members))
    places = [each for member in LISTS for each in part.get(member).each()]
    for place, member in zip(places, group.members, strict=True):
        if isinstance(member, Group):
            yield from _members(place, member, must=binding, nested=nested)
            continue
        yield Placed(place, member, binding, nested)
        if isinstance(member, Match):
            yield from _around(place.get("Criteria"), member.events)


def _around(part: Part, events: Events) -> Iterator[Placed]:
    if events.around is not None:
        inner = part.get(events.domain).get("CorrelatedCriteria")
        yield from _members(inner, events.around, must=False, nested=True)
