"""Plan → steps: groups judged on index events.

All matches of a context that read one table are answered by one grouped join, which counts each of them under its own
condition; the groups are then plain arithmetic on these counts. A context is a table of index events with
`person_id, event_id, start_date, end_date, visit_occurrence_id, op_start_date, op_end_date`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sqlglot import exp

from workbench.cohorts.compile_events import field_of, is_plain, test_sql
from workbench.cohorts.plan import Bound, Demographics, Events, Group, Match, Window
from workbench.cohorts.survey import Survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr

KEY = ("person_id", "event_id")
_PERSON = {"gender": "gender_concept_id", "race": "race_concept_id", "ethnicity": "ethnicity_concept_id"}


class EventSource(Protocol):
    """Where criteria find their events."""

    @property
    def survey(self) -> Survey:
        """Return what the batch needs."""
        ...

    def source(self, events: Events, alias: str) -> tuple[str, list[Expr]]:
        """Return a table and the conditions on it that give a criterion's events."""
        ...


def judge(source: EventSource, context: str, groups: Sequence[Group], prefix: str) -> list[Step]:
    """Return the steps that judge groups on a context.

    The last one makes a table with one row an index event (its key) and a column `r0`, `r1`, … a group: 1 where the
    group holds, else 0.
    """
    matches: dict[Match, str] = {}
    people: dict[Demographics, str] = {}
    for group in groups:
        for member in _leaves(group):
            if isinstance(member, Match):
                matches.setdefault(member, f"n{len(matches)}")
            else:
                people.setdefault(member, f"d{len(people)}")
    steps, where = _counts(source, context, matches, prefix)
    joins = [sql.join(sql.work_table(step.name, step.name), sql.same(step.name, "p", *KEY), "LEFT") for step in steps]
    for demographics, alias in people.items():
        derived = sql.sub(_demographics(source.survey, context, demographics), alias)
        joins.append(sql.join(derived, sql.same(alias, "p", *KEY), "LEFT"))
    held = {
        **{match: _enough(match, sql.col(where[match], name)) for match, name in matches.items()},
        **{each: sql.negate(sql.is_null(sql.col(alias, "event_id"))) for each, alias in people.items()},
    }
    columns = {f"r{at}": sql.flag(_holds(group, held)) for at, group in enumerate(groups)}
    keys = sql.sub(sql.select(sql.columns("k", *KEY), sql.work_table(context, "k"), distinct=True), "p")
    tree = sql.select({**sql.columns("p", *KEY), **columns}, keys, joins=joins)
    return [*steps, Step(f"{prefix}_judged", tree)]


def _leaves(group: Group) -> Iterator[Match | Demographics]:
    for member in group.members:
        if isinstance(member, Group):
            yield from _leaves(member)
        else:
            yield member


def _counts(
    source: EventSource, context: str, matches: dict[Match, str], prefix: str
) -> tuple[list[Step], dict[Match, str]]:
    """One grouped join a table: the steps, and for each match the table that holds its count."""
    tables: dict[str, list[tuple[Match, list[Expr]]]] = {}
    for match in matches:
        table, conditions = source.source(match.events, "a")
        tables.setdefault(table, []).append((match, conditions))
    steps: list[Step] = []
    where: dict[Match, str] = {}
    for table, members in tables.items():
        name = f"{prefix}_n{len(steps)}"
        columns: dict[str, Expr] = {}
        either: list[Expr] = []
        for match, conditions in members:
            condition = sql.both([*conditions, *_in_windows(match)])
            either.append(condition)
            counted = _distinct(match)
            columns[matches[match]] = sql.count_if(condition.copy(), counted)
            where[match] = name
        if len(members) == 1:
            match = members[0][0]
            counted = _distinct(match)
            columns = {matches[match]: sql.count_all() if counted is None else sql.count_distinct(counted)}
        tree = sql.select(
            {**sql.columns("p", *KEY), **columns},
            sql.work_table(context, "p"),
            joins=[
                sql.join(sql.work_table(table, "a"), sql.both([sql.same("a", "p", "person_id"), sql.either(either)]))
            ],
            group=[sql.col("p", key) for key in KEY],
        )
        steps.append(Step(name, tree))
    return steps, where


def matching(source: EventSource, context: str, match: Match) -> exp.Select:
    """Return the events that a match counts on a context: the index event's key and `days` from its start to theirs."""
    table, conditions = source.source(match.events, "a")
    on = sql.both([sql.same("a", "p", "person_id"), *conditions, *_in_windows(match)])
    days = sql.day_diff(sql.col("a", "start_date"), sql.col("p", "start_date"))
    chosen = {**sql.columns("p", *KEY), "days": days}
    return sql.select(chosen, sql.work_table(context, "p"), joins=[sql.join(sql.work_table(table, "a"), on)])


def _distinct(match: Match) -> Expr | None:
    """What a distinct count counts: a field of the shared table, or the column that the criterion's own table keeps."""
    if match.distinct is None:
        return None
    return field_of("a")(match.distinct) if is_plain(match.events) else sql.col("a", match.distinct)


def _in_windows(match: Match) -> list[Expr]:
    """Where an event must lie: in the index event's observation period (unless told not to), windows, visit."""
    found: list[Expr] = []
    if not match.beyond_observation:
        found.append(sql.compare(sql.col("a", "start_date"), ">=", sql.col("p", "op_start_date")))
        found.append(sql.compare(sql.col("a", "start_date"), "<=", sql.col("p", "op_end_date")))
    for window in match.windows:
        for bound, operator in ((window.low, ">="), (window.high, "<=")):
            point = _point(bound, window, match.beyond_observation)
            if point is not None:
                found.append(sql.compare(sql.col("a", f"{window.event}_date"), operator, point))
    if match.same_visit:
        found.append(sql.same("a", "p", "visit_occurrence_id"))
    return found or [sql.compare(sql.number(1), "=", sql.number(1))]


def _point(bound: Bound, window: Window, beyond: bool) -> Expr | None:
    """The day that a side of a window stands for: an open side is the edge of observation, or no edge at all."""
    if bound.days is not None:
        return sql.add_days(sql.col("p", f"{window.index}_date"), bound.days)
    if beyond:
        return None
    return sql.col("p", "op_start_date" if bound.before else "op_end_date")


def _demographics(survey: Survey, context: str, demographics: Demographics) -> exp.Select:
    """Index events whose person passes the tests."""

    def resolve(field: str) -> Expr:
        if field == "age_at_start":
            return sql.age_at(sql.col("e", "start_date"), sql.col("person", "year_of_birth"))
        if field in _PERSON:
            return sql.col("person", _PERSON[field])
        return sql.col("e", field)

    return sql.select(
        sql.columns("e", *KEY),
        sql.work_table(context, "e"),
        joins=[sql.join(sql.cdm_table("person", "person"), sql.same("person", "e", "person_id"))],
        where=[test_sql(test, resolve, survey) for test in demographics.tests],
        distinct=True,
    )


def _enough(match: Match, count: Expr) -> Expr:
    """No row means that nothing matched: a count of zero."""
    return sql.compare(sql.coalesce(count, sql.number(0)), match.operator, sql.number(match.count))


def _holds(group: Group, held: dict[Match | Demographics, Expr]) -> Expr:
    """Return the group as a condition on counts."""
    parts = [_holds(each, held) if isinstance(each, Group) else held[each].copy() for each in group.members]
    if not parts:
        return sql.compare(sql.number(1), "=", sql.number(1))
    if group.kind == "all":
        return sql.both(parts)
    if group.kind == "any":
        return sql.either(parts)
    total = sql.flag(parts[0])
    for part in parts[1:]:
        total = exp.Add(this=total, expression=sql.flag(part))
    operator = ">=" if group.kind == "at least" else "<="
    return sql.compare(exp.Paren(this=total), operator, sql.number(group.count))
