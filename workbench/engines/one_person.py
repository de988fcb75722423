"""An engine seen through one person: the same steps run on that person's rows alone."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from workbench.engines import sql
from workbench.engines.base import Capabilities, Engine, Step
from workbench.engines.columns import Form, Numbers

if TYPE_CHECKING:
    import pyarrow as pa

_WHO = "one_person"
_OWNER = "person_id"
"""The column that says whose a row is."""


class OnePerson:
    """Wraps an engine: tables whose rows belong to persons hold one person's; vocabulary, places and care stay whole.

    The person's id is loaded as a row and joined, so it stands in no SQL text. Close it to forget the id; the wrapped
    engine stays open.
    """

    def __init__(self, engine: Engine, person_id: int) -> None:
        """Look at `engine` through the person `person_id`."""
        self._engine = engine
        engine.load(_WHO, {"person_id": [person_id]})

    @property
    def capabilities(self) -> Capabilities:
        """Return what the wrapped engine can do."""
        return self._engine.capabilities

    def columns(self, table: str) -> frozenset[str]:
        """Return the column names of a data table, as the wrapped engine does."""
        return self._engine.columns(table)

    def type_of(self, table: str, column: str) -> str:
        """Return the type of a column, as the wrapped engine does."""
        return self._engine.type_of(table, column)

    def load(self, table: str, rows: pa.Table | Numbers) -> None:
        """Make a work table from rows."""
        self._engine.load(table, rows)

    def materialise(self, step: Step) -> None:
        """Run a step on the person's rows and keep what it gives."""
        tree = self._cut(step.tree)
        self._engine.materialise(step if tree is step.tree else Step(step.name, tree, step.keep))

    def fetch(self, tree: exp.Query) -> pa.Table:
        """Run a query on the person's rows and return its rows."""
        return self._engine.fetch(self._cut(tree))

    def tuples(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        """Run a query on the person's rows and return its few rows."""
        return self._engine.tuples(self._cut(tree))

    def write(self, tree: exp.Query, path: Path, form: Form) -> None:
        """Run a query on the person's rows and write its rows to a file."""
        self._engine.write(self._cut(tree), path, form)

    def drop(self, table: str) -> None:
        """Forget a work table."""
        self._engine.drop(table)

    def explain(self, tree: exp.Query) -> str:
        """Return how the wrapped engine would run a query."""
        return self._engine.explain(self._cut(tree))

    def cancel(self) -> None:
        """Stop what runs now."""
        self._engine.cancel()

    def progress(self) -> float:
        """Return the share done of the running query, or -1.0 where unknown."""
        return self._engine.progress()

    def close(self) -> None:
        """Forget the person; the wrapped engine stays open."""
        self._engine.drop(_WHO)

    def __enter__(self) -> OnePerson:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut(self, tree: exp.Query) -> exp.Query:
        """The tree as it is where it reads no person's rows, else a copy that reads one person's."""
        if not any(map(self._is_personal, tree.find_all(exp.Table))):
            return tree
        mine = tree.copy()
        for table in list(mine.find_all(exp.Table)):
            if self._is_personal(table):
                table.replace(self._rows(mine, table))
        return mine

    def _is_personal(self, table: exp.Table) -> bool:
        return table.db == sql.CDM and _OWNER in self.columns(table.name)

    def _rows(self, tree: exp.Query, table: exp.Table) -> exp.Subquery:
        """The person's rows of a table, with the columns that are read under its alias somewhere in the tree."""
        read = {column.name for column in tree.find_all(exp.Column) if column.table == table.alias}
        chosen = sql.columns("t", *sorted({_OWNER, *read} & self.columns(table.name)))
        joins = [sql.join(sql.work_table(_WHO, "w"), sql.same("w", "t", _OWNER))]
        return sql.sub(sql.select(chosen, sql.cdm_table(table.name, "t"), joins=joins), table.alias)
