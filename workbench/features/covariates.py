"""Covariates of each person from the extract's event tables, as long sparse frames (row_id, covariate_id, value).

Ids follow OHDSI FeatureExtraction: concept id x 1000 + analysis id, with its analysis ids for its own windows
(any time, 365, 180 and 30 days before the index); other windows take ids that OHDSI leaves free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.features.gate import SOURCES, Source, check_days
from workbench.kernel.errors import InvalidInput

OHDSI_WINDOWS: Mapping[tuple[int | None, int], int] = {(None, 0): 1, (-365, 0): 2, (-180, 0): 3, (-30, 0): 4}
COUNTS: Mapping[str, tuple[int, int]] = {
    "condition_era": (905, 0),
    "condition_occurrence": (0, 0),
    "drug_era": (908, 1),
    "drug_exposure": (0, 1),
    "procedure_occurrence": (911, 2),
    "measurement": (914, 3),
    "observation": (917, 4),
    "visit_occurrence": (920, 5),
}
"""Per table: OHDSI's first analysis id of its count (long term; 0 where OHDSI has none) and our own family."""

VISIT_CONCEPT = (923, 6)
VALUES: Mapping[str, int] = {"measurement": 705, "observation": 809}

FACT_COLUMNS = ("row_id", "concept", "analysis_id", "analysis", "table", "window", "covariate_id", "value")


@dataclass(frozen=True)
class Window:
    """A window of the design and its place there (from 1), days from the index, both ends included."""

    name: str
    from_day: int | None
    to_day: int
    place: int

    @property
    def known(self) -> int | None:
        """OHDSI's number of this window (1 any time, 2 long, 3 medium, 4 short), or None."""
        return OHDSI_WINDOWS.get((self.from_day, self.to_day))

    def presence(self, base: int) -> int:
        """Return the analysis id of a concept's presence in this window."""
        return base + (self.known or 80 + self.place)

    def value(self, first: int) -> int:
        """Return the analysis id of a last value in this window, `first` being OHDSI's for any time."""
        return first + self.known - 1 if self.known else first // 100 * 100 + 90 + self.place

    def count(self, first: int, family: int) -> int:
        """Return the analysis id of a count in this window, `first` being OHDSI's for the long term."""
        return first + self.known - 2 if first and self.known in {2, 3, 4} else 930 + 10 * family + self.place


def windows(design: Mapping[str, Any]) -> list[Window]:
    """Return the design's windows in its order."""
    return [
        Window(window["name"], window["from_day"], window["to_day"], place)
        for place, window in enumerate(design["windows"], start=1)
    ]


def event_facts(
    tables: Mapping[str, pl.DataFrame], rows: pl.DataFrame, design: Mapping[str, Any]
) -> Iterator[pl.DataFrame]:
    """Yield the facts of every domain and window of the design, each frame with `FACT_COLUMNS`.

    Raises `InvalidInput` (`model.not_delivered`) for a table or column that the extract does not hold, `Refused`
    (`model.leakage`) where a row that a window let through starts after the index.
    """
    for table in design["domains"]:
        source = SOURCES[table]
        events = _events(tables, source, rows, design)
        for window in windows(design):
            inside = _inside(events, source, window)
            check_days(inside, table, {"name": window.name, "from_day": window.from_day, "to_day": window.to_day})
            yield from _window_facts(inside, source, window, design)


def demographic_facts(rows: pl.DataFrame, design: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
    """Yield age (years), age group (five years) and gender at the index, as the design asks."""
    for asked, (column, concept, analysis_id, value) in _DEMOGRAPHICS.items():
        if asked not in design["demographics"]:
            continue
        if rows[column].null_count() == rows.height:
            raise InvalidInput("model.not_delivered", table=f"person.{column}")
        present = rows.filter(pl.col(column).is_not_null())
        yield _facts(present.with_columns(concept=concept, value=value), asked, analysis_id, "person", "index")


_DEMOGRAPHICS = {
    "gender": ("gender_concept_id", pl.col("gender_concept_id").cast(pl.Int64), 1, pl.lit(1.0)),
    "age": ("age_at_index", pl.lit(1, pl.Int64), 2, pl.col("age_at_index").cast(pl.Float64)),
    "age_group": ("age_at_index", (pl.col("age_at_index") // 5).cast(pl.Int64), 3, pl.lit(1.0)),
}


def _events(
    tables: Mapping[str, pl.DataFrame], source: Source, rows: pl.DataFrame, design: Mapping[str, Any]
) -> pl.DataFrame:
    table = tables.get(source.table)
    if table is None or not {source.concept, "start_day"} <= set(table.columns):
        raise InvalidInput("model.not_delivered", table=source.table)
    concept = pl.col(source.concept)
    if source.source_concept in table.columns:
        concept = pl.when(concept == 0).then(pl.col(source.source_concept)).otherwise(concept)
    end = pl.col("end_day") if "end_day" in table.columns else pl.lit(None, pl.Int32)
    unit = pl.col("unit_concept_id") if "unit_concept_id" in table.columns else pl.lit(None, pl.Int32)
    values = [name for name in source.values if name in table.columns]
    return (
        table.join(rows.select("person_id", "row_id"), on="person_id")
        .select(
            "row_id",
            "start_day",
            *values,
            concept=concept.cast(pl.Int64),
            end_day=pl.coalesce(end, pl.col("start_day")),
            unit=unit.fill_null(0).cast(pl.Int64),
        )
        .filter(pl.col("start_day").is_not_null() & (pl.col("concept") > 0))
        .filter(~pl.col("concept").is_in(design["exclude_concepts"]))
    )


def _inside(events: pl.DataFrame, source: Source, window: Window) -> pl.DataFrame:
    inside = pl.col("start_day") <= window.to_day
    if window.from_day is not None:
        inside &= pl.col("end_day" if source.overlap else "start_day") >= window.from_day
    return events.filter(inside)


def _window_facts(
    inside: pl.DataFrame, source: Source, window: Window, design: Mapping[str, Any]
) -> Iterator[pl.DataFrame]:
    if source.table == "visit_occurrence":
        visits = inside.group_by("row_id", "concept").agg(value=pl.len().cast(pl.Float64))
        yield _facts(visits, "visit_concept_count", window.count(*VISIT_CONCEPT), source.table, window.name)
    else:
        present = inside.select("row_id", "concept").unique().with_columns(value=pl.lit(1.0))
        yield _facts(present, "presence", window.presence(source.base), source.table, window.name)
    if design["counts"] and _counted(source.table, design["domains"]):
        number = pl.len() if source.table == "visit_occurrence" else pl.col("concept").n_unique()
        counted = inside.group_by("row_id").agg(value=number.cast(pl.Float64)).with_columns(concept=pl.lit(1, pl.Int64))
        yield _facts(counted, "count", window.count(*COUNTS[source.table]), source.table, window.name)
    for asked in design["values"]:
        if asked["table"] == source.table:
            yield _last_values(inside, asked["column"], source, window)


def _counted(table: str, domains: list[str]) -> bool:
    if table not in COUNTS:
        return False
    era = {"condition_occurrence": "condition_era", "drug_exposure": "drug_era"}.get(table)
    return era not in domains


def _last_values(inside: pl.DataFrame, column: str, source: Source, window: Window) -> pl.DataFrame:
    if column not in inside.columns:
        raise InvalidInput("model.not_delivered", table=f"{source.table}.{column}")
    analysis_id = window.value(VALUES[source.table])
    last = (
        inside.filter(pl.col(column).is_not_null())
        # Ties of one day are settled by the value itself: the order of rows in a file must not matter.
        .sort("start_day", column)
        .group_by("row_id", "concept", "unit")
        .agg(value=pl.col(column).last().cast(pl.Float64))
    )
    return _facts(last, "last_value", analysis_id, source.table, window.name, unit=pl.col("unit"))


def _facts(
    frame: pl.DataFrame, analysis: str, analysis_id: int, table: str, window: str, *, unit: pl.Expr | None = None
) -> pl.DataFrame:
    plain = pl.col("concept") * 1000 + analysis_id
    # OHDSI's ids of values make room for the last three digits of the unit: two units are two covariates.
    ident = plain if unit is None else pl.col("concept") * 1_000_000 + unit % 1000 * 1000 + analysis_id
    return frame.select(
        pl.col("row_id"),
        pl.col("concept"),
        analysis_id=pl.lit(analysis_id, pl.Int64),
        analysis=pl.lit(analysis),
        table=pl.lit(table),
        window=pl.lit(window),
        covariate_id=ident,
        value=pl.col("value"),
    ).select(FACT_COLUMNS)
