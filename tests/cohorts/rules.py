"""Rules of the language, each as a tiny definition, the few rows that matter, and the rows that it must give.

Each rule has its own persons, so that all of them stand in one small database and run as one batch. Days count from
the first of January 2020; everyone is observed for that whole year unless the rule says otherwise. Expected rows are
written by hand from docs/cohorts.md, never taken from an engine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Rows = dict[str, list[Json]]
Expected = list[tuple[int, int]] | list[tuple[int, int, int]]
INDEX, REGION = 9, 8
WHOLE = {"Start": {"Coeff": -1}, "End": {"Coeff": 1}}
_STEP = 100


@dataclass(frozen=True)
class Rule:
    """A definition, rows by table (`person` from 1; keys that are absent are numbered), the expected persons and days.

    Expected rows are (person, first day) or (person, first day, last day).
    """

    name: str
    definition: Json
    rows: Mapping[str, list[Json]]
    expected: Expected
    people: int = 6
    periods: Mapping[int, list[tuple[int, int]]] = field(default_factory=dict[int, list[tuple[int, int]]])


def day(offset: int | None) -> dt.date | None:
    """The day of an offset."""
    return None if offset is None else dt.date(2020, 1, 1) + dt.timedelta(offset)


def entry(criterion: Json, **members: Any) -> Json:
    """A definition whose rows are the days of a criterion's events."""
    sets = [
        {"id": each, "name": f"s{each}", "expression": {"items": [{"concept": {"CONCEPT_ID": each}}]}}
        for each in range(1, 10)
    ]
    return {
        "ConceptSets": sets,
        "PrimaryCriteria": {"CriteriaList": [criterion], "PrimaryCriteriaLimit": {"Type": "All"}},
        "QualifiedLimit": {"Type": "All"},
        "ExpressionLimit": {"Type": "All"},
        "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 0}},
        **members,
    }


def group(*matches: Json, kind: str = "ALL", count: int | None = None, **members: Any) -> Json:
    """A group of matches."""
    return {"Type": kind, "Count": count, "CriteriaList": list(matches), **members}


def match(criterion: Json, kind: int, count: int, distinct: str | None = None, **members: Any) -> Json:
    """A criterion at any time around the index: 0 exactly, 1 at most, 2 at least so many."""
    occurrence: Json = {"Type": kind, "Count": count}
    if distinct is not None:
        occurrence |= {"IsDistinct": True, "CountColumn": distinct}
    return {"Criteria": criterion, "StartWindow": WHOLE, "Occurrence": occurrence, **members}


def judged(one: Json) -> Json:
    """A definition whose rows are the days of the index conditions on which a match or a group holds."""
    rule = one if "Type" in one else group(one)
    return entry({"ConditionOccurrence": {"CodesetId": INDEX}}, InclusionRules=[{"name": "r", "expression": rule}])


def index(*people: int, at: int = 100) -> list[Json]:
    """Index conditions of some persons."""
    return [{"person": each, "condition_concept_id": INDEX, "condition_start_date": at} for each in people]


def measured(person: int, at: int = 50, **values: Any) -> Json:
    """A measurement."""
    return {"person": person, "measurement_concept_id": 1, "measurement_date": at, **values}


def detail(person: int, visit: int | None, at: int = 50, **values: Any) -> Json:
    """A visit detail."""
    dates = {"visit_detail_start_date": at, "visit_detail_end_date": at + 1}
    return {"person": person, "visit_detail_concept_id": 1, "visit_occurrence_id": visit, **dates, **values}


def plan_of(person: int, at: int = 10, length: int = 20, **values: Any) -> Json:
    """A payer plan period."""
    dates = {"payer_plan_period_start_date": at, "payer_plan_period_end_date": at + length}
    return {"person": person, **dates, **values}


def era(person: int, gap: int | None, length: int = 10, at: int = 20) -> Json:
    """A drug era."""
    dates = {"drug_era_start_date": at, "drug_era_end_date": at + length}
    return {"person": person, "drug_concept_id": 1, "gap_days": gap, **dates}


def stay(person: int, site: int | None, first: int, last: int | None) -> Json:
    """A visit at a care site."""
    dates = {"visit_start_date": first, "visit_end_date": last}
    return {"person": person, "visit_concept_id": 1, "care_site_id": site, **dates}


def _nested(person: int, concepts: list[int]) -> list[Json]:
    return [measured(person, at=30 + at, measurement_concept_id=each) for at, each in enumerate(concepts)]


_PAYER = {
    "PayerConcept": "payer_concept_id", "PayerSourceConcept": "payer_source_concept_id",
    "PlanConcept": "plan_concept_id", "PlanSourceConcept": "plan_source_concept_id",
    "SponsorConcept": "sponsor_concept_id", "SponsorSourceConcept": "sponsor_source_concept_id",
    "StopReasonConcept": "stop_reason_concept_id", "StopReasonSourceConcept": "stop_reason_source_concept_id",
}  # fmt: skip
NEAR = group(match({"ConditionOccurrence": {"CodesetId": INDEX}}, 2, 1))

CIRCE_FAILS = [
    Rule(
        "gap days of a drug era",
        entry({"DrugEra": {"GapDays": {"Value": 5, "Op": "lte"}}}),
        {"drug_era": [era(1, 5), era(2, 6), era(3, None), era(4, 0)]},
        [(1, 20), (4, 20)],
    ),
    Rule(
        "gap days beside a length: each has its own range",
        entry({"DrugEra": {"GapDays": {"Value": 5, "Op": "lte"}, "EraLength": {"Value": 10, "Op": "gte"}}}),
        {"drug_era": [era(1, 5), era(2, 12), era(3, 5, length=9)]},
        [(1, 20)],
    ),
    Rule(
        "an abnormal measurement: outside its own range, or coded so",
        entry({"Measurement": {"Abnormal": True}}),
        {
            "measurement": [
                measured(1, value_as_number=9.0, range_low=10.0, range_high=20.0),
                measured(2, value_as_number=21.0, range_high=20.0),
                measured(3, value_as_number=10.0, range_low=10.0, range_high=20.0),
                measured(4, value_as_concept_id=4155142),
                measured(5, value_as_number=15.0, range_low=10.0, value_as_concept_id=4155143),
                measured(6, value_as_number=15.0),
            ]
        },
        [(1, 50), (2, 50), (4, 50), (5, 50)],
    ),
    Rule(
        "distinct concepts of a criterion with nested criteria",
        judged(match({"Measurement": {"CorrelatedCriteria": NEAR}}, 2, 2, "DOMAIN_CONCEPT")),
        {"condition_occurrence": index(1, 2), "measurement": [*_nested(1, [1, 2, 2]), *_nested(2, [1, 1])]},
        [(1, 100)],
    ),
    Rule(
        "distinct starts of a criterion with nested criteria",
        judged(match({"Measurement": {"CorrelatedCriteria": NEAR}}, 0, 2, "START_DATE")),
        {
            "condition_occurrence": index(1, 2),
            "measurement": [measured(1, 30), measured(1, 30), measured(1, 31), measured(2, 30), measured(2, 30)],
        },
        [(1, 100)],
    ),
    *(
        Rule(
            f"{member} of a payer plan",
            entry({"PayerPlanPeriod": {member: 1}}),
            {"payer_plan_period": [plan_of(1, **{column: 1}), plan_of(2, **{column: 2}), plan_of(3)]},
            [(1, 10)],
        )
        for member, column in _PAYER.items()
    ),
    Rule(
        "distinct payers",
        judged(match({"PayerPlanPeriod": {}}, 2, 2, "DOMAIN_CONCEPT")),
        {
            "condition_occurrence": index(1, 2, 3),
            "payer_plan_period": [
                *(plan_of(1, at=10 + each, payer_concept_id=each) for each in (1, 2)),
                *(plan_of(2, at=10 + each, payer_concept_id=1) for each in (1, 2)),
                *(plan_of(3, payer_concept_id=each) for each in (1, None)),
            ],
        },
        [(1, 100)],
    ),
    Rule(
        "distinct lengths of payer plans",
        judged(match({"PayerPlanPeriod": {}}, 2, 2, "DURATION")),
        {
            "condition_occurrence": index(1, 2),
            "payer_plan_period": [plan_of(1), plan_of(1, length=21), plan_of(2), plan_of(2, at=11)],
        },
        [(1, 100)],
    ),
    Rule(
        "distinct visits of visit details: an unknown visit is none",
        judged(match({"VisitDetail": {}}, 2, 2, "VISIT_ID")),
        {
            "condition_occurrence": index(1, 2, 3),
            "visit_detail": [detail(1, 1), detail(1, 2), detail(2, 3), detail(2, 3, 51), detail(3, 4), detail(3, None)],
        },
        [(1, 100)],
    ),
    Rule(
        "distinct visit details",
        judged(match({"VisitDetail": {}}, 2, 2, "VISIT_DETAIL_ID")),
        {"condition_occurrence": index(1, 2), "visit_detail": [detail(1, 1), detail(1, 1), detail(2, 2)]},
        [(1, 100)],
    ),
    Rule(
        "distinct source concepts",
        judged(match({"Measurement": {}}, 2, 2, "DOMAIN_SOURCE_CONCEPT")),
        {
            "condition_occurrence": index(1, 2),
            "measurement": [
                *(measured(1, measurement_source_concept_id=each) for each in (1, 2)),
                *(measured(2, measurement_source_concept_id=each) for each in (1, None, 1)),
            ],
        },
        [(1, 100)],
    ),
    Rule(
        "distinct units of measurements",
        judged(match({"Measurement": {}}, 0, 1, "UNIT")),
        {
            "condition_occurrence": index(1, 2, 3),
            "measurement": [
                *(measured(1, unit_concept_id=each) for each in (1, 1, None)),
                *(measured(2, unit_concept_id=each) for each in (1, 2)),
                measured(3),
            ],
        },
        [(1, 100)],
    ),
]

BOTH, ONE = [(0, 200), (50, 365)], [(0, 365)]
"""Person 1 is observed twice over on day 100, and once on day 20."""
_ONCE = [era(1, 0, at=20), era(2, 0, at=20)]


def _around(nested: Json) -> Json:
    return entry({"Measurement": {"CorrelatedCriteria": nested}})


OVERLAPPING = [
    Rule(
        "at most, nested: the index of two periods counts each event twice",
        _around(group(match({"DrugEra": {}}, 1, 1), kind="ANY")),
        {"measurement": [measured(each, 100) for each in (1, 2, 3)], "drug_era": _ONCE},
        [(2, 100), (3, 100)],
        periods={1: BOTH, 2: ONE, 3: BOTH},
    ),
    Rule(
        "at most, nested, distinct: a value counts once",
        _around(group(match({"DrugEra": {}}, 1, 1, "START_DATE"), kind="ANY")),
        {"measurement": [measured(each, 100) for each in (1, 2)], "drug_era": _ONCE},
        [(1, 100), (2, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "exactly none, nested",
        _around(group(match({"DrugEra": {}}, 0, 0), kind="ANY")),
        {"measurement": [measured(each, 100) for each in (1, 2, 3)], "drug_era": _ONCE},
        [(3, 100)],
        periods={1: BOTH, 2: ONE, 3: BOTH},
    ),
    Rule(
        "all, nested: as many as there are members, each counted once a period",
        _around(group(match({"DrugEra": {}}, 2, 1))),
        {"measurement": [measured(each, 100) for each in (1, 2)], "drug_era": _ONCE},
        [(2, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "all of two, nested: one that holds counts for two",
        _around(group(match({"DrugEra": {}}, 2, 1), match({"Death": {}}, 2, 1))),
        {"measurement": [measured(each, 100) for each in (1, 2)], "drug_era": _ONCE},
        [(1, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "all of two, nested, of events that most persons have",
        entry(
            {
                "VisitOccurrence": {
                    "CorrelatedCriteria": group(
                        *(match({each: {"CodesetId": 1}}, 2, 1) for each in ("DrugEra", "Death"))
                    )
                }
            }
        ),
        {"visit_occurrence": [stay(each, None, 100, 101) for each in (1, 2)], "drug_era": _ONCE},
        [(1, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "at least two of three, nested: one that holds counts for two",
        _around(
            group(*(match({each: {}}, 2, 1) for each in ("DrugEra", "Death", "Specimen")), kind="AT_LEAST", count=2)
        ),
        {"measurement": [measured(each, 100) for each in (1, 2)], "drug_era": _ONCE},
        [(1, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "at most one of three, nested: one that holds counts for two",
        _around(
            group(*(match({each: {}}, 2, 1) for each in ("DrugEra", "Death", "Specimen")), kind="AT_MOST", count=1)
        ),
        {"measurement": [measured(each, 100) for each in (1, 2)], "drug_era": _ONCE},
        [(2, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "a group without members holds in each period, and counts in each",
        _around(group(kind="AT_MOST", count=3, Groups=[group()])),
        {"measurement": [measured(each, 100) for each in (1, 2)]},
        [(2, 100)],
        periods={1: BOTH, 2: ONE},
    ),
    Rule(
        "rules of the whole definition judge each entry event in its own period, once",
        judged(match({"DrugEra": {}}, 1, 1)),
        {"condition_occurrence": index(1, 2), "drug_era": [era(1, 0, at=120), era(2, 0, at=120), era(2, 0, at=130)]},
        [(1, 100)],
        periods={1: BOTH, 2: ONE},
    ),
]

_OWN = {"UserDefinedPeriod": {"StartDate": "2020-01-11", "EndDate": "2020-01-31"}}
CARE_SITES = [{"care_site_id": each, "location_id": 1 if each == 1 else 2} for each in (1, 2, 3, 7)]
"""The first stands at the first place, the others at the second. Of the places only the first is in the region."""
LIVED = [
    {"person": 1, "location_id": 1, "domain_id": "PERSON", "start_date": 30, "end_date": 60},
    {"person": 2, "location_id": 2, "domain_id": "PERSON", "start_date": 30, "end_date": None},
    {"person": 3, "location_id": 1, "domain_id": "PERSON", "start_date": 200, "end_date": None},
    {"person": 4, "location_id": 1, "domain_id": "CARE_SITE", "start_date": 30, "end_date": None},
]
DATED_RULES = [
    Rule(
        "where a person lived, dated",
        entry({"LocationRegion": {"CodesetId": REGION}}, EndStrategy={"DateOffset": {"DateField": "EndDate"}}),
        {"location_history": LIVED, "person": [{"person": each, "location_id": 2} for each in range(1, 5)]},
        [(1, 30, 60), (3, 200, 365)],
    ),
    Rule(
        "where a care site stood, from the first day of the visit to the last",
        entry({"VisitOccurrence": {"PlaceOfServiceLocation": REGION}}),
        {
            "visit_occurrence": [
                stay(1, 1, 10, 20), stay(1, 1, 19, 21), stay(2, 7, 30, 31), stay(3, None, 10, 11), stay(4, 3, 10, 11),
                stay(5, 1, 40, 41), stay(6, 1, 12, None),
            ],
            "location_history": [
                {"entity_id": 1, "location_id": 1, "domain_id": "CARE_SITE", "start_date": 10, "end_date": 20},
                {"entity_id": 1, "location_id": 1, "domain_id": "CARE_SITE", "start_date": 5, "end_date": 20},
                {"entity_id": 1, "location_id": 2, "domain_id": "CARE_SITE", "start_date": 21, "end_date": None},
                {"entity_id": 7, "location_id": 1, "domain_id": "PERSON", "start_date": 0, "end_date": None},
            ],
        },
        [(1, 10)],
    ),
]  # fmt: skip
UNDATED_RULES = [
    Rule(
        "where a person lives, in a database without dated places: in each observation period",
        entry({"LocationRegion": {"CodesetId": REGION}}, EndStrategy={"DateOffset": {"DateField": "EndDate"}}),
        {"person": [{"person": 1, "location_id": 1}, {"person": 2, "location_id": 2}, {"person": 3}]},
        [(1, 5, 20), (1, 100, 200)],
        periods={1: [(5, 20), (100, 200)]},
    ),
    Rule(
        "where a care site stands, of a visit that has not ended too",
        entry({"VisitOccurrence": {"PlaceOfServiceLocation": REGION}}),
        {
            "visit_occurrence": [
                stay(1, 1, 10, 20),
                stay(2, 2, 30, 31),
                stay(3, None, 10, 11),
                stay(4, 4, 10, 11),
                stay(5, 1, 12, None),
            ]
        },
        [(1, 10), (5, 12)],
    ),
    Rule(
        "where the care site of a visit detail stands",
        entry({"VisitDetail": {"PlaceOfServiceLocation": REGION}}),
        {"visit_detail": [detail(1, None, care_site_id=1), detail(2, None, care_site_id=2), detail(3, None)]},
        [(1, 50)],
    ),
]
MORE = [
    Rule(
        "distinct lengths of observation periods are those of the author's own period",
        judged(match({"ObservationPeriod": _OWN}, 0, 1, "DURATION", IgnoreObservationPeriod=True)),
        {"condition_occurrence": index(1, 2)},
        [(1, 100), (2, 100)],
        periods={1: [(0, 31), (5, 365)], 2: ONE},
    ),
]
_THREE = {"condition_occurrence": [*index(1, at=100), *index(1, at=110), *index(1, at=120)]}


def _limits(**limits: Json | None) -> Json:
    """A definition of index conditions with some limits, and the others as All."""
    one = entry({"ConditionOccurrence": {"CodesetId": INDEX}}, AdditionalCriteria=group(), **limits)
    return {key: value for key, value in one.items() if value is not None}


LIMITS = [
    Rule("all three limits All", _limits(), _THREE, [(1, 100), (1, 110), (1, 120)]),
    Rule("a limit that is absent is First", _limits(ExpressionLimit=None), _THREE, [(1, 100)]),
    Rule("a qualified limit that is absent is First", _limits(QualifiedLimit=None), _THREE, [(1, 100)]),
    Rule("a limit without a type is First", _limits(ExpressionLimit={}), _THREE, [(1, 100)]),
    Rule("an unknown limit is First", _limits(ExpressionLimit={"Type": "Some"}), _THREE, [(1, 100)]),
    Rule("a limit in small letters", _limits(ExpressionLimit={"Type": "last"}), _THREE, [(1, 120)]),
    Rule(
        "a limit whose type is null keeps all",
        _limits(ExpressionLimit={"Type": None}),
        _THREE,
        [(1, 100), (1, 110), (1, 120)],
    ),
]


def _spelt(text: str | None, operator: str) -> Json:
    return entry({"ConditionOccurrence": {"StopReason": {"Text": text, "Op": operator}}})


def _stopped(*reasons: str | None) -> Mapping[str, list[Json]]:
    """Conditions of persons 1, 2, …, each stopped for a reason."""
    made = [{**index(person)[0], "stop_reason": reason} for person, reason in enumerate(reasons, 1)]
    return {"condition_occurrence": made}


TEXTS = [
    Rule(
        "a text contains words; case counts",
        _spelt("End", "contains"),
        _stopped("The End", "end", None, "End"),
        [(1, 100), (4, 100)],
    ),
    Rule(
        "a text starts otherwise; an unknown text does neither",
        _spelt("a", "!startsWith"),
        _stopped("ab", "ba", None, ""),
        [(2, 100), (4, 100)],
    ),
    Rule("a text ends with words", _spelt("b", "endsWith"), _stopped("ab", "ba", "b"), [(1, 100), (3, 100)]),
    Rule(
        "an underscore stands for any letter, a percent for any text",
        _spelt("a_c%e", "startsWith"),
        _stopped("abcde", "acde", "a_c%e", "abc"),
        [(1, 100), (3, 100)],
    ),
    Rule("a backslash is a letter", _spelt("a\\_", "contains"), _stopped("a\\b", "a_", "ab"), [(1, 100)]),
    Rule(
        "backslashes before a quote are none",
        _spelt("l\\\\'h", "contains"),
        _stopped("l'hôpital", "l\\'hôpital"),
        [(1, 100)],
    ),
    Rule(
        "a filter without words looks for the word null",
        _spelt(None, "contains"),
        _stopped("nul", "annulled", ""),
        [(2, 100)],
    ),
    Rule(
        "no words at all: any text that is known", _spelt("", "contains"), _stopped("x", "", None), [(1, 100), (2, 100)]
    ),
]
RULES: Mapping[str, list[Rule]] = {
    "country_concept_id": [*CIRCE_FAILS, *OVERLAPPING, *MORE, *LIMITS, *TEXTS, *UNDATED_RULES],
    "region_concept_id": DATED_RULES,
}
"""The rules of each database: of OMOP 5.4, and of a model with dated places, whose regions are no countries."""


def database(region: str) -> Rows:
    """The tables that hold the rows of all rules of a database, each rule's persons a hundred after those before."""
    rules = RULES[region]
    found: Rows = {"location": [{"location_id": 1, region: REGION}, {"location_id": 2, region: 1}]}
    found["care_site"] = CARE_SITES
    found |= {"concept": [{"concept_id": each} for each in range(1, 10)]}
    found |= {name: [] for name in ("person", "observation_period", "concept_ancestor", "death", "specimen")}
    for at, rule in enumerate(rules):
        base = at * _STEP
        told = {row["person"]: row for row in rule.rows.get("person", [])}
        for person in range(1, rule.people + 1):
            found["person"].append({"person_id": base + person, **_typed(told.get(person, {}), base)})
            for first, last in rule.periods.get(person, [(0, 365)]):
                found["observation_period"].append(
                    _period(base + person, first, last, len(found["observation_period"]))
                )
        for table, rows in rule.rows.items():
            if table != "person":
                found.setdefault(table, []).extend(_row(table, row, base, place) for place, row in enumerate(rows, 1))
    return found


def _period(person: int, first: int, last: int, number: int) -> Json:
    days = {"observation_period_start_date": day(first), "observation_period_end_date": day(last)}
    return {"observation_period_id": number + 1, "person_id": person, **days}


def _row(table: str, row: Json, base: int, place: int) -> Json:
    owner = "entity_id" if table == "location_history" else "person_id"
    own = {} if "person" not in row else {owner: base + row["person"]}
    return {f"{table}_id": base + place, **_typed(row, base), **own}


def _typed(row: Json, base: int) -> Json:
    return {
        key: day(value) if key.endswith("_date") else value + base if key == "visit_occurrence_id" and value else value
        for key, value in row.items()
        if key != "person"
    }


def of_rule(rows: list[tuple[int, dt.date, dt.date]], at: int, rule: Rule) -> Expected:
    """The rows of one rule's own persons, as they are written in the rule."""
    mine = [
        (person - at * _STEP, (start - dt.date(2020, 1, 1)).days, (end - dt.date(2020, 1, 1)).days)
        for person, start, end in sorted(rows)
        if at * _STEP < person < (at + 1) * _STEP
    ]
    dated = bool(rule.expected) and len(rule.expected[0]) == 3
    return mine if dated else [(person, start) for person, start, _ in mine]
