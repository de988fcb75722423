"""The plan: a small closed set of frozen nodes that says what a cohort is.

Everything else reads it: SQL, counts, attrition, the sentence. Nodes are checked when made. `path` members name the
part of the document a node comes from; they are no part of its identity, so equal parts of different definitions are
one part and are computed once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from workbench.cohorts.domains import DOMAINS, Domain
from workbench.vocabulary.concept_sets import ConceptSet

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "between", "not between"]
Side = Literal["start", "end"]
LimitKind = Literal["all", "first", "last"]

CARE_REGION = "care_region"
"""The region in which the care site of an event stood throughout the event: the one field that may have several."""
JOINED_FIELDS = frozenset(
    {"age_at_start", "age_at_end", "gender", "race", "ethnicity", "specialty", "visit_type", "place_of_service",
     CARE_REGION}
)  # fmt: skip
"""Fields that live in other tables than the event's: person, provider, visit, care site."""
DERIVED_FIELDS = frozenset(
    {"start_date", "end_date", "length", "range_low_ratio", "range_high_ratio", "event_id", "visit_occurrence_id",
     "concept_id", "source_concept_id", "concept_or_zero"}
)  # fmt: skip
"""Fields that every event has or that are worked out of its columns; any other field is a column of its table."""


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class InSet:
    """The field's concept is (or is not) in a set; `concepts` None asks only whether the field is filled in."""

    field: str
    concepts: ConceptSet | None
    negated: bool = False
    label: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True)
class Compare:
    """The field, a number or a date, stands in a relation to one value or lies between two."""

    field: str
    operator: Operator
    value: Decimal | date
    extent: Decimal | date | None = None

    def __post_init__(self) -> None:
        _demand((self.extent is not None) == self.operator.endswith("between"), "two values for between, else one")


@dataclass(frozen=True)
class TextTest:
    """The field, a text, contains, starts or ends with (or does not) some words."""

    field: str
    place: Literal["contains", "starts", "ends"]
    words: str
    negated: bool = False


@dataclass(frozen=True)
class Abnormal:
    """A measured value outside its own normal range, or whose coded value says so (a concept of the set)."""

    concepts: ConceptSet


Test = InSet | Compare | TextTest | Abnormal


@dataclass(frozen=True)
class Adjust:
    """Moved dates: each side starts from an event's start or end, some days later."""

    start_from: Side
    start_days: int
    end_from: Side
    end_days: int


@dataclass(frozen=True)
class Events:
    """Events of one domain: with a concept in a set, the first of a person if asked, passing tests, in a context.

    `first` is decided among all events of the sets, before the tests (as Circe does). `around` is a group that each
    event must meet with itself as the index.
    """

    domain: str
    concepts: ConceptSet | None = None
    source: ConceptSet | None = None
    first: bool = False
    adjust: Adjust | None = None
    tests: tuple[Test, ...] = ()
    period_start: date | None = None
    period_end: date | None = None
    around: Group | None = None
    label: str = dataclasses.field(default="", compare=False)
    source_label: str = dataclasses.field(default="", compare=False)
    path: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        _demand(self.domain in DOMAINS, "a known domain")

    @property
    def spec(self) -> Domain:
        """Return the domain's tables and columns."""
        return DOMAINS[self.domain]


@dataclass(frozen=True)
class Bound:
    """One side of a window: days from the index (negative before), or None for the edge of the observation period."""

    days: int | None
    before: bool


@dataclass(frozen=True)
class Window:
    """Where an event's start or end must lie, seen from the index event's start or end; both sides count."""

    low: Bound
    high: Bound
    index: Side = "start"
    event: Side = "start"


@dataclass(frozen=True)
class Match:
    """How many events (or distinct values of `distinct`) of a kind lie in the windows around an index event."""

    events: Events
    windows: tuple[Window, ...]
    operator: Literal["=", "<=", ">="]
    count: int
    distinct: str | None = None
    same_visit: bool = False
    beyond_observation: bool = False

    def __post_init__(self) -> None:
        _demand(1 <= len(self.windows) <= 2, "a start window, and an end window at most")
        _demand(self.count >= 0, "a count of zero or more")


@dataclass(frozen=True)
class Demographics:
    """Tests on the person (age, sex, …) and on the index event's own dates."""

    tests: tuple[Test, ...]
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True)
class Group:
    """All, any, at least or at most some of its members hold; a group without members holds for every event."""

    kind: Literal["all", "any", "at least", "at most"]
    count: int
    members: tuple[Match | Demographics | Group, ...]


@dataclass(frozen=True)
class Limit:
    """All events of a person, or the first or the last only."""

    kind: LimitKind


@dataclass(frozen=True)
class Entry:
    """The entry events: of any listed kind, within observation, with days observed before and after."""

    events: tuple[Events, ...]
    prior_days: int
    post_days: int
    limit: Limit

    def __post_init__(self) -> None:
        _demand(len(self.events) > 0, "at least one kind of entry event")


@dataclass(frozen=True)
class Rule:
    """One inclusion rule, with the name its author gave it."""

    name: str
    group: Group


@dataclass(frozen=True)
class EndOfObservation:
    """The cohort ends with the observation period."""


@dataclass(frozen=True)
class Offset:
    """The cohort ends some days after the entry event's start or end, within observation."""

    side: Side
    days: int


@dataclass(frozen=True)
class DrugEra:
    """The cohort ends when continuous exposure to the drugs of a set ends: gaps up to `gap` days are bridged."""

    concepts: ConceptSet
    gap: int
    offset: int
    days_supply: int | None = None
    label: str = dataclasses.field(default="", compare=False)
    path: str = dataclasses.field(default="", compare=False)


Exit = EndOfObservation | Offset | DrugEra


@dataclass(frozen=True)
class Collapse:
    """Periods of a person that overlap, or lie no more than `pad` days apart, become one."""

    pad: int


@dataclass(frozen=True)
class Clip:
    """Periods are cut to a calendar window; those outside vanish."""

    start: date | None
    end: date | None


@dataclass(frozen=True)
class Exclude:
    """Persons who are left out altogether (oppositions): the name of the work table of their ids, never the ids."""

    table: str


@dataclass(frozen=True)
class Places:
    """How the database keeps places: dated in `location_history` or not, and the column of `location` for the region.

    As OMOP CDM 5.4 has it unless a database says otherwise.
    """

    history: bool = False
    region: str = "country_concept_id"


@dataclass(frozen=True)
class Plan:
    """A whole cohort. `additional` None means that there are none; an empty group still lets the limit act."""

    entry: Entry
    additional: Group | None
    qualified: Limit
    rules: tuple[Rule, ...]
    limit: Limit
    exit: Exit
    censoring: tuple[Events, ...]
    collapse: Collapse
    clip: Clip
    exclude: Exclude | None = None
    places: Places = Places()
