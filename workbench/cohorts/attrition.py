"""How many persons and events each part of a definition leaves, read from the plan's own tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from workbench.cohorts.compile import CohortScript
from workbench.cohorts.left import Counts, Left
from workbench.cohorts.plan import Entry, Plan
from workbench.engines import sql
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


@dataclass(frozen=True)
class AttritionStep:
    """A row, and what is behind its numbers: the populations, where they were asked for."""

    row: AttritionRow
    left: Left

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON value, for another process of this workbench."""
        populations = {name: each and each.as_json() for name, each in vars(self.left.populations).items()}
        return {**asdict(self.row), "populations": populations}


def attrition_rows(counts: Counts, plan: Plan, cohort: CohortScript) -> list[AttritionStep]:
    """Return the attrition of a cohort whose steps have been run."""
    steps = [
        _step("attrition_codes", counts.all(sql.sub(cohort.codes, "e"))),
        _step("attrition_attributes", counts.all(sql.sub(cohort.entries, "e"))),
        _observed(plan.entry, counts.all(sql.work_table(cohort.observed, "e"))),
    ]
    if cohort.additional is not None:
        steps.append(_step("attrition_additional", counts.rules(cohort.additional, 1)[0].whole()))
    if cohort.qualified != cohort.observed and plan.qualified.kind != "all":
        steps.append(_step("attrition_limit", counts.all(sql.work_table(cohort.qualified, "e"))))
    if cohort.judged is not None:
        steps += _rule_steps(counts, plan, cohort.judged)
    if plan.limit.kind != "all" and plan.entry.limit.kind == "all":
        steps.append(_step("attrition_limit", counts.all(sql.work_table(cohort.included, "e"))))
    people = {"person_id": sql.col("c", "subject_id")}
    final = sql.select(people, sql.work_table(cohort.cohort, "c"))
    steps.append(_step("attrition_cohort", counts.all(sql.sub(final, "e"))))
    return steps


def _observed(entry: Entry, left: Left) -> AttritionStep:
    if entry.prior_days == entry.post_days == 0:
        return _step("attrition_in_observation", left)
    return _step("attrition_observed", left, prior=entry.prior_days, post=entry.post_days)


def _step(key: str, left: Left, **facts: object) -> AttritionStep:
    return _named(say(f"cohort.{key}", "fr", **facts), say(f"cohort.{key}", "en", **facts), left)


def _named(french: str, english: str, left: Left) -> AttritionStep:
    return AttritionStep(AttritionRow(french, english, left.persons, left.events, left.persons_without), left)


def _rule_steps(counts: Counts, plan: Plan, judged: str) -> list[AttritionStep]:
    """One step a rule: left after it and those before it; and left by all the others."""
    steps: list[AttritionStep] = []
    for at, (rule, left) in enumerate(zip(plan.rules, counts.rules(judged, len(plan.rules)), strict=True)):
        french, english = (rule.name or say("cohort.attrition_rule", lang, number=at + 1) for lang in ("fr", "en"))
        steps.append(_named(french, english, left))
    return steps
