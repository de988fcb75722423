"""Plan → steps: when a cohort ends, and how its periods become the cohort's rows."""

from __future__ import annotations

from sqlglot import exp

from workbench.cohorts.compile_criteria import Workshop
from workbench.cohorts.plan import DrugEra, Offset, Plan
from workbench.engines import sql
from workbench.engines.sql import Expr


def _periods(workshop: Workshop, plan: Plan, included: str) -> exp.Select:
    """Each event's period: to its earliest end that is not before its start; events without such an end vanish."""
    ends = [_natural_end(plan, included)]
    if isinstance(plan.exit, DrugEra):
        ends.append(_era_ends(_drug_eras(workshop, plan.exit, included), included))
    for events in plan.censoring:
        table, conditions = workshop.source(events, "c")
        after = [
            sql.same("c", "i", "person_id"),
            sql.compare(sql.col("c", "start_date"), ">=", sql.col("i", "start_date")),
            sql.compare(sql.col("c", "start_date"), "<=", sql.col("i", "op_end_date")),
        ]
        ends.append(
            sql.select(
                {**sql.columns("i", "person_id", "event_id", "start_date"), "end_date": sql.col("c", "start_date")},
                sql.work_table(included, "i"),
                joins=[sql.join(sql.work_table(table, "c"), sql.both([*after, *conditions]))],
            )
        )
    return sql.select(
        {**sql.columns("f", "person_id", "start_date"), "end_date": sql.aggregate(exp.Min, sql.col("f", "end_date"))},
        sql.sub(sql.union_all(ends), "f"),
        where=[sql.compare(sql.col("f", "end_date"), ">=", sql.col("f", "start_date"))],
        group=[sql.col("f", "person_id"), sql.col("f", "event_id"), sql.col("f", "start_date")],
    )


def _natural_end(plan: Plan, included: str) -> exp.Select:
    """The end of observation, or for an offset the day it gives, within observation."""
    end: Expr = sql.col("i", "op_end_date")
    if isinstance(plan.exit, Offset):
        moved = sql.add_days(sql.col("i", f"{plan.exit.side}_date"), plan.exit.days)
        late = sql.compare(moved.copy(), ">", sql.col("i", "op_end_date"))
        end = sql.when(late, end, moved)
    columns = {**sql.columns("i", "person_id", "event_id", "start_date"), "end_date": end}
    return sql.select(columns, sql.work_table(included, "i"))


def _era_ends(eras: exp.Select, included: str) -> exp.Select:
    inside = [
        sql.same("r", "i", "person_id"),
        sql.compare(sql.col("i", "start_date"), ">=", sql.col("r", "start_date")),
        sql.compare(sql.col("i", "start_date"), "<=", sql.col("r", "end_date")),
    ]
    return sql.select(
        {**sql.columns("i", "person_id", "event_id", "start_date"), "end_date": sql.col("r", "end_date")},
        sql.work_table(included, "i"),
        joins=[sql.join(sql.sub(eras, "r"), sql.both(inside))],
    )


def _drug_eras(workshop: Workshop, era: DrugEra, included: str) -> exp.Select:
    """Continuous exposure of the included persons, by standard or by source concept."""
    table, drug = workshop.exposures(era.concepts, "a")
    end = sql.col("a", "end_date")
    if era.days_supply is not None:
        end = sql.add_days(sql.col("a", "start_date"), era.days_supply)
    people = sql.select(sql.columns("q", "person_id"), sql.work_table(included, "q"), distinct=True)
    exposures = sql.select(
        {**sql.columns("a", "person_id", "start_date"), "end_date": sql.add_days(end, era.gap + era.offset)},
        sql.work_table(table, "a"),
        joins=[sql.join(sql.sub(people, "i"), sql.same("i", "a", "person_id"))],
        where=drug,
    )
    return eras(exposures, era.gap)


def eras(periods: exp.Select, pad: int) -> exp.Select:
    """Join periods (`person_id, start_date, end_date` with the pad added) and take the pad off again.

    Periods join where one starts no later than the latest end of those before it.
    """
    keys = ("start_date", "end_date")
    before = sql.over(
        sql.aggregate(exp.Max, sql.col("a", "end_date")),
        [sql.col("a", "person_id")],
        [(sql.col("a", key), False) for key in keys],
        "before",
    )
    joins_on = sql.compare(before, ">=", sql.col("a", "start_date"))
    marked = sql.select(
        {
            **sql.columns("a", "person_id", "start_date", "end_date"),
            "is_start": sql.when(joins_on, sql.number(0), sql.number(1)),
        },
        sql.sub(periods, "a"),
    )
    running = sql.over(
        sql.aggregate(exp.Sum, sql.col("b", "is_start")),
        [sql.col("b", "person_id")],
        [(sql.col("b", "start_date"), False), (sql.col("b", "is_start"), True), (sql.col("b", "end_date"), False)],
        "running",
    )
    grouped = sql.select(
        {**sql.columns("b", "person_id", "start_date", "end_date"), "era": running}, sql.sub(marked, "b")
    )
    return sql.select(
        {
            "person_id": sql.col("g", "person_id"),
            "start_date": sql.aggregate(exp.Min, sql.col("g", "start_date")),
            "end_date": sql.add_days(sql.aggregate(exp.Max, sql.col("g", "end_date")), -pad),
        },
        sql.sub(grouped, "g"),
        group=[sql.col("g", "person_id"), sql.col("g", "era")],
    )


def one_a_person(plan: Plan) -> bool:
    """Return whether the limits leave one event a person, so that there is nothing to collapse."""
    qualified = plan.additional is not None and plan.qualified.kind != "all"
    return plan.limit.kind != "all" or plan.entry.limit.kind != "all" or qualified


def rows(workshop: Workshop, plan: Plan, included: str) -> exp.Select:
    """Return the query from included events to the cohort's rows (`subject_id, cohort_start_date, cohort_end_date`)."""
    periods = _periods(workshop, plan, included)
    if one_a_person(plan):
        base: Expr = sql.sub(periods, "c")
    else:
        pad = plan.collapse.pad
        padded = sql.select(
            {
                **sql.columns("p", "person_id", "start_date"),
                "end_date": sql.add_days(sql.col("p", "end_date"), pad),
            },
            sql.sub(periods, "p"),
        )
        base = sql.sub(eras(padded, pad), "c")
    start: Expr = sql.col("c", "start_date")
    end: Expr = sql.col("c", "end_date")
    if plan.clip.start is not None:
        late = sql.compare(sql.col("c", "start_date"), ">", sql.day(plan.clip.start))
        start = sql.when(late, start, sql.day(plan.clip.start))
    if plan.clip.end is not None:
        early = sql.compare(sql.col("c", "end_date"), "<", sql.day(plan.clip.end))
        end = sql.when(early, end, sql.day(plan.clip.end))
    clipped = plan.clip.start is not None or plan.clip.end is not None
    where = [sql.compare(start.copy(), "<=", end.copy())] if clipped else []
    return sql.select(
        {"subject_id": sql.col("c", "person_id"), "cohort_start_date": start, "cohort_end_date": end}, base, where=where
    )
