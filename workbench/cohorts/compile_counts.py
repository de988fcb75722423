"""Plan → steps: how many events a match finds around each index event.

All matches of a context that read one table are answered by one grouped join, which counts each of them under its own
condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from sqlglot import exp

from workbench.cohorts.compile_events import field_of, is_plain
from workbench.cohorts.plan import Bound, Events, Match, Window
from workbench.cohorts.survey import Survey
from workbench.engines import sql
from workbench.engines.sql import Expr

KEY = ("person_id", "event_id")
_JOINED = ("person_id", "start_date", "end_date", "visit_occurrence_id")


@dataclass(frozen=True)
class Counts:
    """What to join to index events (by alias) and, for each match, the count to read from it (NULL: nothing found).

    Where a match asks only whether there is an event, any number above 0 may stand for the count.
    """

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

    def one_bit(self, events: Events) -> tuple[str, int] | None:
        """Return the word and the bit of the shared table that alone tell a criterion's events, if one does."""
        ...

    def any_of(self, kinds: Sequence[Events], alias: str) -> list[Expr]:
        """Return a condition (or none) that all events of some plain criteria of one domain meet, and few others."""
        ...

    def counts(self, context: str, matches: Mapping[Match, str], name: str) -> Counts:
        """Return how matches are counted on a context, whose index events have the alias `p`."""
        ...


@dataclass(frozen=True)
class _Member:
    """A match of a context, the name of its count, the conditions that tell its events, and the bit that alone tells
    them, where one does and the match asks no more."""

    match: Match
    name: str
    conditions: list[Expr]
    bit: tuple[str, int] | None = None


def joined_counts(source: EventSource, context: str, matches: Mapping[Match, str]) -> Counts:
    """Return one grouped join a table, with all the matches that read it: the least work for a batch."""
    joined: dict[str, Expr] = {}
    count: dict[Match, Expr] = {}
    for events, members in _sources(source, matches):
        alias = f"t{len(joined)}"
        if len(members) == 1:
            (one,) = members
            query = one_count(context, events, one.match, one.conditions, one.name)
            count[one.match] = sql.col(alias, one.name)
        else:
            plain = [each.match.events for each in members if is_plain(each.match.events)]
            few = source.any_of(plain, "a") if len(plain) == len(members) else []
            query, read = _many_counts(context, events, members, few, alias)
            count |= read
        joined[alias] = sql.sub(query, alias)
    return Counts(joined, count)


def _sources(source: EventSource, matches: Mapping[Match, str]) -> Iterator[tuple[Expr, list[_Member]]]:
    """The tables that matches read (as `a`), each with the matches that read it and what tells their events there.

    Criteria with small tables of their own are read as one, numbered: one join instead of one a criterion.
    """
    shared: dict[str, list[_Member]] = {}
    own: dict[str, list[_Member]] = {}
    for match, name in matches.items():
        table, conditions = source.source(match.events, "a")
        if conditions or match.distinct is not None:
            told = source.one_bit(match.events) if _asks_whether(match) else None
            shared.setdefault(table, []).append(_Member(match, name, conditions, told))
        else:
            own.setdefault(table, []).append(_Member(match, name, []))
    for table, members in shared.items():
        yield sql.work_table(table, "a"), members
    if len(own) == 1:
        ((table, alone),) = own.items()
        yield sql.work_table(table, "a"), alone
    elif own:
        parts = [
            sql.select({**sql.columns("u", *_JOINED), "own": sql.number(at)}, sql.work_table(table, "u"))
            for at, table in enumerate(own)
        ]
        numbered = [(each, at) for at, members in enumerate(own.values()) for each in members]
        told = [
            replace(each, conditions=[sql.compare(sql.col("a", "own"), "=", sql.number(at))]) for each, at in numbered
        ]
        yield sql.sub(sql.union_all(parts), "a"), told


def _asks_whether(match: Match) -> bool:
    """Answer whether a match asks only if there is an event, not how many."""
    return match.distinct is None and (match.operator, match.count) in ((">=", 1), ("=", 0), ("<=", 0))


def one_count(context: str, events: Expr, match: Match, conditions: list[Expr], name: str) -> exp.Select:
    """Return the count, under a name, of one match (with the conditions on its events) by index event."""
    counted = _distinct(match)
    on = [sql.same("a", "p", "person_id"), *conditions, *_in_windows(match)]
    return sql.select(
        {**sql.columns("p", *KEY), name: sql.count_all() if counted is None else sql.count_distinct(counted)},
        sql.work_table(context, "p"),
        joins=[sql.join(events, sql.both(on))],
        group=[sql.col("p", key) for key in KEY],
    )


def _many_counts(
    context: str, events: Expr, members: Sequence[_Member], few: list[Expr], alias: str
) -> tuple[exp.Select, dict[Match, Expr]]:
    """Return the grouped join of some matches, and where each one's count is read from it under its alias."""
    pairs = _Pairs()
    read = {member.match: pairs.read(member, alias) for member in members}
    joined = sql.select(
        {**sql.columns("p", *KEY), **pairs.flags},
        sql.work_table(context, "p"),
        joins=[sql.join(events, sql.both([sql.same("a", "p", "person_id"), *few]))],
    )
    grouped = sql.select(
        {**sql.columns("h", *KEY), **pairs.counts},
        sql.sub(joined, "h"),
        where=[sql.either([sql.col("h", window) for window in pairs.windows.values()])],
        group=[sql.col("h", key) for key in KEY],
    )
    return grouped, read


@dataclass
class _Pairs:
    """The pairs of index event and event (`h`) that several matches count: their columns, and the counts over them.

    Each window, and each kind of event, is a flag on a pair, worked out once. What one bit tells, and is only asked
    whether it is there, is counted as the bits found in a window: all kinds of event at once.
    """

    windows: dict[tuple[object, ...], str] = field(default_factory=dict[tuple[object, ...], str])
    flags: dict[str, Expr] = field(default_factory=dict[str, Expr])
    counts: dict[str, Expr] = field(default_factory=dict[str, Expr])

    def read(self, member: _Member, alias: str) -> Expr:
        """Return what gives a match's count, once the counts stand under an alias."""
        window = self._window(member.match)
        if member.bit is None:
            self._count(member, window)
            return sql.col(alias, member.name)
        word, mask = member.bit
        self.flags.setdefault(word, sql.col("a", word))
        bits = f"{window}_{word}"
        self.counts.setdefault(bits, sql.bits_if(sql.col("h", window), sql.col("h", word)))
        return sql.bits_of(sql.col(alias, bits), mask)

    def _window(self, match: Match) -> str:
        key = (match.windows, match.beyond_observation, match.same_visit)
        if key not in self.windows:
            self.windows[key] = f"w{len(self.windows)}"
            self.flags[self.windows[key]] = sql.both(_in_windows(match))
        return self.windows[key]

    def _count(self, member: _Member, window: str) -> None:
        name, parts = member.name, [sql.col("h", window)]
        if member.conditions:
            self.flags[f"is_{name}"] = sql.both(member.conditions)
            parts.append(sql.col("h", f"is_{name}"))
        counted = _distinct(member.match)
        if counted is not None:
            self.flags[f"of_{name}"] = counted
        self.counts[name] = sql.count_if(sql.both(parts), None if counted is None else sql.col("h", f"of_{name}"))


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
