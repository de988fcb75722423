"""Counts while a definition is edited: the plan's own, with every part that has not changed taken from memory.

Each step is known by what it says: the digest of its query, in which the tables it reads are named by the digests of
their own queries, down to the data. A step whose digest is known is not run again. So a count can never come from
another rule than the one shown, and an edit costs what hangs on it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from workbench.cohorts.attrition import AttritionRow, AttritionStep, attrition_rows
from workbench.cohorts.circe import Definition
from workbench.cohorts.event_files import EventFiles
from workbench.cohorts.generate import EXCLUDED, persons_of, plans_of
from workbench.cohorts.left import Counts, ExactCounts, Made
from workbench.cohorts.set_tables import EVENTS, Apart, compile_apart
from workbench.engines import sql
from workbench.engines.base import Engine, Step
from workbench.engines.columns import Numbers
from workbench.vocabulary import concept_sets
from workbench.vocabulary.concept_sets import ConceptSet

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_KEPT = 60_000_000


class LiveCounts:
    """Attrition of one definition after another on an engine, each edit at the price of what it changed."""

    def __init__(self, engine: Engine, files: EventFiles | None = None, rows_kept: int = ROWS_KEPT) -> None:
        """Count on an engine that nothing else uses; tables of events are kept in `files` too, where that is given.

        At most `rows_kept` rows stay in memory between counts; what was not used for longest goes first.
        """
        self.engine = engine
        self._memory = _Memory(engine, files, rows_kept)

    def attrition(self, definition: Definition, *, exclude: pa.Table | None = None) -> list[AttritionRow]:
        """Return the attrition of a definition, equal to `attrition.attrition`.

        Raises InvalidInput where the definition cannot be run, Unavailable or Stopped as engines do.
        """
        return [step.row for step in self.steps(definition, exclude=exclude)]

    def steps(
        self, definition: Definition, key: bytes | None = None, *, exclude: pa.Table | None = None
    ) -> list[AttritionStep]:
        """Return the attrition of a definition, with a key (always the same) that of the populations behind it too."""
        plans, failed = plans_of(self.engine, {definition.name: definition}, exclude)
        for error in failed.values():
            raise error
        plan = plans[definition.name]
        apart = compile_apart(plan)
        run = _Run(self._memory, apart, exclude)
        try:
            counts = _way(run, key)
            return attrition_rows(counts, plan, apart.cohort)
        finally:
            self._memory.forget(run.used)


class _Run:
    """One script: its names, each standing for a table in memory, made when first asked for."""

    def __init__(self, memory: _Memory, apart: Apart, exclude: pa.Table | None) -> None:
        self._memory, self._apart = memory, apart
        self._names: dict[str, str] = {}
        if exclude is not None:
            self._names[EXCLUDED] = memory.loaded(persons_of(exclude))

    @property
    def used(self) -> set[str]:
        """Return the tables in memory that this script has asked for."""
        return set(self._names.values())

    def tuples(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        """Run a query over the script's tables and return its few rows."""
        return self._memory.answer(self._renamed(tree))

    def reduced(self, tree: exp.Query, into: Callable[[pa.Table], Made]) -> Made:
        """Run a query over the script's tables and return what is made of its rows; the rows are not kept."""
        return self._memory.made_of(self._renamed(tree), into)

    def _renamed(self, tree: exp.Query) -> exp.Query:
        return _with_names(tree, self._table)

    def _table(self, name: str) -> str:
        if name not in self._names:
            if name in self._apart.sets:
                self._names[name] = self._memory.members(self._apart.sets[name])
            else:
                tree = self._renamed(self._apart.steps[name].tree)
                self._names[name] = self._memory.made(tree, on_disk=name.startswith(EVENTS))
        return self._names[name]


def _way(run: _Run, key: bytes | None) -> Counts:
    if key is None:
        return ExactCounts(run)
    from workbench.cohorts.left_people import PopulationCounts  # noqa: PLC0415 - one's own data need no NumPy

    return PopulationCounts(run.reduced, key)


class _Memory:
    """Tables by digest, in the engine; and the answers to queries."""

    def __init__(self, engine: Engine, files: EventFiles | None, rows_kept: int) -> None:
        self._engine, self._files, self._most = engine, files, rows_kept
        self._sets: dict[ConceptSet, str] = {}
        self._rows: OrderedDict[str, int] = OrderedDict()
        self._answers: OrderedDict[str, list[tuple[Any, ...]]] = OrderedDict()
        self._made_of: OrderedDict[str, Any] = OrderedDict()

    def loaded(self, rows: Numbers) -> str:
        name = _name(repr(rows))
        if self._unknown(name):
            self._engine.load(name, rows)
            self._rows[name] = max(map(len, rows.values()))
        return name

    def members(self, concepts: ConceptSet) -> str:
        """Return the table of a set's concepts."""
        if concepts not in self._sets or self._unknown(self._sets[concepts]):
            one = {concepts: 1}
            names = {name: self.loaded(rows) for name, rows in concept_sets.uploads(one).items()}
            for step in concept_sets.steps(one):
                names[step.name] = self.made(_with_names(step.tree, names.__getitem__), on_disk=False)
            self._sets[concepts] = names[concept_sets.SETS]
        return self._sets[concepts]

    def made(self, tree: exp.Query, *, on_disk: bool) -> str:
        name = _name(_text(tree))
        if not self._unknown(name):
            return name
        kept = self._files.get(name) if on_disk and self._files is not None else None
        if kept is not None:
            self._engine.load(name, kept)
        else:
            self._engine.materialise(Step(name, tree, keep=True))
            if on_disk and self._files is not None:
                self._files.put(name, self._engine.fetch(_all_of(name, tree)))
        self._rows[name] = self._count(name)
        return name

    def answer(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        name = _name(_text(tree))
        if name not in self._answers:
            self._answers[name] = self._engine.tuples(tree)
            if len(self._answers) > 1000:
                self._answers.popitem(last=False)
        return self._answers[name]

    def made_of(self, tree: exp.Query, into: Callable[[pa.Table], Made]) -> Made:
        name = _name(_text(tree))
        if name not in self._made_of:
            self._made_of[name] = into(self._engine.fetch(tree))
            if len(self._made_of) > 1000:
                self._made_of.popitem(last=False)
        return self._made_of[name]

    def forget(self, used: set[str]) -> None:
        """Drop what was not used for longest, but nothing of the last script, until the rest fits."""
        for name in [name for name in self._rows if name not in used]:
            if sum(self._rows.values()) <= self._most:
                return
            self._engine.drop(name)
            del self._rows[name]

    def _unknown(self, name: str) -> bool:
        if name not in self._rows:
            return True
        self._rows.move_to_end(name)
        return False

    def _count(self, name: str) -> int:
        return int(self._engine.tuples(sql.select({"rows": sql.count_all()}, sql.work_table(name, "t")))[0][0])


def _with_names(tree: exp.Query, named: Callable[[str], str]) -> exp.Query:
    """Give the work tables that a query reads their names in memory; the data's own tables keep theirs."""
    for table in tree.find_all(exp.Table):
        if not table.db:
            table.set("this", sql.name(named(table.name)))
    return tree


def _all_of(name: str, tree: exp.Query) -> exp.Select:
    return sql.select(sql.columns("t", *tree.named_selects), sql.work_table(name, "t"))


def _text(tree: exp.Query) -> str:
    return tree.sql(dialect="duckdb", copy=False)


def _name(text: str) -> str:
    return f"m_{hashlib.sha256(text.encode()).hexdigest()[:40]}"
