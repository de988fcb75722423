"""Plan → queries: who could meet a group at all, so that large tables are read for these persons only.

A group that asks for at least one event of some kind holds for no one without such an event. The persons who have one
are found in the shared event tables, which are small; a wide table (all visits, say) is then read for them alone. This
only ever leaves out events that the group would reject: the rows of a cohort do not change. A person whose observation
periods overlap may meet ALL of a group without meeting each member (see `compile_groups.judge`): such persons stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from workbench.cohorts.compile_events import is_plain
from workbench.cohorts.plan import Demographics, Events, Group, Match
from workbench.engines import sql

if TYPE_CHECKING:
    from workbench.cohorts.compile_counts import EventSource


OBSERVED_TWICE = "observed_twice"
_FOR_NEARLY_ALL = frozenset({"VisitOccurrence", "VisitDetail", "ObservationPeriod", "PayerPlanPeriod"})


def is_wide(events: Events) -> bool:
    """Return whether a criterion's events may be nearly a whole table: of every person, whatever its concepts."""
    return events.domain in _FOR_NEARLY_ALL or (
        events.concepts is None and events.source is None and events.domain != "Death"
    )


def candidates(source: EventSource, group: Group) -> exp.Query | None:
    """Return a query of the persons (`person_id`, repeats possible) who could meet a group; None where anyone could."""
    found = [_member(source, member) for member in group.members]
    known = [query for query in found if query is not None]
    if group.kind == "all":
        return _meeting_all(source, known)
    alternatives = group.kind == "any" or (group.kind == "at least" and group.count > 0)
    if not alternatives or not known or len(known) < len(found):
        return None
    return sql.union_all(known)


def found_at_once(group: Group) -> bool:
    """Return whether the candidates of a group are found in the event tables alone, without tables made of them."""
    return all(
        found_at_once(member)
        if isinstance(member, Group)
        else isinstance(member, Demographics) or is_wide(member.events) or is_plain(member.events)
        for member in group.members
    )


def _member(source: EventSource, member: Match | Demographics | Group) -> exp.Query | None:
    if isinstance(member, Group):
        return candidates(source, member)
    if isinstance(member, Demographics) or member.operator == "<=" or member.count == 0 or is_wide(member.events):
        return None
    table, conditions = source.source(member.events, "a")
    return sql.select(sql.columns("a", "person_id"), sql.work_table(table, "a"), where=conditions)


def _meeting_all(source: EventSource, queries: list[exp.Query]) -> exp.Query | None:
    if not queries:
        return None
    found = queries[0]
    if len(queries) > 1:
        others = [sql.is_in(sql.col("w", "person_id"), query) for query in queries[1:]]
        found = sql.select(sql.columns("w", "person_id"), sql.sub(queries[0], "w"), where=others)
    twice = sql.select(sql.columns("o", "person_id"), sql.work_table(source.observed_twice(), "o"))
    return sql.union_all([found, twice])


def observed_twice() -> exp.Select:
    """Return the query of the persons (`person_id`) with two observation periods that overlap."""
    several = sql.select(
        sql.columns("n", "person_id"),
        sql.cdm_table("observation_period", "n"),
        group=[sql.col("n", "person_id")],
        having=sql.compare(sql.count_all(), ">", sql.number(1)),
    )
    start, end, key = (f"observation_period_{each}" for each in ("start_date", "end_date", "id"))
    overlap = sql.both(
        [
            sql.same("b", "a", "person_id"),
            sql.compare(sql.col("b", key), ">", sql.col("a", key)),
            sql.compare(sql.col("b", start), "<=", sql.col("a", end)),
            sql.compare(sql.col("b", end), ">=", sql.col("a", start)),
        ]
    )
    joins = [
        sql.join(sql.cdm_table("observation_period", "a"), sql.same("a", "s", "person_id")),
        sql.join(sql.cdm_table("observation_period", "b"), overlap),
    ]
    return sql.select(sql.columns("s", "person_id"), sql.sub(several, "s"), joins=joins, distinct=True)
