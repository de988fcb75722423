"""Entry events that were kept, counted: by year and month, by care site, by age and sex, by code."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from workbench.cohorts.compile import CohortScript
from workbench.cohorts.domains import DOMAINS, Domain
from workbench.cohorts.left import Counts, Left, Populations, joined
from workbench.cohorts.plan import Plan
from workbench.engines import sql
from workbench.engines.base import Engine, Step
from workbench.vocabulary.lookup import Concept, look_up

BAND, OLDEST = 10, 90
_KEPT = "diagnosed_entries"


@dataclass(frozen=True)
class Count:
    """Persons and their events, and the populations behind these numbers, where they were asked for."""

    persons: int
    events: int
    populations: Populations = field(default=Populations(), compare=False, repr=False)

    @classmethod
    def of(cls, left: Left) -> Count:
        """Return what is left as a count."""
        return cls(left.persons, left.events, left.populations)


@dataclass(frozen=True)
class Month:
    """Entry events of one month, or of one year (`month` None)."""

    year: int
    month: int | None
    count: Count


@dataclass(frozen=True)
class Site:
    """Entry events at one care site, through the visit they belong to; `id` None where no site is recorded."""

    id: int | None
    name: str
    count: Count


@dataclass(frozen=True)
class People:
    """Persons by age at their first entry (from `low`, ten years wide; the last band is open) and sex (a concept)."""

    low: int
    sex: int
    persons: int
    populations: Populations = field(default=Populations(), compare=False, repr=False)


@dataclass(frozen=True)
class Coded:
    """Entry events by standard concept and source concept; None where the record has none."""

    table: str
    concept: Concept | None
    source: Concept | None
    count: Count


def total(counts: Counts, included: str) -> Count:
    """Return how many persons and entry events were kept."""
    return Count.of(counts.all(sql.work_table(included, "e")))


def calendar(counts: Counts, included: str, *, months: bool) -> tuple[Month, ...]:
    """Return the entry events by year, or by year and month, in order of time; what has none is left out."""
    start = sql.col("i", "start_date")
    moments = {"year": sql.year_of(start), **({"month": sql.month_of(start.copy())} if months else {})}
    dated = sql.select({"person_id": sql.col("i", "person_id"), **moments}, sql.work_table(included, "i"))
    found = [
        Month(int(at[0]), int(at[1]) if months else None, Count.of(left))
        for at, left in counts.by(sql.sub(dated, "e"), list(moments))
    ]
    return tuple(sorted(found, key=lambda each: (each.year, each.month or 0)))


def people(counts: Counts, included: str) -> tuple[People, ...]:
    """Return the persons by age band and sex at their first entry event that was kept."""
    first = sql.select(
        {"person_id": sql.col("i", "person_id"), "day": sql.aggregate(exp.Min, sql.col("i", "start_date"))},
        sql.work_table(included, "i"),
        group=[sql.col("i", "person_id")],
    )
    aged = sql.select(
        {
            "person_id": sql.col("f", "person_id"),
            "age": sql.age_at(sql.col("f", "day"), sql.col("p", "year_of_birth")),
            "sex": sql.coalesce(sql.col("p", "gender_concept_id"), sql.number(0)),
        },
        sql.sub(first, "f"),
        joins=[sql.join(sql.cdm_table("person", "p"), sql.same("p", "f", "person_id"))],
    )
    bands: dict[tuple[int, int], list[Left]] = {}
    for (age, sex), left in counts.by(sql.sub(aged, "e"), ["age", "sex"]):
        if age is not None:
            bands.setdefault((min(max(int(age), 0) // BAND * BAND, OLDEST), int(sex)), []).append(left)
    found = {band: joined(lefts) for band, lefts in sorted(bands.items())}
    return tuple(
        People(low, sex, left.persons, Populations(left.populations.persons)) for (low, sex), left in found.items()
    )


@contextmanager
def recorded(engine: Engine, plan: Plan, cohort: CohortScript) -> Generator[Mapping[str, list[int]]]:
    """Make the entry events as they are recorded; give the places of their kinds by domain, for `codes` and `sites`.

    Of several entry events of a person on one day all count: one alone cannot be told from the others.
    """
    by_domain: dict[str, list[int]] = {}
    for kind, events in enumerate(plan.entry.events):
        if events.spec.concept is not None and not events.spec.made:
            by_domain.setdefault(events.domain, []).append(kind)
    engine.materialise(Step(_KEPT, _on_kept_days(cohort)))
    try:
        yield by_domain
    finally:
        engine.drop(_KEPT)


def codes(engine: Engine, counts: Counts, by_domain: Mapping[str, list[int]]) -> tuple[Coded, ...]:
    """Return the codes of the entry events on the days that were kept, the most persons first."""
    found = [row for name, kinds in by_domain.items() for row in _coded(engine, counts, DOMAINS[name], kinds)]
    known = look_up(engine, (row[part] for row in found for part in ("concept", "source") if row[part]))
    coded = [Coded(row["table"], known.get(row["concept"]), known.get(row["source"]), row["count"]) for row in found]
    return tuple(sorted(coded, key=_by_persons))


def sites(engine: Engine, counts: Counts, by_domain: Mapping[str, list[int]]) -> tuple[Site, ...]:
    """Return the entry events by care site, the most persons first; none where the data record no care site."""
    if not by_domain or "care_site_id" not in engine.columns("visit_occurrence"):
        return ()
    visits = sql.union_all([_visits(DOMAINS[name], kinds) for name, kinds in by_domain.items()])
    same = sql.same("v", "r", "visit_occurrence_id", "person_id")
    placed = sql.select(
        {"site": sql.col("v", "care_site_id"), "person_id": sql.col("r", "person_id")},
        sql.sub(visits, "r"),
        joins=[sql.join(sql.cdm_table("visit_occurrence", "v"), same, "LEFT")],
    )
    names = _site_names(engine)
    found = [
        Site(site, names.get(site, ""), Count.of(left)) for (site,), left in counts.by(sql.sub(placed, "e"), ["site"])
    ]
    known = any(site.id is not None for site in found)
    return tuple(sorted(found, key=lambda site: (-site.count.persons, site.name, site.id or 0))) if known else ()


def _visits(spec: Domain, kinds: Iterable[int]) -> exp.Select:
    """The visits of one table's entry events; none where its records belong to no visit."""
    visit = sql.col("t", "visit_occurrence_id") if spec.visit else sql.null("BIGINT")
    chosen = {"person_id": sql.col("m", "person_id"), "visit_occurrence_id": visit}
    return sql.select(chosen, _records(kinds), joins=[_record(spec)])


def _site_names(engine: Engine) -> dict[int, str]:
    if not engine.columns("care_site") >= {"care_site_id", "care_site_name"}:
        return {}
    tree = sql.select(sql.columns("s", "care_site_id", "care_site_name"), sql.cdm_table("care_site", "s"))
    return {row["care_site_id"]: row["care_site_name"] or "" for row in engine.fetch(tree).to_pylist()}


def _by_persons(each: Coded) -> tuple[Any, ...]:
    ids = [concept.id if concept else 0 for concept in (each.concept, each.source)]
    return (-each.count.persons, -each.count.events, each.table, *ids)


def _on_kept_days(cohort: CohortScript) -> exp.Select:
    """Entry events, as recorded, of the persons and days of those that were kept."""
    days = sql.select(sql.columns("i", "person_id", "start_date"), sql.work_table(cohort.included, "i"), distinct=True)
    joins = [sql.join(sql.sub(days, "k"), sql.same("k", "e", "person_id", "start_date"))]
    entries = sql.sub(cohort.entries.copy(), "e")
    return sql.select(sql.columns("e", "person_id", "event_id", "kind"), entries, joins=joins)


def _records(kinds: Iterable[int]) -> exp.Subquery:
    """The records of some kinds of entry events; one that meets two criteria is there once."""
    wanted = sql.either([sql.compare(sql.col("e", "kind"), "=", sql.number(kind)) for kind in kinds])
    columns = sql.columns("e", "person_id", "event_id")
    return sql.sub(sql.select(columns, sql.work_table(_KEPT, "e"), where=[wanted], distinct=True), "m")


def _record(spec: Domain) -> exp.Join:
    keys = [sql.same("t", "m", "person_id"), sql.compare(sql.col("t", spec.key), "=", sql.col("m", "event_id"))]
    return sql.join(sql.cdm_table(spec.table, "t"), sql.both(keys))


def _coded(engine: Engine, counts: Counts, spec: Domain, kinds: Iterable[int]) -> list[dict[str, Any]]:
    """The codes of one table's entry events."""
    source = spec.source if spec.source in engine.columns(spec.table) else None
    chosen = {
        "person_id": sql.col("m", "person_id"),
        "concept": sql.coalesce(sql.col("t", spec.concept or spec.key), sql.number(0)),
        "source": sql.coalesce(sql.col("t", source), sql.number(0)) if source else sql.number(0),
    }
    recorded = sql.select(chosen, _records(kinds), joins=[_record(spec)])
    return [
        {"concept": concept, "source": origin, "count": Count.of(left), "table": spec.table}
        for (concept, origin), left in counts.by(sql.sub(recorded, "e"), ["concept", "source"])
    ]
