"""Rare values: what fewer than 11 delivered persons have is made coarser. The rules by themselves, on numbers.

A rare concept becomes its nearest ancestor that at least 11 persons have, counting whoever is rolled up to it; a rare
age joins its neighbours in a band; small sites become one. What no rule makes common has no value any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.extracts import lookup
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.pseudonyms import Pseudonyms

_Ints = npt.NDArray[np.int64]
_Codes = npt.NDArray[np.int32]
_Flags = npt.NDArray[np.bool_]
_PART = 2**17
_LOW = 2**32 - 1


class Holders:
    """Which of some codes (whole numbers under `size`) at least 11 persons have; of the others, who has them.

    Code 0 stands for no value, and like those of `exempt` is never rare. A code is looked at only until it has its 11
    persons: nearly all rows are of codes that have them within the first rows.
    """

    def __init__(self, size: int, exempt: Sequence[int] = ()) -> None:
        self._exempt = np.zeros(size, dtype=np.bool_)
        self._exempt[[0, *exempt]] = True
        self._settled = self._exempt.copy()
        self._pairs = np.empty(0, dtype=np.int64)

    def add(self, codes: npt.NDArray[np.integer], person: npt.NDArray[np.integer]) -> None:
        """Take in more rows: of each the code and the person (from 0, 31 bits)."""
        for start in range(0, codes.size, _PART):
            here = codes[start : start + _PART]
            waiting = np.flatnonzero(~self._settled[here])
            if not waiting.size:
                continue
            new = (person[start : start + _PART][waiting].astype(np.int64) << 32) | here[waiting]
            pairs = lookup.distinct(np.concatenate([self._pairs, new]))
            held = pairs & _LOW
            self._settled |= np.bincount(held, minlength=self._settled.size) >= THRESHOLD
            self._pairs = pairs[~self._settled[held]]

    @property
    def common(self) -> _Flags:
        """Whether at least 11 persons have each code."""
        return self._settled & ~self._exempt

    @property
    def rare(self) -> pl.DataFrame:
        """The distinct `person` and `code` of the codes that fewer than 11 persons have, one person at least."""
        return pl.DataFrame({"person": self._pairs >> 32, "code": self._pairs & _LOW})


# -- concepts


def roll_up(rare: pl.DataFrame, common: pl.Series, above: pl.DataFrame) -> dict[int, int]:
    """Return for rare concepts the ancestors that take their places, for as many of them as have one.

    `rare` has the distinct `person` and `concept` of concepts that are each too rare, `common` are the concepts that
    are not, and `above` has `concept`, `ancestor` and `level`, the steps between them, with the ancestors allowed.
    Every ancestor chosen is common, or at least 11 persons have the concepts that it takes in (itself among them, where
    it is rare). The nearest counts; of equally near ones, the smallest id.
    """
    own = rare.select("concept", ancestor="concept", level=pl.lit(0, pl.Int64)).unique()
    links = pl.concat([own, above.select(pl.col("concept", "ancestor", "level").cast(pl.Int64))])
    links = links.unique(["concept", "ancestor"], keep="first", maintain_order=True)
    links = links.join(rare.select("concept").unique(), on="concept", how="semi")
    links = _useful(links, rare, common)
    found: dict[int, int] = {}
    for level in links["level"].unique().sort().to_list():
        while (taken := _taken(links.filter(pl.col("level") <= level), rare, common)).height:
            found |= dict(taken.select("concept", "ancestor").iter_rows())
            common = pl.concat([common, taken["ancestor"]]).unique()
            links = links.join(taken, on="concept", how="anti")
    return found


def _useful(links: pl.DataFrame, rare: pl.DataFrame, common: pl.Series) -> pl.DataFrame:
    """Leave out ancestors beyond the nearest common one, and those that can never have persons enough."""
    taken = pl.col("ancestor").is_in(common.implode())
    nearest = pl.col("level").filter(taken).min().over("concept")
    links = links.filter(pl.col("level") <= nearest.fill_null(2**31))
    return links.join(_with_enough(links, rare, common), on="ancestor", how="semi")


def _with_enough(links: pl.DataFrame, rare: pl.DataFrame, common: pl.Series) -> pl.DataFrame:
    """Return the `ancestor` of links that are common, or have persons enough by what links to them."""
    persons = links.join(rare, on="concept").group_by("ancestor").agg(persons=pl.col("person").n_unique())
    enough = (pl.col("persons") >= THRESHOLD) | pl.col("ancestor").is_in(common.implode())
    return persons.filter(enough).select("ancestor")


def _taken(links: pl.DataFrame, rare: pl.DataFrame, common: pl.Series) -> pl.DataFrame:
    """Return the links followed next, one a concept: none where no ancestor has persons enough.

    Each concept chooses; where the choices leave every ancestor with too few, the one of the smallest id takes all of
    its own.
    """
    links = links.join(_with_enough(links, rare, common), on="ancestor", how="semi").sort("level", "ancestor")
    chosen = links.unique("concept", keep="first", maintain_order=True)
    taken = chosen.join(_with_enough(chosen, rare, common), on="ancestor", how="semi")
    return taken if taken.height else links.filter(pl.col("ancestor") == pl.col("ancestor").min())


# -- ages


@dataclass(frozen=True)
class Band:
    """Ages `low` to `high`, of at least 11 persons, and the age delivered for all of them."""

    low: int
    high: int
    age: int


def bands(ages: pl.Series, last: int) -> list[Band]:
    """Return the bands of ages (no value: none) from 0 to `last`, from young to old: none where fewer than 11 have one.

    An age joins the next older ones until 11 persons are together; the oldest who are not join the band before. The age
    delivered is the lower median of those in the band, so that an age held by enough stays as it is.
    """
    counted = ages.drop_nulls().cast(pl.Int64).value_counts().sort(ages.name)
    groups, waiting = list[list[tuple[int, int]]](), list[tuple[int, int]]()
    for age, persons in counted.iter_rows():
        waiting.append((age, persons))
        if sum(each for _, each in waiting) >= THRESHOLD:
            groups.append(waiting)
            waiting = []
    if waiting and groups:
        groups[-1] += waiting
    lows = [0, *(group[-1][0] + 1 for group in groups[:-1])]
    highs = [*(group[-1][0] for group in groups[:-1]), last]
    return [Band(low, high, _middle(group)) for low, high, group in zip(lows, highs, groups, strict=False)]


def _middle(group: Sequence[tuple[int, int]]) -> int:
    ages, persons = zip(*group, strict=True)
    sofar = np.cumsum(persons)
    return int(ages[int(np.searchsorted(sofar, (sofar[-1] + 1) // 2))])


# -- sites


def as_one(link: Pseudonyms, holders: Holders, rows: _Ints) -> tuple[Pseudonyms, _Codes]:
    """Return pseudonyms in which all rare ids have one together, and the codes concerned.

    A code is the id's place in `link` and 1; `rows` has the number of rows of each code. Where fewer than 11 persons
    have the rare ids together, the other ids join them, the one of the fewest rows first: a group of "all others" that
    few persons make up would be a rare value itself. Where even all of them have too few, they have no pseudonym.
    """
    rare = holders.rare
    small = rare["code"].unique().sort().to_numpy().astype(np.int32)
    if not small.size:
        return link, small
    if rare["person"].n_unique() < THRESHOLD:
        others = np.flatnonzero(holders.common)
        if not others.size:
            kept = np.setdiff1d(np.arange(link.ids.size), small - 1)
            return Pseudonyms(link.ids[kept], link.values[kept], link.collisions), small
        small = np.sort(np.append(small, others[np.argmin(rows[others])])).astype(np.int32)
    values = link.values.copy()
    values[small - 1] = values[small - 1].min()
    return Pseudonyms(link.ids, values, link.collisions), small
