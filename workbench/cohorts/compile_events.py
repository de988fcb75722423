"""Plan → conditions: what tells the events of a criterion in a table of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal

from sqlglot import exp

from workbench.cohorts.places import in_region
from workbench.cohorts.plan import CARE_REGION, JOINED_FIELDS, Abnormal, Compare, Events, InSet, Test, TextTest
from workbench.cohorts.survey import WORD_BITS, Needs, Survey
from workbench.engines import sql
from workbench.engines.sql import Expr
from workbench.vocabulary.concept_sets import ConceptSet

EVENT = ("person_id", "event_id", "start_date", "end_date", "visit_occurrence_id")
Resolve = Callable[[str], Expr]


def has_sets(events: Events, needs: Needs, alias: str) -> list[Expr]:
    """Return the conditions that an event's concepts are in its criterion's sets."""
    found: list[Expr] = []
    for concepts, bits, role in (
        (events.concepts, needs.concept_bits, "c"),
        (events.source, needs.source_bits, "s"),
    ):
        if concepts is not None:
            found.append(bit(alias, role, bits[concepts]))
    return found


def bit(alias: str, role: str, place: int) -> Expr:
    """Return the condition that a set's bit is on."""
    word, mask = _place(role, place)
    return _masked(sql.col(alias, word), mask)


def one_bit(events: Events, needs: Needs) -> tuple[str, int] | None:
    """Return the word (its column) and the bit that alone tell a plain criterion's events, None where more is asked."""
    if events.tests or (events.concepts is None) == (events.source is None):
        return None
    if events.concepts is not None:
        return _place("c", needs.concept_bits[events.concepts])
    return None if events.source is None else _place("s", needs.source_bits[events.source])


def _place(role: str, place: int) -> tuple[str, int]:
    return f"{role}{place // WORD_BITS}", 1 << (place % WORD_BITS)


def _masked(column: Expr, mask: int) -> Expr:
    return sql.compare(exp.Paren(this=sql.bits_of(column, mask)), "<>", sql.number(0))


def in_any_set(kinds: Iterable[Events], needs: Needs, alias: str) -> list[Expr]:
    """Return the condition (or none) that an event may be of one of some kinds, seen from its concepts alone.

    It lets a join read the few rows that matter instead of the whole shared table; which kind an event is of is
    decided after it.
    """
    masks: dict[tuple[str, int], int] = {}
    for events in kinds:
        if events.concepts is not None:
            _add(masks, "c", needs.concept_bits[events.concepts])
        elif events.source is not None:
            _add(masks, "s", needs.source_bits[events.source])
        else:
            return []
    words = [_masked(sql.col(alias, f"{role}{word}"), mask) for (role, word), mask in masks.items()]
    return [sql.either(words)]


def _add(masks: dict[tuple[str, int], int], role: str, place: int) -> None:
    key = (role, place // WORD_BITS)
    masks[key] = masks.get(key, 0) | 1 << (place % WORD_BITS)


def is_plain(events: Events) -> bool:
    """Return whether a criterion can be answered from the shared table by a condition alone."""
    inner = any(isinstance(test, InSet | Abnormal) or test.field in JOINED_FIELDS for test in events.tests)
    moved = events.adjust is not None or events.period_start is not None or events.period_end is not None
    return not (events.first or moved or inner or events.around is not None)


def field_of(alias: str) -> Resolve:
    """Return what fields are, for events of one alias that need no join."""

    def resolve(name: str) -> Expr:
        if name == "length":
            return sql.day_diff(sql.col(alias, "end_date"), sql.col(alias, "start_date"))
        if name in ("range_low_ratio", "range_high_ratio"):
            return sql.ratio(sql.col(alias, "value_as_number"), sql.col(alias, name.removesuffix("_ratio")))
        if name == "concept_or_zero":
            return sql.coalesce(sql.col(alias, "concept_id"), sql.number(0))
        return sql.col(alias, name)

    return resolve


def test_sql(test: Test, resolve: Resolve, survey: Survey) -> Expr:
    """Return a test as a condition; unknown (NULL) values do not pass."""
    match test:
        case InSet():
            if test.field == CARE_REGION and test.concepts is not None:
                return in_region("e", _members(survey, test.concepts))
            if test.concepts is None:
                missing = sql.is_null(resolve(test.field))
                return missing if test.negated else sql.negate(missing)
            return sql.is_in(resolve(test.field), _members(survey, test.concepts), test.negated)
        case Compare():
            return _compare(test, resolve)
        case TextTest():
            before = "%" if test.place in ("ends", "contains") else ""
            after = "%" if test.place in ("starts", "contains") else ""
            like = sql.like(resolve(test.field), f"{before}{test.words}{after}")
            return exp.Not(this=like) if test.negated else like
        case Abnormal():
            value = resolve("value_as_number")
            low = sql.compare(value, "<", resolve("range_low"))
            high = sql.compare(resolve("value_as_number"), ">", resolve("range_high"))
            coded = sql.is_in(resolve("value_as_concept_id"), _members(survey, test.concepts))
            return sql.either([low, high, coded])


def _members(survey: Survey, concepts: ConceptSet) -> exp.Select:
    table, number = survey.members(concepts)
    return sql.select(
        {"concept_id": sql.col("s", "concept_id")},
        sql.work_table(table, "s"),
        where=[sql.compare(sql.col("s", "set_id"), "=", sql.number(number))],
    )


def _compare(test: Compare, resolve: Resolve) -> Expr:
    values = [_value(value) for value in (test.value, test.extent) if value is not None]
    if len(values) == 1:
        return sql.compare(resolve(test.field), test.operator, values[0])
    inside = sql.both(
        [sql.compare(resolve(test.field), ">=", values[0]), sql.compare(resolve(test.field), "<=", values[1])]
    )
    return exp.Not(this=inside) if test.operator == "not between" else inside


def _value(value: Decimal | date) -> Expr:
    return sql.day(value) if isinstance(value, date) else sql.number(value)
