"""Polars transforms: real ids become pseudonyms, dates become days from the index, and what is too fine is coarsened.

Cuts. The release's first day and its cut-off are known outside. A person observed until the very cut-off would give
their offset away by their last day, whatever the shift. So each person's follow-up ends at a keyed point 1–26 weeks
before the cut-off, and begins no earlier than 1–26 weeks after the first day of the release. The two cuts of a person
take 27 weeks together: were they drawn apart, the length of an observation would tell their sum, and for a sum near its
end both of them.

The *moved index* is the index later by the cut at the end, and earlier by the middle of all cuts. Of a person observed
to the cut-off it is known anyway, so years taken from it tell nothing of the cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from workbench.extracts.select import Plan
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.pseudonyms import keyed_days, pseudonymize

AGE_CAP = 90
"""90 stands for "90 or more": ages above 89 single out."""

CUT_DAYS = (7, 182)
"""1 to 26 weeks, both included."""

Period = Mapping[str, int | None]


@dataclass(frozen=True)
class Persons:
    """The cohort: real `person_id`, `pseudonym`, `index_date`, `cohort_end`, the days `late` that are cut at the end,
    the `moved` index, and the cut observation `first` … `last`.

    `left_out` counts persons whose index lies outside their cut observation. `collisions` counts pseudonyms resolved.
    """

    frame: pl.DataFrame
    left_out: int
    collisions: int


def first_index(cohort: pl.DataFrame) -> pl.DataFrame:
    """Return one row a person: the earliest cohort start as `index_date`, with that row's end as `cohort_end`."""
    return (
        cohort.select(
            person_id=pl.col("subject_id").cast(pl.Int64),
            index_date=pl.col("cohort_start_date").cast(pl.Date),
            cohort_end=pl.col("cohort_end_date").cast(pl.Date),
        )
        .sort("person_id", "index_date", "cohort_end")
        .unique("person_id", keep="first", maintain_order=True)
    )


def cut_persons(index: pl.DataFrame, observed: pl.DataFrame, first_day: date, cut_off: date, secret: bytes) -> Persons:
    """Return the cohort's persons with their pseudonyms and their observation, cut at both ends as said above."""
    made = pseudonymize(secret, "person", index.get_column("person_id").to_numpy())
    ids = pl.DataFrame({"person_id": made.ids, "pseudonym": made.values})
    ids = ids.with_columns(late=pl.Series(keyed_days(secret, made.ids, *CUT_DAYS, "end"), dtype=pl.Int64))
    both = sum(CUT_DAYS)
    frame = (
        index.join(ids, on="person_id")
        .join(observed, on="person_id")
        .with_columns(
            first=pl.max_horizontal("start", pl.lit(first_day) + pl.duration(days=both - pl.col("late"))),
            last=pl.min_horizontal("end", pl.lit(cut_off) - pl.duration(days="late")),
            moved=pl.col("index_date") + pl.duration(days=pl.col("late") - both // 2),
        )
        .filter(pl.col("index_date").is_between("first", "last"))
        .select("person_id", "pseudonym", "index_date", "cohort_end", "late", "moved", "first", "last")
    )
    return Persons(frame, index.height - frame.height, made.collisions)


def bounds(persons: pl.DataFrame, period: Period) -> pl.DataFrame:
    """Return `person_id`, `pseudonym`, `index_date`, `moved` and the dates `low` … `high` between which rows are
    delivered, sorted by person."""
    low, high = period["from_day"], period["to_day"]
    index = pl.col("index_date")
    return persons.select(
        "person_id",
        "pseudonym",
        "index_date",
        "moved",
        low=pl.col("first") if low is None else pl.max_horizontal("first", index + pl.duration(days=low)),
        high=pl.col("last") if high is None else pl.min_horizontal("last", index + pl.duration(days=high)),
    ).sort("person_id")


def cohort_table(persons: pl.DataFrame, period: Period, outcome_period: Period) -> pl.DataFrame:
    """Return the `cohort` table: observation and cohort end as days, no further than the approved periods reach."""
    lows, highs = (period["from_day"], outcome_period["from_day"]), (period["to_day"], outcome_period["to_day"])
    low = None if None in lows else min(day for day in lows if day is not None)
    high = None if None in highs else max(day for day in highs if day is not None)
    start, end = days_from_index("first"), days_from_index("last")
    return persons.select(
        person_id="pseudonym",
        end_day=_capped(days_from_index(pl.min_horizontal("cohort_end", "last")), high),
        observation_start_day=start if low is None else pl.max_horizontal(start, pl.lit(min(low, 0), pl.Int32)),
        observation_end_day=_capped(end, high),
    ).sort("person_id")


def outcome_table(outcomes: Mapping[str, pl.DataFrame], limits: pl.DataFrame) -> pl.DataFrame:
    """Return the `outcome` table: one row for each start of an outcome cohort inside the outcome period."""
    frames = [
        rows.select(person_id=pl.col("subject_id").cast(pl.Int64), start=pl.col("cohort_start_date").cast(pl.Date))
        .join(limits, on="person_id")
        .filter(pl.col("start").is_between("low", "high"))
        .select(person_id="pseudonym", outcome=pl.lit(name), start_day=days_from_index("start"))
        for name, rows in sorted(outcomes.items())
    ]
    empty = pl.DataFrame(schema={"person_id": pl.Int64, "outcome": pl.String, "start_day": pl.Int32})
    return pl.concat([empty, *frames]).sort("person_id", "outcome", "start_day")


def person_table(rows: pl.DataFrame, plan: Plan, limits: pl.DataFrame, *, moved: bool = False) -> pl.DataFrame:
    """Return the `person` table: age at index in whole years by year of birth, 90 standing for 90 or more; in the year
    of the `moved` index in every extract of a study that may be told something of the calendar."""
    age = (
        (pl.col("moved" if moved else "index_date").dt.year() - pl.col("year_of_birth")).clip(0, AGE_CAP).cast(pl.Int32)
    )
    joined = rows.join(limits, on="person_id").with_columns(person_id="pseudonym", age_at_index=age)
    return typed(joined.select(plan.given), plan).sort("person_id")


def typed(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Give every column the type of its kind, whatever the release's: days and ages 32 bits, ids 64, else doubles."""
    kinds = deliverable()[plan.table]
    casts: dict[str, type[pl.DataType]] = {}
    for column in plan.given:
        name, kind = delivered_name(plan.table, column), kinds[column]
        if name not in frame.columns:
            continue
        if kind in {"start", "end", "age"}:
            casts[name] = pl.Int32
        elif kind == "number" and not frame.schema[name].is_integer():
            casts[name] = pl.Float64
        else:
            casts[name] = pl.Int64
    return frame.cast(casts)  # type: ignore[arg-type]


def days_from_index(what: str | pl.Expr) -> pl.Expr:
    """Return a date as days from the index."""
    value = pl.col(what) if isinstance(what, str) else what
    return value.to_physical() - pl.col("index_date").to_physical()  # a date is a number of days, 32 bits


def _capped(value: pl.Expr, high: int | None) -> pl.Expr:
    return value if high is None else pl.min_horizontal(value, pl.lit(max(high, 0), pl.Int32))
