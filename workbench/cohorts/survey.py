"""What a batch of plans needs: concept sets, event tables with their columns, bits for set membership."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from workbench.cohorts.plan import (
    CARE_REGION,
    DERIVED_FIELDS,
    JOINED_FIELDS,
    Abnormal,
    Demographics,
    DrugEra,
    Events,
    Group,
    InSet,
    Match,
    Plan,
    Test,
)
from workbench.engines.columns import Numbers
from workbench.vocabulary.concept_sets import SETS, ConceptSet

SetsOf = tuple[str, ConceptSet | None, ConceptSet | None]
"""Where a criterion's events are read from: its domain, its concepts and its source concepts."""
WORD_BITS = 62
BITS = "set_bits"
_VIA = {"specialty": "provider_id", "place_of_service": "care_site_id", CARE_REGION: "care_site_id"}
_FROM = {
    "range_low_ratio": ("value_as_number", "range_low"),
    "range_high_ratio": ("value_as_number", "range_high"),
}


def sets_of(events: Events) -> SetsOf:
    """Return where a criterion's events are read from, whatever else it asks of them."""
    return events.domain, events.concepts, events.source


@dataclass
class Needs:
    """What one domain's shared event table must hold, for all plans of the batch."""

    columns: set[str] = field(default_factory=set[str])
    concept_bits: dict[ConceptSet, int] = field(default_factory=dict[ConceptSet, int])
    source_bits: dict[ConceptSet, int] = field(default_factory=dict[ConceptSet, int])
    whole: bool = False
    source: bool = False
    visits: bool = False

    def words(self, role: str) -> int:
        """Return how many whole numbers hold the bits of a role (concept or source)."""
        bits = self.concept_bits if role == "concept" else self.source_bits
        return -(-len(bits) // WORD_BITS)


@dataclass
class Survey:
    """The needs of a batch. Numbers are given in the order of the plans, so equal batches give equal steps."""

    sets: dict[ConceptSet, int] = field(default_factory=dict[ConceptSet, int])
    domains: dict[str, Needs] = field(default_factory=dict[str, Needs])
    counts: dict[Events, set[str]] = field(default_factory=dict[Events, set[str]])
    with_context: dict[SetsOf, dict[Events, None]] = field(default_factory=dict[SetsOf, dict[Events, None]])
    """By where they are read from, the criteria whose events are judged in a context of their own."""
    same_visit: bool = False
    apart: bool = False

    def members(self, concepts: ConceptSet) -> tuple[str, int]:
        """Return the table of a set's concepts and its number there: one table for all, or (`apart`) one each."""
        return (f"set_{self.sets[concepts]}", 1) if self.apart else (SETS, self.sets[concepts])

    def bits(self) -> Numbers:
        """Return the table that says which bit of which word stands for a set, by place (`place`)."""
        rows = [
            (self.place(domain, role), self.sets[concepts], at // WORD_BITS, 1 << (at % WORD_BITS))
            for domain, needs in self.domains.items()
            for role, bits in (("concept", needs.concept_bits), ("source", needs.source_bits))
            for concepts, at in bits.items()
        ]
        names = ("place", "set_id", "word", "value")
        return {name: [row[at] for row in rows] for at, name in enumerate(names)}

    def place(self, domain: str, role: str) -> int:
        """Return the number of a domain's concepts, or of its source concepts, in the table of bits."""
        return 2 * list(self.domains).index(domain) + (role == "source")


def survey(plans: Iterable[Plan]) -> Survey:
    """Return what a batch of plans needs."""
    found = Survey()
    for plan in plans:
        for events, distinct in all_events(plan):
            _note_events(found, events, distinct)
        for asked in all_demographics(plan):
            for test in asked.tests:
                _note_test(found, test)
        if isinstance(plan.exit, DrugEra):
            needs = found.domains.setdefault("DrugExposure", Needs())
            _note_set(found, plan.exit.concepts)
            needs.source = True
            needs.concept_bits.setdefault(plan.exit.concepts, len(needs.concept_bits))
            needs.source_bits.setdefault(plan.exit.concepts, len(needs.source_bits))
        if any(match.same_visit for match in all_matches(plan)):
            found.same_visit = True
    for needs in found.domains.values():
        needs.visits |= found.same_visit
    return found


def all_events(plan: Plan) -> Iterator[tuple[Events, str | None]]:
    """Yield every kind of event that a plan reads, inner ones first, with the column that a distinct count reads."""
    for match in all_matches(plan):
        yield match.events, match.distinct
    for events in (*plan.entry.events, *plan.censoring):
        yield events, None


def groups_of(plan: Plan) -> tuple[Group, ...]:
    """Return the groups judged on the entry events: additional criteria, then the inclusion rules."""
    return (*((plan.additional,) if plan.additional else ()), *(rule.group for rule in plan.rules))


def all_matches(plan: Plan) -> Iterator[Match]:
    """Yield every match of a plan, those inside criteria too, inner ones first."""
    for events in (*plan.entry.events, *plan.censoring):
        yield from _inner(events)
    for group in groups_of(plan):
        yield from _in_group(group)


def _inner(events: Events) -> Iterator[Match]:
    if events.around is not None:
        yield from _in_group(events.around)


def _in_group(group: Group) -> Iterator[Match]:
    for member in group.members:
        if isinstance(member, Group):
            yield from _in_group(member)
        elif isinstance(member, Match):
            yield from _inner(member.events)
            yield member


def all_demographics(plan: Plan) -> Iterator[Demographics]:
    """Yield every demographic criterion of a plan, at any depth."""
    groups = [*groups_of(plan)]
    groups += [events.around for events, _ in all_events(plan) if events.around is not None]
    while groups:
        for member in groups.pop().members:
            if isinstance(member, Group):
                groups.append(member)
            elif isinstance(member, Demographics):
                yield member


def _note_set(found: Survey, concepts: ConceptSet) -> None:
    found.sets.setdefault(concepts, len(found.sets) + 1)


def _note_test(found: Survey, test: Test) -> None:
    if isinstance(test, InSet | Abnormal) and test.concepts is not None:
        _note_set(found, test.concepts)


def _note_events(found: Survey, events: Events, distinct: str | None) -> None:
    needs = found.domains.setdefault(events.domain, Needs())
    for concepts, bits in ((events.concepts, needs.concept_bits), (events.source, needs.source_bits)):
        if concepts is not None:
            _note_set(found, concepts)
            bits.setdefault(concepts, len(bits))
    if events.around is not None:
        found.with_context.setdefault(sets_of(events), {})[events] = None
    needs.whole |= events.concepts is None and events.source is None
    for test in events.tests:
        _note_test(found, test)
    note_columns(needs, events, distinct)
    if distinct is not None:
        found.counts.setdefault(events, set()).add(distinct)


def note_columns(needs: Needs, events: Events, distinct: str | None) -> None:
    """Add the columns of its domain's table that a criterion reads, and that a distinct count of it reads."""
    needs.source |= events.source is not None or distinct == "source_concept_id"
    needs.columns |= raw_columns(events.tests)
    reads_visit = any(not isinstance(test, Abnormal) and test.field == "visit_type" for test in events.tests)
    needs.visits |= reads_visit or distinct == "visit_occurrence_id"
    if distinct is not None:
        needs.columns |= columns_of(distinct)


def columns_of(name: str) -> set[str]:
    """Return the columns of the domain's own table that a field is read from, beyond those that every event has."""
    if name in _FROM:
        return set(_FROM[name])
    if name in _VIA:
        return {_VIA[name]}
    return set() if name in DERIVED_FIELDS or name in JOINED_FIELDS else {name}


def raw_columns(tests: Iterable[Test]) -> set[str]:
    """Return the columns of the domain's own table that some tests read."""
    found: set[str] = set()
    for test in tests:
        if isinstance(test, Abnormal):
            found |= {"value_as_number", "range_low", "range_high", "value_as_concept_id"}
        else:
            found |= columns_of(test.field)
    return found
