"""What an engine does for a plan: run steps, fetch rows as Arrow, say what it can, stop when asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from workbench.engines.sql import check_nodes


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


class Fetches(Protocol):
    """What answers queries."""

    def fetch(self, tree: exp.Query) -> pa.Table:
        """Run a query and return its rows. Raises Unavailable where the engine fails, Stopped if stopped."""
        ...


class Engine(Fetches, Protocol):
    """An engine over the tables of one data release (or of one's own OMOP database)."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this engine can do."""
        ...

    def columns(self, table: str) -> frozenset[str]:
        """Return the column names of a data table in lower case; empty where the database lacks the table."""
        ...

    def load(self, table: str, rows: pa.Table) -> None:
        """Make a work table from Arrow rows (concept sets, excluded persons): data never travels in SQL text."""
        ...

    def materialise(self, step: Step) -> None:
        """Run a step, keep its rows as a work table. Raises Unavailable where the engine fails, Stopped if stopped."""
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
