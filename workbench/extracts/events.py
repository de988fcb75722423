"""Tables of events, from the rows of the release to those delivered.

Rows are read in the release's order, batch by batch, and changed at once but for two things, which wait until all are
read: pseudonyms of links, which are made over all tables together, and the order, by the persons' pseudonyms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.extracts import lookup
from workbench.extracts.held import Concepts, Held, columns_of, to_series
from workbench.extracts.ordering import Column, in_order
from workbench.extracts.select import INTERVALS, Plan
from workbench.extracts.transform import days_from_index, typed
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.keys import Purpose
from workbench.governance.pseudonyms import Pseudonyms, pseudonymize

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """The rows of a table as they are held: `columns` under their delivered names, links still real; where each run of
    one person's rows begins, and in which row of `bounds` that person stands.
    """

    columns: Held
    starts: _Ints
    whose: _Ints

    def persons(self) -> npt.NDArray[np.int32]:
        """Return of each row in which row of `bounds` its person stands."""
        return np.repeat(self.whose.astype(np.int32), np.diff(np.append(self.starts, self.columns.rows)))

    def without(self, rows: npt.NDArray[np.bool_]) -> Events:
        """Return what is left without some rows; these are used up."""
        ends = np.append(np.cumsum(~rows), 0)  # the last stands before the first
        left = ends[np.append(self.starts[1:], rows.size) - 1] - ends[self.starts - 1]
        starts = np.cumsum(left) - left
        self.columns.keep(~rows)
        return Events(self.columns, starts[left > 0], self.whose[left > 0])


# -- batch by batch, in the release's order


def hold(
    batches: Iterable[pl.DataFrame], room: int, plan: Plan, limits: pl.DataFrame, sensitive: pl.Series,
    concepts: Concepts,
) -> Events:  # fmt: skip
    """Return the rows of a table that will be delivered. `batches` has one at least, which may be without rows; `room`
    is for about how many rows."""
    held, starts, whose = Held(room), list[_Ints](), list[_Ints]()
    for rows in batches:
        columns = columns_of(_taken(rows, plan, limits, sensitive), concepts, plan.concepts)
        at, _ = columns.pop("at")
        heads = lookup.run_starts(at)
        starts.append(heads + held.rows)
        whose.append(at[heads].astype(np.int64))
        held.add(columns, at.size)
    return Events(held, np.concatenate(starts), np.concatenate(whose))


def _taken(rows: pl.DataFrame, plan: Plan, limits: pl.DataFrame, sensitive: pl.Series) -> pl.DataFrame:
    """Return rows as they are held: see the rules in this module's functions, in the order applied."""
    fallback = [
        pl.when(pl.col(column).fill_null(0) == 0).then(pl.coalesce(source, column)).otherwise(column).alias(column)
        for column, source in plan.fallback.items()
        if (rows[column] == 0).any() or rows[column].null_count()
    ]
    frame = without_sensitive(_beside(rows, limits), plan, sensitive).lazy().with_columns(fallback)
    frame = _dates_to_days(frame, plan)
    kinds = deliverable()[plan.table]
    names = {column: delivered_name(plan.table, column) for column in plan.given if kinds[column] != "person"}
    given = {name: name if kinds[column] in {"start", "end"} else column for column, name in names.items()}
    return typed(frame.select("at", **given).collect(), plan)


def without_sensitive(rows: pl.DataFrame, plan: Plan, sensitive: pl.Series) -> pl.DataFrame:
    """Drop every row that names a withheld concept in any of its concept columns, delivered or not."""
    columns = {*plan.concepts, *plan.fallback, *plan.fallback.values()} & set(rows.columns)
    hidden = [pl.col(column).fill_null(0).is_in(sensitive.implode()) for column in sorted(columns)]
    if not hidden:
        return rows
    kept = rows.select(~pl.any_horizontal(hidden)).to_series()
    return rows if kept.all() else rows.filter(kept)


def _beside(rows: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of persons of `limits`, with its dates beside them, and `at`, the person's row in it."""
    at = lookup.places(limits["person_id"].to_numpy(), rows["person_id"].cast(pl.Int64).to_numpy())
    if at.size and at.min() < 0:
        rows, at = rows.filter(pl.Series(at >= 0)), at[at >= 0]
    places = pl.Series("at", at)
    return rows.hstack([places, *limits.select(pl.col("index_date", "low", "high").gather(places)).get_columns()])


def _dates_to_days(frame: pl.LazyFrame, plan: Plan) -> pl.LazyFrame:
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
    return frame.with_columns(end=cut).with_columns(start_day=days_from_index("start"), end_day=days_from_index("end"))


# -- links, over all tables


def link_pseudonyms(
    tables: Mapping[str, Events], plans: Mapping[str, Plan], secret: bytes
) -> tuple[dict[str, Pseudonyms], int]:
    """Return the pseudonyms by purpose, over all tables together, each purpose with its own key, and the collisions."""
    wanted: dict[str, list[_Ints]] = {}
    for table, events in tables.items():
        for column in plans[table].given:
            kind = deliverable()[table][column]
            if kind.startswith("key."):
                ids, missing = events.columns.column(column)
                heads = lookup.run_starts(ids)  # rows of one stay mostly follow each other
                heads = heads if missing is None else heads[~missing[heads]]
                wanted.setdefault(kind, []).append(lookup.distinct(ids[heads]))
    links: dict[str, Pseudonyms] = {}
    for kind, columns in sorted(wanted.items()):
        purpose: Purpose = PURPOSES[kind]
        links[purpose] = pseudonymize(secret, purpose, np.concatenate(columns))
    return links, sum(made.collisions for made in links.values())


PURPOSES: Mapping[str, Purpose] = {"key.visit": "visit", "key.provider": "provider", "key.care_site": "care_site"}
"""The purposes of links by their kinds."""


def linked(column: Column, link: Pseudonyms) -> Column:
    """Return the pseudonyms of keys; no key, and one that has none, has none: never another's."""
    keys, missing = column
    if not link.ids.size:
        return np.zeros(keys.size, dtype=np.int64), np.ones(keys.size, dtype=np.bool_)
    heads = lookup.run_starts(keys)
    lengths = np.diff(np.append(heads, keys.size))
    found = lookup.places(link.ids, keys[heads])
    if (found < 0).any():
        unknown = np.repeat(found < 0, lengths)
        missing = unknown if missing is None else missing | unknown
    return np.repeat(link.values[found], lengths), missing


# -- part by part, in the order of pseudonyms


def event_table(
    events: Events, concepts: Concepts, plan: Plan, limits: pl.DataFrame, links: Mapping[str, Pseudonyms]
) -> pl.DataFrame:
    """Return one table of events as delivered, by pseudonym, then by all other columns in the order of their names.

    `events` are used up: a column is let go before the next is made, so that hardly more than one table is in memory.
    """
    kinds = {delivered_name(plan.table, column): deliverable()[plan.table][column] for column in plan.given}
    held, ids, rank = events.columns, concepts.ids, concepts.rank
    for name, kind in kinds.items():
        if kind.startswith("key."):
            held.change(name, partial(linked, link=links[kind.removeprefix("key.")]))
    others = sorted(name for name, kind in kinds.items() if kind != "person")
    columns = [_ranks(held.column(name)[0], rank) if name in plan.concepts else held.rows_of(name) for name in others]
    order, persons = np.empty(held.rows, dtype=np.int64), np.empty(held.rows, dtype=np.int64)
    done = 0
    for part in _by_pseudonym(events, limits["pseudonym"].to_numpy()):
        here = slice(done, done := done + part.places.size)
        order[here] = in_order(part.places, part.person, columns)
        persons[here] = part.pseudonyms[part.person]
    del columns
    made = {"person_id": to_series("person_id", persons, None)}
    for name in others:
        values, missing = held.rows_of(name)(order)
        held.forget(name)
        if name in plan.concepts:
            values, missing = ids[values], values == 0
        made[name] = to_series(name, values, missing)
    return pl.DataFrame([made[name] for name in kinds])


def _ranks(codes: _Ints, rank: npt.NDArray[np.int32]) -> Callable[[_Ints], Column]:
    return lambda rows: (rank[codes[rows]], None)


@dataclass(frozen=True)
class _Part:
    """Whole persons: the places of their rows, of each row the person's number in the part, and by this the
    pseudonym."""

    places: _Ints
    person: _Ints
    pseudonyms: _Ints


_PART = 2**16
"""Rows put in order at a time, at least: as many as fit in the processor's own memory."""


def _by_pseudonym(events: Events, pseudonyms: _Ints) -> Iterator[_Part]:
    """Cut rows into parts in the order of their persons' pseudonyms.

    A person's rows mostly follow each other: such runs are put in order, not rows.
    """
    lengths, whose = np.diff(np.append(events.starts, events.columns.rows)), pseudonyms[events.whose]
    runs = np.argsort(whose, kind="stable")
    starts, lengths, whose = events.starts[runs], lengths[runs], whose[runs]
    heads = lookup.starts_run(whose)
    full = np.cumsum(lengths)[np.append(heads[1:], True)] // _PART if runs.size else runs  # by person
    cuts = np.flatnonzero(heads)[1:][full[1:] != full[:-1]]
    for part in np.split(np.arange(runs.size), cuts):
        if part.size:
            ends = np.cumsum(lengths[part])
            places = np.repeat(starts[part] - (ends - lengths[part]), lengths[part]) + np.arange(ends[-1])
            person = np.cumsum(heads[part]) - 1
            yield _Part(places, np.repeat(person, lengths[part]), whose[part][heads[part]])
