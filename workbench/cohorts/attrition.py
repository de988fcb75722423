"""How many persons and events each part of a definition leaves, read from the plan's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import CohortScript, compile_batch
from workbench.cohorts.generate import clean, plans_of, prepare
from workbench.cohorts.plan import Plan
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.sql import Expr
from workbench.kernel.progress import silent
from workbench.kernel.text import say


@dataclass(frozen=True)
class AttritionRow:
    """What is left after one part: persons and events (in the last row: periods of the cohort).

    `persons_without` is how many persons would be left after all rules if this rule were absent; None where the part
    is no inclusion rule. These are true counts: who may see them, and masked how, is governance's matter.
    """

    label_fr: str
    label_en: str
    persons: int
    events: int
    persons_without: int | None = None


def attrition(engine: Engine, definition: Definition, *, exclude: pa.Table | None = None) -> list[AttritionRow]:
    """Return the attrition of a definition: codes, attributes, observation, criteria, rules in order, limits, cohort.

    Raises InvalidInput where the definition cannot be run, Unavailable or Stopped as engines do.
    """
    plans, failed = plans_of(engine, {definition.name: definition}, exclude)
    for error in failed.values():
        raise error
    plan = plans[definition.name]
    script = compile_batch(plans)
    cohort = script.cohorts[definition.name]
    try:
        prepare(engine, script, silent, exclude)
        for step in cohort.steps:
            engine.materialise(step)
        return _rows(engine, plan, cohort)
    finally:
        for step in cohort.steps:
            engine.drop(step.name)
        clean(engine, script)


def _rows(engine: Engine, plan: Plan, cohort: CohortScript) -> list[AttritionRow]:
    rows = [
        _row("attrition_codes", _count(engine, sql.sub(cohort.codes, "e"))),
        _row("attrition_attributes", _count(engine, sql.sub(cohort.entries, "e"))),
        _row(
            "attrition_observed",
            _count(engine, sql.work_table(cohort.observed, "e")),
            prior=plan.entry.prior_days,
            post=plan.entry.post_days,
        ),
    ]
    if cohort.additional is not None:
        found = _judged(engine, cohort.observed, cohort.additional, [[0]])
        rows.append(_row("attrition_additional", found[0]))
    if cohort.qualified != cohort.observed and plan.qualified.kind != "all":
        rows.append(_row("attrition_limit", _count(engine, sql.work_table(cohort.qualified, "e"))))
    if cohort.judged is not None:
        rows += _rule_rows(engine, plan, cohort, cohort.judged)
    if plan.limit.kind != "all" and plan.entry.limit.kind == "all":
        rows.append(_row("attrition_limit", _count(engine, sql.work_table(cohort.included, "e"))))
    people = {"person_id": sql.col("c", "subject_id")}
    final = sql.select(people, sql.work_table(cohort.cohort, "c"))
    rows.append(_row("attrition_cohort", _count(engine, sql.sub(final, "e"))))
    return rows


def _row(key: str, counts: tuple[int, int], **facts: object) -> AttritionRow:
    return AttritionRow(say(f"cohort.{key}", "fr", **facts), say(f"cohort.{key}", "en", **facts), *counts)


def _rule_rows(engine: Engine, plan: Plan, cohort: CohortScript, judged: str) -> list[AttritionRow]:
    """One row a rule: left after it and those before it; and left by all the others."""
    every = range(len(plan.rules))
    wanted = [list(range(at + 1)) for at in every] + [[other for other in every if other != at] for at in every]
    counts = _judged(engine, cohort.qualified, judged, wanted)
    rows: list[AttritionRow] = []
    for at, rule in enumerate(plan.rules):
        names = [rule.name or say("cohort.attrition_rule", lang, number=at + 1) for lang in ("fr", "en")]
        persons, events = counts[at]
        rows.append(AttritionRow(names[0], names[1], persons, events, counts[len(plan.rules) + at][0]))
    return rows


def _count(engine: Engine, source: Expr) -> tuple[int, int]:
    columns = {"persons": sql.count_distinct(sql.col("e", "person_id")), "events": sql.count_all()}
    return _pairs(engine.fetch(sql.select(columns, source)))[0]


def _judged(engine: Engine, events: str, judged: str, wanted: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Persons and events for which each wanted collection of rules holds; one query for all."""
    columns: dict[str, Expr] = {}
    for at, rules in enumerate(wanted):
        holds = [sql.compare(sql.col("r", f"r{rule}"), "=", sql.number(1)) for rule in rules]
        condition = sql.both(holds or [sql.compare(sql.number(1), "=", sql.number(1))])
        columns[f"persons{at}"] = sql.count_if(condition, sql.col("e", "person_id"))
        columns[f"events{at}"] = sql.count_if(condition.copy())
    on = sql.same("r", "e", "person_id", "event_id")
    joins = [exp.Join(this=sql.work_table(judged, "r"), on=on)]
    return _pairs(engine.fetch(sql.select(columns, sql.work_table(events, "e"), joins=joins)))


def _pairs(table: pa.Table) -> list[tuple[int, int]]:
    values = [int(column[0].as_py()) for column in table.columns]
    return list(zip(values[::2], values[1::2], strict=True))
