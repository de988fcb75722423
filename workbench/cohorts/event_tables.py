"""Plan → steps: tables of events read from the data, one a domain and batch, or one a concept set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from workbench.cohorts.domains import DAYS_SUPPLY, NEXT_DAY, Domain
from workbench.cohorts.survey import BITS, Needs, Survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr
from workbench.vocabulary.concept_sets import SETS


@dataclass(frozen=True)
class Found:
    """A table of the concepts that events are looked for with, and how many words of bits it adds to each event."""

    table: str
    words: int = 0


def shared_table(domain: Domain) -> str:
    """Return the name of a domain's shared event table."""
    return f"ev_{domain.table}"


def _mask_table(domain: Domain, role: str) -> str:
    return f"bits_{role}_{domain.table}"


def shared_steps(domain: Domain, survey: Survey) -> list[Step]:
    """Return the steps that make a domain's shared event table: one read for the union of all sets of the batch."""
    needs = survey.domains[domain.criteria]
    roles = [role for role in ("concept", "source") if needs.words(role)]
    masks = [
        Step(_mask_table(domain, role), _masks(survey.place(domain.criteria, role), role, needs.words(role)), keep=True)
        for role in roles
    ]
    tables = {role: Found(_mask_table(domain, role), needs.words(role)) for role in roles}
    return [*masks, Step(shared_table(domain), _shared(domain, needs, tables), keep=True)]


def _masks(place: int, role: str, words: int) -> exp.Select:
    """For each concept, the sets that hold it, as bits: sums of powers of two, since no set holds a concept twice."""
    values = {
        f"{role[0]}{word}": sql.cast(
            sql.coalesce(
                sql.aggregate(
                    exp.Sum,
                    sql.when(sql.compare(sql.col("b", "word"), "=", sql.number(word)), sql.col("b", "value")),
                ),
                sql.number(0),
            ),
            "BIGINT",
        )
        for word in range(words)
    }
    return sql.select(
        {"concept_id": sql.col("s", "concept_id"), **values},
        sql.work_table(SETS, "s"),
        joins=[sql.join(sql.work_table(BITS, "b"), sql.same("b", "s", "set_id"))],
        where=[sql.compare(sql.col("b", "place"), "=", sql.number(place))],
        group=[sql.col("s", "concept_id")],
    )


def _shared(domain: Domain, needs: Needs, tables: Mapping[str, Found]) -> exp.Query:
    if needs.whole:
        return read(domain, needs, tables, dict.fromkeys(tables, "LEFT"))
    return read_any(domain, needs, tables)


def read_any(domain: Domain, needs: Needs, tables: Mapping[str, Found]) -> exp.Query:
    """Return a domain's events whose concept, or source concept, is in the table of its role; without tables, all.

    With both roles the events found by concept are read first, then what only the source concept finds: two narrow
    inner joins cost half of one wide outer join.
    """
    if len(tables) < 2:
        return read(domain, needs, tables, dict.fromkeys(tables, ""))
    by_concept = read(domain, needs, tables, {"concept": "", "source": "LEFT"})
    unseen = [sql.is_null(sql.col("concept", "concept_id"))]
    return sql.union_all([by_concept, read(domain, needs, tables, {"concept": "LEFT", "source": ""}, unseen)])


def read(
    domain: Domain, needs: Needs, tables: Mapping[str, Found], sides: Mapping[str, str], where: Sequence[Expr] = ()
) -> exp.Select:
    """Return a domain's events with what is needed of them, joined (`sides`: "" or "LEFT") to tables of concepts."""
    visits = domain.visit and needs.visits
    chosen: dict[str, Expr] = {
        "person_id": sql.col("t", "person_id"),
        "event_id": sql.col("t", domain.key),
        "start_date": sql.col("t", domain.start),
        "end_date": _end(domain),
        "visit_occurrence_id": sql.col("t", "visit_occurrence_id") if visits else sql.null("BIGINT"),
        "concept_id": _concept(domain),
    }
    if needs.source:
        chosen["source_concept_id"] = sql.col("t", domain.source) if domain.source else sql.null("BIGINT")
    chosen |= {name: sql.col("t", name) for name in sorted(needs.columns)}
    joins: list[exp.Join] = []
    for role, side in sides.items():
        column = _concept(domain) if role == "concept" else sql.col("t", domain.source or domain.key)
        on = sql.compare(sql.col(role, "concept_id"), "=", column)
        joins.append(sql.join(sql.work_table(tables[role].table, role), on, side))
        chosen |= sql.columns(role, *(f"{role[0]}{word}" for word in range(tables[role].words)))
    table = sql.work_table(domain.table, "t") if domain.made else sql.cdm_table(domain.table, "t")
    return sql.select(chosen, table, joins=joins, where=where)


def _concept(domain: Domain) -> Expr:
    if domain.concept is None:
        return sql.null("BIGINT")
    return sql.col("t", domain.concept)


def _end(domain: Domain) -> Expr:
    """An event's end: its column, else its start and the days supplied, else the day after its start."""
    choices: list[Expr] = []
    for rule in domain.end:
        start = sql.col("t", domain.start)
        if rule == NEXT_DAY:
            choices.append(sql.add_days(start, 1))
        elif rule == DAYS_SUPPLY:
            choices.append(sql.add_days(start, sql.col("t", "days_supply")))
        else:
            choices.append(sql.col("t", rule))
    return sql.coalesce(*choices)
