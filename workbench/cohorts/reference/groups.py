"""Groups of criteria, judged on an index event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from workbench.cohorts.reference.attributes import between, chosen, listed, passes
from workbench.cohorts.reference.database import Database
from workbench.cohorts.reference.events import Event, adjusted, coded, first_only, in_own_period, recorded
from workbench.cohorts.reference.kinds import KINDS
from workbench.cohorts.reference.sets import resolve
from workbench.cohorts.reference.values import Json, day, flag, later, not_covered, number, whole


@dataclass(frozen=True)
class Index:
    """An event around which others are looked for, in one observation period that holds its start."""

    person: int
    number: int
    start: date
    end: date | None
    visit: int | None
    from_day: date
    to_day: date


class World:
    """One document's concept sets over one database. Events are remembered, since each index asks for them again."""

    def __init__(self, document: Json, database: Database) -> None:
        """Resolve the concept sets."""
        self.database = database
        self.sets = {
            whole(each.get("id")): resolve(each.get("expression") or {}, database)
            for each in document.get("ConceptSets") or ()
        }
        self._seen: dict[tuple[int, int], list[Event]] = {}

    def events(self, criterion: Json, person: int) -> list[Event]:
        """Return a person's events of a criterion `{TYPE: {…}}`."""
        key = (id(criterion), person)
        if key not in self._seen:
            self._seen[key] = events_of(criterion, person, self)
        return self._seen[key]


def events_of(criterion: Json, person: int, world: World) -> list[Event]:
    """Codes, then the first of them, then moved dates, own periods, attributes; last what must be around each event."""
    named = [(name, body) for name, body in criterion.items() if name in KINDS and body is not None]
    if len(named) != 1:
        raise not_covered("Criteria", ", ".join(criterion))
    name, body = named[0]
    found = coded(recorded(name, person, world.database), name, body, world.sets)
    found = first_only(found, name, body)
    found = in_own_period(adjusted(found, name, body), body)
    found = [event for event in found if passes(event, body, world.sets, world.database)]
    return _in_context(found, body.get("CorrelatedCriteria"), world)


def _in_context(events: list[Event], group: Json | None, world: World) -> list[Event]:
    """Keep the events on which their own group holds, each with itself as the index; unobserved ones are gone."""
    if not group or not members(group):
        return events
    indexes = [index for event in events for index in observed(event, world.database)]
    good = holding(group, indexes, world)
    return [event for event in events if event.number in good]


def observed(event: Event, database: Database) -> list[Index]:
    """Return an event as index: once for each observation period of the person that holds its start."""
    return [
        Index(
            event.person, event.number, event.start, event.end, event.visit,
            row["observation_period_start_date"], row["observation_period_end_date"],
        )
        for row in database.where("observation_period", "person_id", event.person)
        if row["observation_period_start_date"] <= event.start <= row["observation_period_end_date"]
    ]  # fmt: skip


def holding(group: Json, indexes: Sequence[Index], world: World) -> set[int]:
    """Return the numbers of a person's index events on which a group holds; those of one number are judged as one."""
    numbers = {index.number for index in indexes}
    return {each for each in numbers if holds(group, [index for index in indexes if index.number == each], world)}


def holds(group: Json, index: Sequence[Index], world: World) -> bool:
    """All, any, at least or at most a number of the members hold; a group without members always does.

    An index event inside of several observation periods (`index` has one entry each) counts each member that often.
    """
    if not members(group):
        return True
    held = len(index) * sum(
        [
            *(_enough(each, index, world) for each in group.get("CriteriaList") or ()),
            *(
                any(_person_is(one, each, world) for each in index)
                for one in group.get("DemographicCriteriaList") or ()
            ),
            *(holds(each, index, world) if members(each) else len(index) for each in group.get("Groups") or ()),
        ]
    )
    match str(group["Type"]).upper():
        case "ALL":
            return held == members(group)
        case "ANY":
            return held > 0
        case "AT_LEAST":
            return held >= whole(group["Count"])
        case "AT_MOST":
            return held <= whole(group["Count"])
        case other:
            raise not_covered("Type", other)


def members(group: Json) -> int:
    """Return how many criteria, demographics and groups a group has."""
    return sum(len(group.get(each) or ()) for each in ("CriteriaList", "DemographicCriteriaList", "Groups"))


def _enough(match_: Json, index: Sequence[Index], world: World) -> bool:
    """Exactly, at most or at least so many events, or distinct values, lie in the windows; no event counts as zero."""
    occurrence = match_["Occurrence"]
    found = [
        event for one in index for event in world.events(match_["Criteria"], one.person) if _fits(event, one, match_)
    ]
    count, wanted = len(found), whole(occurrence.get("Count"))
    if flag(occurrence.get("IsDistinct")):
        column = occurrence.get("CountColumn") or "DOMAIN_CONCEPT"
        count = len({_counted(event, column, world.database) for event in found} - {None})
    match whole(occurrence.get("Type")):
        case 0:
            return count == wanted
        case 1:  # plain counts see each event once for each observation period of the index, as in Circe
            return count * (1 if flag(occurrence.get("IsDistinct")) else len(index)) <= wanted
        case 2:
            return count >= wanted
        case other:
            raise not_covered("Occurrence.Type", str(other))


def _stored(column: str) -> Callable[[Event, Database], Any]:
    return lambda event, _: event.row.get(column)


_COUNTED: Mapping[str, Callable[[Event, Database], Any]] = {
    # A death without a cause counts as concept 0.
    "DOMAIN_CONCEPT": lambda event, _: event.concept or 0 if event.kind == "Death" else event.concept,
    "DOMAIN_SOURCE_CONCEPT": lambda event, _: event.source,
    "START_DATE": lambda event, _: event.start,
    "END_DATE": lambda event, _: event.end,
    "VISIT_ID": lambda event, _: event.visit,
    "VISIT_DETAIL_ID": lambda event, _: event.row.get("visit_detail_id"),
    "DURATION": lambda event, _: None if event.end is None else (event.end - event.start).days,
    "ERA_OCCURRENCES": lambda event, _: event.row.get(
        "drug_exposure_count" if event.kind == "DrugEra" else "condition_occurrence_count"
    ),
    "UNIT": lambda event, _: event.row.get("unit_concept_id"),
    "VALUE_AS_NUMBER": lambda event, _: event.row.get("dose_value" if event.kind == "DoseEra" else "value_as_number"),
    **{
        column: _stored(column.lower())
        for column in ("DAYS_SUPPLY", "QUANTITY", "REFILLS", "RANGE_HIGH", "RANGE_LOW", "GAP_DAYS")
    },
}


def _counted(event: Event, column: str, database: Database) -> Any:
    """What a distinct count counts; unknown values are not counted."""
    if column not in _COUNTED:
        raise not_covered("CountColumn", column)
    return _COUNTED[column](event, database)


def _fits(event: Event, index: Index, match_: Json) -> bool:
    """Within the index's observation (unless told not to), in both windows, in the same visit if asked."""
    beyond = flag(match_.get("IgnoreObservationPeriod"))
    if not beyond and not index.from_day <= event.start <= index.to_day:
        return False
    if flag(match_.get("RestrictVisit")) and (event.visit is None or event.visit != index.visit):
        return False
    windows = [(match_["StartWindow"], False)]
    if match_.get("EndWindow") is not None:
        windows.append((match_["EndWindow"], True))
    return all(_inside(event, index, window, is_end, beyond) for window, is_end in windows)


def _inside(event: Event, index: Index, window: Json, is_end: bool, beyond: bool) -> bool:
    """Both days of a window count. An end window looks at the event's end unless it says otherwise."""
    told = window.get("UseEventEnd")
    moment = event.end if (is_end if told is None else flag(told)) else event.start
    around = index.end if flag(window.get("UseIndexEnd")) else index.start
    for side, sign in (("Start", 1), ("End", -1)):
        edge = window[side]
        if edge.get("Days") is None and beyond:
            continue
        point = _edge(edge, around, index)
        if moment is None or point is None or (moment - point).days * sign < 0:
            return False
    return True


def _edge(edge: Json, around: date | None, index: Index) -> date | None:
    """A side of a window: days from the index, or the edge of the observation period on its own side."""
    coefficient = whole(edge.get("Coeff"))
    if edge.get("Days") is None:
        return index.from_day if coefficient == -1 else index.to_day
    return later(around, coefficient * whole(edge["Days"]))


def _person_is(asked: Json, index: Index, world: World) -> bool:
    """Age on the day of the index, sex, race, ethnicity, and the days of the index event itself."""
    unknown = set(asked) - {"Age", "Gender", "GenderCS", "Race", "RaceCS", "Ethnicity", "EthnicityCS",
                            "OccurrenceStartDate", "OccurrenceEndDate"}  # fmt: skip
    if unknown:
        raise not_covered("DemographicCriteria", ", ".join(sorted(unknown)))
    for member, moment in (("OccurrenceStartDate", index.start), ("OccurrenceEndDate", index.end)):
        if asked.get(member) is not None and not between(moment, asked[member], day):
            return False
    return any(_is(asked, row, index, world) for row in world.database.where("person", "person_id", index.person))


def _is(asked: Json, row: Json, index: Index, world: World) -> bool:
    if asked.get("Age") is not None:
        born = row.get("year_of_birth")
        if born is None or not between(index.start.year - born, asked["Age"], lambda value: int(number(value))):
            return False
    for member in ("Gender", "Race", "Ethnicity"):
        value = row.get(f"{member.lower()}_concept_id")
        if asked.get(member) and not listed(value, asked[member], excluded=False):
            return False
        selection = asked.get(f"{member}CS")
        if selection is not None and not chosen(value, selection, world.sets):
            return False
    return True
