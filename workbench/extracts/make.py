"""The tables of an extract, from the release to their delivered form, in memory: select, then transform."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import polars as pl

from workbench.engines.duckdb import DuckDBEngine
from workbench.extracts import dates, events, rare, select, transform
from workbench.extracts.held import Concepts
from workbench.extracts.select import Plan
from workbench.governance.concept_limits import Limit
from workbench.governance.date_forms import ONLY_DAYS, SHIFTED, Dates
from workbench.governance.deliverable import deliverable, main_concept
from workbench.governance.keys import StudySecrets
from workbench.governance.protocols import Columns
from workbench.governance.sensitive import SensitiveClass, sensitive_classes
from workbench.kernel.errors import Unavailable
from workbench.kernel.progress import Progress

Period = Mapping[str, int | None]
MOVED_AGE: Final = "age_at_moved_index_capped_at_90"
"""The rule on ages wherever the protocol approves anything of the calendar, whatever a request asks for."""


@dataclass(frozen=True)
class Order:
    """What is to be made: the columns of each table, both periods, the sensitive classes to leave out, the last day,
    the codes of the sensitive classes that the protocol names, the concepts to which tables are limited, the form in
    which time is told, and the kinds of rare values that the protocol keeps.
    """

    columns: Mapping[str, Columns]
    period: Period
    outcome_period: Period
    withheld: tuple[SensitiveClass, ...]
    cut_off: date
    named: Sequence[str] = ()
    limits: Mapping[str, Limit] = field(default_factory=dict[str, Limit])
    dates: Dates = ONLY_DAYS
    keep: Sequence[str] = ()
    moved_ages: bool = False


@dataclass(frozen=True)
class Made:
    """The delivered tables, with days from the index, and what the manifest says of them; `given` are the CDM columns
    behind each table, `classes` the concepts of each sensitive class that the protocol names, `limited` those that each
    limited table was limited to, `coarsened` what became of rare values; `origins` each person's shifted index and
    `bands` the index years, where delivered.
    """

    tables: dict[str, pl.DataFrame]
    given: dict[str, tuple[str, ...]]
    transforms: list[dict[str, str]]
    collisions: int
    left_out: int
    classes: dict[str, pl.Series]
    limited: dict[str, pl.Series]
    coarsened: dict[str, Any]
    origins: pl.DataFrame | None
    bands: dates.Bands

    @property
    def delivered(self) -> dict[str, pl.DataFrame]:
        """The tables in the form in which they leave."""
        return self.tables if self.origins is None else dates.to_dates(self.tables, self.origins)


def make_tables(
    engine: DuckDBEngine,
    order: Order,
    cohort: pl.DataFrame,
    outcomes: Mapping[str, pl.DataFrame],
    secrets: StudySecrets,
    *,
    progress: Progress,
) -> Made:
    """Make every table of the order; `progress` is called before each. Real ids and dates exist in memory only."""
    index = transform.first_index(cohort)
    select.load_index(engine, index)
    observed = select.observation_periods(engine)
    persons = transform.cut_persons(index, observed, select.first_date(engine), order.cut_off, secrets.pseudonym)
    plans = {
        table: select.plan_table(table, columns.delivered, engine.columns(table))
        for table, columns in order.columns.items()
        if columns.delivered and engine.columns(table)
    }
    sensitive = select.sensitive_concepts(engine, order.withheld)
    limited = _limited(engine, order.limits, plans)
    limits = transform.bounds(persons.frame, order.period)
    tables = {
        "cohort": transform.cohort_table(persons.frame, order.period, order.outcome_period),
        "outcome": transform.outcome_table(outcomes, transform.bounds(persons.frame, order.outcome_period)),
    }
    bands: dates.Bands = ()
    if order.dates.index_year:
        tables["cohort"], bands = dates.with_index_years(tables["cohort"], persons.frame)
    concepts, held = Concepts(), dict[str, events.Events]()
    for done, (table, plan) in enumerate(plans.items()):
        progress(done / len(plans), table)
        main = main_concept(table) if table in limited else None
        rows = select.select_rows(engine, plan, order.period, main)
        if table == "person":
            tables[table] = transform.person_table(pl.concat(rows), plan, limits, moved=order.moved_ages)
            for column in plan.concepts:
                concepts.codes(tables[table].get_column(column))
        else:
            room = select.room(engine, table, index.height)
            held[table] = events.hold(rows, room, plan, limits, sensitive, concepts)
    coarse = rare.Coarsening(engine, concepts, order.keep, sensitive, limited)
    tables["outcome"] = coarse.outcomes(tables["outcome"])
    if "person" in plans:
        tables["person"] = coarse.persons(tables["person"], plans["person"])
    for table, rows in list(held.items()):
        held[table] = coarse.events(table, rows, plans[table])
    links, link_collisions = events.link_pseudonyms(held, plans, secrets.pseudonym)
    links = coarse.links(held, plans, links)
    for table in list(held):
        tables[table] = events.event_table(held.pop(table), concepts, plans[table], limits, links)
    tables["concept"] = select.concept_rows(engine, coarse.delivered()).sort("concept_id")
    return Made(
        tables=tables,
        given={table: plan.given for table, plan in plans.items()},
        transforms=_rules(plans, order, limited),
        collisions=persons.collisions + link_collisions,
        left_out=persons.left_out,
        classes={code: select.sensitive_concepts(engine, [sensitive_classes()[code]]) for code in order.named},
        limited=limited,
        coarsened=coarse.said(),
        origins=dates.shifted_index(persons.frame, secrets.pseudonym) if order.dates.form == SHIFTED else None,
        bands=bands,
    )


def _limited(engine: DuckDBEngine, limits: Mapping[str, Limit], plans: Mapping[str, Plan]) -> dict[str, pl.Series]:
    """Resolve the concepts of each limited table, requested and approved, rising, and load them for the selection.

    Raises `Unavailable` (`extract.release_incomplete`) where the release lacks the column that the limit is on.
    """
    found: dict[str, pl.Series] = {}
    for table, limit in limits.items():
        if table not in plans:
            continue
        if main_concept(table) not in plans[table].given:
            raise Unavailable("extract.release_incomplete", table=table)
        sets = [select.concepts_of(engine, items) for items in (limit.requested, limit.approved) if items is not None]
        found[table] = sets[0].filter(sets[0].is_in(sets[-1].implode()))
    select.load_concepts(engine, found)
    return found


def _rules(plans: Mapping[str, Plan], order: Order, limited: Collection[str]) -> list[dict[str, str]]:
    """Return what was done to which column, for the manifest (words: `extract.rule_CODE`; a class follows a colon)."""
    form, shifted, rare_ones = order.dates, order.dates.form == SHIFTED, "concepts" not in order.keep
    named = {table: dates.date_names(table) if shifted else {} for table in ("cohort", *plans)}
    start, end = (
        named["cohort"].get(f"observation_{edge}_day", f"observation_{edge}_day") for edge in ("start", "end")
    )
    rules = [
        {"table": "*", "column": "person_id", "rule": "pseudonym_53_bits"},
        {"table": "*", "column": "*", "rule": "sorted_by_pseudonym"},
        {"table": "cohort", "column": start, "rule": "cut_1_to_26_weeks_after_first_day"},
        {"table": "cohort", "column": end, "rule": "cut_1_to_26_weeks_before_cut_off"},
        *([{"table": "*", "column": "*", "rule": "shifted_back_1_to_156_weeks"}] if shifted else []),
        *([{"table": "cohort", "column": "index_year", "rule": "years_in_bands_of_11"}] if form.index_year else []),
        *([{"table": "outcome", "column": "outcome", "rule": "rare_outcomes_left_out"}] if rare_ones else []),
        *({"table": "*", "column": "*", "rule": f"sensitive_class_left_out:{entry.code}"} for entry in order.withheld),
    ]
    for table, plan in plans.items():
        if table in limited:
            rules.append({"table": table, "column": main_concept(table) or "", "rule": "only_approved_concepts"})
        if table in select.INTERVALS:
            day = named[table].get("start_day", "start_day")
            rules.append({"table": table, "column": day, "rule": "cut_to_period"})
        for column in plan.given:
            code = _rule(deliverable()[table][column], column in plan.fallback, order)
            if code:
                rules.append({"table": table, "column": column, "rule": code})
            if code := rare.rules(table, column, order.keep):
                rules.append({"table": table, "column": column, "rule": code})
    return rules


def _rule(kind: str, fallback: bool, order: Order) -> str | None:
    if fallback:
        return "source_concept_where_standard_is_0"
    if kind.startswith("key."):
        return "pseudonym_53_bits"
    dated = "shifted_date" if order.dates.form == SHIFTED else "days_from_index"
    return {
        "start": dated,
        "end": f"{dated}_cut_to_period",
        "age": MOVED_AGE if order.moved_ages else "age_at_index_capped_at_90",
    }.get(kind)
