"""What each attribute of a criterion asks of an event.

An unknown value passes no test, neither a condition nor its opposite. What an attribute looks at may stand in another
table; it is then a list of values, empty where that table has no row: such an event passes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from workbench.cohorts.reference.database import Database
from workbench.cohorts.reference.events import FAR_FUTURE, Event, region
from workbench.cohorts.reference.kinds import COMMON, KINDS, WITHOUT_EFFECT
from workbench.cohorts.reference.values import Json, day, flag, four_decimals, not_covered, number, whole

Sets = Mapping[int, frozenset[int]]
Look = Callable[[Event, Database], list[Any]]
_ABNORMAL = frozenset({4155142, 4155143})
"""SNOMED's abnormally low and abnormally high."""


def _cut(value: Any) -> Decimal:
    return Decimal(int(number(value)))


def _column(name: str) -> Look:
    return lambda event, _: [event.row.get(name)]


def _person(column: str) -> Look:
    return lambda event, database: [row.get(column) for row in database.where("person", "person_id", event.person)]


def _age(at_end: bool) -> Look:
    """Age in calendar years: the year of the day without the year of birth."""

    def look(event: Event, database: Database) -> list[Any]:
        moment = event.own_end if at_end else event.own_start
        born = _person("year_of_birth")(event, database)
        return [None if moment is None or year is None else moment.year - year for year in born]

    return look


def _start(event: Event, _: Database) -> list[Any]:
    return [event.own_start]


def _end(event: Event, _: Database) -> list[Any]:
    return [event.own_end]


def _length(event: Event, _: Database) -> list[Any]:
    """The days from an event's own start to its own end."""
    return [None if event.own_end is None else (event.own_end - event.own_start).days]


def _visit_concept(event: Event, database: Database) -> list[Any]:
    """The kind of the visit in which it happened: the visit must exist, and be the same person's."""
    visits = database.where("visit_occurrence", "visit_occurrence_id", event.visit)
    return [row.get("visit_concept_id") for row in visits if row["person_id"] == event.person]


def _specialty(event: Event, database: Database) -> list[Any]:
    """The specialty of the provider; unknown where there is none."""
    found = database.where("provider", "provider_id", event.row.get("provider_id"))
    return [row.get("specialty_concept_id") for row in found] or [None]


def _place(event: Event, database: Database) -> list[Any]:
    found = database.where("care_site", "care_site_id", event.row.get("care_site_id"))
    return [row.get("place_of_service_concept_id") for row in found]


def _regions(event: Event, database: Database) -> list[Any]:
    """The regions in which the care site stood throughout the recorded event; without a history, where it stands."""
    site, kind = event.row.get("care_site_id"), KINDS[event.kind]
    known = database.where("care_site", "care_site_id", site)
    start, end = event.row[kind.start], event.row.get(kind.end or "")
    if known and database.has("location_history"):
        known = [
            row
            for row in database.where("location_history", "entity_id", site)
            if row.get("domain_id") == "CARE_SITE" and end is not None
            if row["start_date"] <= start and end <= (row.get("end_date") or FAR_FUTURE)
        ]
    return [region(place) for row in known for place in database.where("location", "location_id", row["location_id"])]


def _ratio(limit: str) -> Look:
    def look(event: Event, _: Database) -> list[Any]:
        value, bound = event.row.get("value_as_number"), event.row.get(limit)
        return [None if value is None or not bound else float(value) / float(bound)]

    return look


_DATES: dict[str, Look] = {
    "OccurrenceStartDate": _start, "OccurrenceEndDate": _end, "EraStartDate": _start, "EraEndDate": _end,
    "PeriodStartDate": _start, "PeriodEndDate": _end, "VisitDetailStartDate": _start, "VisitDetailEndDate": _end,
    # Circe looks at the start of a drug exposure where its end is asked for, and gives these rows to everyone.
    "DrugExposure.OccurrenceEndDate": _start,
}  # fmt: skip
_WHOLE: dict[str, Look] = {
    "Age": _age(False), "AgeAtStart": _age(False), "AgeAtEnd": _age(True), "VisitDetail.Age": _age(True),
    "EraLength": _length, "PeriodLength": _length, "VisitLength": _length, "VisitDetailLength": _length,
    "Refills": _column("refills"), "DaysSupply": _column("days_supply"), "GapDays": _column("gap_days"),
    "ConditionEra.OccurrenceCount": _column("condition_occurrence_count"),
    "DrugEra.OccurrenceCount": _column("drug_exposure_count"), "ProcedureOccurrence.Quantity": _column("quantity"),
    "DeviceExposure.Quantity": _column("quantity"),
}  # fmt: skip
_DECIMAL: dict[str, Look] = {
    "DrugExposure.Quantity": _column("quantity"), "Specimen.Quantity": _column("quantity"),
    "ValueAsNumber": _column("value_as_number"), "RangeLow": _column("range_low"), "RangeHigh": _column("range_high"),
    "RangeLowRatio": _ratio("range_low"), "RangeHighRatio": _ratio("range_high"), "DoseValue": _column("dose_value"),
}  # fmt: skip
_TEXT: dict[str, Look] = {
    "StopReason": _column("stop_reason"), "LotNumber": _column("lot_number"),
    "ValueAsString": _column("value_as_string"), "UniqueDeviceId": _column("unique_device_id"),
    "SourceId": _column("specimen_source_id"),
}  # fmt: skip
_CONCEPTS: dict[str, Look] = {
    "Gender": _person("gender_concept_id"), "ProviderSpecialty": _specialty, "PlaceOfService": _place,
    "VisitType": _visit_concept, "VisitOccurrence.VisitType": _column("visit_type_concept_id"),
    "ConditionType": _column("condition_type_concept_id"), "DrugType": _column("drug_type_concept_id"),
    "ProcedureType": _column("procedure_type_concept_id"), "MeasurementType": _column("measurement_type_concept_id"),
    "ObservationType": _column("observation_type_concept_id"), "DeviceType": _column("device_type_concept_id"),
    "SpecimenType": _column("specimen_type_concept_id"), "DeathType": _column("death_type_concept_id"),
    "VisitDetailType": _column("visit_detail_type_concept_id"), "PeriodType": _column("period_type_concept_id"),
    "ConditionStatus": _column("condition_status_concept_id"), "RouteConcept": _column("route_concept_id"),
    "DoseUnit": _column("dose_unit_concept_id"), "Modifier": _column("modifier_concept_id"),
    "Operator": _column("operator_concept_id"), "ValueAsConcept": _column("value_as_concept_id"),
    "Unit": _column("unit_concept_id"), "Qualifier": _column("qualifier_concept_id"),
    "AnatomicSite": _column("anatomic_site_concept_id"), "DiseaseStatus": _column("disease_status_concept_id"),
}  # fmt: skip
_SETS: dict[str, Look] = {
    "PlaceOfServiceLocation": _regions,
    "PayerConcept": _column("payer_concept_id"), "PayerSourceConcept": _column("payer_source_concept_id"),
    "PlanConcept": _column("plan_concept_id"), "PlanSourceConcept": _column("plan_source_concept_id"),
    "SponsorConcept": _column("sponsor_concept_id"), "SponsorSourceConcept": _column("sponsor_source_concept_id"),
    "StopReasonConcept": _column("stop_reason_concept_id"),
    "StopReasonSourceConcept": _column("stop_reason_source_concept_id"),
}  # fmt: skip


def passes(event: Event, criterion: Json, sets: Sets, database: Database) -> bool:
    """Return whether an event passes all attributes of its criterion. Raises InvalidInput for one without a rule."""
    kind = KINDS[event.kind]
    # A period of the author's own is no test: it is handled apart.
    elsewhere = COMMON | WITHOUT_EFFECT.get(event.kind, frozenset()) | {kind.source_member, "UserDefinedPeriod"}
    for member, asked in criterion.items():
        if asked is None or member in elsewhere:
            continue
        if member not in kind.members:
            raise not_covered(event.kind, member)
        if not _passes(event, member, asked, criterion, sets, database):
            return False
    return True


def _passes(event: Event, member: str, asked: Any, criterion: Json, sets: Sets, database: Database) -> bool:
    for looks, test in _RULES:
        look = looks.get(f"{event.kind}.{member}") or looks.get(member)
        if look is not None:
            return any(test(value, asked) for value in look(event, database))
    if member == "Abnormal":
        return not flag(asked) or _abnormal(event)
    if member in _SETS:
        return any(value in sets[whole(asked)] for value in _SETS[member](event, database))
    if member.endswith("Exclude"):
        return True  # judged with the list that it turns around
    name = member.removesuffix("CS")
    look = _CONCEPTS.get(f"{event.kind}.{name}") or _CONCEPTS[name]
    if name != member:
        return any(chosen(value, asked, sets) for value in look(event, database))
    return not asked or any(
        listed(value, asked, flag(criterion.get(f"{member}Exclude"))) for value in look(event, database)
    )


_RELATIONS: Mapping[str, Callable[[Any, Any, Any], bool]] = {
    "lt": lambda value, low, _: value < low,
    "lte": lambda value, low, _: value <= low,
    "eq": lambda value, low, _: value == low,
    "!eq": lambda value, low, _: value != low,
    "gt": lambda value, low, _: value > low,
    "gte": lambda value, low, _: value >= low,
    "bt": lambda value, low, high: low <= value <= high,
    "!bt": lambda value, low, high: not low <= value <= high,
}


def between(value: Any, asked: Json, read: Callable[[Any], Any]) -> bool:
    """Return whether a value stands as asked to one value, or to two (both ends count)."""
    if asked["Op"] not in _RELATIONS:
        raise not_covered("Op", str(asked["Op"]))
    if value is None:
        return False
    ends = [read(asked[end]) if asked.get(end) is not None else None for end in ("Value", "Extent")]
    if isinstance(value, float):  # measured values are binary numbers: compared as such
        ends = [None if end is None else float(end) for end in ends]
    return _RELATIONS[asked["Op"]](value, *ends)


def spelt(value: str | None, asked: Json) -> bool:
    """Return whether a text contains, starts or ends with words (or does not); `%` and `_` are SQL's wildcards."""
    if value is None:
        return False
    words = str(asked["Text"]) if asked.get("Text") is not None else "null"  # Circe looks for the word "null" then
    words = re.sub(r"\\*'", "'", words)  # and takes the backslashes before a quote away
    pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in words)
    around = {"contains": (".*", ".*"), "startsWith": ("", ".*"), "endsWith": (".*", "")}
    operator = str(asked["Op"])
    if operator.removeprefix("!") not in around:
        raise not_covered("Op", operator)
    before, after = around[operator.removeprefix("!")]
    return bool(re.fullmatch(f"{before}{pattern}{after}", value, re.DOTALL)) != operator.startswith("!")


def listed(value: int | None, concepts: Any, excluded: bool) -> bool:
    """Return whether a concept is (or is not) one of a list."""
    return value is not None and (value in {whole(each["CONCEPT_ID"]) for each in concepts}) != excluded


def chosen(value: int | None, asked: Json, sets: Sets) -> bool:
    """Return whether a concept is (or is not) in a set; without a set, whether it is filled in (or is not).

    An unknown concept is in no set, and outside one only if that set is empty: an empty set leaves nothing to ask.
    """
    excluded = flag(asked.get("IsExclusion"))
    if asked.get("CodesetId") is None:
        return (value is None) == excluded
    members = sets[whole(asked["CodesetId"])]
    if value is None:
        return excluded and not members
    return (value in members) != excluded


def _abnormal(event: Event) -> bool:
    """A value under the lower limit, over the upper one, or coded as abnormal."""
    value, low, high = (event.row.get(column) for column in ("value_as_number", "range_low", "range_high"))
    outside = value is not None and ((low is not None and value < low) or (high is not None and value > high))
    return outside or event.row.get("value_as_concept_id") in _ABNORMAL


def _date_test(value: date | None, asked: Json) -> bool:
    return between(value, asked, day)


def _whole_test(value: Any, asked: Json) -> bool:
    return between(value, asked, _cut)


def _decimal_test(value: Any, asked: Json) -> bool:
    return between(value, asked, four_decimals)


_RULES: tuple[tuple[dict[str, Look], Callable[[Any, Json], bool]], ...] = (
    (_DATES, _date_test),
    (_WHOLE, _whole_test),
    (_DECIMAL, _decimal_test),
    (_TEXT, spelt),
)
