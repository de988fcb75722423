"""A load under way: what who loads chose, and what the release holds so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.intake import observation_period, tables
from workbench.intake.sharing import Before
from workbench.intake.tables import Rules
from workbench.kernel.progress import Progress
from workbench.repository.cdm import TABLES

Ids = npt.NDArray[np.int64]
Objecting = Callable[[Ids], Ids]
"""Returns those of some persons (by `person_id`) who object to their data being here."""


@dataclass(frozen=True)
class Options:
    """What who loads may choose. `tables`: the wanted ones, none means all; `observation_period`: a rule's words
    (`observation_period.RULES`); the others are those of `Rules`."""

    tables: tuple[str, ...] = ()
    observation_period: str = observation_period.AUTO
    extracted_on: str | None = None
    decimal_comma: bool = False

    def rules(self) -> Rules:
        """Return the rules by which rows are judged."""
        return Rules(extracted_on=self.extracted_on, decimal_comma=self.decimal_comma)


@dataclass
class Work:
    """A load under way: the release's files, readings and rules so far."""

    connection: Any
    into: Path
    options: Options
    period_rule: observation_period.Rule
    before: Before
    files: dict[str, Path] = field(default_factory=dict[str, Path])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    readings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def place(self, table: str) -> Path:
        """Return where a table's file belongs."""
        return self.into / "tables" / f"{table}.parquet"

    def add(self, table: str, rows: int) -> None:
        """Note that a table's file is there, with so many rows."""
        self.files[table], self.rows[table] = self.place(table), rows

    def entries(self, progress: Progress) -> list[dict[str, Any]]:
        """Return the manifest's entries of all tables: of those taken over, what was said of them before."""
        made: list[dict[str, Any]] = []
        for done, name in enumerate(sorted(self.files)):
            progress(done / len(self.files), name)
            taken = self.before.taken.get(name)
            path, rows = self.files[name], self.rows[name]
            made.append(taken or tables.entry(self.connection, TABLES[name], rows, path, self.into))
        return made
