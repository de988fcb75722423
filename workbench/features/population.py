"""Who is in the matrix: one row per person, its label, its days at risk, and the side of the split it falls on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.kernel.errors import InvalidInput, Refused

FOLDS = 5
FEWEST = 11
"""Persons of each class that each side of the split must hold, below which nothing could be shown of it."""


@dataclass(frozen=True)
class Population:
    """`rows` has row_id, person_id, outcome (0/1), days_at_risk, split, fold (-1 in the test part), age_at_index,
    gender_concept_id, in the order of person_id; `washout` and `short_follow_up` count the persons left out.
    """

    rows: pl.DataFrame
    washout: int
    short_follow_up: int


def population(tables: Mapping[str, pl.DataFrame], design: Mapping[str, Any]) -> Population:
    """Return the persons of the target cohort with their labels, from `cohort`, `outcome` and `person`.

    `days_at_risk` counts the days from the start of the time at risk to the outcome, the end of follow-up or the end
    of the time at risk, whichever is first, that day included. An outcome after the end of follow-up does not count.
    Raises `InvalidInput` (`model.repeated_person`, `model.outcome_not_delivered`), `Refused`
    (`model.too_few_outcomes`).
    """
    followed = _followed(tables, design)
    outcomes = _outcomes(tables, design)
    prior = outcomes.filter(pl.col("start_day") <= 0).select("person_id").unique()
    kept = followed.join(prior, on="person_id", how="anti") if design["washout"] else followed
    labelled = _labelled(kept, outcomes, design["time_at_risk"])
    enough = (pl.col("outcome") == 1) | (pl.col("days_at_risk") >= design["minimum_days_at_risk"])
    long_enough = labelled.filter(enough)
    rows = _split(long_enough.sort("person_id").with_row_index("row_id"), design["split"])
    _check_size(rows)
    return Population(rows, followed.height - kept.height, labelled.height - long_enough.height)


def _followed(tables: Mapping[str, pl.DataFrame], design: Mapping[str, Any]) -> pl.DataFrame:
    cohort = tables["cohort"]
    if cohort["person_id"].n_unique() != cohort.height:
        raise InvalidInput("model.repeated_person", cohort=design["target"])
    last = "observation_end_day" if "observation_end_day" in cohort.columns else "end_day"
    person = tables["person"]
    known = [name for name in ("age_at_index", "gender_concept_id") if name in person.columns]
    frame = cohort.select("person_id", last_day=pl.col(last).cast(pl.Int32))
    return frame.join(person.select("person_id", *known), on="person_id", how="left").with_columns(
        *(pl.lit(None, pl.Int32).alias(name) for name in ("age_at_index", "gender_concept_id") if name not in known)
    )


def _outcomes(tables: Mapping[str, pl.DataFrame], design: Mapping[str, Any]) -> pl.DataFrame:
    chosen = tables["outcome"].filter(pl.col("outcome") == design["outcome"])
    if not chosen.height:
        raise InvalidInput("model.outcome_not_delivered", outcome=design["outcome"])
    return chosen.select("person_id", "start_day")


def _labelled(kept: pl.DataFrame, outcomes: pl.DataFrame, days: Mapping[str, int]) -> pl.DataFrame:
    first, last = days["start_day"], days["end_day"]
    events = (
        outcomes.join(kept.select("person_id", "last_day"), on="person_id")
        .filter(pl.col("start_day").is_between(first, last) & (pl.col("start_day") <= pl.col("last_day")))
        .group_by("person_id")
        .agg(event_day=pl.col("start_day").min())
    )
    until = pl.min_horizontal(pl.col("last_day"), pl.lit(last), pl.col("event_day"))
    return kept.join(events, on="person_id", how="left").with_columns(
        outcome=pl.col("event_day").is_not_null().cast(pl.Int8),
        days_at_risk=(until - first + 1).clip(0).cast(pl.Int32),
    )


def _split(rows: pl.DataFrame, split: Mapping[str, Any]) -> pl.DataFrame:
    persons = rows["person_id"].to_numpy()
    test = draws(persons, split["seed"], 0) < split["test_fraction"]
    fold = np.where(test, -1, np.floor(draws(persons, split["seed"], 1) * FOLDS)).astype(np.int8)
    return rows.select(
        pl.col("row_id").cast(pl.Int64),
        "person_id",
        "outcome",
        "days_at_risk",
        pl.Series("split", np.where(test, "test", "train")),
        pl.Series("fold", fold),
        pl.col("age_at_index").cast(pl.Int32),
        pl.col("gender_concept_id").cast(pl.Int32),
    )


def draws(persons: NDArray[np.int64], seed: int, stream: int) -> NDArray[np.float64]:
    """Return one number in [0, 1) per pseudonym: a seeded hash (splitmix64), so that a person keeps its draw
    whatever other persons are there, on any machine and in any version of a library.
    """
    with np.errstate(over="ignore"):
        start = np.uint64((seed * 2 + stream + 1) * 0x9E3779B97F4A7C15 % 2**64)
        state = _mixed(persons.astype(np.uint64) ^ _mixed(np.array([start], dtype=np.uint64)))
    return (state >> np.uint64(11)).astype(np.float64) / 2**53


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _check_size(rows: pl.DataFrame) -> None:
    cells = rows.group_by("split", "outcome").len().filter(pl.col("len") >= FEWEST)
    if cells.height < 4:
        raise Refused("model.too_few_outcomes", fewest=FEWEST)
