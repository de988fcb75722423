"""From facts to the matrix: which covariates stay, what they are called, in one order for one content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from workbench.kernel.errors import InvalidInput

SHARE = 0.001
"""A covariate must be there for this share of the training persons (and for the design's `minimum_persons`)."""


@dataclass(frozen=True)
class Matrix:
    """`values` (row_id, covariate_id, value) sorted; `covariates` one row each; numbers of covariates left out."""

    values: pl.DataFrame
    covariates: pl.DataFrame
    rare: int
    constant: int


def assemble(facts: Iterable[pl.DataFrame], rows: pl.DataFrame, concepts: pl.DataFrame, minimum: int) -> Matrix:
    """Return the matrix of all facts without covariates that are rare or constant among the training persons.

    `rows` has row_id and split, `concepts` has concept_id and concept_name. Only training persons decide what stays.
    Raises `InvalidInput` (`model.no_covariates`) where nothing stays.
    """
    everything = pl.concat(list(facts), how="vertical")
    training = rows.filter(pl.col("split") == "train").select("row_id")
    seen = everything.join(training, on="row_id").group_by("covariate_id").agg(
        persons=pl.len(), lowest=pl.col("value").min(), highest=pl.col("value").max()
    )  # fmt: skip
    enough = seen.filter(pl.col("persons") >= max(minimum, SHARE * training.height))
    constant = (pl.col("persons") == training.height) & (pl.col("lowest") == pl.col("highest"))
    kept = enough.filter(~constant).select("covariate_id")
    if not kept.height:
        raise InvalidInput("model.no_covariates", minimum=minimum)
    return Matrix(
        values=_values(everything, kept),
        covariates=_described(everything, kept, concepts),
        rare=everything["covariate_id"].n_unique() - enough.height,
        constant=enough.height - kept.height,
    )


def _values(everything: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    return (
        everything.join(kept, on="covariate_id")
        .select(pl.col("row_id").cast(pl.Int64), "covariate_id", "value")
        .sort("row_id", "covariate_id")
    )


def _described(everything: pl.DataFrame, kept: pl.DataFrame, concepts: pl.DataFrame) -> pl.DataFrame:
    names = concepts.select(pl.col("concept_id").cast(pl.Int64), "concept_name").unique("concept_id", keep="first")
    return (
        everything.drop("row_id", "value")
        .unique()
        .join(kept, on="covariate_id")
        .join(names, left_on="concept", right_on="concept_id", how="left")
        .with_columns(name=_name())
        .select("covariate_id", "name", "analysis", "analysis_id", "concept", "table", "window")
        .sort("covariate_id")
    )


def _name() -> pl.Expr:
    first = pl.col("concept") * 5
    group = (
        pl.when(first >= 90)
        .then(pl.lit("age 90 or more"))
        .otherwise(pl.format("age {}-{}", first, first + 4))
    )  # fmt: skip
    return (
        pl.when(pl.col("analysis") == "age_group")
        .then(group)
        .when(pl.col("analysis") == "age")
        .then(pl.lit("age at index"))
        .when(pl.col("analysis") == "count")
        .then(pl.format("number in {}", pl.col("table")))
        .otherwise(pl.coalesce("concept_name", pl.format("concept {}", pl.col("concept"))))
    )
