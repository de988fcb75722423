"""Negative control outcomes: one cohort a concept, of the days on which a person has it.

They calibrate effect estimates: outcomes that the exposure is known not to cause. The rule is Circe's `OutcomeCohort`:
an event counts whatever the observation periods; its day is the cohort's first and last day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from workbench.cohorts.document import Part
from workbench.cohorts.domains import DOMAINS, Domain
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

        Raises InvalidInput with the path of a domain or an occurrence type that there is not.
        """
        root = Part({key.lower(): value for key, value in document.items()})
        occurrence = root.get("occurrencetype")
        kind = occurrence.text().upper() if occurrence else "ALL"
        if kind not in ("ALL", "FIRST"):
            raise occurrence.wrong("ALL", "FIRST")
        descendants = root.get("detectondescendants")
        domains = tuple(_domain(each) for each in root.need("domains").each())
        if not domains:
            raise InvalidInput("cohort.member_missing", path=f"{root.path}.domains[0]")
        return cls(domains, descendants.flag() if descendants else True, kind == "FIRST")


def negative_controls(engine: Engine, concepts: Iterable[int], rule: OutcomeRule) -> pa.Table:
    """Return one row a day of an outcome: `concept_id, subject_id, cohort_start_date, cohort_end_date`, sorted.

    With descendants, a concept's events are those that `concept_ancestor` puts under it (the concept itself only where
    it is listed as its own, as vocabularies do); without, those of the concept, if the vocabulary has it. Raises
    InvalidInput where the database lacks a table, Unavailable or Stopped as engines do.
    """
    vocabulary = "concept_ancestor" if rule.descendants else "concept"
    for table in (vocabulary, *(DOMAINS[name].table for name in rule.domains)):
        if not engine.columns(table):
            raise InvalidInput("cohort.table_missing", table=table, path="$.domains")
    engine.load(_OUTCOMES, {"concept_id": sorted(set(concepts))})
    try:
        return engine.fetch(_days(rule))
    finally:
        engine.drop(_OUTCOMES)


def _domain(part: Part) -> str:
    word = part.text().lower()
    if word not in _DOMAINS:
        raise part.wrong(*_DOMAINS)
    return _DOMAINS[word]


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
