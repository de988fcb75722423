"""A whole definition: from entry events to the rows of the cohort, one person at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from workbench.cohorts.reference.database import Database, Tables
from workbench.cohorts.reference.groups import Index, World, holding, observed
from workbench.cohorts.reference.values import Json, day, later, not_covered, whole

Period = tuple[date, date]


def interpret(document: Json, tables: Tables | Database) -> list[tuple[int, date, date]]:
    """Return a cohort's rows (person, first day, last day), sorted. Raises InvalidInput for what has no rule here."""
    world = World(document, tables if isinstance(tables, Database) else Database(tables))
    people = {row["person_id"] for row in world.database.rows("observation_period")}
    return sorted((person, *period) for person in people for period in _periods(document, person, world))


def _periods(document: Json, person: int, world: World) -> list[Period]:
    kept = qualified(document, entries(document["PrimaryCriteria"], person, world), world)
    kept = included(document, kept, world)
    ended = [(index.start, end) for index in kept for end in _end(document, index, world)]
    return _clipped(document.get("CensorWindow") or {}, _collapsed(document, ended))


def entries(primary: Json, person: int, world: World) -> list[Index]:
    """Return the entry events: observed long enough before and after, numbered, all or the first or the last.

    Ties of one day: the lowest id, then the criterion that comes first, then the earlier end, then the earlier period.
    The day that orders them is the recorded one, even where the author put a period of his own in its place.
    """
    window: Json = primary.get("ObservationWindow") or {}
    before, after = whole(window.get("PriorDays")), whole(window.get("PostDays"))
    found: list[tuple[tuple[Any, ...], Index]] = []
    for place, criterion in enumerate(primary["CriteriaList"]):
        for event in world.events(criterion, person):
            for index in observed(event, world.database):
                opened, closed = later(index.from_day, before), later(index.start, after)
                if opened is not None and closed is not None and opened <= index.start and closed <= index.to_day:
                    tie = (event.number, place, index.start, index.end or date.max, index.from_day, index.to_day)
                    found.append(((event.own_start, tie), index))
    kind = _kind(primary.get("PrimaryCriteriaLimit"))
    ordered = _by_day(found, last=kind == "last")
    numbered = [replace(index, number=at) for at, index in enumerate(ordered, 1)]
    return numbered if kind == "all" else numbered[:1]


def _by_day(found: list[tuple[tuple[Any, ...], Index]], last: bool) -> list[Index]:
    """Days in order, or latest first; ties stay in their own order either way."""
    found = sorted(found, key=lambda each: each[0][1])
    return [index for _, index in sorted(found, key=lambda each: each[0][0], reverse=last)]


def _kind(limit: Json | None) -> str:
    """All, first or last; nothing said is first, as is an unknown word; a type that is null is all."""
    word = (limit or {}).get("Type", "First")
    if word is None:
        return "all"
    return str(word).lower() if str(word).lower() in ("all", "last") else "first"


def _limited(indexes: list[Index], kind: str) -> list[Index]:
    """All, or the first or last by start; ties: the lowest number."""
    if kind == "all":
        return indexes
    ordered = sorted(indexes, key=lambda index: index.number)
    return sorted(ordered, key=lambda index: index.start, reverse=kind == "last")[:1]


def qualified(document: Json, indexes: list[Index], world: World) -> list[Index]:
    """Keep what the additional criteria leave, then the limit; without such criteria the limit does not act."""
    group = document.get("AdditionalCriteria")
    if group is None:
        return indexes
    good = holding(group, indexes, world)
    return _limited([index for index in indexes if index.number in good], _kind(document.get("QualifiedLimit")))


def included(document: Json, indexes: list[Index], world: World) -> list[Index]:
    """Keep the events on which every inclusion rule holds, then the limit of the whole expression."""
    for rule in document.get("InclusionRules") or ():
        good = holding(rule["expression"], indexes, world)
        indexes = [index for index in indexes if index.number in good]
    return _limited(indexes, _kind(document.get("ExpressionLimit")))


def _end(document: Json, index: Index, world: World) -> Iterable[date]:
    """The earliest end that is not before the start; none where there is no such end."""
    ends = [*_strategy(document.get("EndStrategy") or {}, index, world), *_censored(document, index, world)]
    good = [end for end in ends if end is not None and end >= index.start]
    return [min(good)] if good else []


def _strategy(strategy: Json, index: Index, world: World) -> list[date | None]:
    """The end of observation; or days after the event, within observation; or the end of continuous exposure."""
    if set(strategy) - {"DateOffset", "CustomEra"}:
        raise not_covered("EndStrategy", ", ".join(strategy))
    if strategy.get("DateOffset") is not None:
        rule = strategy["DateOffset"]
        end = later(index.end if rule["DateField"] == "EndDate" else index.start, whole(rule.get("Offset")))
        return [None if end is None else min(end, index.to_day)]
    ends: list[date | None] = [index.to_day]
    if strategy.get("CustomEra") is not None:
        ends += [
            end for start, end in _exposure(strategy["CustomEra"], index.person, world) if start <= index.start <= end
        ]
    return ends


def _exposure(rule: Json, person: int, world: World) -> list[Period]:
    """Continuous exposure to drugs of a set, by standard or source concept."""
    drugs = world.sets[whole(rule["DrugCodesetId"])]
    gap, offset = whole(rule.get("GapDays")), whole(rule.get("Offset"))
    supply = rule.get("DaysSupplyOverride")
    found: list[Period] = []
    for row in world.database.where("drug_exposure", "person_id", person):
        if row.get("drug_concept_id") in drugs or row.get("drug_source_concept_id") in drugs:
            start = row["drug_exposure_start_date"]
            end = row.get("drug_exposure_end_date") or later(start, row.get("days_supply")) or start + timedelta(1)
            if supply is not None:
                end = start + timedelta(whole(supply))
            found.append((start, end + timedelta(offset)))
    return joined(found, gap)


def _censored(document: Json, index: Index, world: World) -> list[date]:
    """The start of any censoring event from the index on, within its observation period."""
    return [
        event.start
        for criterion in document.get("CensoringCriteria") or ()
        for event in world.events(criterion, index.person)
        if index.start <= event.start <= index.to_day
    ]


def joined(periods: list[Period], pad: int) -> list[Period]:
    """Join periods: one belongs to those before it if it starts within the pad after the latest of their ends."""
    eras: list[Period] = []
    latest: date | None = None
    for start, end in sorted(periods):
        if latest is not None and start <= latest + timedelta(pad):
            eras[-1] = (eras[-1][0], max(eras[-1][1], end))
        else:
            eras.append((start, end))
        latest = end if latest is None else max(latest, end)
    return eras


def _collapsed(document: Json, periods: list[Period]) -> list[Period]:
    settings: Json = document.get("CollapseSettings") or {}
    return joined(periods, whole(settings.get("EraPad")))


def _clipped(window: Json, periods: list[Period]) -> list[Period]:
    """Cut periods to the calendar window; those outside are gone."""
    low = day(window["StartDate"]) if window.get("StartDate") else date.min
    high = day(window["EndDate"]) if window.get("EndDate") else date.max
    cut = [(max(start, low), min(end, high)) for start, end in periods]
    return [(start, end) for start, end in cut if start <= end]
