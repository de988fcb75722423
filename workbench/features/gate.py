"""The leakage gate: nothing that became known after the index may become a covariate.

Checked twice, independently: on the design, before anything is read (`check_design`), and on the very rows that a
window let through (`check_days`). The labels' own tables can never be sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.kernel.errors import InvalidInput, Refused

ERA_GAP = 30
"""Days that OMOP lets pass between exposures or occurrences of one era (CDM 5.4 conventions for eras)."""

AFTER_INDEX = frozenset({"cohort", "outcome", "death", "observation_period"})
"""Tables whose rows tell what happened to a person after the index."""


@dataclass(frozen=True)
class Source:
    """One event table as a source of covariates: its columns and its hundred among OHDSI's analysis ids.

    Rows with `overlap` count when they overlap the window, as in OHDSI's analyses 202, 402 and 923; all others count
    by their start. `gap` is the number of days by which a row's end may already know of a later event.
    `values` are numeric columns that are known on the day of the row.
    """

    table: str
    base: int
    overlap: bool = False
    gap: int = 0
    values: tuple[str, ...] = ()

    @property
    def concept(self) -> str:
        """The column of the standard concept."""
        return f"{self.table.split('_', maxsplit=1)[0]}_concept_id"

    @property
    def source_concept(self) -> str:
        """The column of the source concept, which stands in where the standard one is 0 (unmapped)."""
        return f"{self.table.split('_', maxsplit=1)[0]}_source_concept_id"


SOURCES: Mapping[str, Source] = {
    source.table: source
    for source in (
        Source("condition_occurrence", 100),
        Source("condition_era", 200, overlap=True, gap=ERA_GAP),
        Source("drug_exposure", 300),
        Source("drug_era", 400, overlap=True, gap=ERA_GAP),
        Source("procedure_occurrence", 500),
        Source("device_exposure", 600),
        Source("measurement", 700, values=("value_as_number",)),
        Source("observation", 800, values=("value_as_number",)),
        Source("visit_occurrence", 900, overlap=True),
    )
}


def window_text(window: Mapping[str, Any]) -> str:
    """Return a window as people read it: `short (-30 … 0)`."""
    start = "…" if window["from_day"] is None else window["from_day"]
    return f"{window['name']} ({start} … {window['to_day']})"


def check_design(design: Mapping[str, Any]) -> None:
    """Refuse a design that would look past the index.

    Raises `Refused` (`model.leakage`) naming the column and the window, `InvalidInput` (`model.unknown_domain`) for
    a table that is no source of covariates, (`model.empty_window`) for a window or time at risk that holds no day.
    """
    _check_days_at_risk(design["time_at_risk"])
    for window in design["windows"]:
        if window["from_day"] is not None and window["from_day"] > window["to_day"]:
            raise InvalidInput("model.empty_window", window=window_text(window))
        for table in design["domains"]:
            _check_source(table, window)
        for value in design["values"]:
            _check_value(value["table"], value["column"], window)
        if window["to_day"] > 0:
            raise Refused("model.leakage", column="start_day", window=window_text(window))


def check_days(rows: pl.DataFrame, table: str, window: Mapping[str, Any]) -> None:
    """Refuse rows of which one starts after the window's end or after the index (column `start_day`)."""
    if rows.filter(pl.col("start_day") > min(0, window["to_day"])).height:
        raise Refused("model.leakage", column=f"{table}.start_day", window=window_text(window))


def _check_days_at_risk(days: Mapping[str, int]) -> None:
    if days["start_day"] > days["end_day"]:
        raise InvalidInput("model.empty_window", window=f"time_at_risk ({days['start_day']} … {days['end_day']})")


def _check_source(table: str, window: Mapping[str, Any]) -> None:
    if table in AFTER_INDEX:
        raise Refused("model.leakage", column=f"{table}.*", window=window_text(window))
    source = SOURCES.get(table)
    if source is None:
        raise InvalidInput("model.unknown_domain", table=table, known=", ".join(SOURCES))
    if window["to_day"] > 0:
        raise Refused("model.leakage", column=f"{table}.start_day", window=window_text(window))
    # An era's end already knows the next exposure up to 30 days later: whether an era "overlaps the last week" can
    # depend on an exposure after the index. From 30 days on it cannot.
    if window["from_day"] is not None and window["from_day"] > -source.gap:
        raise Refused("model.leakage", column=f"{table}.end_day", window=window_text(window))


def _check_value(table: str, column: str, window: Mapping[str, Any]) -> None:
    _check_source(table, window)
    if column not in SOURCES[table].values:
        raise Refused("model.leakage", column=f"{table}.{column}", window=window_text(window))
