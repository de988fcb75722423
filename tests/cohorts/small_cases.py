"""Small random definitions and small random databases, as hypothesis strategies.

Rows carry random values only in the columns that the definitions look at, so that what remains after shrinking is
what matters.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from workbench.cohorts.domains import DOMAINS
from workbench.cohorts.reference.kinds import KINDS, PERIODS
from workbench.repository.cdm import TABLES

Json = dict[str, Any]
Rows = dict[str, list[dict[str, Any]]]
FIRST_DAY = dt.date(2020, 1, 1)
CONCEPTS = st.integers(1, 3)
PEOPLE = st.integers(1, 3)
SETS = st.integers(0, 2)
DAYS = st.integers(0, 30)
SMALL = st.sampled_from([0, 1, 2])
DECIMALS = st.sampled_from([0.0, 1.0, 1.5, 2.0, -1.0])
WORDS = st.sampled_from(["abc", "a", "", "zabcz", "a_c"])
OPERATORS = ["eq", "lt", "lte", "!eq", "gt", "gte", "bt", "!bt"]
PLAIN = ["ConditionOccurrence", "DrugExposure", "VisitOccurrence", "ConditionEra"]
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
    "PlaceOfService": ("care_site_id",), "ConditionType": ("condition_type_concept_id",),
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
_WHOLE = frozenset({"Age", "AgeAtStart", "AgeAtEnd", "EraLength", "PeriodLength", "VisitLength", "VisitDetailLength",
                    "Refills", "DaysSupply", "GapDays", "OccurrenceCount", "Quantity"})  # fmt: skip
_DECIMAL = frozenset({"ValueAsNumber", "RangeLow", "RangeHigh", "RangeLowRatio", "RangeHighRatio", "DoseValue"})
_TEXT = frozenset({"StopReason", "LotNumber", "ValueAsString", "UniqueDeviceId", "SourceId"})


def seldom(draw: st.DrawFn, one_in: int = 4) -> bool:
    """Whether to do what most definitions do not: too many conditions at once leave no rows to compare."""
    return draw(st.integers(1, one_in)) == one_in


def day(offset: int) -> dt.date:
    """The day of an offset."""
    return FIRST_DAY + dt.timedelta(offset)


def ranges(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """A relation to one value, or to two."""
    return st.builds(
        lambda op, low, high: {"Value": low, "Op": op} | ({"Extent": high} if op.endswith("bt") else {}),
        st.sampled_from(OPERATORS), values, values,
    )  # fmt: skip


DATES = ranges(DAYS.map(lambda offset: day(offset).isoformat()))
LISTS = st.lists(CONCEPTS.map(lambda i: {"CONCEPT_ID": i, "CONCEPT_NAME": str(i)}), min_size=1, max_size=2)
SELECTIONS = st.fixed_dictionaries({"CodesetId": st.none() | SETS, "IsExclusion": st.booleans()})
TEXTS = st.fixed_dictionaries(
    {
        "Op": st.sampled_from([f"{no}{op}" for no in ("", "!") for op in ("contains", "startsWith", "endsWith")]),
        "Text": st.sampled_from(["a", "bc", "_c", "abc"]),
    }
)
PERIOD_EDGES = st.none() | DAYS.map(lambda offset: day(offset).isoformat())
_NAMED: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(_WHOLE, ranges(st.integers(-1, 6))),
    **dict.fromkeys(_DECIMAL, ranges(DECIMALS)),
    **dict.fromkeys(_TEXT, TEXTS),
    "Abnormal": st.booleans(),
    "UserDefinedPeriod": st.fixed_dictionaries({"StartDate": PERIOD_EDGES, "EndDate": PERIOD_EDGES}),
}
_SET_NAMES = ("SourceConcept", "PayerConcept", "PlanConcept", "SponsorConcept", "StopReasonConcept")


def attribute(member: str) -> st.SearchStrategy[Any]:
    """A value for a member of a criterion."""
    if member in _NAMED:
        return _NAMED[member]
    if member.endswith("Exclude"):
        return st.booleans()
    if member.endswith("Date"):
        return DATES
    if member.endswith("CS"):
        return SELECTIONS
    return SETS if member.endswith(_SET_NAMES) else LISTS


@st.composite
def criteria(draw: st.DrawFn, depth: int, plain: bool = False) -> Json:
    """One criterion, with up to two attributes; a plain one is of a few kinds and has none."""
    kind = draw(st.sampled_from(PLAIN if plain else sorted(KINDS)))
    body: Json = {}
    if kind not in PERIODS and seldom(draw, 3 if plain else 2):
        body["CodesetId"] = draw(SETS)
    if seldom(draw):
        body["First"] = True
    members = sorted(KINDS[kind].members - {"EffectiveDrugDose"})
    if members and not plain and seldom(draw, 3):
        for member in draw(st.lists(st.sampled_from(members), min_size=1, max_size=2, unique=True)):
            body[member] = draw(attribute(member))
    if seldom(draw, 6):
        side = st.sampled_from(["START_DATE", "END_DATE"])
        move = st.integers(-3, 3)
        rule = {"StartWith": side, "EndWith": side, "StartOffset": move, "EndOffset": move}
        body["DateAdjustment"] = draw(st.fixed_dictionaries(rule))
    if depth and seldom(draw):
        body["CorrelatedCriteria"] = draw(groups(depth - 1, plain))
    return {kind: body}


EDGES = st.fixed_dictionaries({"Days": st.sampled_from([0, None, 1, 3, 8, 20]), "Coeff": st.sampled_from([-1, 1])})
WIDE = st.just({"Start": {"Days": None, "Coeff": -1}, "End": {"Days": None, "Coeff": 1}})
AROUND = st.tuples(*(st.sampled_from([0, None, 1, 3, 8, 20]),) * 2).map(
    lambda days: {"Start": {"Days": days[0], "Coeff": -1}, "End": {"Days": days[1], "Coeff": 1}}
)
SIDES = {"UseIndexEnd": st.just(True), "UseEventEnd": st.booleans()}
WINDOWS = st.builds(
    lambda edges, sides: {**edges, **sides},
    AROUND | WIDE | st.fixed_dictionaries({"Start": EDGES, "End": EDGES}),
    st.fixed_dictionaries({}, optional=SIDES),
)


@st.composite
def matches(draw: st.DrawFn, depth: int, plain: bool) -> Json:
    """A criterion in windows, with how often."""
    criterion = draw(criteria(depth, plain))
    occurrence: Json = {"Type": draw(st.sampled_from([2, 1, 0])), "Count": draw(st.sampled_from([1, 0, 2]))}
    if draw(st.booleans()):
        occurrence["IsDistinct"] = True
        columns = sorted(DOMAINS[next(iter(criterion))].counts)
        occurrence["CountColumn"] = draw(st.none() | st.sampled_from(["DOMAIN_CONCEPT", *columns]))
    found: Json = {"Criteria": criterion, "StartWindow": draw(WINDOWS), "Occurrence": occurrence}
    if seldom(draw, 3 if plain else 4):
        found["EndWindow"] = draw(WINDOWS)
    for member in ("RestrictVisit", "IgnoreObservationPeriod"):
        if seldom(draw, 3 if plain else 4):
            found[member] = True
    return found


DEMOGRAPHICS = st.fixed_dictionaries(
    {},
    optional={
        "Age": ranges(st.integers(0, 6)), "Gender": LISTS, "GenderCS": SELECTIONS, "Race": LISTS, "RaceCS": SELECTIONS,
        "Ethnicity": LISTS, "EthnicityCS": SELECTIONS, "OccurrenceStartDate": DATES, "OccurrenceEndDate": DATES,
    },
)  # fmt: skip


@st.composite
def groups(draw: st.DrawFn, depth: int, plain: bool = False) -> Json:
    """A group of criteria, of demographics and of groups."""
    return {
        "Type": draw(st.sampled_from(["ALL", "ANY", "AT_LEAST", "AT_MOST"])),
        "Count": draw(st.sampled_from([1, 0, 2])),
        "CriteriaList": draw(st.lists(matches(depth, plain), min_size=int(plain), max_size=1 if plain else 2)),
        "DemographicCriteriaList": draw(st.lists(DEMOGRAPHICS, min_size=1, max_size=1))
        if seldom(draw) and not plain
        else [],
        "Groups": draw(st.lists(groups(depth - 1, plain), max_size=1)) if depth and not plain else [],
    }


ITEMS = st.builds(
    lambda concept, *flags: {
        "concept": {"CONCEPT_ID": concept},
        **dict(zip(("isExcluded", "includeDescendants", "includeMapped"), flags, strict=True)),
    },
    CONCEPTS, st.integers(0, 4).map(lambda each: each == 4), st.booleans(), st.booleans(),
)  # fmt: skip
ALL = {"Type": "All"}
LIMITS = st.just({}) | st.fixed_dictionaries({"Type": st.sampled_from(["All", "First", "Last", "all", "?", None])})
EXITS = st.one_of(
    st.fixed_dictionaries(
        {"DateField": st.sampled_from(["StartDate", "EndDate"]), "Offset": st.integers(-2, 9)}
    ).map(lambda rule: {"DateOffset": rule}),
    st.fixed_dictionaries(
        {"DrugCodesetId": SETS, "GapDays": st.integers(0, 5), "Offset": st.integers(0, 3)},
        optional={"DaysSupplyOverride": st.integers(0, 5)},
    ).map(lambda rule: {"CustomEra": rule}),
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> Json:
    """A whole definition."""
    sets = draw(st.lists(st.lists(ITEMS, min_size=1, max_size=3), min_size=3, max_size=3))
    window = {"PriorDays": draw(st.sampled_from([0, 2])), "PostDays": draw(st.sampled_from([0, 2]))}
    found: Json = {
        "ConceptSets": [{"id": at, "name": f"s{at}", "expression": {"items": each}} for at, each in enumerate(sets)],
        "PrimaryCriteria": {
            "CriteriaList": draw(st.lists(criteria(1), min_size=1, max_size=2)),
            "ObservationWindow": window,
            "PrimaryCriteriaLimit": draw(LIMITS),
        },
        "QualifiedLimit": draw(LIMITS),
        "ExpressionLimit": draw(LIMITS),
        "InclusionRules": [
            {"name": "r", "expression": each}
            for each in draw(st.lists(groups(1), min_size=1, max_size=2) if seldom(draw, 2) else st.just([]))
        ],
        "CensoringCriteria": [draw(criteria(0))] if seldom(draw) else [],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": draw(st.sampled_from([0, 1, 5]))},
    }
    if seldom(draw, 2):
        found["EndStrategy"] = draw(EXITS)
    if seldom(draw, 3):
        found["AdditionalCriteria"] = draw(groups(1))
    if seldom(draw, 5):
        found["CensorWindow"] = draw(_NAMED["UserDefinedPeriod"])
    return found


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
    for kind in sorted(kinds_read - {"ObservationPeriod"}):
        made = draw(st.lists(events(kind, looked_at, visits), min_size=fewest, max_size=fewest + 4))
        key = KINDS[kind].key
        found[KINDS[kind].table] = [row if key == "person_id" else {key: at, **row} for at, row in enumerate(made, 1)]
    if "LocationRegion" in kinds_read:
        regions = draw(st.lists(CONCEPTS, min_size=3, max_size=3))
        found["location"] = [{"location_id": at, "region_concept_id": region} for at, region in enumerate(regions, 1)]
    if visits and not found.get("visit_occurrence"):
        visit = {"visit_start_date": day(0), "visit_concept_id": draw(CONCEPTS)}
        found["visit_occurrence"] = [{"visit_occurrence_id": at, "person_id": at, **visit} for at in (1, 2, 3)]
    return found


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
    row: dict[str, Any] = {kind.start: day(start)}
    if name == "LocationRegion":
        row |= {"entity_id": draw(PEOPLE), "location_id": draw(PEOPLE), "domain_id": "PERSON"}
    else:
        row |= {"person_id": draw(PEOPLE), kind.concept: draw(CONCEPTS)}
    if kind.end:
        required = name.endswith(("Era", "Period")) or name in ("VisitOccurrence", "VisitDetail")
        length = draw(st.integers(0, 9) if required else st.none() | st.integers(-1, 9))
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


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[list[Json], Rows]:
    """One or two definitions, run as one batch, and a database."""
    definitions = draw(st.lists(documents(), min_size=1, max_size=2))
    return definitions, draw(databases(definitions))


@st.composite
def attribute_cases(draw: st.DrawFn) -> tuple[list[Json], Rows]:
    """Definitions that ask one attribute each of all events of a kind, and a database: many rows to compare."""
    pairs = [(kind, member) for kind in sorted(KINDS) for member in sorted(KINDS[kind].members - {"EffectiveDrugDose"})]
    sets = draw(st.lists(st.lists(ITEMS, min_size=1, max_size=2), min_size=3, max_size=3))
    definitions: list[Json] = []
    for kind, member in draw(st.lists(st.sampled_from(pairs), min_size=3, max_size=5, unique=True)):
        body = {member: draw(attribute(member))}
        if member.endswith("Exclude"):
            body[member.removesuffix("Exclude")] = draw(LISTS)
        definitions.append(
            {
                "ConceptSets": [{"id": at, "expression": {"items": each}} for at, each in enumerate(sets)],
                "PrimaryCriteria": {"CriteriaList": [{kind: body}], "PrimaryCriteriaLimit": ALL},
                "ExpressionLimit": ALL,
                "EndStrategy": {"DateOffset": {"DateField": draw(st.sampled_from(["StartDate", "EndDate"]))}},
            }
        )
    return definitions, draw(databases(definitions, 4))


@st.composite
def window_cases(draw: st.DrawFn) -> tuple[list[Json], Rows]:
    """A few definitions whose every diagnosis is judged by one group, and a database.

    Each event is its own row, so that no verdict hides behind another.
    """
    sets = draw(st.lists(st.lists(ITEMS, min_size=1, max_size=2), min_size=3, max_size=3))
    definitions: list[Json] = [
        {
            "ConceptSets": [{"id": at, "expression": {"items": each}} for at, each in enumerate(sets)],
            "PrimaryCriteria": {"CriteriaList": [{"ConditionOccurrence": {}}], "PrimaryCriteriaLimit": ALL},
            "ExpressionLimit": ALL,
            "InclusionRules": [{"name": "r", "expression": group}],
            "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 0}},
        }
        for group in draw(st.lists(groups(1, plain=True), min_size=3, max_size=5))
    ]
    return definitions, draw(databases(definitions, 4))
