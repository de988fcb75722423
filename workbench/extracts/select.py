"""DuckDB selects from the release: only the persons of the cohort, the columns asked for, the rows of the period.

What comes out still has real ids and dates: `transform.py` takes them away, nothing is written before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
import pyarrow as pa
from sqlglot import exp

from workbench.engines.duckdb import DuckDBEngine
from workbench.engines.sql import CDM, add_days, coalesce, col, name, number, text
from workbench.governance.concept_limits import Items
from workbench.governance.deliverable import deliverable
from workbench.governance.sensitive import SensitiveClass
from workbench.kernel.errors import Unavailable

INDEX = "extract_index"
CODES = "extract_concepts"
LIMIT = "extract_limit"
INTERVALS = frozenset({"condition_era", "drug_era", "visit_occurrence"})
"""Tables whose rows count where they overlap the period (and are cut to it), not only where they start inside."""


@dataclass(frozen=True)
class Plan:
    """How one table is read: `given` are the columns to deliver, the others serve its rules and stay in.

    `fallback` maps a standard concept column to the source concept column used where it is 0.
    """

    table: str
    given: tuple[str, ...]
    start: str | None
    end: str | None
    fallback: Mapping[str, str]

    @property
    def concepts(self) -> tuple[str, ...]:
        """The delivered columns that hold concepts."""
        kinds = deliverable()[self.table]
        return tuple(column for column in self.given if kinds[column] in {"concept", "source_concept"})


def plan_table(table: str, given: Sequence[str], present: frozenset[str]) -> Plan:
    """Return how to read one table whose columns `present` exist in the release."""
    kinds = deliverable()[table]
    days = {kind: column for column, kind in kinds.items() if kind in {"start", "end"} and column in present}
    sources = {
        column: source
        for column, kind in kinds.items()
        if kind == "concept"
        and column in given
        and kinds.get(source := column.replace("_concept_id", "_source_concept_id")) == "source_concept"
        and source in present
    }
    kept = tuple(column for column in given if column in present or kinds[column] == "age")
    return Plan(table, kept, days.get("start"), days.get("end"), sources)


def load_index(engine: DuckDBEngine, index: pl.DataFrame) -> None:
    """Make the work table of the cohort: `person_id`, `index_date`."""
    engine.load(INDEX, index.select("person_id", "index_date").to_arrow())


def select_rows(
    engine: DuckDBEngine, plan: Plan, period: Mapping[str, int | None], main: str | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the cohort's rows of a table inside the period, batch by batch, one at least: plain columns, `person_id`
    real, dates as DATE. `main` is the main concept of a table that `load_concepts` limits: other rows stay in."""
    wanted = {column for column in plan.given if deliverable()[plan.table][column] != "age"} | {"person_id"}
    wanted |= {column for column in (plan.start, plan.end, *plan.fallback.values()) if column}
    wanted |= {"year_of_birth"} if plan.table == "person" else set()
    query = exp.select(*(col("t", column) for column in sorted(wanted))).from_(_table(CDM, plan.table, "t"))
    query = query.join(
        _table(None, INDEX, "i"), on=exp.EQ(this=col("t", "person_id"), expression=col("i", "person_id"))
    )
    for condition in _inside(plan, period):
        query = query.where(condition, copy=False)
    if main is not None:
        query = query.where(_approved(plan, main), copy=False)
    for batch in engine.batches(query, _BATCH):
        yield pl.DataFrame(batch)


_BATCH = 2**17


def room(engine: DuckDBEngine, table: str, persons: int) -> int:
    """Return about how many rows of a table so many persons have, and some more."""
    rows, everybody = (
        engine.tuples(exp.select(exp.Count(this=exp.Star())).from_(_table(CDM, each, "t")))[0][0]
        for each in (table, "person")
    )
    return int(min(rows, 1.05 * rows * persons / max(everybody, 1))) + _BATCH


def observation_periods(engine: DuckDBEngine) -> pl.DataFrame:
    """Return for each person of the cohort the observation period around the index date: `start`, `end`."""
    first, last = "observation_period_start_date", "observation_period_end_date"
    query = (
        exp.select(
            col("t", "person_id"),
            exp.alias_(exp.Min(this=col("t", first)), "start"),
            exp.alias_(exp.Max(this=col("t", last)), "end"),
        )
        .from_(_table(CDM, "observation_period", "t"))
        .join(_table(None, INDEX, "i"), on=_same_person())
        .where(exp.LTE(this=col("t", first), expression=col("i", "index_date")))
        .where(exp.GTE(this=col("t", last), expression=col("i", "index_date")))
        .group_by(col("t", "person_id"))
    )
    return _frame(engine.fetch(query))


def first_date(engine: DuckDBEngine) -> date:
    """Return the first day observed in the whole release, which people may know as they know its cut-off."""
    smallest = exp.Min(this=col("t", "observation_period_start_date"))
    rows = engine.fetch(exp.select(exp.alias_(smallest, "first")).from_(_table(CDM, "observation_period", "t")))
    value = rows.column("first")[0].as_py()
    if value is None:
        raise Unavailable("extract.release_incomplete", table="observation_period")
    return value


def last_date(engine: DuckDBEngine) -> date:
    """Return the last day observed in the whole release: its cut-off."""
    largest = exp.Max(this=col("t", "observation_period_end_date"))
    rows = engine.fetch(exp.select(exp.alias_(largest, "last")).from_(_table(CDM, "observation_period", "t")))
    value = rows.column("last")[0].as_py()
    if value is None:
        raise Unavailable("extract.release_incomplete", table="observation_period")
    return value


def concept_rows(engine: DuckDBEngine, ids: pl.Series) -> pl.DataFrame:
    """Return id, name, domain and vocabulary of concepts, from the release's public vocabulary."""
    engine.load(CODES, pl.DataFrame({"concept_id": ids.cast(pl.Int64)}).to_arrow())
    columns = ("concept_id", "concept_name", "domain_id", "vocabulary_id")
    same = exp.EQ(this=col("t", "concept_id"), expression=col("i", "concept_id"))
    query = exp.select(*(col("t", column) for column in columns)).from_(_table(CDM, "concept", "t"))
    return _frame(engine.fetch(query.join(_table(None, CODES, "i"), on=same)))


def sensitive_concepts(engine: DuckDBEngine, classes: Sequence[SensitiveClass]) -> pl.Series:
    """Return the concept ids of these classes in the release: codes by prefix, roots with all their descendants."""
    if not engine.columns("concept"):
        raise Unavailable("extract.release_incomplete", table="concept")
    roots = _by_code(engine, [(v, c, False) for entry in classes for v, c in entry.roots])
    found = _by_code(engine, [(v, c, True) for entry in classes for v, c in entry.prefixes])
    everything = pl.concat([roots, found]).unique()
    if not engine.columns("concept_ancestor") or everything.is_empty():
        return everything.sort()
    return pl.concat([everything, descendants(engine, everything)]).unique().sort()


def descendants(engine: DuckDBEngine, ids: pl.Series) -> pl.Series:
    """Return the ids of all concepts below some, as the release's `concept_ancestor` has them."""
    engine.load(CODES, pl.DataFrame({"concept_id": ids}).to_arrow())
    same = exp.EQ(this=col("t", "ancestor_concept_id"), expression=col("i", "concept_id"))
    query = exp.select(exp.alias_(col("t", "descendant_concept_id"), "concept_id"))
    query = query.from_(_table(CDM, "concept_ancestor", "t")).join(_table(None, CODES, "i"), on=same)
    return _frame(engine.fetch(query)).get_column("concept_id").cast(pl.Int64)


def concepts_had(engine: DuckDBEngine, table: str, columns: Sequence[str]) -> set[int]:
    """Return the ids in some columns of the rows of the persons of `load_index`."""
    wanted = [col("t", column) for column in columns]
    query = exp.select(*wanted).distinct().from_(_table(CDM, table, "t"))
    rows = _frame(engine.fetch(query.join(_table(None, INDEX, "i"), on=_same_person())))
    return {int(each) for column in rows.iter_columns() for each in column.drop_nulls().unique()}


def ancestors_of(engine: DuckDBEngine, ids: pl.Series) -> pl.DataFrame:
    """Return what stands above some concepts, as the release's `concept_ancestor` has it: `concept`, `ancestor`, and
    `level`, the fewest steps between them; nothing where the release does not say."""
    level = "min_levels_of_separation"
    if level not in engine.columns("concept_ancestor"):
        return pl.DataFrame(schema=dict.fromkeys(("concept", "ancestor", "level"), pl.Int64))
    engine.load(CODES, pl.DataFrame({"concept_id": ids.cast(pl.Int64)}).to_arrow())
    below, above = col("t", "descendant_concept_id"), col("t", "ancestor_concept_id")
    query = exp.select(
        exp.alias_(below, "concept"), exp.alias_(above, "ancestor"), exp.alias_(col("t", level), "level")
    )
    query = query.from_(_table(CDM, "concept_ancestor", "t"))
    query = query.join(_table(None, CODES, "i"), on=exp.EQ(this=below.copy(), expression=col("i", "concept_id")))
    query = query.where(exp.NEQ(this=below.copy(), expression=above.copy()))
    return _frame(engine.fetch(query)).select(pl.col("concept", "ancestor", "level").cast(pl.Int64))


def concepts_of(engine: DuckDBEngine, items: Items) -> pl.Series:
    """Return the ids that some items of a concept set stand for, rising: those taken in without those taken out.

    Raises `Unavailable` (`extract.release_incomplete`) where the release lacks the table that an item needs.
    """
    taken = [[item for item in items if item.get("excluded", False) is out] for out in (False, True)]
    kept, out = (_members(engine, each) for each in taken)
    return kept.filter(~kept.is_in(out.implode())).sort()


def _members(engine: DuckDBEngine, items: Items) -> pl.Series:
    named = pl.Series("concept_id", [item["concept"] for item in items if "concept" in item], pl.Int64)
    roots = [item["concept"] for item in items if "concept" in item and item.get("descendants", True)]
    domains = [item["domain"] for item in items if "domain" in item]
    found = [named]
    for table, wanted in (("concept_ancestor", roots), ("concept", domains)):
        if wanted and not engine.columns(table):
            raise Unavailable("extract.release_incomplete", table=table)
    if roots:
        found.append(descendants(engine, pl.Series(roots, dtype=pl.Int64)))
    if domains:
        inside = exp.or_(*(exp.EQ(this=col("t", "domain_id"), expression=text(each)) for each in domains))
        query = exp.select(col("t", "concept_id")).from_(_table(CDM, "concept", "t")).where(inside)
        found.append(_frame(engine.fetch(query)).get_column("concept_id").cast(pl.Int64))
    return pl.concat(found).unique()


def load_concepts(engine: DuckDBEngine, limited: Mapping[str, pl.Series]) -> None:
    """Make the work tables of the concepts to which tables are limited."""
    for table, ids in limited.items():
        engine.load(f"{LIMIT}_{table}", pl.DataFrame({"concept_id": ids.cast(pl.Int64)}).to_arrow())


def _approved(plan: Plan, main: str) -> exp.Condition:
    """Return that a row's main concept, or its source concept where that is 0 or missing, is in the work table."""
    concept: exp.Condition = col("t", main)
    if source := plan.fallback.get(main):
        none = exp.EQ(this=coalesce(concept.copy(), number(0)), expression=number(0))
        concept = exp.Case(ifs=[exp.If(this=none, true=coalesce(col("t", source), concept.copy()))], default=concept)
    limit = exp.select(col("l", "concept_id")).from_(_table(None, f"{LIMIT}_{plan.table}", "l"))
    return exp.In(this=concept, query=exp.Subquery(this=limit))


def _by_code(engine: DuckDBEngine, codes: Sequence[tuple[str, str, bool]]) -> pl.Series:
    if not codes:
        return pl.Series("concept_id", [], pl.Int64)
    conditions = [_is_code(vocabulary, code, prefix) for vocabulary, code, prefix in codes]
    query = exp.select(col("t", "concept_id")).from_(_table(CDM, "concept", "t"))
    return _frame(engine.fetch(query.where(exp.or_(*conditions)))).get_column("concept_id").cast(pl.Int64)


def _is_code(vocabulary: str, code: str, prefix: bool) -> exp.Condition:
    same = exp.EQ(this=col("t", "vocabulary_id"), expression=text(vocabulary))
    if prefix:
        return exp.and_(same, exp.Like(this=col("t", "concept_code"), expression=text(f"{code}%")))
    return exp.and_(same, exp.EQ(this=col("t", "concept_code"), expression=text(code)))


def _inside(plan: Plan, period: Mapping[str, int | None]) -> list[exp.Condition]:
    """Return the conditions of the approved period; the keyed cuts per person come later."""
    if plan.start is None:
        return []
    start: exp.Condition = col("t", plan.start)
    low, high = period["from_day"], period["to_day"]
    conditions: list[exp.Condition] = []
    if high is not None:
        conditions.append(exp.LTE(this=start, expression=add_days(col("i", "index_date"), high)))
    if low is not None:
        open_end = plan.table in INTERVALS and plan.end is not None
        last = exp.Coalesce(this=col("t", plan.end or ""), expressions=[start.copy()]) if open_end else start.copy()
        conditions.append(exp.GTE(this=last, expression=add_days(col("i", "index_date"), low)))
    return conditions


def _same_person() -> exp.Condition:
    return exp.EQ(this=col("t", "person_id"), expression=col("i", "person_id"))


def _table(schema: str | None, table: str, alias: str) -> exp.Table:
    return exp.Table(this=name(table), db=name(schema) if schema else None, alias=exp.TableAlias(this=name(alias)))


def _frame(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(rows)
