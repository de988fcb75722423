"""The cells of a table computed anew from the extract's rows: what the airlock holds against what the file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.governance.airlock.declaration import Condition, Declaration, Group, Rows
from workbench.kernel.errors import InvalidInput

Key = tuple[str | None, ...]
"""A cell's label in each group column, None where it is about all of them."""

PERSON: Final = "person_id"
_POSITION, _GROUP = "·person", "·group"
_OF_PERSONS: Final = ("person", "cohort")
"""The tables with one row a person, whose columns every other table may be grouped and filtered by."""


@dataclass(frozen=True)
class Cell:
    """The rows of one cell; `positions` are its distinct persons, by their place in `Cells.persons`."""

    positions: npt.NDArray[np.intp] = field(repr=False)
    rows: pl.DataFrame = field(repr=False)

    @property
    def persons(self) -> int:
        """The number of persons."""
        return len(self.positions)

    def values(self, column: str) -> npt.NDArray[np.float64]:
        """Return a column's values that are there, one a row."""
        return self.rows[column].drop_nulls().cast(pl.Float64).drop_nans().to_numpy()

    def contributions(self, column: str) -> npt.NDArray[np.float64]:
        """Return what each person brings to a sum, in absolute value, the largest first."""
        there = self.rows.filter(pl.col(column).is_not_null() & pl.col(column).cast(pl.Float64).is_not_nan())
        sums = there.group_by(_POSITION).agg(pl.col(column).cast(pl.Float64).sum())[column].to_numpy()
        return np.sort(np.abs(sums))[::-1]

    def with_values(self, column: str) -> npt.NDArray[np.intp]:
        """Return the persons who have a value in a column."""
        there = self.rows.filter(pl.col(column).is_not_null() & pl.col(column).cast(pl.Float64).is_not_nan())
        return there[_POSITION].unique().sort().to_numpy().astype(np.intp)


EMPTY: Final = Cell(np.empty(0, np.intp), pl.DataFrame({_POSITION: []}, schema={_POSITION: pl.Int64}))


class Cells:
    """All rows that a declaration names, with their labels; cells are cut from them as they are asked for."""

    def __init__(self, declaration: Declaration, tables: Mapping[str, pl.DataFrame]) -> None:
        """Read the rows; raises `InvalidInput` (`airlock.declaration_table`, `airlock.declaration_unknown`,
        `airlock.declaration_value`)."""
        self.groups = declaration.groups
        base = _chosen(declaration.source, tables)
        for rows, wanted in declaration.having:
            how = "semi" if wanted else "anti"
            base = base.join(_chosen(rows, tables).select(PERSON), on=PERSON, how=how)
        base = base.with_columns(
            _label(group, base, tables).alias(f"{_GROUP}{place}") for place, group in enumerate(self.groups)
        )
        self.persons: npt.NDArray[np.int64] = base[PERSON].unique().sort().to_numpy()
        places = pl.Series(np.searchsorted(self.persons, base[PERSON].to_numpy()), dtype=pl.Int64)
        self.rows = base.with_columns(places.alias(_POSITION)).drop(PERSON)
        self.additive = base.height == len(self.persons)
        self._cut: dict[tuple[bool, ...], dict[Key, Cell]] = {}

    def has(self, column: str) -> bool:
        """Answer whether a column of numbers of this name can be computed with."""
        return column in self.rows.columns and self.rows.schema[column].is_numeric() and not column.endswith("_id")

    def at(self, key: Key) -> Cell:
        """Return one cell, empty where nobody is in it."""
        return self.of(tuple(label is None for label in key)).get(key, EMPTY)

    def of(self, total: tuple[bool, ...]) -> Mapping[Key, Cell]:
        """Return every cell that somebody is in, of the lines that are totals over some of the groups."""
        if total not in self._cut:
            self._cut[total] = self._cells(total)
        return self._cut[total]

    def _cells(self, total: tuple[bool, ...]) -> dict[Key, Cell]:
        by = [f"{_GROUP}{place}" for place, all_of_them in enumerate(total) if not all_of_them]
        if not by:
            return {(None,) * len(total): _cell(self.rows)} if self.rows.height else {}
        found: dict[Key, Cell] = {}
        for labels, rows in self.rows.partition_by(by, as_dict=True).items():
            left = iter(labels)
            found[tuple(None if all_of_them else str(next(left)) for all_of_them in total)] = _cell(rows)
        return found


def _cell(rows: pl.DataFrame) -> Cell:
    return Cell(rows[_POSITION].unique().sort().to_numpy().astype(np.intp), rows)


def _chosen(rows: Rows, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of a table that fulfil the conditions, with the columns that their persons have once."""
    table = tables.get(rows.table)
    if table is None or PERSON not in table.columns:
        known = ", ".join(name for name, each in tables.items() if PERSON in each.columns)
        raise InvalidInput("airlock.declaration_table", table=rows.table, known=known)
    for name in _OF_PERSONS:
        if name in tables and name != rows.table and tables[name][PERSON].is_unique().all():
            new = [column for column in tables[name].columns if column not in table.columns]
            table = table.join(tables[name].select(PERSON, *new), on=PERSON, how="left")
    for condition in rows.where:
        table = _filtered(table, condition)
    return table


def _filtered(table: pl.DataFrame, condition: Condition) -> pl.DataFrame:
    if condition.column == PERSON or condition.column not in table.columns:
        known = ", ".join(name for name in table.columns if name != PERSON)
        raise InvalidInput("airlock.declaration_unknown", column=condition.column, known=known)
    column, value = pl.col(condition.column), condition.value
    tests = {
        "=": column == value, "!=": column != value, "null": column.is_null(), "not_null": column.is_not_null(),
    }  # fmt: skip
    try:
        if condition.op in tests:
            return table.filter(tests[condition.op])
        if condition.op == "in":
            return table.filter(column.is_in(pl.Series(value)))
        test = {"<": column < value, "<=": column <= value, ">": column > value, ">=": column >= value}[condition.op]
        return table.filter(test)
    except (pl.exceptions.PolarsError, TypeError):
        raise InvalidInput("airlock.declaration_value", column=condition.column) from None


def _label(group: Group, base: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Any:
    """Return what the file writes for each row's group, as a series."""
    if group.any is not None:
        theirs = _chosen(group.any, tables)[PERSON].unique()
        return _written(group, base[PERSON].is_in(theirs.implode()).cast(pl.String))
    assert group.of is not None
    if group.of == PERSON or group.of not in base.columns:
        known = ", ".join(name for name in base.columns if name != PERSON)
        raise InvalidInput("airlock.declaration_unknown", column=group.of, known=known)
    values = base[group.of]
    if not group.cuts:
        return _written(group, values.cast(pl.String))
    if not values.dtype.is_numeric():
        raise InvalidInput("airlock.declaration_value", column=group.of)
    bands = np.searchsorted(np.asarray(group.cuts), values.fill_null(0).cast(pl.Float64).to_numpy(), side="right")
    names = pl.Series(band_names(group.cuts)).gather(pl.Series(bands.astype(np.uint32)))
    return _written(group, pl.select(pl.when(values.is_null()).then(None).otherwise(names)).to_series())


def band_names(cuts: Sequence[float]) -> list[str]:
    """Return how bands are named: `<18`, `18-64`, `65+` for whole cuts, `0.5-<1.5` for others."""
    written = [f"{cut:g}" for cut in cuts]
    whole = all(float(cut).is_integer() for cut in cuts)
    between = [f"{low:g}-{high - 1:g}" if whole else f"{low:g}-<{high:g}" for low, high in pairwise(cuts)]
    return [f"<{written[0]}", *between, f"{written[-1]}+"]


def _written(group: Group, values: pl.Series) -> pl.Series:
    """Return values as the file writes them; two values of one label are one group."""
    labels = {"null": "", **group.labels}
    known = values.fill_null("null")
    return known.replace(list(labels), list(labels.values()))
