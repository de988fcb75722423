"""Plan → steps: groups judged on index events.

All matches of a context that read one table are answered by one grouped join, which counts each of them under its own
condition; the groups are then plain arithmetic on these counts. A context is a table of index events with
`person_id, event_id, start_date, end_date, visit_occurrence_id, op_start_date, op_end_date`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from workbench.cohorts.compile_events import field_of, is_plain, test_sql
from workbench.cohorts.plan import Bound, Demographics, Events, Group, Match, Window
from workbench.cohorts.survey import Survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr

KEY = ("person_id", "event_id")
_JOINED = ("person_id", "start_date", "end_date", "visit_occurrence_id")
_PERSON = {"gender": "gender_concept_id", "race": "race_concept_id", "ethnicity": "ethnicity_concept_id"}


@dataclass(frozen=True)
class Counts:
    """What to join to index events (by alias) and, for each match, the count to read from it (NULL: nothing found)."""

    joined: Mapping[str, Expr]
    count: Mapping[Match, Expr]


class EventSource(Protocol):
    """Where criteria find their events."""

    @property
    def survey(self) -> Survey:
        """Return what the batch needs."""
        ...

    def source(self, events: Events, alias: str) -> tuple[str, list[Expr]]:
        """Return a table and the conditions on it that give a criterion's events."""
        ...

    def observed_twice(self) -> str:
        """Return the table of the persons with observation periods that overlap."""
        ...

    def any_of(self, kinds: Sequence[Events], alias: str) -> list[Expr]:
        """Return a condition (or none) that all events of some plain criteria of one domain meet, and few others."""
        ...

    def counts(self, context: str, matches: Mapping[Match, str], name: str) -> Counts:
        """Return how matches are counted on a context, whose index events have the alias `p`."""
        ...


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
    keys = sql.sub(_index_events(context, nested), "p")
    return Step(f"{name}_judged", sql.select({**sql.columns("p", *KEY), **columns}, keys, joins=joins))


def _index_events(context: str, nested: bool) -> exp.Select:
    """Each index event once, in a nested context with how many rows it has."""
    if not nested:
        return sql.select(sql.columns("k", *KEY), sql.work_table(context, "k"), distinct=True)
    columns = {**sql.columns("k", *KEY), "copies": sql.count_all()}
    return sql.select(columns, sql.work_table(context, "k"), group=[sql.col("k", key) for key in KEY])


def leaves(group: Group) -> Iterator[Match | Demographics]:
    """Yield the matches and demographic tests of a group, at any depth."""
    for member in group.members:
        if isinstance(member, Group):
            yield from leaves(member)
        else:
            yield member


_Member = tuple[Match, list[Expr]]
_Members = list[_Member]


def joined_counts(source: EventSource, context: str, matches: Mapping[Match, str]) -> Counts:
    """Return one grouped join a table, with all the matches that read it: the least work for a batch."""
    joined: dict[str, Expr] = {}
    count: dict[Match, Expr] = {}
    for events, members in _sources(source, matches):
        alias = f"t{len(joined)}"
        count |= {match: sql.col(alias, matches[match]) for match, _ in members}
        if len(members) == 1:
            joined[alias] = sql.sub(one_count(context, events, members[0], matches[members[0][0]]), alias)
        else:
            plain = [match.events for match, _ in members if is_plain(match.events)]
            few = source.any_of(plain, "a") if len(plain) == len(members) else []
            joined[alias] = sql.sub(_many_counts(context, events, members, matches, few), alias)
    return Counts(joined, count)


def _sources(source: EventSource, matches: Iterable[Match]) -> Iterator[tuple[Expr, _Members]]:
    """The tables that matches read (as `a`), each with the matches that read it and what tells their events there.

    Criteria with small tables of their own are read as one, numbered: one join instead of one a criterion.
    """
    shared: dict[str, _Members] = {}
    own: dict[str, list[Match]] = {}
    for match in matches:
        table, conditions = source.source(match.events, "a")
        if conditions or match.distinct is not None:
            shared.setdefault(table, []).append((match, conditions))
        else:
            own.setdefault(table, []).append(match)
    for table, members in shared.items():
        yield sql.work_table(table, "a"), members
    if len(own) == 1:
        ((table, alone),) = own.items()
        yield sql.work_table(table, "a"), [(match, []) for match in alone]
    elif own:
        parts = [
            sql.select({**sql.columns("u", *_JOINED), "own": sql.number(at)}, sql.work_table(table, "u"))
            for at, table in enumerate(own)
        ]
        numbered = [(match, at) for at, each in enumerate(own.values()) for match in each]
        told = [(match, [sql.compare(sql.col("a", "own"), "=", sql.number(at))]) for match, at in numbered]
        yield sql.sub(sql.union_all(parts), "a"), told


def one_count(context: str, events: Expr, member: _Member, name: str) -> exp.Select:
    """Return the count, under a name, of one match (with the conditions on its events) by index event."""
    match, conditions = member
    counted = _distinct(match)
    on = [sql.same("a", "p", "person_id"), *conditions, *_in_windows(match)]
    return sql.select(
        {**sql.columns("p", *KEY), name: sql.count_all() if counted is None else sql.count_distinct(counted)},
        sql.work_table(context, "p"),
        joins=[sql.join(events, sql.both(on))],
        group=[sql.col("p", key) for key in KEY],
    )


def _many_counts(
    context: str, events: Expr, members: _Members, names: Mapping[Match, str], few: list[Expr]
) -> exp.Select:
    """Each window, and each kind of event, becomes a flag on the pairs of index event and event, worked out once."""
    windows: dict[tuple[object, ...], str] = {}
    flags: dict[str, Expr] = {}
    counts: dict[str, Expr] = {}
    for match, conditions in members:
        window = (match.windows, match.beyond_observation, match.same_visit)
        if window not in windows:
            windows[window] = f"w{len(windows)}"
            flags[windows[window]] = sql.both(_in_windows(match))
        name = names[match]
        parts = [sql.col("h", windows[window])]
        if conditions:
            flags[f"is_{name}"] = sql.both(conditions)
            parts.append(sql.col("h", f"is_{name}"))
        counted = _distinct(match)
        if counted is not None:
            flags[f"of_{name}"] = counted
        counts[name] = sql.count_if(sql.both(parts), None if counted is None else sql.col("h", f"of_{name}"))
    pairs = sql.select(
        {**sql.columns("p", *KEY), **flags},
        sql.work_table(context, "p"),
        joins=[sql.join(events, sql.both([sql.same("a", "p", "person_id"), *few]))],
    )
    return sql.select(
        {**sql.columns("h", *KEY), **counts},
        sql.sub(pairs, "h"),
        where=[sql.either([sql.col("h", window) for window in windows.values()])],
        group=[sql.col("h", key) for key in KEY],
    )


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
