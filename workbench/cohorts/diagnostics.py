"""What a phenotype finds in some data, for its author to judge: when, where, in whom, by which codes, and what nearly.

All is read from the plan's own tables and are exact counts: who may see them, and masked how, is governance's matter.
Values of source columns are never read, only source concepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.cohorts import diagnose_events
from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import compile_batch
from workbench.cohorts.diagnose_events import Coded, Count, Month, People, Site
from workbench.cohorts.generate import clean, plans_of, prepare, running
from workbench.cohorts.inclusion import inclusion
from workbench.cohorts.left import Counts, ExactCounts, Populations
from workbench.cohorts.left_people import PopulationCounts
from workbench.cohorts.orphans import Orphan, orphans
from workbench.cohorts.plan import Plan
from workbench.engines.base import Engine
from workbench.kernel.progress import Progress, part, silent


@dataclass(frozen=True)
class Reason:
    """Persons whose best event fails the same rules (their places, from 0); none for those who meet all of them."""

    failed: tuple[int, ...]
    count: Count


@dataclass(frozen=True)
class Diagnostics:
    """The numbers of one phenotype on one release; `rules` are the names of its rules, in order."""

    total: Count
    rules: tuple[str, ...]
    years: tuple[Month, ...]
    months: tuple[Month, ...]
    sites: tuple[Site, ...]
    people: tuple[People, ...]
    codes: tuple[Coded, ...]
    reasons: tuple[Reason, ...]
    orphans: Mapping[str, tuple[Orphan, ...]]


def diagnose(
    engine: Engine, definition: Definition, progress: Progress = silent, *, key: bytes | None = None
) -> Diagnostics:
    """Return the diagnostics of a definition; with a key, with the populations behind their numbers.

    Raises InvalidInput where the definition cannot be run, Unavailable or Stopped as engines do.
    """
    plans, failed = plans_of(engine, {"diagnosed": definition}, None)
    for error in failed.values():
        raise error
    plan, script = plans["diagnosed"], compile_batch(plans)
    cohort = script.cohorts["diagnosed"]
    counts: Counts = ExactCounts(engine) if key is None else PopulationCounts.over(engine, key)
    try:
        prepare(engine, script, part(progress, 0.0, 0.4))
        with running(engine, cohort):
            progress(0.4, "included")
            total = diagnose_events.total(counts, cohort.included)
            years = diagnose_events.calendar(counts, cohort.included, months=False)
            months = diagnose_events.calendar(counts, cohort.included, months=True)
            people = diagnose_events.people(counts, cohort.included)
            progress(0.5, "codes")
            with diagnose_events.recorded(engine, plan, cohort) as kinds:
                codes = diagnose_events.codes(engine, counts, kinds)
                sites = diagnose_events.sites(engine, counts, kinds)
    finally:
        clean(engine, script)
    progress(0.6, "reasons")
    reasons = _reasons(engine, counts, definition, plan)
    near = orphans(engine, plan, part(progress, 0.7, 1.0), counts)
    progress(1.0, "")
    names = tuple(rule.name for rule in plan.rules)
    return Diagnostics(total, names, years, months, sites, people, codes, reasons, near)


def _reasons(engine: Engine, counts: Counts, definition: Definition, plan: Plan) -> tuple[Reason, ...]:
    """Who is out by which rules together: the most persons first."""
    if not plan.rules:
        return ()
    found = inclusion(engine, definition, counts)
    reasons: list[Reason] = []
    for mask, persons in found.persons.left.items():
        failed = tuple(at for at in range(len(plan.rules)) if not mask >> at & 1)
        events = found.events.left[mask]  # a person's best event is an event
        told = Populations(persons.populations.persons, events.populations.events)
        reasons.append(Reason(failed, Count(persons.persons, events.events, told)))
    return tuple(sorted(reasons, key=lambda reason: (-reason.count.persons, reason.failed)))
