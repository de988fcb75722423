"""Why one person is in a cohort, cut to what a reader may see of that person: days, tables, columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date

from workbench.cohorts.compile_criteria import joined_tables
from workbench.cohorts.domains import DAYS_SUPPLY, FAR_FUTURE, NEXT_DAY
from workbench.cohorts.plan import Abnormal, Compare, Demographics, Events, Group, InSet, Match, Test
from workbench.cohorts.survey import raw_columns
from workbench.cohorts.why_words import Criterion, EntryEvent, Explanation, RuleVerdict
from workbench.vocabulary.concept_sets import ConceptSet

Column = tuple[str, str]
CALENDAR: Column = ("calendar", "date")
"""What a test of a date reads: no table has it, so it is never among what may be seen."""
_AGE: Column = ("person", "age_at_index")
_ENDS = frozenset({"end_date", "length", "age_at_end"})
_PEOPLE = {"gender": "gender_concept_id", "race": "race_concept_id", "ethnicity": "ethnicity_concept_id"}


@dataclass(frozen=True)
class View:
    """What may be seen of one person: columns, days around the index date, and which days rows start on.

    `before`, `after` and `end` are the days observed around `index` and the last day in the cohort. `days` maps a
    table to the days from `index` on which the reader has a row of it. Criteria that ask for one of `hidden` (concept
    sets) are not shown at all.
    """

    index: date
    before: int
    after: int
    end: int
    columns: Set[Column]
    days: Mapping[str, Set[int]]
    hidden: Set[ConceptSet]

    def shows(self, asked: Match | Demographics) -> bool:
        """Return whether all that a criterion reads may be seen."""
        sets = _tested(asked.tests) if isinstance(asked, Demographics) else _asked(asked.events)
        return reads(asked) <= self.columns and not set(sets) & self.hidden


def within(found: Explanation, view: View) -> Explanation:
    """Return an explanation that tells nothing beyond a view, and no date.

    Of the entry events the one at the index is left. What it says of a criterion is left out where the criterion reads
    anything that is not in view, and a day where the view has no row of that table on it.
    """
    shift = 0 if found.anchor is None else (found.anchor - view.index).days
    entries = [replace(entry, day=entry.day + shift) for entry in found.entries if entry.included]
    periods = [(start + shift, min(end + shift, view.end)) for start, end in found.periods]
    return Explanation(
        events_with_codes=None,
        events_with_attributes=None,
        entries=tuple(_entry(entry, view) for entry in entries if entry.day == 0),
        periods=tuple(period for period in periods if period[0] == 0),
        anchor=None,
    )


def _entry(entry: EntryEvent, view: View) -> EntryEvent:
    return replace(
        entry,
        observed_before=min(entry.observed_before, view.before),
        observed_after=min(entry.observed_after, view.after),
        additional=_rule(entry.additional, view) if entry.additional else None,
        rules=tuple(_rule(rule, view) for rule in entry.rules),
    )


def _rule(rule: RuleVerdict, view: View) -> RuleVerdict:
    return replace(rule, criteria=tuple(_criterion(each, view) for each in rule.criteria))


def _criterion(each: Criterion, view: View) -> Criterion:
    if not view.shows(each.asked):
        return replace(each, holds=None, days=None)
    if not isinstance(each.asked, Match) or each.days is None:
        return each
    there = view.days.get(each.asked.events.spec.table, frozenset[int]())
    return replace(each, days=tuple(day for day in each.days if day in there))


def reads(asked: Match | Demographics) -> frozenset[Column]:
    """Return the columns whose values an answer to a criterion gives away, keys of persons and of records aside."""
    return frozenset(_demographic(asked.tests) if isinstance(asked, Demographics) else _match(asked))


def _demographic(tests: tuple[Test, ...]) -> Iterator[Column]:
    for test in tests:
        if isinstance(test, Compare):
            yield _AGE if test.field == "age_at_start" else CALENDAR
        elif isinstance(test, InSet):
            yield "person", _PEOPLE[test.field]


def _match(match: Match) -> Iterator[Column]:
    spec = match.events.spec
    yield from _events(match.events)
    if match.same_visit:
        yield spec.table, "visit_occurrence_id"
    if match.distinct in _ENDS or any(window.event == "end" for window in match.windows):
        yield from _ends(match.events)
    named = {"concept_id": spec.concept, "concept_or_zero": spec.concept, "source_concept_id": spec.source}
    if match.distinct is not None and match.distinct not in {*_ENDS, "start_date", "event_id"}:
        yield spec.table, named.get(match.distinct, match.distinct) or CALENDAR[0]


def _events(events: Events) -> Iterator[Column]:
    spec = events.spec
    yield spec.table, spec.start
    if events.concepts is not None:
        yield spec.table, spec.concept or CALENDAR[0]
    if events.source is not None:
        yield spec.table, spec.source or CALENDAR[0]
    yield from ((spec.table, column) for column in raw_columns(events.tests))
    if any(not isinstance(test, Abnormal) and test.field in _ENDS for test in events.tests):
        yield from _ends(events)
    for table in joined_tables(events):
        yield from _joined(events.tests, table)
    if events.adjust is not None:
        yield from _ends(events)
    if events.period_start or events.period_end or any(_is_calendar(test) for test in events.tests):
        yield CALENDAR
    if events.around is not None:
        yield from _group(events.around)


def _ends(events: Events) -> Iterator[Column]:
    """What an event's end is taken from, beyond its start."""
    rules = {DAYS_SUPPLY: "days_supply"}
    found = [rules.get(rule, rule) for rule in events.spec.end if rule not in (NEXT_DAY, FAR_FUTURE)]
    yield from ((events.spec.table, column) for column in found)


def _joined(tests: tuple[Test, ...], table: str) -> Iterator[Column]:
    if table == "person":
        fields = {test.field for test in tests if isinstance(test, Compare | InSet)}
        yield from ((table, _PEOPLE[name]) for name in fields & set(_PEOPLE))
        yield from (_AGE for _ in fields & {"age_at_start", "age_at_end"})
    else:
        yield table, "visit_concept_id" if table == "visit_occurrence" else f"{table}_id"


def _is_calendar(test: Test) -> bool:
    return isinstance(test, Compare) and isinstance(test.value, date)


def _group(group: Group) -> Iterator[Column]:
    for member in group.members:
        if isinstance(member, Group):
            yield from _group(member)
        else:
            yield from reads(member)


def _asked(events: Events) -> Iterator[ConceptSet]:
    """Every concept set that a criterion names, in its context too."""
    yield from (each for each in (events.concepts, events.source) if each is not None)
    yield from _tested(events.tests)
    if events.around is not None:
        yield from _in_group(events.around)


def _in_group(group: Group) -> Iterator[ConceptSet]:
    for member in group.members:
        if isinstance(member, Group):
            yield from _in_group(member)
        else:
            yield from _tested(member.tests) if isinstance(member, Demographics) else _asked(member.events)


def _tested(tests: tuple[Test, ...]) -> Iterator[ConceptSet]:
    yield from (test.concepts for test in tests if isinstance(test, InSet) and test.concepts is not None)
