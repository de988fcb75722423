"""Where persons lived and where care sites stood: as dated histories where the database keeps them, else as they are.

Circe reads `location_history`, which no version 5 of OMOP has. Without it, a person's place (`person.location_id`)
holds for each of the person's observation periods, and a care site's place (`care_site.location_id`) for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from sqlglot import exp

from workbench.cohorts.domains import CARE_PLACES, FAR_FUTURE, HOME_PLACES
from workbench.cohorts.plan import CARE_REGION, Events, InSet, Places, Plan
from workbench.cohorts.survey import all_events
from workbench.engines import sql
from workbench.engines.base import Engine, Step
from workbench.engines.sql import Expr

Read = tuple[str, tuple[str, ...]]


def places_of(engine: Engine) -> Places:
    """Return how a database keeps places."""
    region = "region_concept_id" if "region_concept_id" in engine.columns("location") else "country_concept_id"
    return Places(history=bool(engine.columns("location_history")), region=region)


def steps(plans: Iterable[Plan]) -> list[Step]:
    """Return the steps that make the tables of places which a batch over one database needs."""
    wanted = {(plan.places, table) for plan in plans for events, _ in all_events(plan) for table in _tables(events)}
    makers = {
        (HOME_PLACES, True): _homes_dated,
        (HOME_PLACES, False): _homes,
        (CARE_PLACES, True): _care_sites_dated,
        (CARE_PLACES, False): _care_sites,
    }
    chosen = sorted(wanted, key=lambda each: each[1])
    return [Step(table, makers[table, places.history](places), keep=True) for places, table in chosen]


def reads(events: Events, places: Places) -> Iterator[Read]:
    """Yield the data tables, with their columns, from which a criterion's places come."""
    for table in _tables(events):
        yield "location", ("location_id", places.region)
        if places.history:
            key = ("location_history_id",) if table == HOME_PLACES else ()
            yield "location_history", (*key, "location_id", "domain_id", "entity_id", "start_date", "end_date")
        else:
            yield "person" if table == HOME_PLACES else "care_site", ("location_id",)


def in_region(alias: str, members: exp.Select) -> Expr:
    """Return the condition that an event's care site stood in a region of a set from its first day to its last: one
    whose last day is unknown has no place in a history, but the place that holds for ever."""
    until = sql.col("place", "end_date")
    ends = sql.compare(sql.col(alias, "end_date"), "<=", until)
    where = [
        sql.same("place", alias, "care_site_id"),
        sql.compare(sql.col(alias, "start_date"), ">=", sql.col("place", "start_date")),
        sql.either([ends, sql.is_null(until.copy())]),
        sql.is_in(sql.col("place", "region_concept_id"), members),
    ]
    return exp.Exists(this=sql.select({"one": sql.number(1)}, sql.work_table(CARE_PLACES, "place"), where=where))


def _tables(events: Events) -> Iterator[str]:
    if events.spec.table == HOME_PLACES:
        yield HOME_PLACES
    if any(isinstance(test, InSet) and test.field == CARE_REGION for test in events.tests):
        yield CARE_PLACES


def _region(places: Places) -> dict[str, Expr]:
    return {"region_concept_id": sql.col("l", places.region)}


def _at(alias: str) -> exp.Join:
    return sql.join(sql.cdm_table("location", "l"), sql.same("l", alias, "location_id"))


def _dated(places: Places, kind: str, key: Mapping[str, Expr]) -> exp.Select:
    until = sql.coalesce(sql.col("h", "end_date"), sql.day(date.fromisoformat(FAR_FUTURE)))
    days = {"start_date": sql.col("h", "start_date"), "end_date": until}
    kept = sql.compare(sql.col("h", "domain_id"), "=", sql.text(kind))
    history = sql.cdm_table("location_history", "h")
    return sql.select({**key, **days, **_region(places)}, history, joins=[_at("h")], where=[kept])


def _homes_dated(places: Places) -> exp.Select:
    key = {"place_id": sql.col("h", "location_history_id"), "person_id": sql.col("h", "entity_id")}
    return _dated(places, "PERSON", key)


def _care_sites_dated(places: Places) -> exp.Select:
    return _dated(places, "CARE_SITE", {"care_site_id": sql.col("h", "entity_id")})


def _homes(places: Places) -> exp.Select:
    columns = {
        "place_id": sql.col("o", "observation_period_id"),
        "person_id": sql.col("p", "person_id"),
        "start_date": sql.col("o", "observation_period_start_date"),
        "end_date": sql.col("o", "observation_period_end_date"),
    }
    periods = sql.join(sql.cdm_table("observation_period", "o"), sql.same("o", "p", "person_id"))
    return sql.select({**columns, **_region(places)}, sql.cdm_table("person", "p"), joins=[_at("p"), periods])


def _care_sites(places: Places) -> exp.Select:
    days = {"start_date": sql.day(date.min), "end_date": sql.null("DATE")}
    columns = {"care_site_id": sql.col("c", "care_site_id"), **days, **_region(places)}
    return sql.select(columns, sql.cdm_table("care_site", "c"), joins=[_at("c")])
