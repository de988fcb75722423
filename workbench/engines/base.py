"""What an engine does for a plan: run steps, fetch rows as Arrow, say what it can, stop when asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlglot import exp

from workbench.engines.columns import Form, Numbers
from workbench.engines.sql import check_nodes

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Step:
    """One table to make: its name, the query, and whether it outlives the definition that needed it (`keep`)."""

    name: str
    tree: exp.Query
    keep: bool = False

    def __post_init__(self) -> None:
        check_nodes(self.tree)


@dataclass(frozen=True)
class Capabilities:
    """What an engine offers beyond running steps."""

    dialect: str
    explain: bool
    cancel: bool


class Answers(Protocol):
    """What answers queries of a few rows."""

    def tuples(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        """Run a query that gives a few rows and return them.

        Raises Unavailable where the engine fails, Stopped if stopped.
        """
        ...


class Engine(Answers, Protocol):
    """An engine over the tables of one data release (or of one's own OMOP database)."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this engine can do."""
        ...

    def columns(self, table: str) -> frozenset[str]:
        """Return the column names of a data table in lower case; empty where the database lacks the table."""
        ...

    def type_of(self, table: str, column: str) -> str:
        """Return the engine's own name of a column's type (see `kinds`); empty where the data lack the column."""
        ...

    def load(self, table: str, rows: pa.Table | Numbers) -> None:
        """Make a work table from rows (concept sets, excluded persons): data never travels in SQL text."""
        ...

    def materialise(self, step: Step) -> None:
        """Run a step, keep its rows as a work table. Raises Unavailable where the engine fails, Stopped if stopped."""
        ...

    def fetch(self, tree: exp.Query) -> pa.Table:
        """Run a query and return its rows. Raises as `tuples` does."""
        ...

    def write(self, tree: exp.Query, path: Path, form: Form) -> None:
        """Run a query and write its rows, in their order, to a file that nobody reads yet.

        Raises as `tuples` does, and OSError where the disk is full or the place cannot be written.
        """
        ...

    def drop(self, table: str) -> None:
        """Forget a work table."""
        ...

    def explain(self, tree: exp.Query) -> str:
        """Return how the engine would run a query, in its own words."""
        ...

    def cancel(self) -> None:
        """Stop what runs now, from another thread: the running call raises Stopped."""
        ...

    def progress(self) -> float:
        """Return the share done of the running query (0.0 to 1.0), or -1.0 where unknown."""
        ...

    def close(self) -> None:
        """Release the engine and every work table."""
        ...
