"""Who is left at a step, counted in one of two ways: numbers alone, or with the populations behind them.

One's own data need numbers, counted where the data are. Where numbers are governed, who is counted decides what is
shown (`workbench.governance.sticky`), so persons are fetched, each once a query, and their populations made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from workbench.cohorts.rule_counts import rule_counts
from workbench.engines import sql
from workbench.engines.base import Answers
from workbench.engines.sql import Expr

if TYPE_CHECKING:
    from workbench.governance.populations import Population

Made = TypeVar("Made")


@dataclass(frozen=True)
class Populations:
    """Who is behind the numbers of persons, of events and of persons without the rule; None where nobody asked."""

    persons: Population | None = None
    events: Population | None = None
    without: Population | None = None


@dataclass(frozen=True)
class Left:
    """Persons and events that are left at a step, and persons left by all rules but this one (None: it is no rule)."""

    persons: int
    events: int
    persons_without: int | None = None
    populations: Populations = Populations()

    def whole(self) -> Left:
        """Return it without what is said of the other rules."""
        return replace(self, persons_without=None, populations=replace(self.populations, without=None))


class Counts(Protocol):
    """A way to count."""

    def all(self, source: Expr) -> Left:
        """Count a table or query under the alias `e` with a `person_id`, one row an event."""
        ...

    def rules(self, judged: str, rules: int) -> list[Left]:
        """Count a table of judged events: left after each rule and those before it, and by all the others."""
        ...

    def by(self, source: Expr, keys: Sequence[str]) -> list[tuple[tuple[Any, ...], Left]]:
        """Count a table or query under the alias `e` by some of its columns, in no order; with none, as a whole."""
        ...


class ExactCounts:
    """Numbers alone, counted by the engine."""

    def __init__(self, engine: Answers) -> None:
        self._engine = engine

    def all(self, source: Expr) -> Left:
        """Count persons and events in one query."""
        columns = {"persons": sql.count_distinct(sql.col("e", "person_id")), "events": sql.count_all()}
        ((persons, events),) = self._engine.tuples(sql.select(columns, source))
        return Left(int(persons), int(events))

    def by(self, source: Expr, keys: Sequence[str]) -> list[tuple[tuple[Any, ...], Left]]:
        """Count persons and events in one query."""
        told = sql.columns("e", *keys)
        numbers = {"persons": sql.count_distinct(sql.col("e", "person_id")), "events": sql.count_all()}
        group = [column.copy() for column in told.values()]
        rows = self._engine.tuples(sql.select({**told, **numbers}, source, group=group))
        return [(tuple(names), Left(int(persons), int(events))) for *names, persons, events in rows]

    def rules(self, judged: str, rules: int) -> list[Left]:
        """Count in three queries, however many rules."""
        found = rule_counts(self._engine, judged, rules)
        return [Left(*each) for each in zip(found.persons, found.events, found.persons_without, strict=True)]


def joined(lefts: Sequence[Left]) -> Left:
    """Return one or more groups together, where nobody is in two of them."""
    first, *others = lefts
    for other in others:
        one, two = first.populations, other.populations
        told = Populations(
            None if one.persons is None or two.persons is None else one.persons.joined(two.persons),
            None if one.events is None or two.events is None else one.events.joined(two.events),
        )
        first = Left(first.persons + other.persons, first.events + other.events, None, told)
    return first
