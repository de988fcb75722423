"""Plan → script: the ordered steps that make the cohorts of a batch, as sqlglot trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from workbench.cohorts import places
from workbench.cohorts.compile_criteria import Workshop
from workbench.cohorts.compile_events import EVENT
from workbench.cohorts.compile_exit import rows
from workbench.cohorts.compile_groups import judge
from workbench.cohorts.plan import Entry, Exclude, Limit, Plan
from workbench.cohorts.survey import BITS, survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.columns import Numbers
from workbench.engines.sql import Expr
from workbench.kernel.collecting import collecting_later
from workbench.vocabulary import concept_sets

INDEX = ("person_id", "event_id", "start_date", "end_date", "visit_occurrence_id", "op_start_date", "op_end_date")


@dataclass(frozen=True)
class CohortScript:
    """One definition's own steps and the tables that its numbers are read from.

    `codes` holds entry events by their concepts alone, `observed` the entry events within observation, `qualified` and
    `included` what the additional criteria and the rules leave, `judged` one column a rule, `cohort` the rows.
    """

    steps: tuple[Step, ...]
    codes: exp.Query
    entries: exp.Query
    observed: str
    additional: str | None
    qualified: str
    judged: str | None
    included: str
    cohort: str


@dataclass(frozen=True)
class Script:
    """A batch: tables to load, steps that all definitions share, then each definition's own."""

    loads: Mapping[str, Numbers]
    shared: tuple[Step, ...]
    cohorts: Mapping[str, CohortScript] = field(default_factory=dict[str, CohortScript])


def compile_batch(plans: Mapping[str, Plan]) -> Script:
    """Return the script of a batch of plans. Raises TypeError where a tree is not portable: a bug of ours."""
    with collecting_later():
        return _compiled(plans)


def _compiled(plans: Mapping[str, Plan]) -> Script:
    found = survey(plans.values())
    workshop = Workshop(found)
    cohorts = {name: cohort_script(workshop, plan, f"d{at}") for at, (name, plan) in enumerate(plans.items())}
    sets = concept_sets.steps(found.sets)
    loads = {**concept_sets.uploads(found.sets), BITS: found.bits()}
    return Script(loads, (*sets, *places.steps(plans.values()), *workshop.steps), cohorts)


def cohort_script(workshop: Workshop, plan: Plan, prefix: str) -> CohortScript:
    """Return one definition's own steps; what it shares with others is added to the workshop's."""
    entries = _entries(workshop, plan.entry)
    observed = f"{prefix}_entry"
    steps = [Step(observed, _observed(plan, entries))]
    additional = None
    if plan.additional is not None and plan.additional.members:
        steps.append(judge(workshop, observed, [plan.additional], f"{prefix}_additional"))
        additional = steps[-1].name
    qualified = observed
    limit = plan.qualified if plan.additional is not None else Limit("all")
    if additional or limit.kind != "all":
        qualified = f"{prefix}_qualified"
        steps.append(Step(qualified, _kept(observed, additional, 1, limit)))
    rules = None
    if plan.rules:
        steps.append(judge(workshop, qualified, [rule.group for rule in plan.rules], f"{prefix}_rules"))
        rules = steps[-1].name
    included = qualified
    if rules or plan.limit.kind != "all":
        included = f"{prefix}_included"
        steps.append(Step(included, _kept(qualified, rules, len(plan.rules), plan.limit)))
    steps.append(Step(f"{prefix}_cohort", rows(workshop, plan, included)))
    return CohortScript(
        steps=tuple(steps),
        codes=_codes(workshop, plan.entry),
        entries=entries.copy(),
        observed=observed,
        additional=additional,
        qualified=qualified,
        judged=rules,
        included=included,
        cohort=f"{prefix}_cohort",
    )


def _entries(workshop: Workshop, entry: Entry) -> exp.Query:
    """All entry events, whatever their kind."""
    parts: list[exp.Query] = []
    for kind, events in enumerate(entry.events):
        table, conditions = workshop.source(events, "a")
        sort = "start_date" if table.startswith("ev_") else "sort_date"
        columns = {**sql.columns("a", *EVENT), "sort_date": sql.col("a", sort), "kind": sql.number(kind)}
        parts.append(sql.select(columns, sql.work_table(table, "a"), where=conditions))
    return sql.union_all(parts)


def _codes(workshop: Workshop, entry: Entry) -> exp.Query:
    """Entry events by their concepts alone: before first occurrences, attributes and contexts are looked at."""
    parts: list[exp.Query] = []
    for events in entry.events:
        bare = type(events)(domain=events.domain, concepts=events.concepts, source=events.source)
        table, conditions = workshop.source(bare, "a")
        parts.append(sql.select(sql.columns("a", "person_id"), sql.work_table(table, "a"), where=conditions))
    return sql.union_all(parts)


def _observed(plan: Plan, entries: exp.Query) -> exp.Select:
    """Entry events in an observation period, with the days observed that are asked for, numbered within a person."""
    entry = plan.entry
    inside = [
        sql.same("o", "e", "person_id"),
        sql.compare(sql.col("e", "start_date"), ">=", sql.col("o", "observation_period_start_date")),
        sql.compare(sql.col("e", "start_date"), "<=", sql.col("o", "observation_period_end_date")),
    ]
    opened = sql.add_days(sql.col("o", "observation_period_start_date"), entry.prior_days)
    closed = sql.add_days(sql.col("e", "start_date"), entry.post_days)
    joins = [sql.join(sql.cdm_table("observation_period", "o"), sql.both(inside))]
    where = [
        sql.compare(opened, "<=", sql.col("e", "start_date")),
        sql.compare(closed, "<=", sql.col("o", "observation_period_end_date")),
    ]
    if isinstance(plan.exclude, Exclude):
        joins.append(
            sql.join(sql.work_table(plan.exclude.table, "out"), sql.same("out", "e", "person_id"), "LEFT"),
        )
        where.append(sql.is_null(sql.col("out", "person_id")))
    numbered = sql.select(
        {
            **sql.columns("e", "person_id", "start_date", "end_date", "visit_occurrence_id"),
            "op_start_date": sql.col("o", "observation_period_start_date"),
            "op_end_date": sql.col("o", "observation_period_end_date"),
            "event_id": _entry_number(entry.limit.kind == "last"),
        },
        sql.sub(entries, "e"),
        joins=joins,
        where=where,
    )
    only = [sql.compare(sql.col("n", "event_id"), "=", sql.number(1))] if entry.limit.kind != "all" else []
    return sql.select(sql.columns("n", *INDEX), sql.sub(numbered, "n"), where=only)


def _entry_number(latest_first: bool) -> Expr:
    """Number entry events by date, then id, then by what else tells them apart; never by their place in a table."""
    keys = [(sql.col("e", "sort_date"), latest_first)]
    keys += [(sql.col("e", name), False) for name in ("event_id", "kind", "start_date", "end_date")]
    keys += [(sql.col("o", name), False) for name in ("observation_period_start_date", "observation_period_end_date")]
    return sql.over(exp.RowNumber(), [sql.col("e", "person_id")], keys)


def _kept(table: str, judged: str | None, rules: int, limit: Limit) -> exp.Select:
    """Index events on which every rule holds, all or the first or last of a person (ties: the lowest event number)."""
    joins: list[exp.Join] = []
    if judged is not None:
        hold = [sql.compare(sql.col("r", f"r{rule}"), "=", sql.number(1)) for rule in range(rules)]
        joins = [sql.join(sql.work_table(judged, "r"), sql.both([sql.same("r", "q", "person_id", "event_id"), *hold]))]
    chosen = sql.columns("q", *INDEX)
    if limit.kind == "all":
        return sql.select(chosen, sql.work_table(table, "q"), joins=joins)
    keys = [(sql.col("q", "start_date"), limit.kind == "last"), (sql.col("q", "event_id"), False)]
    ordinal = sql.over(exp.RowNumber(), [sql.col("q", "person_id")], keys)
    ordered = sql.select({**chosen, "ordinal": ordinal}, sql.work_table(table, "q"), joins=joins)
    first = sql.compare(sql.col("n", "ordinal"), "=", sql.number(1))
    return sql.select(sql.columns("n", *INDEX), sql.sub(ordered, "n"), where=[first])
