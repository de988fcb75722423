"""Small random definitions, as hypothesis strategies, each with a small random database that they read."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.cohorts.small_database import CONCEPTS, DAYS, DECIMALS, Json, Rows, databases, day, seldom
from workbench.cohorts.domains import DOMAINS
from workbench.cohorts.reference.kinds import KINDS, PERIODS, WITHOUT_EFFECT

SETS = st.integers(0, 2)
OPERATORS = ["eq", "lt", "lte", "!eq", "gt", "gte", "bt", "!bt"]
PLAIN = ["ConditionOccurrence", "DrugExposure", "VisitOccurrence", "ConditionEra"]
_WHOLE = frozenset({"Age", "AgeAtStart", "AgeAtEnd", "EraLength", "PeriodLength", "VisitLength", "VisitDetailLength",
                    "Refills", "DaysSupply", "GapDays", "OccurrenceCount", "Quantity"})  # fmt: skip
_DECIMAL = frozenset({"ValueAsNumber", "RangeLow", "RangeHigh", "RangeLowRatio", "RangeHighRatio", "DoseValue"})
_TEXT = frozenset({"StopReason", "LotNumber", "ValueAsString", "UniqueDeviceId", "SourceId"})


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
        "Text": st.sampled_from(["a", "bc", "_c", "abc", "%c", "", "'", "\\\\'c", "A", None, "b\\", "0 %"]),
    }
)
AROUND_PERIODS = st.fixed_dictionaries(
    {},
    optional={
        "First": st.booleans(),
        "PeriodLength": ranges(st.integers(5, 40)),
        "DateAdjustment": st.fixed_dictionaries({"StartOffset": st.integers(-9, 9), "EndOffset": st.integers(-9, 9)}),
    },
)
"""What else a criterion with the author's own period may say: it is judged on the recorded days."""
PERIOD_EDGES = st.none() | st.sampled_from([8, 10, 12, 0, 20, 30]).map(lambda offset: day(offset).isoformat())
"""Edges of an author's own period: mostly inside of the usual observation periods."""
_NAMED: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(_WHOLE, ranges(st.integers(-1, 6))),
    **dict.fromkeys(_DECIMAL, ranges(DECIMALS)),
    **dict.fromkeys(_TEXT, TEXTS),
    "Abnormal": st.booleans(),
    "UserDefinedPeriod": st.fixed_dictionaries({"StartDate": PERIOD_EDGES, "EndDate": PERIOD_EDGES}),
}
_SET_NAMES = ("Location", "SourceConcept", "PayerConcept", "PlanConcept", "SponsorConcept", "StopReasonConcept")


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


def members_of(kind: str) -> list[str]:
    """The members of a criteria type that ask for something."""
    return sorted(KINDS[kind].members - WITHOUT_EFFECT.get(kind, frozenset()))


def _class(kind: str, member: str) -> str:
    """What a member is, as far as it is tested apart from the others."""
    if member in ("UserDefinedPeriod", "Abnormal", "PlaceOfServiceLocation"):
        return member
    for name, members in (("text", _TEXT), ("decimal", _DECIMAL), ("whole", _WHOLE)):
        if member in members:
            return name
    if member.endswith("Date"):
        return "date"
    return "selection" if member.endswith("CS") else "set" if member.endswith(_SET_NAMES) else "list"


CLASSES: dict[str, list[tuple[str, str]]] = {}
for _kind in sorted(KINDS):
    for _member in members_of(_kind):
        CLASSES.setdefault(_class(_kind, _member), []).append((_kind, _member))
ASKED = st.sampled_from(sorted(CLASSES)).flatmap(lambda name: st.sampled_from(CLASSES[name]))
"""A criteria type and a member of it: every class of members as often as the others, be it of one member or fifty."""


@st.composite
def criteria(draw: st.DrawFn, depth: int, plain: bool = False) -> Json:
    """One criterion, with up to two attributes; a plain one is of a few kinds and has none."""
    kind = draw(st.sampled_from(PLAIN if plain else sorted(KINDS)))
    body: Json = {}
    if kind not in PERIODS and seldom(draw, 3 if plain else 2):
        body["CodesetId"] = draw(SETS)
    if seldom(draw):
        body["First"] = True
    members = members_of(kind)
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


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[list[Json], Rows]:
    """One or two definitions, run as one batch, and a database."""
    definitions = draw(st.lists(documents(), min_size=1, max_size=2))
    return definitions, draw(databases(definitions))


@st.composite
def attribute_cases(draw: st.DrawFn) -> tuple[list[Json], Rows]:
    """Definitions that ask one attribute each of all events of a kind, and a database: many rows to compare."""
    sets = draw(st.lists(st.lists(ITEMS, max_size=2), min_size=3, max_size=3))
    definitions: list[Json] = []
    for kind, member in draw(st.lists(ASKED, min_size=3, max_size=5, unique=True)):
        body = {member: draw(attribute(member))}
        if member.endswith("Exclude"):
            body[member.removesuffix("Exclude")] = draw(LISTS)
        if member == "UserDefinedPeriod":
            body |= draw(AROUND_PERIODS)
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
def period_cases(draw: st.DrawFn) -> tuple[list[Json], Rows]:
    """Definitions that let many events through, so that their periods meet: pads, exits, censoring, a clip."""
    sets = draw(st.lists(st.lists(ITEMS, min_size=1, max_size=2), min_size=3, max_size=3))
    definitions: list[Json] = []
    for _ in range(draw(st.integers(2, 4))):
        found: Json = {
            "ConceptSets": [{"id": at, "expression": {"items": each}} for at, each in enumerate(sets)],
            "PrimaryCriteria": {"CriteriaList": [{"DrugExposure": {}}], "PrimaryCriteriaLimit": ALL},
            "ExpressionLimit": ALL,
            "EndStrategy": draw(EXITS),
            "CollapseSettings": {"EraPad": draw(st.integers(0, 6))},
        }
        if seldom(draw, 3):
            found["CensoringCriteria"] = [{"ConditionOccurrence": {}}]
        if seldom(draw, 3):
            found["CensorWindow"] = draw(_NAMED["UserDefinedPeriod"])
        definitions.append(found)
    return definitions, draw(databases(definitions, 5))


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
