"""Small random databases, as a hypothesis strategy: three persons, a few rows a table.

Rows carry random values only in the columns that the definitions look at, so that what remains after shrinking is
what matters.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from workbench.cohorts.reference.kinds import KINDS
from workbench.repository.cdm import TABLES

Json = dict[str, Any]
Rows = dict[str, list[dict[str, Any]]]
FIRST_DAY = dt.date(2020, 1, 1)
CONCEPTS = st.integers(1, 3)
PEOPLE = st.integers(1, 3)
DAYS = st.integers(0, 30)
SMALL = st.sampled_from([0, 1, 2])
DECIMALS = st.sampled_from([0.0, 1.0, 1.5, 2.0, -1.0])
WORDS = st.sampled_from(["abc", "a", "", "zabcz", "a_c", "ABC", "l'abc", "a\\'c", "100 %", "a\nc", "null"])
HISTORY = {
    "location_history_id": "BIGINT", "location_id": "BIGINT", "entity_id": "BIGINT", "domain_id": "VARCHAR",
    "start_date": "DATE", "end_date": "DATE",
}  # fmt: skip
"""The table of places of models other than 5.4."""
_COLUMNS = {
    "Abnormal": ("value_as_number", "range_low", "range_high", "value_as_concept_id"), "Quantity": ("quantity",),
    "ValueAsNumber": ("value_as_number",), "RangeLow": ("range_low",), "RangeHigh": ("range_high",),
    "RangeLowRatio": ("value_as_number", "range_low"), "RangeHighRatio": ("value_as_number", "range_high"),
    "DoseValue": ("dose_value",), "Refills": ("refills",), "DaysSupply": ("days_supply",), "GapDays": ("gap_days",),
    "StopReason": ("stop_reason",), "LotNumber": ("lot_number",), "ValueAsString": ("value_as_string",),
    "UniqueDeviceId": ("unique_device_id",), "SourceId": ("specimen_source_id",),
    "OccurrenceCount": ("condition_occurrence_count", "drug_exposure_count"), "ProviderSpecialty": ("provider_id",),
    "PlaceOfService": ("care_site_id",), "PlaceOfServiceLocation": ("care_site_id",),
    "ConditionType": ("condition_type_concept_id",),
    "DrugType": ("drug_type_concept_id",), "ProcedureType": ("procedure_type_concept_id",),
    "MeasurementType": ("measurement_type_concept_id",), "ObservationType": ("observation_type_concept_id",),
    "DeviceType": ("device_type_concept_id",), "SpecimenType": ("specimen_type_concept_id",),
    "DeathType": ("death_type_concept_id",), "VisitDetailType": ("visit_detail_type_concept_id",),
    "PeriodType": ("period_type_concept_id",), "ConditionStatus": ("condition_status_concept_id",),
    "RouteConcept": ("route_concept_id",), "DoseUnit": ("dose_unit_concept_id",), "Modifier": ("modifier_concept_id",),
    "Operator": ("operator_concept_id",), "ValueAsConcept": ("value_as_concept_id",), "Unit": ("unit_concept_id",),
    "Qualifier": ("qualifier_concept_id",), "AnatomicSite": ("anatomic_site_concept_id",),
    "DiseaseStatus": ("disease_status_concept_id",), "PayerConcept": ("payer_concept_id",),
    "PlanConcept": ("plan_concept_id",), "SponsorConcept": ("sponsor_concept_id",),
    "StopReasonConcept": ("stop_reason_concept_id",), "PayerSourceConcept": ("payer_source_concept_id",),
    "PlanSourceConcept": ("plan_source_concept_id",), "SponsorSourceConcept": ("sponsor_source_concept_id",),
    "StopReasonSourceConcept": ("stop_reason_source_concept_id",),
    "VISIT_DETAIL_ID": ("visit_detail_id",), "DAYS_SUPPLY": ("days_supply",), "QUANTITY": ("quantity",),
    "REFILLS": ("refills",), "VALUE_AS_NUMBER": ("value_as_number", "dose_value"), "RANGE_LOW": ("range_low",),
    "RANGE_HIGH": ("range_high",), "UNIT": ("unit_concept_id",), "GAP_DAYS": ("gap_days",),
    "ERA_OCCURRENCES": ("condition_occurrence_count", "drug_exposure_count"),
}  # fmt: skip
"""Which columns a member, or a distinct count, looks at."""


def day(offset: int) -> dt.date:
    """The day of an offset."""
    return FIRST_DAY + dt.timedelta(offset)


def seldom(draw: st.DrawFn, one_in: int = 4) -> bool:
    """Whether to do what most definitions do not: too many conditions at once leave no rows to compare."""
    return draw(st.integers(1, one_in)) == one_in


def kinds(table: str) -> dict[str, str]:
    """The columns of a table with their SQL types."""
    older = {"drug_exposure": {"dose_unit_concept_id": "BIGINT"}}.get(table, {})
    if table == "location_history":
        return HISTORY
    return {column.name: column.sql_type for column in TABLES[table].fields} | older


def _regions(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Other models have a column for a region that is no country: a database has it where a row does."""
    return {"region_concept_id": "BIGINT"} if any("region_concept_id" in row for row in rows) else {}


_ARROW = {"BIGINT": pa.int64(), "DATE": pa.date32(), "VARCHAR": pa.string(), "DOUBLE": pa.float64()}


def arrow(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as a typed table; columns that no row has are empty."""
    types = {column: _ARROW[kind] for column, kind in (kinds(table) | _regions(rows)).items() if kind in _ARROW}
    return pa.table({column: pa.array([row.get(column) for row in rows], kind) for column, kind in types.items()})


def _mentions(part: Any) -> Iterator[str]:
    """Every member name of a document, and every word that a distinct count names."""
    if isinstance(part, dict):
        for key, value in part.items():
            if value is not None:
                yield key
                yield from [value] if key == "CountColumn" else _mentions(value)
    elif isinstance(part, list):
        for each in part:
            yield from _mentions(each)


@st.composite
def databases(draw: st.DrawFn, definitions: list[Json], fewest: int = 1) -> Rows:
    """Tables that these definitions read: three persons, a few rows a table."""
    words = {word for each in definitions for word in _mentions(each)}
    looked_at = {column for word in words for column in _COLUMNS.get(word.removesuffix("CS"), ())}
    visits = bool(words & {"RestrictVisit", "VisitType", "VisitTypeCS", "VISIT_ID", "CountColumn"})
    found = _vocabulary(draw) | _people(draw, words)
    kinds_read = (words & set(KINDS)) | ({"DrugExposure"} if "CustomEra" in words else set())
    for kind in sorted(kinds_read - {"ObservationPeriod", "LocationRegion"}):
        made = draw(st.lists(events(kind, looked_at, visits), min_size=fewest, max_size=fewest + 4))
        key = KINDS[kind].key
        found[KINDS[kind].table] = [row if key == "person_id" else {key: at, **row} for at, row in enumerate(made, 1)]
    if words & {"LocationRegion", "PlaceOfServiceLocation"}:
        _add_places(draw, found)
    if visits and not found.get("visit_occurrence"):
        visit = {"visit_start_date": day(0), "visit_concept_id": draw(CONCEPTS)}
        found["visit_occurrence"] = [{"visit_occurrence_id": at, "person_id": at, **visit} for at in (1, 2, 3)]
    return found


def _add_places(draw: st.DrawFn, found: Rows) -> None:
    """Places of three regions, with a history of who was there or without, as one model or another has them."""
    region = draw(st.sampled_from(["region_concept_id", "country_concept_id"]))
    regions = draw(st.lists(st.none() | CONCEPTS, min_size=3, max_size=3))
    found["location"] = [{"location_id": at, region: concept} for at, concept in enumerate(regions, 1)]
    for table in ("person", "care_site"):
        for row in found[table]:
            row["location_id"] = draw(st.none() | PEOPLE)
    if draw(st.booleans()):
        stays = st.fixed_dictionaries(
            {
                "entity_id": PEOPLE,
                "location_id": PEOPLE,
                "domain_id": st.sampled_from(["PERSON", "CARE_SITE", "CARE_SITE"]),
                "start_date": st.integers(0, 15).map(day),
                "end_date": st.none() | st.integers(10, 40).map(day),
            }
        )
        made = draw(st.lists(stays, max_size=6))
        found["location_history"] = [{"location_history_id": at, **row} for at, row in enumerate(made, 1)]


def _vocabulary(draw: st.DrawFn) -> Rows:
    pairs = st.lists(st.tuples(CONCEPTS, CONCEPTS), max_size=3, unique=True)
    invalid, absent = (draw(CONCEPTS) if seldom(draw) else None for _ in range(2))
    return {
        "concept": [
            {"concept_id": each, "invalid_reason": "D" if each == invalid else None}
            for each in range(1, 4)
            if each != absent
        ],
        "concept_ancestor": [
            {"ancestor_concept_id": above, "descendant_concept_id": below} for above, below in draw(pairs)
        ],
        "concept_relationship": [
            {"concept_id_1": one, "concept_id_2": two, "relationship_id": "Maps to", "invalid_reason": None}
            for one, two in draw(pairs)
        ],
    }


def _people(draw: st.DrawFn, words: set[str]) -> Rows:
    concept = st.none() | CONCEPTS
    columns = {
        "gender_concept_id": concept if words & {"Gender", "GenderCS"} else st.just(1),
        "race_concept_id": concept if words & {"Race", "RaceCS"} else st.just(1),
        "ethnicity_concept_id": concept if words & {"Ethnicity", "EthnicityCS"} else st.just(1),
        "year_of_birth": st.integers(2014, 2020) if words & {"Age", "AgeAtStart", "AgeAtEnd"} else st.just(2018),
    }
    people = [{"person_id": at, **draw(st.fixed_dictionaries(columns))} for at in (1, 2, 3)]
    usual = [(1, 0, 40, draw(CONCEPTS)), (2, 6, 12, draw(CONCEPTS))]
    spans = usual + draw(st.lists(st.tuples(PEOPLE, DAYS, DAYS, CONCEPTS), max_size=3))
    periods = [
        {
            "observation_period_id": at,
            "person_id": person,
            "observation_period_start_date": day(start),
            "observation_period_end_date": day(start + length),
            "period_type_concept_id": concept_id,
        }
        for at, (person, start, length, concept_id) in enumerate(spans, 1)
    ]
    found: Rows = {"person": people, "observation_period": periods, "visit_occurrence": []}
    for table, column in (("provider", "specialty_concept_id"), ("care_site", "place_of_service_concept_id")):
        found[table] = [{f"{table}_id": 1, column: draw(CONCEPTS)}, {f"{table}_id": 2, column: None}]
    return found


@st.composite
def events(draw: st.DrawFn, name: str, looked_at: set[str], visits: bool) -> dict[str, Any]:
    """A row of a criteria type's table, without its key."""
    kind = KINDS[name]
    start = draw(DAYS)
    row: dict[str, Any] = {kind.start: day(start), "person_id": draw(PEOPLE), kind.concept: draw(CONCEPTS)}
    if kind.end:
        required = name.endswith(("Era", "Period")) or name in ("VisitOccurrence", "VisitDetail")
        usual = st.integers(0, 9) if required else st.none() | st.integers(-1, 9)
        length = draw(st.none() if seldom(draw, 12) else usual)
        row[kind.end] = None if length is None else day(start + length)
    if kind.source:
        row[kind.source] = draw(st.none() | CONCEPTS)
    if name == "DrugExposure":
        row["days_supply"] = draw(st.none() | SMALL)
    if visits and kind.visits and name != "VisitOccurrence":
        row["visit_occurrence_id"] = draw(st.none() | st.integers(1, 2))
    for column, sql_type in kinds(kind.table).items():
        if column in looked_at and column not in row and column != kind.key:
            row[column] = draw(_values(column, sql_type))
    return row


def _values(column: str, sql_type: str) -> st.SearchStrategy[Any]:
    if column == "value_as_concept_id":
        return st.none() | CONCEPTS | st.just(4155142)
    if column.endswith("_concept_id"):
        return st.none() | CONCEPTS
    if sql_type == "VARCHAR":
        return st.none() | WORDS
    if sql_type == "DOUBLE":
        return st.none() | DECIMALS
    return st.none() | SMALL
