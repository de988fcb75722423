"""What an event is: its dates, its concept, its order among a person's events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from workbench.cohorts.reference.database import Database
from workbench.cohorts.reference.kinds import KINDS, PERIODS, WITHOUT_ADJUSTMENT, WITHOUT_FIRST, Kind
from workbench.cohorts.reference.values import Json, Row, day, flag, later, not_covered, whole

_ADJUSTED = {None: 1, "START_DATE": 0, "END_DATE": 1, 0: 0, 1: 1}
FAR_FUTURE = date(2099, 12, 31)


@dataclass(frozen=True)
class Event:
    """One event of a person.

    `start` and `end` are what others see of it, `own_start` and `own_end` what its own criterion tests: they differ
    where the author put a period of his own in place of a recorded one. Unknown values are None.
    """

    kind: str
    row: Row
    person: int
    number: int
    start: date
    end: date | None
    own_start: date
    own_end: date | None
    visit: int | None
    concept: int | None
    source: int | None


def recorded(name: str, person: int, database: Database) -> Iterator[Event]:
    """Yield a person's events of a criteria type, as they are recorded."""
    kind = KINDS[name]
    if name == "LocationRegion":
        yield from _places(person, database)
        return
    for row in database.where(kind.table, "person_id", person):
        yield _event(name, kind, row, row[kind.start], _end(name, kind, row), row.get(kind.concept))


def _event(name: str, kind: Kind, row: Row, start: date, end: date | None, concept: Any) -> Event:
    return Event(
        kind=name,
        row=row,
        person=row["person_id"],
        number=row[kind.key],
        start=start,
        end=end,
        own_start=start,
        own_end=end,
        visit=row.get("visit_occurrence_id") if kind.visits else None,
        concept=concept,
        source=row.get(kind.source) if kind.source else None,
    )


def _places(person: int, database: Database) -> Iterator[Event]:
    """Where a person lived: the concept is the region of the place.

    Without a history of places (no version 5 of OMOP has one), the person's place holds in each observation period.
    """
    kind = KINDS["LocationRegion"]
    found = _dated(person, database) if database.has("location_history") else _undated(person, database)
    for row in found:
        for place in database.where("location", "location_id", row["location_id"]):
            yield _event("LocationRegion", kind, row, row["start_date"], row["end_date"], region(place))


def _dated(person: int, database: Database) -> Iterator[Row]:
    for row in database.where("location_history", "entity_id", person):
        if row.get("domain_id") == "PERSON":
            yield {**row, "person_id": person, "end_date": row.get("end_date") or FAR_FUTURE}


def _undated(person: int, database: Database) -> Iterator[Row]:
    for row in database.where("person", "person_id", person):
        for period in database.where("observation_period", "person_id", person):
            yield {
                "person_id": person,
                "location_history_id": period["observation_period_id"],
                "location_id": row.get("location_id"),
                "start_date": period["observation_period_start_date"],
                "end_date": period["observation_period_end_date"],
            }


def region(place: Row) -> int | None:
    """Return the concept of a place's region; version 5.4 of OMOP has the country only."""
    return place.get("region_concept_id" if "region_concept_id" in place else "country_concept_id")


def _end(name: str, kind: Kind, row: Row) -> date | None:
    """An event without an end ends the day after its start; a drug exposure first tries the days supplied.

    Visits, eras and periods have no such rule: without an end, their end is unknown.
    """
    end = row.get(kind.end) if kind.end else None
    if end is None and name == "DrugExposure":
        end = later(row[kind.start], row.get("days_supply"))
    if (end is None and name in ("ConditionOccurrence", "DrugExposure", "DeviceExposure")) or kind.end is None:
        end = end or later(row[kind.start], 1)
    return end


def coded(events: Iterator[Event], name: str, criterion: Json, sets: dict[int, frozenset[int]]) -> list[Event]:
    """Return the events whose concept is in the criterion's set, and whose source concept is in that of the source."""
    found = list(events)
    if criterion.get("CodesetId") is not None and name not in PERIODS:
        chosen = sets[whole(criterion["CodesetId"])]
        found = [event for event in found if event.concept in chosen]
    member = KINDS[name].source_member
    if member is not None and criterion.get(member) is not None:
        chosen = sets[whole(criterion[member])]
        found = [event for event in found if event.source in chosen]
    return found


def first_only(events: list[Event], name: str, criterion: Json) -> list[Event]:
    """Return the earliest coded event if the first is asked for (ties: the lowest id, then end, then concept).

    It is the first among all with these codes: dates are not moved yet and attributes not yet looked at.
    """
    if not flag(criterion.get("First")) or name in WITHOUT_FIRST:
        return events
    return sorted(events, key=_oldest)[:1]


def _oldest(event: Event) -> tuple[date, int, date, int]:
    return event.start, event.number, event.end or date.max, event.concept or 0


def adjusted(events: list[Event], name: str, criterion: Json) -> list[Event]:
    """Return the events with moved dates; those that would end before they start are gone."""
    rule = criterion.get("DateAdjustment")
    if not rule or name in WITHOUT_ADJUSTMENT:
        return events
    starts, ends = (_ADJUSTED.get(rule.get(member, default), -1) for member, default in _SIDES)
    if -1 in (starts, ends):
        raise not_covered(name, "DateAdjustment")
    if name == "Death":  # whatever is asked: from the death, to the day after it
        starts, ends = 0, 1
    moved = [
        _moved(event, (starts, whole(rule.get("StartOffset"))), (ends, whole(rule.get("EndOffset"))))
        for event in events
    ]
    return [event for event in moved if event is not None]


_SIDES = (("StartWith", "START_DATE"), ("EndWith", "END_DATE"))


def _moved(event: Event, start_rule: tuple[int, int], end_rule: tuple[int, int]) -> Event | None:
    start, end = (later((event.start, event.end)[side], days) for side, days in (start_rule, end_rule))
    if start is None or end is None or end < start:
        return None
    return replace(event, start=start, end=end, own_start=start, own_end=end)


def in_own_period(events: list[Event], criterion: Json) -> list[Event]:
    """Return the periods that hold the author's own days, cut to them."""
    rule: Json = criterion.get("UserDefinedPeriod") or {}
    start, end = (day(rule[member]) if rule.get(member) else None for member in ("StartDate", "EndDate"))
    for moment in (start, end):
        if moment is not None:
            events = [event for event in events if event.end is not None and event.start <= moment <= event.end]
    return [replace(event, start=start or event.start, end=end or event.end) for event in events]
