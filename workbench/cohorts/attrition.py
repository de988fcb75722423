"""How many persons and events each part of a definition leaves, read from the plan's own tables."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cohorts.compile import CohortScript
from workbench.cohorts.plan import Entry, Plan
from workbench.cohorts.rule_counts import rule_counts
from workbench.engines import sql
from workbench.engines.base import Answers
from workbench.engines.sql import Expr
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


def attrition_rows(engine: Answers, plan: Plan, cohort: CohortScript) -> list[AttritionRow]:
    """Return the attrition of a cohort whose steps have been run."""
    rows = [
        _row("attrition_codes", _count(engine, sql.sub(cohort.codes, "e"))),
        _row("attrition_attributes", _count(engine, sql.sub(cohort.entries, "e"))),
        _observed(plan.entry, _count(engine, sql.work_table(cohort.observed, "e"))),
    ]
    if cohort.additional is not None:
        found = rule_counts(engine, cohort.additional, 1)
        rows.append(_row("attrition_additional", (found.persons[0], found.events[0])))
    if cohort.qualified != cohort.observed and plan.qualified.kind != "all":
        rows.append(_row("attrition_limit", _count(engine, sql.work_table(cohort.qualified, "e"))))
    if cohort.judged is not None:
        rows += _rule_rows(engine, plan, cohort.judged)
    if plan.limit.kind != "all" and plan.entry.limit.kind == "all":
        rows.append(_row("attrition_limit", _count(engine, sql.work_table(cohort.included, "e"))))
    people = {"person_id": sql.col("c", "subject_id")}
    final = sql.select(people, sql.work_table(cohort.cohort, "c"))
    rows.append(_row("attrition_cohort", _count(engine, sql.sub(final, "e"))))
    return rows


def _observed(entry: Entry, counts: tuple[int, int]) -> AttritionRow:
    if entry.prior_days == entry.post_days == 0:
        return _row("attrition_in_observation", counts)
    return _row("attrition_observed", counts, prior=entry.prior_days, post=entry.post_days)


def _row(key: str, counts: tuple[int, int], **facts: object) -> AttritionRow:
    return AttritionRow(say(f"cohort.{key}", "fr", **facts), say(f"cohort.{key}", "en", **facts), *counts)


def _rule_rows(engine: Answers, plan: Plan, judged: str) -> list[AttritionRow]:
    """One row a rule: left after it and those before it; and left by all the others."""
    counts = rule_counts(engine, judged, len(plan.rules))
    rows: list[AttritionRow] = []
    for at, rule in enumerate(plan.rules):
        names = [rule.name or say("cohort.attrition_rule", lang, number=at + 1) for lang in ("fr", "en")]
        left = counts.persons[at], counts.events[at]
        rows.append(AttritionRow(names[0], names[1], *left, counts.persons_without[at]))
    return rows


def _count(engine: Answers, source: Expr) -> tuple[int, int]:
    columns = {"persons": sql.count_distinct(sql.col("e", "person_id")), "events": sql.count_all()}
    ((persons, events),) = engine.tuples(sql.select(columns, source))
    return int(persons), int(events)
