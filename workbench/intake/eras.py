"""Eras where the source has none, by OHDSI's conventions: rows of one person and concept join while no more than 30
days lie between them.

Condition: an occurrence without an end ends the day after its start. Drug: exposures are led back to their ingredients
(RxNorm, by the vocabulary's ancestors); an exposure without an end ends after its days of supply, or the day after its
start; exposures that overlap first make one sub-exposure, and days covered by none are the era's gap days. Rows without
a standard concept (0) make no era, nor do exposures with a negative supply.
Source: OHDSI, Common Data Model, "condition eras" and "drug eras" (the SQL that the model's documentation gives).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    before_this,
    below,
    both,
    call,
    cast,
    column,
    equal,
    named,
    negate,
    not_null,
    number,
    over,
    scan,
    select,
    text,
    when,
)
from workbench.intake.tables import copy, ordered
from workbench.repository.cdm import TABLES

GAP_DAYS = 30
NEEDS: Mapping[str, tuple[str, ...]] = {
    "condition_era": ("condition_occurrence",),
    "drug_era": ("drug_exposure", "concept", "concept_ancestor"),
}
"""Era table → the tables that it is built from."""


def build(connection: Any, name: str, files: Mapping[str, Path], into: Path) -> int:
    """Write an era table built from the release's tables (all of `NEEDS[name]` are in `files`); return its rows."""
    query = _condition(files) if name == "condition_era" else _drug(files)
    return copy(connection, ordered(query, TABLES[name]), into)


def _condition(files: Mapping[str, Path]) -> exp.Select:
    start, concept = column("condition_start_date"), column("condition_concept_id")
    end = call("coalesce", column("condition_end_date"), _next_day(start))
    source = scan("read_parquet", files["condition_occurrence"])
    spans = _spans(concept, start, end, source, both(_mapped(concept), not_null(start)))
    joined = _joined(spans, GAP_DAYS, {"rows": call("count")})
    named_as = {"condition_concept_id": "concept", "condition_occurrence_count": "rows"}
    return _era("condition_era", joined, named_as)


def _drug(files: Mapping[str, Path]) -> exp.Select:
    start, concept, supply = (column(n) for n in ("drug_exposure_start_date", "drug_concept_id", "days_supply"))
    supplied = call("nullif", exp.Add(this=start, expression=cast(supply, "INTEGER")), start)
    end = call("coalesce", column("drug_exposure_end_date"), supplied, _next_day(start))
    sound = both(_mapped(concept), not_null(start), negate(below(call("coalesce", supply, number(0)), number(0))))
    exposures = _spans(concept, start, end, scan("read_parquet", files["drug_exposure"]), sound)
    subs = _joined(_by_ingredient(exposures, files), 0, {"rows": call("count")})
    covered = exp.Sub(this=column("ended"), expression=column("started"))
    days = select(exp.Star(), named(covered, "days"), source=subs)
    eras = _joined(days, GAP_DAYS, {"rows": call("sum", column("rows")), "days": call("sum", column("days"))})
    length = exp.Sub(this=column("ended"), expression=column("started"))
    gap = exp.Sub(this=exp.Paren(this=length), expression=column("days"))
    with_gap = select(exp.Star(), named(gap, "gap"), source=eras)
    return _era("drug_era", with_gap, {"drug_concept_id": "concept", "drug_exposure_count": "rows", "gap_days": "gap"})


def _by_ingredient(exposures: exp.Select, files: Mapping[str, Path]) -> exp.Select:
    """Lead each exposure back to its ingredients."""
    is_ingredient = both(
        equal(column("vocabulary_id"), text("RxNorm")), equal(column("concept_class_id"), text("Ingredient"))
    )
    concepts = select(column("concept_id"), source=scan("read_parquet", files["concept"]), where=is_ingredient)
    ingredients = exp.In(this=column("ancestor_concept_id"), query=exp.Subquery(this=concepts))
    ancestors = scan("read_parquet", files["concept_ancestor"])
    links = select(
        column("ancestor_concept_id"), column("descendant_concept_id"), source=ancestors, where=ingredients
    ).subquery("link", copy=False)
    same = exp.EQ(this=column("descendant_concept_id", "link"), expression=column("concept", "rows_read"))
    fields = [column(name, "rows_read") for name in ("person_id", "started", "ended")]
    query = select(*fields, named(column("ancestor_concept_id", "link"), "concept"), source=exposures)
    return query.join(links, on=same, copy=False)


def _joined(spans: exp.Select, gap: int, sums: Mapping[str, Node]) -> exp.Select:
    """Join spans of one person and concept while a start lies no more than `gap` days after all ends before it."""
    whose = [column("person_id"), column("concept")]
    order = [column("started"), column("ended")]
    before = before_this(call("max", column("ended")), whose, order)
    reach = exp.Add(this=column("before"), expression=number(gap))
    far = below(exp.Paren(this=reach), column("started"))
    seen = select(exp.Star(), named(before, "before"), source=spans)
    broken = select(exp.Star(), named(when(far, number(1)), "breaks"), source=seen)
    island = over(call("count", column("breaks")), whose, order)
    numbered = select(exp.Star(), named(island, "island"), source=broken)
    start, end = named(call("min", column("started")), "started"), named(call("max", column("ended")), "ended")
    totals = [named(value, name) for name, value in sums.items()]
    return select(*whose, start, end, *totals, source=numbered).group_by(*whose, column("island"), copy=False)


def _spans(concept: Node, start: Node, end: Node, source: exp.Table, where: Node) -> exp.Select:
    ended = call("greatest", end, start)
    fields = {"person_id": column("person_id"), "concept": concept, "started": start, "ended": ended}
    return select(*(named(value, name) for name, value in fields.items()), source=source, where=where)


def _era(name: str, eras: exp.Select, named_as: Mapping[str, str]) -> exp.Select:
    """Return eras in the columns of their table, numbered by person, concept and start."""
    place = [column("person_id"), column("concept"), column("started")]
    found = {f"{name}_id": over(call("row_number"), order=place), f"{name}_start_date": column("started")}
    found |= {f"{name}_end_date": column("ended")} | {field: column(each) for field, each in named_as.items()}
    fields = [named(cast(found.get(f.name, column(f.name)), f.sql_type), f.name) for f in TABLES[name].fields]
    return select(*fields, source=eras)


def _mapped(concept: Node) -> Node:
    return both(not_null(concept), negate(equal(concept, number(0))))


def _next_day(start: Node) -> Node:
    return exp.Add(this=start, expression=number(1))
