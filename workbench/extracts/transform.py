"""Polars transforms: real ids become pseudonyms, dates become days from the index, and what is too fine is coarsened.

Cuts. The release's first day and its cut-off are known outside. A person observed until the very cut-off would give
their offset away by their last day, whatever the shift. So each person's follow-up ends at a keyed point 1–26 weeks
before the cut-off, and begins no earlier than a keyed point 1–26 weeks after the first day of the release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from workbench.extracts import lookup
from workbench.extracts.select import INTERVALS, Plan
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.keys import Purpose
from workbench.governance.pseudonyms import Pseudonyms, keyed_days, pseudonymize

AGE_CAP = 90
"""90 stands for "90 or more": ages above 89 single out."""

CUT_DAYS = (7, 182)
"""1 to 26 weeks, both included."""

Period = Mapping[str, int | None]


@dataclass(frozen=True)
class Persons:
    """The cohort: real `person_id`, `pseudonym`, `index_date`, and the cut observation `first` … `last`.

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
    ids = ids.with_columns(
        late=pl.Series(keyed_days(secret, made.ids, *CUT_DAYS, "end")),
        early=pl.Series(keyed_days(secret, made.ids, *CUT_DAYS, "start")),
    )
    frame = (
        index.join(ids, on="person_id")
        .join(observed, on="person_id")
        .with_columns(
            first=pl.max_horizontal("start", pl.lit(first_day) + pl.duration(days="early")),
            last=pl.min_horizontal("end", pl.lit(cut_off) - pl.duration(days="late")),
        )
        .filter(pl.col("index_date").is_between("first", "last"))
        .select("person_id", "pseudonym", "index_date", "cohort_end", "first", "last")
    )
    return Persons(frame, index.height - frame.height, made.collisions)


def bounds(persons: pl.DataFrame, period: Period) -> pl.DataFrame:
    """Return `person_id`, `pseudonym`, `index_date` and the dates `low` … `high` between which rows are
    delivered, sorted by person."""
    low, high = period["from_day"], period["to_day"]
    index = pl.col("index_date")
    return persons.select(
        "person_id",
        "pseudonym",
        "index_date",
        low=pl.col("first") if low is None else pl.max_horizontal("first", index + pl.duration(days=low)),
        high=pl.col("last") if high is None else pl.min_horizontal("last", index + pl.duration(days=high)),
    ).sort("person_id")


def cohort_table(persons: pl.DataFrame, period: Period, outcome_period: Period) -> pl.DataFrame:
    """Return the `cohort` table: observation and cohort end as days, no further than the approved periods reach."""
    lows, highs = (period["from_day"], outcome_period["from_day"]), (period["to_day"], outcome_period["to_day"])
    low = None if None in lows else min(day for day in lows if day is not None)
    high = None if None in highs else max(day for day in highs if day is not None)
    start, end = _days("first"), _days("last")
    return persons.select(
        person_id="pseudonym",
        end_day=_capped(_days(pl.min_horizontal("cohort_end", "last")), high),
        observation_start_day=start if low is None else pl.max_horizontal(start, pl.lit(min(low, 0), pl.Int32)),
        observation_end_day=_capped(end, high),
    ).sort("person_id")


def outcome_table(outcomes: Mapping[str, pl.DataFrame], limits: pl.DataFrame) -> pl.DataFrame:
    """Return the `outcome` table: one row for each start of an outcome cohort inside the outcome period."""
    frames = [
        rows.select(person_id=pl.col("subject_id").cast(pl.Int64), start=pl.col("cohort_start_date").cast(pl.Date))
        .join(limits, on="person_id")
        .filter(pl.col("start").is_between("low", "high"))
        .select(person_id="pseudonym", outcome=pl.lit(name), start_day=_days("start"))
        for name, rows in sorted(outcomes.items())
    ]
    empty = pl.DataFrame(schema={"person_id": pl.Int64, "outcome": pl.String, "start_day": pl.Int32})
    return pl.concat([empty, *frames]).sort("person_id", "outcome", "start_day")


def person_table(rows: pl.DataFrame, plan: Plan, limits: pl.DataFrame) -> pl.DataFrame:
    """Return the `person` table: age at index in whole years by year of birth, 90 standing for 90 or more."""
    age = (pl.col("index_date").dt.year() - pl.col("year_of_birth")).clip(0, AGE_CAP).cast(pl.Int32)
    joined = rows.join(limits, on="person_id").with_columns(person_id="pseudonym", age_at_index=age)
    return _typed(joined.select(plan.given), plan).sort("person_id")


def event_table(
    rows: pl.DataFrame, plan: Plan, limits: pl.DataFrame, sensitive: pl.Series, links: Mapping[str, Pseudonyms]
) -> pl.DataFrame:
    """Return one table of events as delivered, by pseudonym, then by all other columns in the order of their names."""
    parts = [_delivered_events(rows[:0], plan, limits, sensitive, links)]
    parts += [_delivered_events(part, plan, limits, sensitive, links) for part in _by_pseudonym(rows, limits)]
    return pl.concat(parts)


_PART = 2**19
"""Rows made at a time: what lies between those read and those delivered is never held for the whole table."""


def _by_pseudonym(rows: pl.DataFrame, limits: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut the rows of the persons of `limits` into parts: whole persons, in the order of their pseudonyms.

    A person's rows mostly follow each other: such runs are put in order, not rows.
    """
    ids = rows["person_id"].cast(pl.Int64).to_numpy()
    starts = lookup.run_starts(ids)
    lengths = np.diff(np.append(starts, ids.size))
    who = lookup.places(limits["person_id"].to_numpy(), ids[starts])
    known = np.flatnonzero(who >= 0)
    pseudonyms = limits["pseudonym"].to_numpy()[who[known]]
    order = np.argsort(pseudonyms, kind="stable")
    runs, pseudonyms = known[order], pseudonyms[order]
    sofar = np.cumsum(lengths[runs])
    last = np.flatnonzero(np.append(pseudonyms[1:] != pseudonyms[:-1], True)) if runs.size else runs
    full = sofar[last] // _PART
    cuts = last[1:][full[1:] != full[:-1]] + 1  # after the person who fills a part
    for part in np.split(runs, cuts):
        if part.size:
            ends = np.cumsum(lengths[part])
            places = np.repeat(starts[part] - (ends - lengths[part]), lengths[part]) + np.arange(ends[-1])
            yield rows[places]


def _delivered_events(
    rows: pl.DataFrame, plan: Plan, limits: pl.DataFrame, sensitive: pl.Series, links: Mapping[str, Pseudonyms]
) -> pl.DataFrame:
    """Return rows as they are delivered, sorted: see the rules in this module's functions, in the order applied."""
    frame = without_sensitive(rows, plan, sensitive)
    frame = frame.with_columns(
        pl.when(pl.col(column).fill_null(0) == 0).then(pl.coalesce(source, column)).otherwise(column).alias(column)
        for column, source in plan.fallback.items()
        if (frame[column] == 0).any() or frame[column].null_count()
    )
    frame = _dates_to_days(_beside(frame, limits), plan)
    kinds = deliverable()[plan.table]
    for column in plan.given:
        if kinds[column].startswith("key."):
            frame = frame.with_columns(_linked(frame[column], links[kinds[column].removeprefix("key.")]))
    names = {column: delivered_name(plan.table, column) for column in plan.given}
    frame = frame.with_columns(person_id="pseudonym")
    given = frame.select(pl.col(names[c] if kinds[c] in {"start", "end"} else c).alias(names[c]) for c in plan.given)
    return _typed(given, plan).sort("person_id", *sorted(name for name in given.columns if name != "person_id"))


def _beside(rows: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of persons of `limits`, with its columns beside them."""
    at = lookup.places(limits["person_id"].to_numpy(), rows["person_id"].cast(pl.Int64).to_numpy())
    if at.size and at.min() < 0:
        rows, at = rows.filter(pl.Series(at >= 0)), at[at >= 0]
    return rows.hstack(limits.drop("person_id").select(pl.all().gather(at)))


def _linked(keys: pl.Series, link: Pseudonyms) -> pl.Series:
    """Return the pseudonyms of keys; no key, and one that has none, has none: never another's."""
    none = pl.Series(keys.name, [None], pl.Int64).new_from_index(0, keys.len())
    if not link.ids.size:
        return none
    at = lookup.places(link.ids, keys.cast(pl.Int64).fill_null(int(link.ids[0])).to_numpy())
    known = keys.is_not_null() & pl.Series(at >= 0)
    linked = pl.Series(keys.name, link.values[at])
    return linked if known.all() else linked.zip_with(known, none)


def _typed(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Give every column the type of its kind, whatever the release's: days and ages 32 bits, ids 64, else doubles."""
    kinds = deliverable()[plan.table]
    casts: dict[str, type[pl.DataType]] = {}
    for column in plan.given:
        name, kind = delivered_name(plan.table, column), kinds[column]
        if kind in {"start", "end", "age"}:
            casts[name] = pl.Int32
        elif kind == "number" and not frame.schema[name].is_integer():
            casts[name] = pl.Float64
        else:
            casts[name] = pl.Int64
    return frame.cast(casts)  # type: ignore[arg-type]


def without_sensitive(rows: pl.DataFrame, plan: Plan, sensitive: pl.Series) -> pl.DataFrame:
    """Drop every row that names a withheld concept in any of its concept columns, delivered or not."""
    columns = {*plan.concepts, *plan.fallback, *plan.fallback.values()} & set(rows.columns)
    hidden = [pl.col(column).fill_null(0).is_in(sensitive.implode()) for column in sorted(columns)]
    return rows.filter(~pl.any_horizontal(hidden)) if hidden else rows


def link_pseudonyms(
    frames: Mapping[str, pl.DataFrame], plans: Mapping[str, Plan], secret: bytes
) -> tuple[dict[str, Pseudonyms], int]:
    """Return the pseudonyms by purpose, over all tables together, each purpose with its own key, and the collisions."""
    wanted: dict[str, list[pl.Series]] = {}
    for table, plan in plans.items():
        for column in plan.given:
            kind = deliverable()[table][column]
            if kind.startswith("key."):
                wanted.setdefault(kind, []).append(frames[table].get_column(column).cast(pl.Int64))
    links: dict[str, Pseudonyms] = {}
    for kind, columns in sorted(wanted.items()):
        purpose: Purpose = _PURPOSES[kind]
        ids = [lookup.distinct(column.drop_nulls().to_numpy()) for column in columns]
        links[purpose] = pseudonymize(secret, purpose, np.concatenate(ids))
    return links, sum(made.collisions for made in links.values())


_PURPOSES: Mapping[str, Purpose] = {"key.visit": "visit", "key.provider": "provider", "key.care_site": "care_site"}


def _dates_to_days(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Keep rows between `low` and `high`, cut intervals to them, and put `start_day` and `end_day` in place of dates.

    An open stay gets the cut end; other rows without an end stay without.
    """
    if plan.start is None:
        return frame
    start = pl.col(plan.start).cast(pl.Date)
    end = pl.col(plan.end).cast(pl.Date) if plan.end else pl.lit(None, pl.Date)
    frame = frame.with_columns(start=start, end=end.fill_null(pl.col("high")) if "visit" in plan.table else end)
    if plan.table in INTERVALS:
        frame = frame.filter((pl.col("start") <= pl.col("high")) & (pl.coalesce("end", "start") >= pl.col("low")))
        frame = frame.with_columns(start=pl.max_horizontal("start", "low"))
    frame = frame.filter(pl.col("start").is_between("low", "high"))
    cut = pl.when(pl.col("end").is_not_null()).then(pl.min_horizontal(pl.max_horizontal("end", "low"), "high"))
    return frame.with_columns(end=cut).with_columns(start_day=_days("start"), end_day=_days("end"))


def _days(what: str | pl.Expr) -> pl.Expr:
    value = pl.col(what) if isinstance(what, str) else what
    return value.to_physical() - pl.col("index_date").to_physical()  # a date is a number of days, 32 bits


def _capped(value: pl.Expr, high: int | None) -> pl.Expr:
    return value if high is None else pl.min_horizontal(value, pl.lit(max(high, 0), pl.Int32))


def concept_ids(tables: Mapping[str, pl.DataFrame], plans: Mapping[str, Plan]) -> pl.Series:
    """Return the distinct concept ids that the delivered tables hold."""
    columns: Sequence[pl.Series] = [
        tables[table].get_column(column).cast(pl.Int64).drop_nulls()
        for table, plan in plans.items()
        for column in plan.concepts
    ]
    ids = [lookup.distinct(chunk.to_numpy()) for column in columns for chunk in column.get_chunks()]
    return pl.Series("concept_id", lookup.distinct(np.concatenate([np.empty(0, dtype=np.int64), *ids])))
