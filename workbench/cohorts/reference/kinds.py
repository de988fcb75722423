"""The sixteen criteria types: where their events are, and which members their criteria may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMMON = frozenset({"CodesetId", "First", "CorrelatedCriteria", "DateAdjustment"})
"""Members that any criterion may have."""
_CARE = "Age Gender GenderCS ProviderSpecialty ProviderSpecialtyCS"
_VISIT = f"{_CARE} VisitType VisitTypeCS"
_ERA = "EraStartDate EraEndDate EraLength AgeAtStart AgeAtEnd Gender GenderCS"
_PERIOD = "PeriodStartDate PeriodEndDate PeriodLength AgeAtStart AgeAtEnd UserDefinedPeriod"


@dataclass(frozen=True)
class Kind:
    """One criteria type: its table and columns, the member that names a source concept set, and its own members."""

    table: str
    key: str
    concept: str
    start: str
    end: str | None
    source_member: str | None
    source: str | None
    members: frozenset[str]
    visits: bool = True


def _kind(table: str, prefix: str, dates: tuple[str, str | None], members: str, source: str | None = None) -> Kind:
    start, end = dates
    key, concept = f"{table}_id", f"{prefix}_concept_id"
    own = frozenset(members.split()) | ({source} if source else frozenset[str]())
    visits = not (table.endswith(("era", "period")) or table == "specimen")
    return Kind(table, key, concept, start, end, source, f"{prefix}_source_concept_id" if source else None, own, visits)


KINDS: Mapping[str, Kind] = {
    "ConditionOccurrence": _kind(
        "condition_occurrence", "condition", ("condition_start_date", "condition_end_date"),
        "OccurrenceStartDate OccurrenceEndDate ConditionType ConditionTypeCS ConditionTypeExclude ConditionStatus "
        f"ConditionStatusCS StopReason {_VISIT}", "ConditionSourceConcept",
    ),
    "DrugExposure": _kind(
        "drug_exposure", "drug", ("drug_exposure_start_date", "drug_exposure_end_date"),
        "OccurrenceStartDate OccurrenceEndDate DrugType DrugTypeCS DrugTypeExclude StopReason Refills Quantity "
        "DaysSupply RouteConcept RouteConceptCS DoseUnit DoseUnitCS LotNumber EffectiveDrugDose "
        f"{_VISIT}", "DrugSourceConcept",
    ),
    "ProcedureOccurrence": _kind(
        "procedure_occurrence", "procedure", ("procedure_date", None),
        "OccurrenceStartDate ProcedureType ProcedureTypeCS ProcedureTypeExclude Modifier ModifierCS Quantity "
        f"{_VISIT}", "ProcedureSourceConcept",
    ),
    "Measurement": _kind(
        "measurement", "measurement", ("measurement_date", None),
        "OccurrenceStartDate MeasurementType MeasurementTypeCS MeasurementTypeExclude Operator OperatorCS "
        "ValueAsNumber ValueAsConcept ValueAsConceptCS Unit UnitCS RangeLow RangeHigh RangeLowRatio RangeHighRatio "
        f"Abnormal {_VISIT}", "MeasurementSourceConcept",
    ),
    "Observation": _kind(
        "observation", "observation", ("observation_date", None),
        "OccurrenceStartDate ObservationType ObservationTypeCS ObservationTypeExclude ValueAsNumber ValueAsString "
        f"ValueAsConcept ValueAsConceptCS Qualifier QualifierCS Unit UnitCS {_VISIT}", "ObservationSourceConcept",
    ),
    "DeviceExposure": _kind(
        "device_exposure", "device", ("device_exposure_start_date", "device_exposure_end_date"),
        "OccurrenceStartDate OccurrenceEndDate DeviceType DeviceTypeCS DeviceTypeExclude UniqueDeviceId Quantity "
        f"{_VISIT}", "DeviceSourceConcept",
    ),
    "VisitOccurrence": _kind(
        "visit_occurrence", "visit", ("visit_start_date", "visit_end_date"),
        "OccurrenceStartDate OccurrenceEndDate VisitTypeExclude VisitLength PlaceOfService PlaceOfServiceCS "
        "PlaceOfServiceLocation "
        f"{_VISIT}", "VisitSourceConcept",
    ),
    "VisitDetail": _kind(
        "visit_detail", "visit_detail", ("visit_detail_start_date", "visit_detail_end_date"),
        "VisitDetailStartDate VisitDetailEndDate VisitDetailTypeCS VisitDetailLength Age GenderCS ProviderSpecialtyCS "
        "PlaceOfServiceCS PlaceOfServiceLocation", "VisitDetailSourceConcept",
    ),
    "Specimen": _kind(
        "specimen", "specimen", ("specimen_date", None),
        "OccurrenceStartDate SpecimenType SpecimenTypeCS SpecimenTypeExclude Quantity Unit UnitCS AnatomicSite "
        "AnatomicSiteCS DiseaseStatus DiseaseStatusCS SourceId SpecimenSourceConcept Age Gender GenderCS",
    ),
    "ConditionEra": _kind(
        "condition_era", "condition", ("condition_era_start_date", "condition_era_end_date"), f"{_ERA} OccurrenceCount"
    ),
    "DrugEra": _kind(
        "drug_era", "drug", ("drug_era_start_date", "drug_era_end_date"), f"{_ERA} OccurrenceCount GapDays"
    ),
    "DoseEra": _kind(
        "dose_era", "drug", ("dose_era_start_date", "dose_era_end_date"), f"{_ERA} Unit UnitCS DoseValue"
    ),
    "Death": Kind(
        "death", "person_id", "cause_concept_id", "death_date", None, "DeathSourceConcept", "cause_source_concept_id",
        frozenset({"OccurrenceStartDate", "DeathType", "DeathTypeCS", "DeathTypeExclude", "Age", "Gender", "GenderCS",
                   "DeathSourceConcept"}), visits=False,
    ),
    "ObservationPeriod": Kind(
        "observation_period", "observation_period_id", "period_type_concept_id", "observation_period_start_date",
        "observation_period_end_date", None, None, frozenset(f"{_PERIOD} PeriodType PeriodTypeCS".split()),
        visits=False,
    ),
    "PayerPlanPeriod": _kind(
        "payer_plan_period", "payer", ("payer_plan_period_start_date", "payer_plan_period_end_date"),
        f"{_PERIOD} Gender GenderCS PayerConcept PlanConcept SponsorConcept StopReasonConcept PayerSourceConcept "
        "PlanSourceConcept SponsorSourceConcept StopReasonSourceConcept",
    ),
    "LocationRegion": Kind(
        "location_history", "location_history_id", "region_concept_id", "start_date", "end_date", None, None,
        frozenset({"StartDate", "EndDate"}), visits=False,
    ),
}  # fmt: skip
PERIODS = frozenset({"ObservationPeriod", "PayerPlanPeriod"})
"""Criteria without a concept set: any period is one."""
WITHOUT_EFFECT: Mapping[str, frozenset[str]] = {
    "DrugExposure": frozenset({"EffectiveDrugDose"}), "Specimen": frozenset({"SpecimenSourceConcept"}),
    "LocationRegion": frozenset({"StartDate", "EndDate"}),
}  # fmt: skip
"""Members that Circe reads and never uses."""
WITHOUT_FIRST = frozenset({"Death", "LocationRegion"})
"""Criteria that ignore `First`."""
WITHOUT_ADJUSTMENT = frozenset({"Specimen", "LocationRegion"})
"""Criteria that ignore `DateAdjustment`."""
