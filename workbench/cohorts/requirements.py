"""What a plan reads of a database, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.cohorts import places
from workbench.cohorts.compile_criteria import joined_tables
from workbench.cohorts.domains import DAYS_SUPPLY, NEXT_DAY
from workbench.cohorts.plan import DrugEra, Events, Plan
from workbench.cohorts.survey import all_events, raw_columns
from workbench.engines.base import Engine
from workbench.kernel.errors import InvalidInput
from workbench.vocabulary.concept_sets import ConceptSet, needs


def check_tables(plan: Plan, engine: Engine) -> None:
    """Raise InvalidInput with the path of the first part whose table or column the database lacks."""
    for error in lacking(plan, engine):
        raise error


def lacking(plan: Plan, engine: Engine) -> Iterator[InvalidInput]:
    """Yield each part whose table or column the database lacks, as `cohort.table_missing`, `cohort.column_missing`."""
    for table, columns, path in _reads(plan):
        found = engine.columns(table)
        if not found:
            yield InvalidInput("cohort.table_missing", table=table, path=path)
            continue
        for column in columns:
            if column not in found:
                yield InvalidInput("cohort.column_missing", table=table, column=column, path=path)


def _reads(plan: Plan) -> Iterator[tuple[str, tuple[str, ...], str]]:
    yield "observation_period", ("person_id", "observation_period_start_date", "observation_period_end_date"), "$"
    yield "person", ("person_id",), "$"
    for events, distinct in all_events(plan):
        if not events.spec.made:
            yield events.spec.table, _columns(events, distinct), events.path
        for table, columns in places.reads(events, plan.places):
            yield table, columns, events.path
        for table in joined_tables(events):
            yield table, (f"{table}_id",), events.path
        yield from _vocabulary([each for each in (events.concepts, events.source) if each], events.path)
    if isinstance(plan.exit, DrugEra):
        yield "drug_exposure", ("drug_concept_id", "drug_source_concept_id", "days_supply"), plan.exit.path
        yield from _vocabulary([plan.exit.concepts], plan.exit.path)


def _vocabulary(sets: list[ConceptSet], path: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for table in needs(dict.fromkeys(sets, 0)):
        yield table, (), path


def _columns(events: Events, distinct: str | None) -> tuple[str, ...]:
    spec = events.spec
    rules = {DAYS_SUPPLY: "days_supply", NEXT_DAY: spec.start}
    wanted = {spec.key, "person_id", spec.start, *(rules.get(rule, rule) for rule in spec.end)}
    wanted |= {spec.concept} if spec.concept else set()
    wanted |= {spec.source} if events.source is not None and spec.source else set()
    wanted |= {"visit_occurrence_id"} if spec.visit else set()
    wanted |= raw_columns(events.tests)
    if distinct == "visit_detail_id":
        wanted.add(distinct)
    return tuple(sorted(wanted))
