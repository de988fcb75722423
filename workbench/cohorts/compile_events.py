"""Plan → steps: shared event tables (one a domain and batch) and the events of single criteria."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlglot import exp

from workbench.cohorts.domains import DAYS_SUPPLY, FAR_FUTURE, NEXT_DAY, Domain
from workbench.cohorts.plan import JOINED_FIELDS, Abnormal, Compare, Events, InSet, Test, TextTest
from workbench.cohorts.survey import BITS, WORD_BITS, Needs, Survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr
from workbench.vocabulary.concept_sets import SETS

EVENT = ("person_id", "event_id", "start_date", "end_date", "visit_occurrence_id")
Resolve = Callable[[str], Expr]


def shared_table(domain: Domain) -> str:
    """Return the name of a domain's shared event table."""
    return f"ev_{domain.table}"


def _mask_table(domain: Domain, role: str) -> str:
    return f"bits_{role}_{domain.table}"


def shared_steps(domain: Domain, survey: Survey) -> list[Step]:
    """Return the steps that make a domain's shared event table: one read for the union of all sets of the batch."""
    needs = survey.domains[domain.criteria]
    roles = [role for role in ("concept", "source") if needs.words(role)]
    masks = [
        Step(_mask_table(domain, role), _masks(survey.place(domain.criteria, role), role, needs.words(role)), keep=True)
        for role in roles
    ]
    return [*masks, Step(shared_table(domain), _shared(domain, needs, roles), keep=True)]


def _masks(place: int, role: str, words: int) -> exp.Select:
    """For each concept, the sets that hold it, as bits: sums of powers of two, since no set holds a concept twice."""
    values = {
        f"{role[0]}{word}": sql.cast(
            sql.coalesce(
                sql.aggregate(
                    exp.Sum,
                    sql.when(sql.compare(sql.col("b", "word"), "=", sql.number(word)), sql.col("b", "value")),
                ),
                sql.number(0),
            ),
            "BIGINT",
        )
        for word in range(words)
    }
    return sql.select(
        {"concept_id": sql.col("s", "concept_id"), **values},
        sql.work_table(SETS, "s"),
        joins=[sql.join(sql.work_table(BITS, "b"), sql.same("b", "s", "set_id"))],
        where=[sql.compare(sql.col("b", "place"), "=", sql.number(place))],
        group=[sql.col("s", "concept_id")],
    )


def _shared(domain: Domain, needs: Needs, roles: list[str]) -> exp.Query:
    """The domain's events with the bits of their concepts: all events, or those with a concept in any set.

    With sets of both roles the events found by concept are read first, then what only the source concept finds: two
    narrow inner joins cost half of one wide outer join.
    """
    if needs.whole:
        return _read(domain, needs, dict.fromkeys(roles, "LEFT"))
    if len(roles) < 2:
        return _read(domain, needs, dict.fromkeys(roles, ""))
    by_concept = _read(domain, needs, {"concept": "", "source": "LEFT"})
    by_source = _read(domain, needs, {"concept": "LEFT", "source": ""}, [sql.is_null(sql.col("concept", "concept_id"))])
    return sql.union_all([by_concept, by_source])


def _read(domain: Domain, needs: Needs, sides: Mapping[str, str], where: Sequence[Expr] = ()) -> exp.Select:
    visits = domain.visit and needs.visits
    chosen: dict[str, Expr] = {
        "person_id": sql.col("t", domain.person),
        "event_id": sql.col("t", domain.key),
        "start_date": sql.col("t", domain.start),
        "end_date": _end(domain),
        "visit_occurrence_id": sql.col("t", "visit_occurrence_id") if visits else sql.null("BIGINT"),
        "concept_id": _concept(domain),
    }
    if needs.source:
        chosen["source_concept_id"] = sql.col("t", domain.source) if domain.source else sql.null("BIGINT")
    chosen |= {name: sql.col("t", name) for name in sorted(needs.columns)}
    joins: list[exp.Join] = []
    where = list(where)
    if domain.place:
        joins.append(sql.join(sql.cdm_table("location", "place"), sql.same("place", "t", "location_id")))
        where.append(sql.compare(sql.col("t", "domain_id"), "=", sql.text("PERSON")))
    for role, side in sides.items():
        column = _concept(domain) if role == "concept" else sql.col("t", domain.source or domain.key)
        on = sql.compare(sql.col(role, "concept_id"), "=", column)
        joins.append(sql.join(sql.work_table(_mask_table(domain, role), role), on, side))
        chosen |= sql.columns(role, *(f"{role[0]}{word}" for word in range(needs.words(role))))
    return sql.select(chosen, sql.cdm_table(domain.table, "t"), joins=joins, where=where)


def _concept(domain: Domain) -> Expr:
    if domain.concept is None:
        return sql.null("BIGINT")
    return sql.col("place" if domain.place else "t", domain.concept)


def _end(domain: Domain) -> Expr:
    """An event's end: its column, else its start and the days supplied, else the day after its start."""
    choices: list[Expr] = []
    for rule in domain.end:
        start = sql.col("t", domain.start)
        if rule == NEXT_DAY:
            choices.append(sql.add_days(start, 1))
        elif rule == FAR_FUTURE:
            choices.append(sql.day(date.fromisoformat(rule)))
        elif rule == DAYS_SUPPLY:
            choices.append(sql.add_days(start, sql.col("t", "days_supply")))
        else:
            choices.append(sql.col("t", rule))
    return sql.coalesce(*choices)


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
    return _masked(sql.col(alias, f"{role}{place // WORD_BITS}"), 1 << (place % WORD_BITS))


def _masked(column: Expr, mask: int) -> Expr:
    masked = exp.BitwiseAnd(this=column, expression=sql.number(mask))
    return sql.compare(exp.Paren(this=masked), "<>", sql.number(0))


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
            if test.concepts is None:
                missing = sql.is_null(resolve(test.field))
                return missing if test.negated else sql.negate(missing)
            return sql.is_in(resolve(test.field), _members(survey.number(test.concepts)), test.negated)
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
            coded = sql.is_in(resolve("value_as_concept_id"), _members(survey.number(test.concepts)))
            return sql.either([low, high, coded])


def _members(number: int) -> exp.Select:
    return sql.select(
        {"concept_id": sql.col("s", "concept_id")},
        sql.work_table(SETS, "s"),
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
