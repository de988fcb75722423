"""Measures of a table with one row a person: k, who is alone in its group, the worst columns, l-diversity, t-closeness.

A group is all persons with the same values in the columns asked about; no value (NULL) is a value like any other.
Sources: Sweeney 2002 (k), Machanavajjhala et al. 2007 (l, entropy l), Li et al. 2007 (t, with the equal distance).
Each column becomes whole numbers from 0 once; a combination is then one number a row, and a count of equal numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.extracts.lookup import run_starts, starts_run

_Ints = npt.NDArray[np.int64]
_MOST = 2**62
_BITS = 62
_DENSE = 8
"""Numbers are counted in an array where their range is at most so many times the rows, else sorted."""


@dataclass(frozen=True, order=True)
class Groups:
    """Persons alone in their group, persons in groups under the threshold, and the smallest group (0: no person).

    The order is that of risk, and more columns never lower it: groups only split.
    """

    unique: int
    small: int
    minus_k: int

    @property
    def k(self) -> int:
        """The number of persons of the smallest group."""
        return -self.minus_k


@dataclass(frozen=True)
class Combination:
    """Columns known together, and the groups that they make."""

    columns: tuple[str, ...]
    groups: Groups


@dataclass(frozen=True)
class Diversity:
    """How much a group tells of a sensitive attribute: `l` distinct values at least, `entropy_l` of evenly spread
    ones, `t` the largest distance (0 to 1) from the whole table's distribution; `inferred` marks the rows whose group
    shares one value, while the table holds several.
    """

    l: int  # noqa: E741 - its name everywhere
    entropy_l: float
    t: float
    inferred: npt.NDArray[np.bool_]


class Coded:
    """Columns as whole numbers, ready to be combined; made once for all measures of a table."""

    def __init__(self, frame: pl.DataFrame, columns: Sequence[str], small: int = 11) -> None:
        self.columns = tuple(columns)
        self.rows = frame.height
        self.small = small
        self._codes = {column: _codes(frame.get_column(column)) for column in columns}

    def groups(self, columns: Sequence[str]) -> Groups:
        """Return the groups that these columns make together; all rows are one group where there is no column."""
        sizes = _sizes(*self._combined(columns), self.rows)
        if not sizes.size:
            return Groups(0, 0, 0)
        small = int(sizes[sizes < self.small].sum())
        return Groups(int(np.count_nonzero(sizes == 1)), small, -int(sizes.min()))

    def values(self, column: str) -> int:
        """Return how many values a column can hold (its distinct ones, or the range of small whole numbers)."""
        return self._codes[column][1]

    def costs(self) -> dict[str, int]:
        """Return for each column the persons who would stop being alone if it were left out."""
        whole = self.groups(self.columns).unique
        return {column: whole - groups.unique for column, groups in self._without.items()}

    def worst(self, size: int) -> list[Combination]:
        """Return the worst combination of one column, of two, … of `size`: the one with the most persons alone.

        Of equal ones the first counts, columns with more values before others. Every combination is judged: by itself,
        or by a larger set of columns that contains it and is not worse than the worst found so far (groups only
        split when columns are added).
        """
        order = sorted(self.columns, key=lambda name: (-self.values(name), self.columns.index(name)))
        found: list[Combination] = []
        for count in range(1, min(size, len(order)) + 1):
            best: Combination | None = None
            for chosen in combinations(order, count):
                if best is None or self._bound(chosen) > best.groups:
                    groups = self.groups(chosen)
                    best = Combination(chosen, groups) if best is None or groups > best.groups else best
            assert best is not None
            found.append(Combination(tuple(sorted(best.columns, key=self.columns.index)), best.groups))
        return found

    def diversity(self, columns: Sequence[str], sensitive: pl.Series) -> Diversity:
        """Return what the groups of these columns tell of a sensitive attribute, one value a row."""
        if not self.rows:
            return Diversity(0, 0.0, 0.0, np.zeros(0, dtype=np.bool_))
        group, _ = self._combined(columns)
        frame = pl.DataFrame({"group": group, "value": sensitive})
        cells = frame.group_by("group", "value").len("n").with_columns(pl.col("n").cast(pl.Int64))
        whole = frame.group_by("value").len("all").with_columns(pl.col("all").cast(pl.Int64))
        cells = cells.join(whole, on="value", nulls_equal=True).with_columns(size=pl.col("n").sum().over("group"))
        # Values absent from a group are all of the distribution that its own values leave over. Whole numbers: exact.
        apart = (pl.col("n") * self.rows - pl.col("all") * pl.col("size")).abs().sum()
        rest = (self.rows - pl.col("all").sum()) * pl.col("size").first()
        share = pl.col("n") / pl.col("size")
        groups = cells.sort("group", "n", "all").group_by("group", maintain_order=True).agg(
            values=pl.len(),
            size=pl.col("size").first(),
            entropy=-(share * share.log()).sum(),
            apart=(apart + rest) / (2 * self.rows * pl.col("size").first()),
        )  # fmt: skip
        alike = groups.filter(pl.col("values") == 1) if whole.height > 1 else groups.clear()
        fewest, entropy, apart = groups.select(pl.min("values", "entropy"), pl.max("apart")).row(0)
        return Diversity(fewest, round(float(np.exp(entropy)), 3), round(apart, 3), np.isin(group, alike["group"]))

    @cached_property
    def _without(self) -> dict[str, Groups]:
        return {column: self.groups([c for c in self.columns if c != column]) for column in self.columns}

    def _bound(self, chosen: Sequence[str]) -> Groups:
        """Return groups that these columns cannot be worse than, without making theirs."""
        known = min((groups for column, groups in self._without.items() if column not in chosen), default=None)
        most = 1
        for column in chosen:
            most *= self.values(column)
        # At most so many groups: none of them alone makes more persons alone than there are groups.
        ceiling = Groups(min(most, self.rows), self.rows, -1)
        return ceiling if known is None else min(known, ceiling)

    def _combined(self, columns: Sequence[str]) -> tuple[_Ints, int]:
        """Return one number a row, equal where all columns are equal, and a number above all of them."""
        combined, top = np.zeros(self.rows, dtype=np.int64), 1
        for column in columns:
            codes, values = self._codes[column]
            if top * values > _MOST:
                distinct, combined = np.unique(combined, return_inverse=True)
                top = max(distinct.size, 1)
            combined, top = combined * values + codes, top * values
        return combined, top


def _codes(values: pl.Series) -> tuple[_Ints, int]:
    """Return a column as whole numbers from 0, no value being 0, and a number above all of them."""
    if not values.len() - values.null_count():
        return np.zeros(values.len(), dtype=np.int64), 1
    if values.dtype.is_integer():
        low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]
        if high - low < max(values.len(), 256):
            above = (values - pl.Series([low], dtype=values.dtype)).cast(pl.Int64) + 1  # 64 bits without sign fit then
            return above.fill_null(0).to_numpy(), high - low + 2
    ranks = values.rank("dense").cast(pl.Int64).fill_null(0)
    return ranks.to_numpy(), int(ranks.max()) + 1  # type: ignore[arg-type]


def _sizes(combined: _Ints, top: int, rows: int) -> _Ints:
    """Return how many rows share each number that occurs."""
    if top <= _DENSE * rows:
        counts = np.bincount(combined)
        return counts[counts > 0]
    ordered = np.sort(combined)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return np.diff(np.append(starts, rows)) if rows else np.empty(0, dtype=np.int64)


# -- what a person lived through: several rows a person; persons are whole numbers


def distinct(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return the distinct rows `person`, `item` (64-bit), sorted by both, of a frame with `person` (from 0, 32-bit) and
    a column; rows without a value there are left out."""
    # By parts that fit in the processor's own memory; what repeats in them is gone before all stand together.
    return _merged([_pairs(part) for part in frame.select("person", item=column).iter_slices(_PART)])


def merged(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the distinct rows `person`, `item` of several frames of that form, sorted by both."""
    return _merged([_pairs(frame) for frame in frames])


_Pairs = _Ints | pl.DataFrame
"""Persons and items as one number each, rising: sorting numbers takes a third of telling rows of two apart. Items that
do not fit in 32 bits stay as they are."""


def _pairs(frame: pl.DataFrame) -> _Pairs:
    frame = frame.drop_nulls() if frame["item"].null_count() else frame
    item = frame["item"].to_numpy()
    if item.size and (item.min() < -_HALF or item.max() >= _HALF):
        return frame.cast({"item": pl.Int64})
    packed = frame["person"].to_numpy().astype(np.int64)
    packed <<= 32
    packed += item
    packed += _HALF
    return _rising(packed)


def _merged(parts: Sequence[_Pairs]) -> pl.DataFrame:
    packed = [part for part in parts if not isinstance(part, pl.DataFrame)]
    one = _rising(np.concatenate([np.empty(0, dtype=np.int64), *packed]))
    rows = pl.DataFrame({"person": (one >> 32).astype(np.uint32), "item": (one & (2**32 - 1)) - _HALF})
    wide = [part for part in parts if isinstance(part, pl.DataFrame)]
    return pl.concat([rows, *wide]).unique().sort("person", "item") if wide else rows


def _rising(values: _Ints) -> _Ints:
    """Return distinct values, rising, as they mostly are already: delivered rows lie by person and concept."""
    values = values[starts_run(values)]
    if (values[1:] > values[:-1]).all():
        return values
    values.sort()
    return values[starts_run(values)]


_HALF = 2**31
_PART = 2**17


def unique_runs(days: pl.DataFrame, length: int, persons: int) -> npt.NDArray[np.bool_]:
    """Return who has some `length` intervals (1 to 3) in a row that nobody else has anywhere.

    `days` has distinct rows `person` (0 … persons - 1), `day`, sorted by both; an interval lies between two days that
    follow each other. Whoever has fewer intervals is not alone with them: there is nothing to know.
    """
    day, person = days["day"].to_numpy(), days["person"].to_numpy()
    count = max(day.size - length, 0)
    whole = person[length:] == person[:count]
    owner, own = person[:count][whole].astype(np.int64), max(persons, 1).bit_length()
    gaps = np.diff(day)
    run, bits = np.zeros(owner.size, dtype=np.int64), 0
    for place in range(length):
        gap = gaps[place : place + count][whole]
        more = int(gap.max(initial=0)).bit_length()
        if bits + more + own > _BITS:  # rare: then runs are numbered anew
            distinct_runs, run = np.unique(run, return_inverse=True)
            bits = distinct_runs.size.bit_length()
        run <<= more
        run |= gap
        bits += more
    # Run and person as one number: equal runs stand together, their persons in order.
    run <<= own
    run |= owner
    run.sort()
    run, owner = run >> own, run & (2**own - 1)
    starts = run_starts(run)
    ends = np.append(starts[1:], run.size)[: starts.size] - 1
    return _marks(owner[starts[owner[starts] == owner[ends]]], persons)


def unique_sets(pairs: pl.DataFrame, persons: int) -> npt.NDArray[np.bool_]:
    """Return who has a set of items that nobody else has; the empty set is one too, where one person alone has it.

    `pairs` has distinct rows `person`, `item`, sorted by person. Sets are compared by two 64-bit sums of their items'
    hashes.
    """
    starts = run_starts(pairs["person"].to_numpy())
    who, item = pairs["person"].to_numpy()[starts], pairs["item"]
    sums = [np.add.reduceat(item.hash(seed).to_numpy(), starts) if starts.size else np.empty(0) for seed in (1, 2)]
    alone = _marks(who[pl.DataFrame(sums).is_unique().to_numpy()], persons)
    if who.size == persons - 1:
        alone[np.setdiff1d(np.arange(persons), who)] = True
    return alone


def rare(pairs: pl.DataFrame, small: int, persons: int) -> tuple[int, npt.NDArray[np.bool_]]:
    """Return how many items fewer than `small` persons have, and who has one of them (`pairs` as in `unique_sets`)."""
    few = pairs.group_by("item").len().filter(pl.col("len") < small)
    return few.height, _marks(pairs.join(few, on="item", how="semi")["person"].to_numpy(), persons)


def _marks(who: npt.NDArray[Any], persons: int) -> npt.NDArray[np.bool_]:
    marks = np.zeros(persons, dtype=np.bool_)
    marks[who] = True
    return marks
