"""Circe (ATLAS) document → plan: the whole expression. Criteria are in `lower_criteria.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.cohorts.document import Part
from workbench.cohorts.lower_criteria import Sets, demographics, events
from workbench.cohorts.plan import (
    Bound,
    Clip,
    Collapse,
    DrugEra,
    EndOfObservation,
    Entry,
    Exit,
    Group,
    Limit,
    LimitKind,
    Match,
    Offset,
    Plan,
    Rule,
    Side,
    Window,
)
from workbench.kernel.errors import InvalidInput

_OCCURRENCE = {0: "=", 1: "<=", 2: ">="}
_GROUPS = {"ALL": "all", "ANY": "any", "AT_LEAST": "at least", "AT_MOST": "at most"}


def lower(document: Mapping[str, Any]) -> Plan:
    """Return the plan of a Circe document. Raises InvalidInput with the path of the first part that cannot be run."""
    root = Part(document)
    sets = Sets.read(root.get("ConceptSets"))
    additional = root.get("AdditionalCriteria")
    pad = root.get("CollapseSettings").get("EraPad").days(0)
    return Plan(
        entry=_entry(root.need("PrimaryCriteria"), sets),
        additional=_group(additional, sets) if additional else None,
        qualified=_limit(root.get("QualifiedLimit")),
        rules=tuple(
            Rule(" ".join(rule.get("name").label().split()), _group(rule.need("expression"), sets))
            for rule in root.get("InclusionRules").each()
        ),
        limit=_limit(root.get("ExpressionLimit")),
        exit=_exit(root.get("EndStrategy"), sets),
        censoring=tuple(_events(part, sets) for part in root.get("CensoringCriteria").each()),
        collapse=Collapse(pad),
        clip=_clip(root.get("CensorWindow")),
    )


def _limit(part: Part) -> Limit:
    """A limit. One that is absent, or has no type, is First; only a type that is there and null keeps all, as ALL."""
    kind = part.get("Type")
    if not kind:
        return Limit("all" if part.holds("Type") else "first")
    found = kind.text().lower()
    # Circe takes the first event for any word that it does not know.
    return Limit(cast("LimitKind", found) if found in ("all", "last") else "first")


def _entry(part: Part, sets: Sets) -> Entry:
    found = tuple(_events(each, sets) for each in part.need("CriteriaList").each())
    if not found:
        raise InvalidInput("cohort.member_missing", path=f"{part.path}.CriteriaList[0]")
    window = part.get("ObservationWindow")
    limit = part.get("PrimaryCriteriaLimit")
    return Entry(found, window.get("PriorDays").days(0), window.get("PostDays").days(0), _limit(limit))


def _events(part: Part, sets: Sets) -> Any:
    return events(part, sets, _group)


def _group(part: Part, sets: Sets) -> Group:
    kind = part.need("Type")
    word = kind.text().upper()
    if word not in _GROUPS:
        raise kind.wrong(*_GROUPS)
    members = (
        *(_match(each, sets) for each in part.get("CriteriaList").each()),
        *(demographics(each, sets) for each in part.get("DemographicCriteriaList").each()),
        *(_group(each, sets) for each in part.get("Groups").each()),
    )
    count = part.need("Count").whole() if word.startswith("AT_") and members else 0
    return Group(cast("Any", _GROUPS[word]), count, members)


def _match(part: Part, sets: Sets) -> Match:
    found = _events(part.need("Criteria"), sets)
    occurrence = part.need("Occurrence")
    kind = occurrence.get("Type").whole(0)
    if kind not in _OCCURRENCE:
        raise occurrence.get("Type").wrong(*map(str, _OCCURRENCE))
    count = occurrence.get("Count")
    if count.whole(0) < 0:
        raise InvalidInput("cohort.count_negative", path=count.path)
    windows = [_window(part.need("StartWindow"), event_end=False)]
    if part.get("EndWindow"):
        windows.append(_window(part.get("EndWindow"), event_end=True))
    return Match(
        events=found,
        windows=tuple(windows),
        operator=cast("Any", _OCCURRENCE[kind]),
        count=count.whole(0),
        distinct=_distinct(occurrence, found.spec.counts),
        same_visit=part.get("RestrictVisit").flag(),
        beyond_observation=part.get("IgnoreObservationPeriod").flag(),
    )


def _distinct(occurrence: Part, columns: Mapping[str, str]) -> str | None:
    """What distinct counts count: the column named, or the domain's concept where none is."""
    if not occurrence.get("IsDistinct").flag():
        return None
    column = occurrence.get("CountColumn")
    word = column.text() if column else "DOMAIN_CONCEPT"
    if word not in columns:
        raise column.unsupported(word)
    return columns[word]


def _window(part: Part, event_end: bool) -> Window:
    """A window. An end window looks at the event's end unless it says otherwise; the index is its start unless told."""
    use_event = part.get("UseEventEnd")
    event: Side = "end" if (use_event.flag() if use_event else event_end) else "start"
    index: Side = "end" if part.get("UseIndexEnd").flag() else "start"
    return Window(_bound(part.need("Start")), _bound(part.need("End")), index, event)


def _bound(part: Part) -> Bound:
    coefficient = part.get("Coeff").whole(0)
    days = part.get("Days")
    if not days:
        return Bound(None, coefficient == -1)
    return Bound(Part(coefficient * days.days(), days.path).days(), coefficient == -1)


def _exit(part: Part, sets: Sets) -> Exit:
    offset, era = part.get("DateOffset"), part.get("CustomEra")
    if offset and era:
        raise InvalidInput("cohort.two_strategies", path=part.path)
    if offset:
        field = offset.need("DateField").text()
        if field not in ("StartDate", "EndDate"):
            raise offset.get("DateField").wrong("StartDate", "EndDate")
        return Offset("end" if field == "EndDate" else "start", offset.get("Offset").days(0))
    if era:
        drugs = era.need("DrugCodesetId")
        supply = era.get("DaysSupplyOverride")
        return DrugEra(
            sets.find(drugs),
            era.get("GapDays").days(0),
            era.get("Offset").days(0),
            supply.days() if supply else None,
            label=sets.label(drugs),
            path=part.path,
        )
    for other in part.members() if part else ():
        raise other.unsupported(other.name)
    return EndOfObservation()


def _clip(part: Part) -> Clip:
    start, end = part.get("StartDate"), part.get("EndDate")
    return Clip(start.day() if start else None, end.day() if end else None)
