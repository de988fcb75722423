"""Counting with the populations behind the numbers: persons are fetched, each once a query (see `left`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from workbench.cohorts.left import Left, Made, Populations
from workbench.cohorts.rule_counts import judged_events
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.sql import Expr
from workbench.governance.populations import Classes, Counted, Population

_Ints = npt.NDArray[np.int64]


class Reduce(Protocol):
    """What makes something of the rows of a query, or remembers what it made of them."""

    def __call__(self, tree: exp.Query, into: Callable[[pa.Table], Made]) -> Made:
        """Return what `into` makes of the query's rows."""
        ...


class PopulationCounts:
    """Numbers with the populations behind them, under a key of 32 bytes."""

    def __init__(self, reduce: Reduce, key: bytes) -> None:
        self._reduce, self._key = reduce, key

    @classmethod
    def over(cls, engine: Engine, key: bytes) -> PopulationCounts:
        """Count on an engine that remembers nothing."""
        return cls(lambda tree, into: into(engine.fetch(tree)), key)

    def all(self, source: Expr) -> Left:
        """Fetch each person with the number of events."""
        person = sql.col("e", "person_id")
        columns = {"person_id": person, "events": sql.count_all()}
        tree = sql.select(columns, source, group=[person.copy()])
        return self._reduce(tree, lambda rows: [_left(self._key, rows)])[0]

    def by(self, source: Expr, keys: Sequence[str]) -> list[tuple[tuple[Any, ...], Left]]:
        """Fetch each person with the number of events of each kind."""
        if not keys:
            return [((), self.all(source))]
        told = sql.columns("e", *keys, "person_id")
        group = [column.copy() for column in told.values()]
        tree = sql.select({**told, "events": sql.count_all()}, source, group=group)
        return self._reduce(tree, lambda rows: _by_keys(self._key, rows, keys))

    def rules(self, judged: str, rules: int) -> list[Left]:
        """Fetch how many of each person's events pass how many rules in a row, and how many they pass in all."""
        told = sql.columns("e", "person_id", "passed", "kept")
        group = [column.copy() for column in told.values()]
        source = sql.sub(judged_events(judged, rules), "e")
        tree = sql.select({**told, "events": sql.count_all()}, source, group=group)
        return self._reduce(tree, lambda rows: _by_rules(self._key, rows, rules))


def _left(key: bytes, rows: pa.Table) -> Left:
    return _of(Classes(key, _ints(rows, "person_id")).counted(_ints(rows, "events")))


def _of(found: Counted, without: Population | None = None) -> Left:
    told = Populations(found.persons, found.events, without)
    return Left(found.persons.number, found.events.number, without.number if without else None, told)


def _by_rules(key: bytes, rows: pa.Table, rules: int) -> list[Left]:
    people, at = _numbered(rows)
    passed, kept, events = (_ints(rows, name) for name in ("passed", "kept", "events"))
    classes = Classes(key, people)
    levels = [np.bincount(at[here], events[here], len(people)) for here in (passed > rule for rule in range(rules))]
    all_pass = levels[-1] > 0
    lefts: list[Left] = []
    found: Counted | None = None
    for rule, level in enumerate(levels):
        if found is None or not np.array_equal(level, levels[rule - 1]):
            here = np.flatnonzero(level)
            found = classes.counted(level[here], here)
        without = all_pass.copy()
        without[at[(kept == rules - 1) & (passed == rule)]] = True
        lefts.append(_of(found, classes.population(np.flatnonzero(without))))
    return lefts


def _by_keys(key: bytes, rows: pa.Table, keys: Sequence[str]) -> list[tuple[tuple[Any, ...], Left]]:
    listed = [("person_id", "list"), ("events", "list")]
    grouped = rows.group_by(list(keys), use_threads=False).aggregate(listed).combine_chunks()
    persons, events = (_flat(grouped[f"{name}_list"]) for name in ("person_id", "events"))
    ends = np.cumsum(grouped["events_list"].combine_chunks().value_lengths().to_numpy())
    classes = Classes(key, persons)
    places = np.split(np.arange(len(persons)), ends[:-1])
    names = zip(*(grouped[name].to_pylist() for name in keys), strict=True)
    return [(name, _of(classes.counted(events[at], at))) for name, at in zip(names, places, strict=False)]


def _flat(lists: Any) -> _Ints:
    return lists.combine_chunks().flatten().to_numpy().astype(np.int64)


def _numbered(rows: pa.Table) -> tuple[_Ints, npt.NDArray[np.intp]]:
    """Return the distinct persons of some rows, and each row's place among them."""
    coded: Any = rows["person_id"].cast(pa.int64()).combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.dictionary.to_numpy(), coded.indices.to_numpy().astype(np.intp)


def _ints(rows: pa.Table, name: str) -> _Ints:
    return rows[name].to_numpy().astype(np.int64, copy=False)
