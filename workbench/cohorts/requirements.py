"""What a plan reads of a database, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workbench.cohorts import places
from workbench.cohorts.compile_criteria import joined_columns
from workbench.cohorts.domains import DAYS_SUPPLY, DOMAINS, NEXT_DAY, Domain
from workbench.cohorts.plan import Abnormal, DrugEra, Events, InSet, Plan, Test
from workbench.cohorts.survey import all_demographics, all_events, columns_of, raw_columns
from workbench.engines.base import Engine
from workbench.engines.kinds import Kind, kind_of
from workbench.kernel.errors import InvalidInput
from workbench.vocabulary.concept_sets import ConceptSet, needs

_TEXTS = frozenset(
    {attribute.field for domain in DOMAINS.values() for attribute in domain.attributes.values()
     if attribute.kind == "text"} | {"domain_id", "relationship_id"}
)  # fmt: skip
_DECIMALS = frozenset({"quantity", "value_as_number", "range_low", "range_high", "dose_value"})
_NAMES: dict[Kind, str] = {"date": "DATE", "number": "BIGINT", "text": "VARCHAR"}
_ONLY_FILLED_OR_NOT = frozenset({"invalid_reason"})
"""Columns of which only whether they are filled in is read."""


def check_tables(plan: Plan, engine: Engine) -> None:
    """Raise InvalidInput with the path of the first part that the database cannot answer (see `lacking`)."""
    for error in lacking(plan, engine):
        raise error


def lacking(plan: Plan, engine: Engine) -> Iterator[InvalidInput]:
    """Yield each part whose table or column the database lacks, or has in a type that cannot be read:
    `cohort.table_missing`, `cohort.column_missing`, `cohort.column_type`."""
    for table, columns, path in reads(plan):
        yield from unfit(engine, table, columns, path)


def unfit(engine: Engine, table: str, columns: Iterable[str], path: str) -> Iterator[InvalidInput]:
    """Yield why some columns of a table, which the part at `path` reads, cannot be read, as `lacking` does."""
    found = engine.columns(table)
    if not found:
        yield InvalidInput("cohort.table_missing", table=table, path=path)
        return
    for column in columns:
        if column not in found:
            yield InvalidInput("cohort.column_missing", table=table, column=column, path=path)
            continue
        wanted, found_type = wanted_kind(column), engine.type_of(table, column)
        if wanted and kind_of(found_type) not in (wanted, "nothing"):
            named = "DOUBLE" if column in _DECIMALS else _NAMES[wanted]
            facts = {"table": table, "column": column, "found": found_type, "wanted": named}
            yield InvalidInput("cohort.column_type", **facts, path=path)


def wanted_kind(column: str) -> Kind | None:
    """Return what a column of OMOP holds, by its name: what is no date and no text is a number. None where any type
    will do."""
    if column in _ONLY_FILLED_OR_NOT:
        return None
    return "date" if column.endswith("_date") else "text" if column in _TEXTS else "number"


def reads(plan: Plan) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield the data tables that a plan reads, the columns of each, and the path of the part that reads them."""
    yield "observation_period", tuple(sorted(_always(DOMAINS["ObservationPeriod"]) - {"period_type_concept_id"})), "$"
    yield "person", ("person_id",), "$"
    for events, distinct in all_events(plan):
        if not events.spec.made:
            yield events.spec.table, _columns(events, distinct), events.path
        yield from ((table, columns, events.path) for table, columns in places.reads(events, plan.places))
        yield from ((table, columns, events.path) for table, columns in joined_columns(events.tests))
        yield from _vocabulary([events.concepts, events.source, *_sets(events.tests)], events.path)
    for asked in all_demographics(plan):
        yield from ((table, columns, asked.path) for table, columns in joined_columns(asked.tests))
        yield from _vocabulary(_sets(asked.tests), asked.path)
    if isinstance(plan.exit, DrugEra):
        drugs = DOMAINS["DrugExposure"]
        yield drugs.table, tuple(sorted({*_always(drugs), "drug_source_concept_id"})), plan.exit.path
        yield from _vocabulary([plan.exit.concepts], plan.exit.path)


def _sets(tests: Iterable[Test]) -> list[ConceptSet | None]:
    return [test.concepts for test in tests if isinstance(test, InSet | Abnormal)]


def _vocabulary(sets: Iterable[ConceptSet | None], path: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for table, columns in needs(each for each in sets if each is not None).items():
        yield table, columns, path


def _columns(events: Events, distinct: str | None) -> tuple[str, ...]:
    spec = events.spec
    wanted = _always(spec) | raw_columns(events.tests)
    wanted |= columns_of(distinct) if distinct else set()
    source = events.source is not None or distinct == "source_concept_id"
    return tuple(sorted(wanted | ({spec.source} if source and spec.source else set())))


def _always(spec: Domain) -> set[str]:
    """What a batch may read of a criterion's table whatever its attributes."""
    rules = {DAYS_SUPPLY: "days_supply", NEXT_DAY: spec.start}
    wanted = {spec.key, "person_id", spec.start, *(rules.get(rule, rule) for rule in spec.end)}
    wanted |= {spec.concept} if spec.concept else set[str]()
    return wanted | ({"visit_occurrence_id"} if spec.visit else set[str]())
