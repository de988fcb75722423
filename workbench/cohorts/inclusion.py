"""Inclusion statistics as Circe keeps them: how many events, and persons, meet which of the inclusion rules.

Attrition (`attrition.py`) asks rule after rule; this asks for each combination of rules, so that numbers can be held
against those of ATLAS. A person counts by the best event: the one that meets the most rules; of those, the one whose
first rule met comes earliest; of those, the earliest event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import CohortScript, compile_batch
from workbench.cohorts.generate import clean, plans_of, prepare, running
from workbench.cohorts.left import Counts, ExactCounts, Left
from workbench.cohorts.plan import Clip, Plan
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.sql import Expr
from workbench.kernel.progress import silent


@dataclass(frozen=True)
class RuleNumbers:
    """Of one rule: how many meet it, and how many more would be in if it were absent (they meet all the others)."""

    met: int
    gain: int


@dataclass(frozen=True)
class Combinations:
    """How many meet each combination of rules; in `by_mask` the first rule counts 1, the second 2, the third 4, …"""

    by_mask: Mapping[int, int]
    rule_count: int
    left: Mapping[int, Left] = field(default_factory=dict[int, Left], compare=False, repr=False)

    @property
    def total(self) -> int:
        """Return how many there are."""
        return sum(self.by_mask.values())

    @property
    def final(self) -> int:
        """Return how many meet all rules."""
        return self.by_mask.get(self._all, 0)

    @property
    def rules(self) -> tuple[RuleNumbers, ...]:
        """Return the numbers of each rule."""
        return tuple(
            RuleNumbers(
                met=sum(count for mask, count in self.by_mask.items() if mask >> rule & 1),
                gain=self.by_mask.get(self._all - (1 << rule), 0),
            )
            for rule in range(self.rule_count)
        )

    @property
    def _all(self) -> int:
        return (1 << self.rule_count) - 1


@dataclass(frozen=True)
class Inclusion:
    """The combinations of events and of persons, and how many persons the censor window takes out of the cohort."""

    events: Combinations
    persons: Combinations
    lost: int


def inclusion(engine: Engine, definition: Definition, counts: Counts | None = None) -> Inclusion:
    """Return the inclusion statistics of a definition, counted on the engine in this way.

    They are exact counts: who may see them is governance's matter. Raises InvalidInput where the definition cannot be
    run, Unavailable or Stopped as engines do.
    """
    plans, failed = plans_of(engine, {"clipped": definition}, None)
    for error in failed.values():
        raise error
    plan = plans["clipped"]
    if plan.clip != Clip(None, None):
        plans["whole"] = replace(plan, clip=Clip(None, None))
    script = compile_batch(plans)
    try:
        prepare(engine, script, silent)
        cohort = script.cohorts["clipped"]
        with running(engine, cohort):
            way = counts or ExactCounts(engine)
            events, persons = (_combinations(way, plan, cohort, best) for best in (False, True))
            kept = _persons(engine, cohort)
        lost = 0
        if "whole" in plans:
            with running(engine, script.cohorts["whole"]):
                lost = _persons(engine, script.cohorts["whole"]) - kept
        return Inclusion(events, persons, lost)
    finally:
        clean(engine, script)


def _combinations(counts: Counts, plan: Plan, cohort: CohortScript, best: bool) -> Combinations:
    rules = len(plan.rules)
    source = _best(cohort, rules) if best else _events(cohort, rules)
    rows = counts.by(sql.sub(source, "e"), [f"r{rule}" for rule in range(rules)])
    left = {sum(int(met) << rule for rule, met in enumerate(results)): each for results, each in rows if each.events}
    return Combinations({mask: each.events for mask, each in left.items()}, rules, left)


def _events(cohort: CohortScript, rules: int) -> exp.Select:
    """Each event after the additional criteria, with 1 or 0 for each rule."""
    results = sql.columns("j", *(f"r{rule}" for rule in range(rules)))
    joins: list[exp.Join] = []
    if cohort.judged is not None:
        joins.append(sql.join(sql.work_table(cohort.judged, "j"), sql.same("j", "q", "person_id", "event_id")))
    columns = {**sql.columns("q", "person_id", "event_id", "start_date"), **results}
    return sql.select(columns, sql.work_table(cohort.qualified, "q"), joins=joins)


def _best(cohort: CohortScript, rules: int) -> exp.Select:
    """Each person's best event."""
    results = [f"r{rule}" for rule in range(rules)]
    met: Expr = sql.number(0)
    for name in results:
        met = exp.Add(this=met, expression=sql.col("v", name))
    earliest = [
        (sql.compare(sql.col("v", name), "=", sql.number(1)), sql.number(at)) for at, name in enumerate(results)
    ]
    first = sql.cases(earliest, sql.number(0)) if earliest else sql.number(0)
    ranked = sql.select(
        {**sql.columns("v", "person_id", "event_id", "start_date", *results), "met": met, "first": first},
        sql.sub(_events(cohort, rules), "v"),
    )
    keys = [(sql.col("m", "met"), True), *((sql.col("m", name), False) for name in ("first", "start_date", "event_id"))]
    ordinal = sql.over(exp.RowNumber(), [sql.col("m", "person_id")], keys)
    numbered = sql.select({**sql.columns("m", "person_id", *results), "ordinal": ordinal}, sql.sub(ranked, "m"))
    one = sql.compare(sql.col("b", "ordinal"), "=", sql.number(1))
    return sql.select(sql.columns("b", "person_id", *results), sql.sub(numbered, "b"), where=[one])


def _persons(engine: Engine, cohort: CohortScript) -> int:
    counted = {"persons": sql.count_distinct(sql.col("c", "subject_id"))}
    return int(engine.tuples(sql.select(counted, sql.work_table(cohort.cohort, "c")))[0][0])
