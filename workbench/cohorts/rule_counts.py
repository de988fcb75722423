"""Persons and events left by rules: after each in turn, and by all but one. Three small queries, however many rules."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from sqlglot import exp

from workbench.engines import sql
from workbench.engines.base import Answers
from workbench.engines.sql import Expr


@dataclass(frozen=True)
class RuleCounts:
    """For each rule, in order: persons and events left after it and those before it; persons left by all the others."""

    persons: tuple[int, ...]
    events: tuple[int, ...]
    persons_without: tuple[int, ...]


def rule_counts(engine: Answers, judged: str, rules: int) -> RuleCounts:
    """Count over a table of judged events (`person_id, event_id, r0, r1, …`), one row an event, of some rules."""
    events = _by_passed(engine, sql.count_all(), judged_events(judged, rules), rules)
    persons = _by_passed(engine, sql.count_all(), _persons(judged, rules), rules)
    only = _by_passed(engine, sql.count_distinct(sql.col("e", "person_id")), _failing_one(judged, rules), rules)
    without = tuple(persons[rules] + only[rule] for rule in range(rules))
    return RuleCounts(_at_least(persons), _at_least(events), without)


def _by_passed(engine: Answers, count: Expr, source: exp.Select, rules: int) -> list[int]:
    """Count by how many rules are passed in a row: none, one, … all."""
    columns = {"passed": sql.col("e", "passed"), "count": count}
    rows = engine.tuples(sql.select(columns, sql.sub(source, "e"), group=[sql.col("e", "passed")]))
    found = {int(passed): int(counted) for passed, counted in rows}
    return [found.get(passed, 0) for passed in range(rules + 1)]


def _at_least(counts: list[int]) -> tuple[int, ...]:
    """How many pass the first rule, the first two, …, from how many pass just none, one, … in a row."""
    return tuple(accumulate(reversed(counts)))[::-1][1:]


def judged_events(judged: str, rules: int) -> exp.Select:
    """Return each judged event's person, how many rules it passes before the first that it fails (`passed`), and how
    many in all (`kept`)."""
    first = sql.cases(
        [(sql.compare(sql.col("j", f"r{at}"), "=", sql.number(0)), sql.number(at)) for at in range(rules)],
        sql.number(rules),
    )
    kept: Expr = sql.col("j", "r0")
    for at in range(1, rules):
        kept = exp.Add(this=kept, expression=sql.col("j", f"r{at}"))
    return sql.select(
        {"person_id": sql.col("j", "person_id"), "passed": first, "kept": kept}, sql.work_table(judged, "j")
    )


def _persons(judged: str, rules: int) -> exp.Select:
    """Each person: the most rules that one of the events passes in a row."""
    most = sql.aggregate(exp.Max, sql.col("v", "passed"))
    return sql.select(
        {"person_id": sql.col("v", "person_id"), "passed": most},
        sql.sub(judged_events(judged, rules), "v"),
        group=[sql.col("v", "person_id")],
    )


def _failing_one(judged: str, rules: int) -> exp.Select:
    """Events that fail one rule only (the first they fail), of persons without an event that fails none."""
    return sql.select(
        sql.columns("f", "person_id", "passed"),
        sql.sub(judged_events(judged, rules), "f"),
        joins=[sql.join(sql.sub(_persons(judged, rules), "b"), sql.same("b", "f", "person_id"))],
        where=[
            sql.compare(sql.col("f", "kept"), "=", sql.number(rules - 1)),
            sql.compare(sql.col("b", "passed"), "<", sql.number(rules)),
        ],
    )
