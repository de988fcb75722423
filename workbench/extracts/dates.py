"""What an extract tells of the calendar where its papers allow it: shifted dates, and a coarse index year.

The first day and the cut-off of a release are known outside (`transform.py` says how both ends are cut). A shift goes
back by whole weeks. It and the whole weeks of the person's cut at the end add up to a keyed number that has nothing to
do with the cut: this sum is what a last day gives away, and 25 weeks of the cut fit it equally well wherever in its
range the sum lies. So no first or last day, and no edge of the range, tells the shift of anybody.

Ages and index years beside a calendar are those of the *moved index* (`transform.py`): a true year would cut the days
that fit a person's first and last day at its own first of January, down to one day for some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.governance.deliverable import deliverable
from workbench.governance.pseudonyms import keyed_days

SUMS: Final = (27, 157)
"""The weeks of shift and cut together; the cut has 1 to 26 of them, so a shift goes back by 1 to 156 weeks."""
BAND: Final = 11
"""Each band of index years holds so many persons at least."""
WIDTH: Final = 2
"""Bands are made of pairs of calendar years, the even one first."""
ORIGIN: Final = "cohort_start_date"
"""The column of `cohort` that an extract with shifted dates has, and no other: each person's shifted index."""

Tables = Mapping[str, pl.DataFrame]
Bands = tuple[tuple[int, int], ...]
"""First and last year of each band, rising."""

_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "cohort": {
        "end_day": "cohort_end_date",
        "observation_start_day": "observation_period_start_date",
        "observation_end_day": "observation_period_end_date",
    },
    "outcome": {"start_day": "cohort_start_date"},
}


def date_names(table: str) -> Mapping[str, str]:
    """Return the columns of days of a delivered table, and the OMOP names of the same as shifted dates."""
    if table in _NAMES:
        return _NAMES[table]
    return {f"{kind}_day": name for name, kind in deliverable().get(table, {}).items() if kind in {"start", "end"}}


def shifted_index(persons: pl.DataFrame, secret: bytes) -> pl.DataFrame:
    """Return `person_id` (the pseudonym) and `origin`, the index date moved back by the person's keyed weeks.

    `persons` is `Persons.frame`; the shift depends on the person's real id and the study's secret alone, so that it
    stays in every table and every refresh.
    """
    sums = keyed_days(secret, persons.get_column("person_id").to_numpy(), *SUMS, "shift")
    weeks = pl.Series("weeks", sums) - persons.get_column("late") // 7
    back = pl.col("index_date") - pl.duration(weeks="weeks")
    return persons.with_columns(weeks).select(person_id="pseudonym", origin=back).sort("person_id")


def to_dates(tables: Tables, origins: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Put dates in the place of days: each person's `origin` (see `shifted_index`) and the days together."""
    made = {name: _to_dates(name, rows, origins) for name, rows in tables.items()}
    cohort = made["cohort"].join(origins, on="person_id", how="left", maintain_order="left")
    others = [name for name in cohort.columns if name not in {"person_id", "origin"}]
    made["cohort"] = cohort.select("person_id", pl.col("origin").alias(ORIGIN), *others)
    return made


def _to_dates(table: str, rows: pl.DataFrame, origins: pl.DataFrame) -> pl.DataFrame:
    names = {day: name for day, name in date_names(table).items() if day in rows.columns}
    if not names:
        return rows
    dates = [(pl.col("origin") + pl.duration(days=day)).alias(day) for day in names]
    beside = rows.join(origins, on="person_id", how="left", maintain_order="left")
    return beside.with_columns(dates).drop("origin").rename(names)


def in_days(tables: Tables) -> dict[str, pl.DataFrame]:
    """Return an extract's tables with days from the index, whichever form it has: shifts drop out of intervals."""
    if ORIGIN not in tables["cohort"].columns:
        return dict(tables)
    origins = tables["cohort"].select("person_id", origin=ORIGIN)
    made = {name: _in_days(name, rows, origins) for name, rows in tables.items()}
    made["cohort"] = made["cohort"].drop(ORIGIN)
    return made


def _in_days(table: str, rows: pl.DataFrame, origins: pl.DataFrame) -> pl.DataFrame:
    names = {name: day for day, name in date_names(table).items() if name in rows.columns}
    if not names:
        return rows
    days = [(pl.col(name).to_physical() - pl.col("origin").to_physical()).alias(name) for name in names]
    beside = rows.join(origins, on="person_id", how="left", maintain_order="left")
    return beside.with_columns(days).drop("origin").rename(names)


# -- the coarse index year


def with_index_years(cohort: pl.DataFrame, persons: pl.DataFrame) -> tuple[pl.DataFrame, Bands]:
    """Return the `cohort` table with `index_year`, the first year of the band of each person's moved index, and the
    bands. Where all persons together are fewer than 11 there is no band, and nobody has a year."""
    years = persons.select(person_id="pseudonym", year=pl.col("moved").dt.year())
    bands = year_bands(years.get_column("year").to_numpy())
    first = np.array([band[0] for band in bands], dtype=np.int32)
    places = np.searchsorted(first, years.get_column("year").to_numpy(), side="right") - 1
    found = pl.Series(first[places]) if bands else pl.Series([None] * years.height, dtype=pl.Int32)
    known = years.select("person_id", index_year=found.cast(pl.Int32))
    return cohort.join(known, on="person_id", how="left", maintain_order="left"), bands


def year_bands(years: npt.NDArray[np.integer]) -> Bands:
    """Return the bands of some persons' years: from the first pair of years on, pairs are joined until 11 persons are
    in a band; what is left at the end goes to the last one. No band where fewer than 11 persons are there."""
    pairs, counts = np.unique(np.asarray(years) // WIDTH * WIDTH, return_counts=True)
    bands: list[tuple[int, int]] = []
    for pair, persons in _joined(zip(pairs.tolist(), counts.tolist(), strict=True)):
        if persons >= BAND:
            bands.append(pair)
        elif bands:
            bands[-1] = (bands[-1][0], pair[1])
    return tuple(bands)


def _joined(pairs: Iterable[tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    """Return the runs of pairs of years that hold enough persons, with their numbers; the last may hold too few."""
    runs: list[tuple[tuple[int, int], int]] = []
    for year, persons in pairs:
        if runs and runs[-1][1] < BAND:
            (first, _), before = runs[-1]
            runs[-1] = ((first, year + WIDTH - 1), before + persons)
        else:
            runs.append(((year, year + WIDTH - 1), persons))
    return runs
