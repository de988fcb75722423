"""Plan → queries: who could meet a group at all, so that large tables are read for these persons only.

A group that asks for at least one event of some kind holds for no one without such an event. The persons who have one
are found in the shared event tables, which are small; a wide table (all visits, say) is then read for them alone. This
only ever leaves out events that the group would reject: the rows of a cohort do not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from workbench.cohorts.plan import Demographics, Events, Group, Match
from workbench.engines import sql

if TYPE_CHECKING:
    from workbench.cohorts.compile_groups import EventSource


_FOR_NEARLY_ALL = frozenset({"VisitOccurrence", "VisitDetail", "ObservationPeriod", "PayerPlanPeriod"})


def is_wide(events: Events) -> bool:
    """Return whether a criterion's events may be nearly a whole table: of every person, whatever its concepts."""
    return events.domain in _FOR_NEARLY_ALL or (events.concepts is None and events.source is None)


def candidates(source: EventSource, group: Group) -> exp.Query | None:
    """Return a query of the persons (`person_id`, repeats possible) who could meet a group; None where anyone could."""
    found = [_member(source, member) for member in group.members]
    known = [query for query in found if query is not None]
    if group.kind == "all":
        return _meeting_all(known)
    alternatives = group.kind == "any" or (group.kind == "at least" and group.count > 0)
    if not alternatives or not known or len(known) < len(found):
        return None
    return sql.union_all(known)


def _member(source: EventSource, member: Match | Demographics | Group) -> exp.Query | None:
    if isinstance(member, Group):
        return candidates(source, member)
    if isinstance(member, Demographics) or member.operator == "<=" or member.count == 0 or is_wide(member.events):
        return None
    table, conditions = source.source(member.events, "a")
    return sql.select(sql.columns("a", "person_id"), sql.work_table(table, "a"), where=conditions)


def _meeting_all(queries: list[exp.Query]) -> exp.Query | None:
    if len(queries) < 2:
        return queries[0] if queries else None
    others = [sql.is_in(sql.col("w", "person_id"), query) for query in queries[1:]]
    return sql.select(sql.columns("w", "person_id"), sql.sub(queries[0], "w"), where=others)
