"""The tables as lists of rows, looked up by a column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.cohorts.reference.values import Row

Tables = Mapping[str, Sequence[Row]]


class Database:
    """OMOP tables: rows as mappings from lower-case column names to values; dates are `datetime.date`."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables; those absent are empty."""
        self._tables = tables
        self._by: dict[tuple[str, str], dict[Any, list[Row]]] = {}

    def has(self, table: str) -> bool:
        """Return whether the database has a table, with or without rows."""
        return table in self._tables

    def rows(self, table: str) -> Sequence[Row]:
        """Return all rows of a table."""
        return self._tables.get(table, ())

    def where(self, table: str, column: str, value: Any) -> Sequence[Row]:
        """Return the rows whose column has a value; an unknown value is no value, and finds nothing."""
        if value is None:
            return ()
        key = (table, column)
        if key not in self._by:
            self._by[key] = defaultdict(list)
            for row in self.rows(table):
                self._by[key][row.get(column)].append(row)
        return self._by[key].get(value, ())
