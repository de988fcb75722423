"""Negative control outcomes: one cohort a concept, of the days on which a person has it.

They calibrate effect estimates: outcomes that the exposure is known not to cause. The rule is Circe's `OutcomeCohort`:
an event counts whatever the observation periods; its day is the cohort's first and last day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlglot import exp

from workbench.cohorts.document import Part
from workbench.cohorts.domains import DOMAINS, Domain
from workbench.cohorts.requirements import unfit
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

_OUTCOMES = "outcome_concepts"
_DOMAINS: Mapping[str, str] = {
    "condition": "ConditionOccurrence", "drug": "DrugExposure", "device": "DeviceExposure",
    "measurement": "Measurement", "observation": "Observation", "procedure": "ProcedureOccurrence",
    "visit": "VisitOccurrence",
}  # fmt: skip


@dataclass(frozen=True)
class OutcomeRule:
    """Where outcomes are looked for (criteria types), whether descendants count, and only the first day or all."""

    domains: tuple[str, ...]
    descendants: bool = True
    first: bool = False

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> OutcomeRule:
        """Read `{occurrenceType, detectOnDescendants, domains}`; letters of names and words may be small or capital.

        Raises InvalidInput (`cohort.outcome_rule`) with the path of what a rule cannot have there.
        """
        spelt = {key.lower(): key for key in document}
        occurrence, descendants, domains = (
            Part(document.get(spelt.get(name.lower(), name)), f"$.{spelt.get(name.lower(), name)}")
            for name in ("occurrenceType", "detectOnDescendants", "domains")
        )
        kind = _word(occurrence, {"all": "ALL", "first": "FIRST"}) if occurrence else "ALL"
        try:
            below = descendants.flag() if descendants else True
        except InvalidInput:
            raise _wrong(descendants, "true", "false") from None
        listed: object = domains.value
        if not isinstance(listed, list) or not listed:
            raise _wrong(domains, json.dumps([*_DOMAINS]))
        each = (Part(value, f"{domains.path}[{at}]") for at, value in enumerate(cast("list[Any]", listed)))
        return cls(tuple(_word(part, _DOMAINS) for part in each), below, kind == "FIRST")


def negative_controls(engine: Engine, concepts: Iterable[int], rule: OutcomeRule) -> pa.Table:
    """Return one row a day of an outcome: `concept_id, subject_id, cohort_start_date, cohort_end_date`, sorted.

    With descendants, a concept's events are those that `concept_ancestor` puts under it (the concept itself only where
    it is listed as its own, as vocabularies do); without, those of the concept, if the vocabulary has it. Raises
    InvalidInput where the database lacks a table or a column, or has it in another type;
    Unavailable or Stopped as engines do.
    """
    for table, columns, path in _reads(rule):
        for error in unfit(engine, table, columns, path):
            raise error
    engine.load(_OUTCOMES, {"concept_id": sorted(set(concepts))})
    try:
        return engine.fetch(_days(rule))
    finally:
        engine.drop(_OUTCOMES)


def _word(part: Part, words: Mapping[str, str]) -> str:
    """What a word of the rule stands for, be it written small or capital."""
    found = words.get(part.value.lower()) if isinstance(part.value, str) else None
    if found is None:
        raise _wrong(part, *(words if words is _DOMAINS else words.values()))
    return found


def _wrong(part: Part, *expected: str) -> InvalidInput:
    return InvalidInput("cohort.outcome_rule", path=part.path, expected=", ".join(expected))


def _reads(rule: OutcomeRule) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The tables that a rule reads, with their columns, and the member that asks for them."""
    if rule.descendants:
        yield "concept_ancestor", ("ancestor_concept_id", "descendant_concept_id"), "$.detectOnDescendants"
    else:
        yield "concept", ("concept_id",), "$.detectOnDescendants"
    for at, domain in enumerate(DOMAINS[name] for name in rule.domains):
        yield domain.table, ("person_id", domain.concept or domain.key, domain.start), f"$.domains[{at}]"


def _days(rule: OutcomeRule) -> exp.Select:
    events = sql.union_all(list(_events(rule)))
    start = sql.col("e", "start_date")
    keys = sql.columns("e", "concept_id", "subject_id")
    if rule.first:
        start = sql.aggregate(exp.Min, start)
    chosen = {**keys, "cohort_start_date": start, "cohort_end_date": start.copy()}
    group = [column.copy() for column in keys.values()] if rule.first else []
    by = [sql.col("s", name) for name in chosen]
    return sql.select(
        sql.columns("s", *chosen), sql.sub(sql.select(chosen, sql.sub(events, "e"), group=group), "s"), by=by
    )


def _events(rule: OutcomeRule) -> Iterator[exp.Select]:
    for name in rule.domains:
        domain = DOMAINS[name]
        counted = sql.join(sql.sub(_counted(rule), "m"), _of_concept(domain))
        columns = {
            "concept_id": sql.col("m", "outcome_id"),
            "subject_id": sql.col("t", "person_id"),
            "start_date": sql.col("t", domain.start),
        }
        yield sql.select(columns, sql.cdm_table(domain.table, "t"), joins=[counted])


def _of_concept(domain: Domain) -> sql.Expr:
    return sql.compare(sql.col("m", "concept_id"), "=", sql.col("t", domain.concept or domain.key))


def _counted(rule: OutcomeRule) -> exp.Select:
    """The concepts that stand for each outcome."""
    table, above, below = (
        ("concept_ancestor", "ancestor_concept_id", "descendant_concept_id")
        if rule.descendants
        else ("concept", "concept_id", "concept_id")
    )
    outcomes = sql.work_table(_OUTCOMES, "o")
    on = sql.compare(sql.col("v", above), "=", sql.col("o", "concept_id"))
    columns = {"outcome_id": sql.col("o", "concept_id"), "concept_id": sql.col("v", below)}
    return sql.select(columns, outcomes, joins=[sql.join(sql.cdm_table(table, "v"), on)])
