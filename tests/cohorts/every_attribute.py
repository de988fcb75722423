"""Every attribute that a criterion can have, with values that differ: for tests that nothing is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.cohorts.conftest import concept, concept_set
from workbench.cohorts.domains import DOMAINS, Attribute, Domain

SETS = [concept_set(0, 192671, name="nought"), concept_set(1, 4, name="one"), concept_set(2, 5, name="two")]
ONE, TWO = concept(1, "first concept"), concept(2, "second concept")
INNER = {
    "Type": "ALL",
    "CriteriaList": [
        {
            "Criteria": {"ConditionOccurrence": {"CodesetId": 2}},
            "StartWindow": {"Start": {"Days": 30, "Coeff": -1}, "End": {"Days": 0, "Coeff": 1}},
            "Occurrence": {"Type": 2, "Count": 1},
        }
    ],
}
_VALUES: dict[str, list[Any]] = {
    "date": [
        {"Value": "2010-01-01", "Op": "gt"}, {"Value": "2010-01-01", "Op": "lt"},
        {"Value": "2010-01-01", "Op": "gte"}, {"Value": "2010-01-01", "Op": "lte"},
        {"Value": "2010-01-01", "Op": "eq"}, {"Value": "2010-01-01", "Op": "!eq"}, {"Value": "2010-01-02", "Op": "eq"},
        {"Value": "2010-01-01", "Extent": "2012-03-04", "Op": "bt"},
        {"Value": "2010-01-01", "Extent": "2012-03-04", "Op": "!bt"},
    ],
    "number": [
        {"Value": 3, "Op": "gt"}, {"Value": 3, "Op": "lt"}, {"Value": 3, "Op": "gte"}, {"Value": 3, "Op": "lte"},
        {"Value": 3, "Op": "eq"}, {"Value": 3, "Op": "!eq"}, {"Value": 4, "Op": "eq"},
        {"Value": 3, "Extent": 9, "Op": "bt"}, {"Value": 3, "Extent": 9, "Op": "!bt"},
        {"Value": 3, "Extent": 10, "Op": "bt"},
    ],
    "text": [
        *({"Text": "abc", "Op": f"{no}{op}"} for op in ("contains", "startsWith", "endsWith") for no in ("", "!")),
        {"Text": "xyz", "Op": "contains"},
    ],
    "concepts": [[ONE], [TWO], [ONE, TWO]],
    "selection": [{"CodesetId": 1}, {"CodesetId": 2}, {"CodesetId": 1, "IsExclusion": True}, {}, {"IsExclusion": True}],
    "set": [1, 2],
    "abnormal": [True],
    "period": [
        {"StartDate": "2010-01-01"}, {"EndDate": "2010-01-01"}, {"StartDate": "2010-01-01", "EndDate": "2011-01-01"},
    ],
}  # fmt: skip
_MOVED = [
    {"StartWith": "START_DATE", "StartOffset": 1, "EndWith": "END_DATE", "EndOffset": 0},
    {"StartWith": "START_DATE", "StartOffset": -1, "EndWith": "END_DATE", "EndOffset": 0},
    {"StartWith": "END_DATE", "StartOffset": 0, "EndWith": "END_DATE", "EndOffset": 0},
    {"StartWith": "START_DATE", "StartOffset": 0, "EndWith": "START_DATE", "EndOffset": 7},
]


@dataclass(frozen=True)
class Sample:
    """One member of one criterion, and criteria that have it with different values; `bare` lacks it."""

    domain: str
    member: str
    bare: dict[str, Any]
    filled: list[dict[str, Any]]


def samples() -> Iterator[Sample]:
    """Yield every member of every criterion."""
    for domain in DOMAINS.values():
        yield from _own(domain)
        for name, attribute in domain.attributes.items():
            yield from _attribute(domain, name, attribute)


def _own(domain: Domain) -> Iterator[Sample]:
    """What criteria have beside their attributes."""
    kind = domain.criteria
    base = {} if "UserDefinedPeriod" in domain.attributes else {"CodesetId": 0}
    if base:
        yield Sample(kind, "CodesetId", {}, [{"CodesetId": 0}, {"CodesetId": 1}])
    if domain.source_member:
        source = [{**base, domain.source_member: 1}, {**base, domain.source_member: 2}]
        yield Sample(kind, domain.source_member, base, source)
    if kind not in ("Death", "LocationRegion"):
        yield Sample(kind, "First", base, [{**base, "First": True}])
    if domain.adjusts:
        # Circe starts from the death and ends from the day after, whatever is asked.
        moves = _MOVED[:2] if kind == "Death" else _MOVED
        yield Sample(kind, "DateAdjustment", base, [{**base, "DateAdjustment": moved} for moved in moves])
    yield Sample(kind, "CorrelatedCriteria", base, [{**base, "CorrelatedCriteria": INNER}])


def _attribute(domain: Domain, name: str, attribute: Attribute) -> Iterator[Sample]:
    base = {} if "UserDefinedPeriod" in domain.attributes else {"CodesetId": 0}
    kind = "number" if attribute.kind in ("whole", "decimal") else attribute.kind
    filled = [{**base, name: value} for value in _VALUES[kind]]
    if attribute.exclude:
        filled.append({**base, name: [ONE], attribute.exclude: True})
    yield Sample(domain.criteria, name, base, filled)
