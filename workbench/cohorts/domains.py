"""The criteria types of Circe as data: table, columns, and what each attribute of the JSON tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["date", "whole", "decimal", "text", "concepts", "selection", "set", "abnormal", "period"]
NEXT_DAY = "+1"
DAYS_SUPPLY = "+days_supply"
FAR_FUTURE = "2099-12-31"
"""Circe's end of what has not ended, for where a person lives."""
HOME_PLACES, CARE_PLACES = "home_places", "care_places"
"""Work tables of where persons lived and where care sites stood (see `places`)."""


@dataclass(frozen=True)
class Attribute:
    """What one member of a criterion tests: a field (see `plan.FIELDS`) or a column of the domain's table.

    `exclude` names the member that turns a list of concepts into its opposite.
    """

    kind: Kind
    field: str
    exclude: str | None = None


@dataclass(frozen=True)
class Domain:
    """One criteria type. `end` lists what an event's end is taken from, first that is there: columns or rules."""

    criteria: str
    table: str
    key: str
    concept: str | None
    start: str
    end: tuple[str, ...]
    source: str | None = None
    source_member: str | None = None
    visit: bool = True
    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])
    counts: Mapping[str, str] = field(default_factory=dict[str, str])
    adjusts: bool = True
    made: bool = False
    """The table is one that `places` makes of the data tables."""


def _concepts(member: str, where: str, exclude: bool = False) -> dict[str, Attribute]:
    """A list of concepts and its variant by concept set."""
    return {
        member: Attribute("concepts", where, f"{member}Exclude" if exclude else None),
        f"{member}CS": Attribute("selection", where),
    }


def _dates(start: str, end: str | None = None) -> dict[str, Attribute]:
    found = {start: Attribute("date", "start_date")}
    return found | ({end: Attribute("date", "end_date")} if end else {})


_GENDER = _concepts("Gender", "gender")
_PERSON = {"Age": Attribute("whole", "age_at_start"), **_GENDER}
_CARE = {**_PERSON, **_concepts("ProviderSpecialty", "specialty")}
_EVENT = {**_CARE, **_concepts("VisitType", "visit_type")}
_ERA = {
    **_dates("EraStartDate", "EraEndDate"),
    "EraLength": Attribute("whole", "length"),
    "AgeAtStart": Attribute("whole", "age_at_start"),
    "AgeAtEnd": Attribute("whole", "age_at_end"),
    **_GENDER,
}
_PERIOD = {
    **_dates("PeriodStartDate", "PeriodEndDate"),
    "PeriodLength": Attribute("whole", "length"),
    "AgeAtStart": Attribute("whole", "age_at_start"),
    "AgeAtEnd": Attribute("whole", "age_at_end"),
    "UserDefinedPeriod": Attribute("period", "start_date"),
}
_COUNTS = {
    "DOMAIN_CONCEPT": "concept_id",
    "DOMAIN_SOURCE_CONCEPT": "source_concept_id",
    "START_DATE": "start_date",
    "END_DATE": "end_date",
    "VISIT_ID": "visit_occurrence_id",
    "VISIT_DETAIL_ID": "visit_detail_id",
    "DURATION": "length",
}
_NO_VISIT = {key: value for key, value in _COUNTS.items() if key != "VISIT_DETAIL_ID"}

_ALL = (
    Domain(
        "ConditionOccurrence",
        "condition_occurrence",
        "condition_occurrence_id",
        "condition_concept_id",
        "condition_start_date",
        ("condition_end_date", NEXT_DAY),
        "condition_source_concept_id",
        "ConditionSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate", "OccurrenceEndDate"),
            **_concepts("ConditionType", "condition_type_concept_id", True),
            **_concepts("ConditionStatus", "condition_status_concept_id"),
            "StopReason": Attribute("text", "stop_reason"),
            **_EVENT,
        },
        counts=_COUNTS,
    ),
    Domain(
        "DrugExposure",
        "drug_exposure",
        "drug_exposure_id",
        "drug_concept_id",
        "drug_exposure_start_date",
        ("drug_exposure_end_date", DAYS_SUPPLY, NEXT_DAY),
        "drug_source_concept_id",
        "DrugSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate"),
            # Circe tests the start here too; rows must be its rows, and `check` warns of it.
            "OccurrenceEndDate": Attribute("date", "start_date"),
            **_concepts("DrugType", "drug_type_concept_id", True),
            "StopReason": Attribute("text", "stop_reason"),
            "Refills": Attribute("whole", "refills"),
            "Quantity": Attribute("decimal", "quantity"),
            "DaysSupply": Attribute("whole", "days_supply"),
            **_concepts("RouteConcept", "route_concept_id"),
            **_concepts("DoseUnit", "dose_unit_concept_id"),
            "LotNumber": Attribute("text", "lot_number"),
            **_EVENT,
        },
        counts={**_COUNTS, "DAYS_SUPPLY": "days_supply", "QUANTITY": "quantity", "REFILLS": "refills"},
    ),
    Domain(
        "ProcedureOccurrence",
        "procedure_occurrence",
        "procedure_occurrence_id",
        "procedure_concept_id",
        "procedure_date",
        (NEXT_DAY,),
        "procedure_source_concept_id",
        "ProcedureSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate"),
            **_concepts("ProcedureType", "procedure_type_concept_id", True),
            **_concepts("Modifier", "modifier_concept_id"),
            "Quantity": Attribute("whole", "quantity"),
            **_EVENT,
        },
        counts={**_COUNTS, "QUANTITY": "quantity"},
    ),
    Domain(
        "Measurement",
        "measurement",
        "measurement_id",
        "measurement_concept_id",
        "measurement_date",
        (NEXT_DAY,),
        "measurement_source_concept_id",
        "MeasurementSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate"),
            **_concepts("MeasurementType", "measurement_type_concept_id", True),
            **_concepts("Operator", "operator_concept_id"),
            "ValueAsNumber": Attribute("decimal", "value_as_number"),
            **_concepts("ValueAsConcept", "value_as_concept_id"),
            **_concepts("Unit", "unit_concept_id"),
            "RangeLow": Attribute("decimal", "range_low"),
            "RangeHigh": Attribute("decimal", "range_high"),
            "RangeLowRatio": Attribute("decimal", "range_low_ratio"),
            "RangeHighRatio": Attribute("decimal", "range_high_ratio"),
            "Abnormal": Attribute("abnormal", "value_as_number"),
            **_EVENT,
        },
        counts={
            **_COUNTS,
            "VALUE_AS_NUMBER": "value_as_number",
            "RANGE_HIGH": "range_high",
            "RANGE_LOW": "range_low",
            "UNIT": "unit_concept_id",
        },
    ),
    Domain(
        "Observation",
        "observation",
        "observation_id",
        "observation_concept_id",
        "observation_date",
        (NEXT_DAY,),
        "observation_source_concept_id",
        "ObservationSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate"),
            **_concepts("ObservationType", "observation_type_concept_id", True),
            "ValueAsNumber": Attribute("decimal", "value_as_number"),
            "ValueAsString": Attribute("text", "value_as_string"),
            **_concepts("ValueAsConcept", "value_as_concept_id"),
            **_concepts("Qualifier", "qualifier_concept_id"),
            **_concepts("Unit", "unit_concept_id"),
            **_EVENT,
        },
        counts={**_COUNTS, "VALUE_AS_NUMBER": "value_as_number", "UNIT": "unit_concept_id"},
    ),
    Domain(
        "DeviceExposure",
        "device_exposure",
        "device_exposure_id",
        "device_concept_id",
        "device_exposure_start_date",
        ("device_exposure_end_date", NEXT_DAY),
        "device_source_concept_id",
        "DeviceSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate", "OccurrenceEndDate"),
            **_concepts("DeviceType", "device_type_concept_id", True),
            "UniqueDeviceId": Attribute("text", "unique_device_id"),
            "Quantity": Attribute("whole", "quantity"),
            **_EVENT,
        },
        counts={**_COUNTS, "QUANTITY": "quantity"},
    ),
    Domain(
        "VisitOccurrence",
        "visit_occurrence",
        "visit_occurrence_id",
        "visit_concept_id",
        "visit_start_date",
        ("visit_end_date",),
        "visit_source_concept_id",
        "VisitSourceConcept",
        attributes={
            **_dates("OccurrenceStartDate", "OccurrenceEndDate"),
            **_concepts("VisitType", "visit_type_concept_id", True),
            "VisitLength": Attribute("whole", "length"),
            **_concepts("PlaceOfService", "place_of_service"),
            "PlaceOfServiceLocation": Attribute("set", "care_region"),
            **_CARE,
        },
        counts=_NO_VISIT,
    ),
    Domain(
        "VisitDetail",
        "visit_detail",
        "visit_detail_id",
        "visit_detail_concept_id",
        "visit_detail_start_date",
        ("visit_detail_end_date",),
        "visit_detail_source_concept_id",
        "VisitDetailSourceConcept",
        attributes={
            **_dates("VisitDetailStartDate", "VisitDetailEndDate"),
            "VisitDetailTypeCS": Attribute("selection", "visit_detail_type_concept_id"),
            "VisitDetailLength": Attribute("whole", "length"),
            # Circe takes the age at the end of a visit detail, alone among the criteria.
            "Age": Attribute("whole", "age_at_end"),
            "GenderCS": Attribute("selection", "gender"),
            "ProviderSpecialtyCS": Attribute("selection", "specialty"),
            "PlaceOfServiceCS": Attribute("selection", "place_of_service"),
            "PlaceOfServiceLocation": Attribute("set", "care_region"),
        },
        counts={**_COUNTS, "VISIT_DETAIL_ID": "event_id"},
    ),
    Domain(
        "Specimen",
        "specimen",
        "specimen_id",
        "specimen_concept_id",
        "specimen_date",
        (NEXT_DAY,),
        visit=False,
        attributes={
            **_dates("OccurrenceStartDate"),
            **_concepts("SpecimenType", "specimen_type_concept_id", True),
            "Quantity": Attribute("decimal", "quantity"),
            **_concepts("Unit", "unit_concept_id"),
            **_concepts("AnatomicSite", "anatomic_site_concept_id"),
            **_concepts("DiseaseStatus", "disease_status_concept_id"),
            "SourceId": Attribute("text", "specimen_source_id"),
            **_PERSON,
        },
        counts=_NO_VISIT,
        adjusts=False,  # Circe ignores the date adjustment of a specimen
    ),
    Domain(
        "ConditionEra",
        "condition_era",
        "condition_era_id",
        "condition_concept_id",
        "condition_era_start_date",
        ("condition_era_end_date",),
        visit=False,
        attributes={**_ERA, "OccurrenceCount": Attribute("whole", "condition_occurrence_count")},
        counts={**_NO_VISIT, "ERA_OCCURRENCES": "condition_occurrence_count"},
    ),
    Domain(
        "DrugEra",
        "drug_era",
        "drug_era_id",
        "drug_concept_id",
        "drug_era_start_date",
        ("drug_era_end_date",),
        visit=False,
        attributes={
            **_ERA,
            "OccurrenceCount": Attribute("whole", "drug_exposure_count"),
            "GapDays": Attribute("whole", "gap_days"),
        },
        counts={**_NO_VISIT, "ERA_OCCURRENCES": "drug_exposure_count", "GAP_DAYS": "gap_days"},
    ),
    Domain(
        "DoseEra",
        "dose_era",
        "dose_era_id",
        "drug_concept_id",
        "dose_era_start_date",
        ("dose_era_end_date",),
        visit=False,
        attributes={
            **_ERA,
            **_concepts("Unit", "unit_concept_id"),
            "DoseValue": Attribute("decimal", "dose_value"),
        },
        counts={**_NO_VISIT, "UNIT": "unit_concept_id", "VALUE_AS_NUMBER": "dose_value"},
    ),
    Domain(
        "Death",
        "death",
        "person_id",
        "cause_concept_id",
        "death_date",
        (NEXT_DAY,),
        "cause_source_concept_id",
        "DeathSourceConcept",
        visit=False,
        attributes={
            **_dates("OccurrenceStartDate"),
            **_concepts("DeathType", "death_type_concept_id", True),
            **_PERSON,
        },
        counts={**_NO_VISIT, "DOMAIN_CONCEPT": "concept_or_zero"},
    ),
    Domain(
        "ObservationPeriod",
        "observation_period",
        "observation_period_id",
        "period_type_concept_id",
        "observation_period_start_date",
        ("observation_period_end_date",),
        visit=False,
        attributes={**_PERIOD, **_concepts("PeriodType", "period_type_concept_id")},
        counts=_NO_VISIT,
    ),
    Domain(
        "PayerPlanPeriod",
        "payer_plan_period",
        "payer_plan_period_id",
        "payer_concept_id",
        "payer_plan_period_start_date",
        ("payer_plan_period_end_date",),
        visit=False,
        attributes={
            **_PERIOD,
            **_GENDER,
            "PayerConcept": Attribute("set", "payer_concept_id"),
            "PlanConcept": Attribute("set", "plan_concept_id"),
            "SponsorConcept": Attribute("set", "sponsor_concept_id"),
            "StopReasonConcept": Attribute("set", "stop_reason_concept_id"),
            "PayerSourceConcept": Attribute("set", "payer_source_concept_id"),
            "PlanSourceConcept": Attribute("set", "plan_source_concept_id"),
            "SponsorSourceConcept": Attribute("set", "sponsor_source_concept_id"),
            "StopReasonSourceConcept": Attribute("set", "stop_reason_source_concept_id"),
        },
        counts=_NO_VISIT,
    ),
)

_REGION = Domain(
    "LocationRegion",
    HOME_PLACES,
    "place_id",
    "region_concept_id",
    "start_date",
    ("end_date",),
    visit=False,
    counts=_NO_VISIT,
    adjusts=False,
    made=True,
)

DOMAINS: Mapping[str, Domain] = {domain.criteria: domain for domain in (*_ALL, _REGION)}
CRITERIA_TYPES: frozenset[str] = frozenset(DOMAINS)
IGNORED: Mapping[str, frozenset[str]] = {
    "DrugExposure": frozenset({"EffectiveDrugDose"}),
    "LocationRegion": frozenset({"StartDate", "EndDate"}),
    "Specimen": frozenset({"SpecimenSourceConcept"}),
}
"""Members that Circe reads and never uses."""
