"""Plan → steps: groups judged on index events.

Groups are plain arithmetic on the counts of their matches (`compile_counts`). A context is a table of index events with
`person_id, event_id, start_date, end_date, visit_occurrence_id, op_start_date, op_end_date`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from workbench.cohorts.compile_counts import KEY, EventSource
from workbench.cohorts.compile_events import test_sql
from workbench.cohorts.plan import Demographics, Group, Match
from workbench.cohorts.survey import Survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr

_PERSON = {"gender": "gender_concept_id", "race": "race_concept_id", "ethnicity": "ethnicity_concept_id"}


def judge(source: EventSource, context: str, groups: Sequence[Group], name: str, *, nested: bool = False) -> Step:
    """Return the step that judges groups on a context.

    It makes a table with one row an index event (its key) and a column `r0`, `r1`, … a group: 1 where the group holds,
    else 0. In a `nested` context an event may stand in several rows, one an observation period: Circe then counts each
    match and each member that many times, and its rows are the rows to give.
    """
    matches: dict[Match, str] = {}
    people: dict[Demographics, str] = {}
    for group in groups:
        for member in leaves(group):
            if isinstance(member, Match):
                matches.setdefault(member, f"n{len(matches)}")
            else:
                people.setdefault(member, f"d{len(people)}")
    counts = source.counts(context, matches, name)
    judging = {alias: sql.sub(_demographics(source.survey, context, each), alias) for each, alias in people.items()}
    joined = {**counts.joined, **judging}
    joins = [sql.join(part, sql.same(alias, "p", *KEY), "LEFT") for alias, part in joined.items()]
    copies = sql.col("p", "copies") if nested else None
    held = {
        **{match: _enough(match, counts.count[match], copies) for match in matches},
        **{each: sql.negate(sql.is_null(sql.col(alias, "event_id"))) for each, alias in people.items()},
    }
    columns = {f"r{at}": sql.flag(_holds(group, held, copies)) for at, group in enumerate(groups)}
    keys = sql.sub(_index_events(context), "p") if nested else sql.work_table(context, "p")
    return Step(f"{name}_judged", sql.select({**sql.columns("p", *KEY), **columns}, keys, joins=joins))


def _index_events(context: str) -> exp.Select:
    """Each index event once, with how many rows it has."""
    columns = {**sql.columns("k", *KEY), "copies": sql.count_all()}
    return sql.select(columns, sql.work_table(context, "k"), group=[sql.col("k", key) for key in KEY])


def leaves(group: Group) -> Iterator[Match | Demographics]:
    """Yield the matches and demographic tests of a group, at any depth."""
    for member in group.members:
        if isinstance(member, Group):
            yield from leaves(member)
        else:
            yield member


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


def _enough(match: Match, count: Expr, copies: Expr | None) -> Expr:
    """No row means that nothing matched: a count of zero. "At most" sees each event once for each copy of the index."""
    count = sql.coalesce(count, sql.number(0))
    if copies is not None and match.operator == "<=" and match.distinct is None:
        count = exp.Mul(this=count, expression=copies.copy())
    return sql.compare(count, match.operator, sql.number(match.count))


def _holds(group: Group, held: dict[Match | Demographics, Expr], copies: Expr | None) -> Expr:
    """Return the group as a condition on counts."""
    if not group.members:
        return sql.compare(sql.number(1), "=", sql.number(1))
    parts = [_holds(each, held, copies) if isinstance(each, Group) else held[each].copy() for each in group.members]
    if group.kind == "any":
        return sql.either(parts)
    if group.kind == "all" and copies is None:
        return sql.both(parts)
    numbers = [_rows(*pair, copies) for pair in zip(group.members, parts, strict=True)]
    total = numbers[0]
    for number in numbers[1:]:
        total = exp.Add(this=total, expression=number)
    total = exp.Paren(this=total)
    if copies is not None:
        total = exp.Mul(this=total, expression=copies.copy())
    if group.kind == "all":
        return sql.compare(total, "=", sql.number(len(parts)))
    return sql.compare(total, ">=" if group.kind == "at least" else "<=", sql.number(group.count))


def _rows(member: Match | Demographics | Group, holds: Expr, copies: Expr | None) -> Expr:
    """How many rows a member gives for an index event: one where it holds; a group without members, one a copy."""
    if copies is not None and isinstance(member, Group) and not member.members:
        return copies.copy()
    return sql.flag(holds)
