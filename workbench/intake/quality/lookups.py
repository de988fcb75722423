"""Checks that look something up: the concepts that columns hold, rows that references lead to, the visit of an event.

Concepts are looked up once for each that a column holds (`workbench.vocabulary.use`), not once a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    below,
    both,
    call,
    cast,
    column,
    count_if,
    either,
    equal,
    is_null,
    named,
    negate,
    not_null,
    number,
    select,
    text,
    union,
)
from workbench.intake.quality.checks import Check
from workbench.intake.quality.data import NO_DAY, Data
from workbench.intake.quality.dense import Known, is_whole, known
from workbench.intake.quality.grouped import repeated
from workbench.intake.quality.rowwise import Numbers, has_source_value
from workbench.vocabulary.use import Used, count_use

CONCEPTS = ("fkDomain", "fkClass", "isStandardValidConcept")
UNMAPPED = ("standardConceptRecordCompleteness", "sourceConceptRecordCompleteness")
WEEK = 7
VISIT = ("visit_occurrence", "visit_occurrence_id")
_USE = "checked_use"
_WIDE = {"concept_ancestor", "concept_relationship", "concept_synonym"}
"""Tables that are a vocabulary's own and long: a row of theirs is looked up as it is."""


def concepts_in_use(data: Data, checks: Sequence[Check], known: pa.Table | None) -> None:
    """Make the work table `checked_use`: how often each concept stands in each column that is checked for its concepts.

    `known` holds those that were counted already.
    """
    counted = set() if known is None else _places(data, known)
    wanted: dict[str, list[str]] = {}
    for check in checks:
        of_concepts = check.name in (*CONCEPTS, *UNMAPPED) or check.other == "concept.concept_id"
        if of_concepts and check.table not in _WIDE and check.column is not None:
            here = (check.table, check.column)
            if data.has(*here) and here not in counted and check.column not in wanted.get(check.table, ()):
                wanted.setdefault(check.table, []).append(check.column)
    rest = count_use(data.connection, [Used(name, data.files[name], each, False) for name, each in wanted.items()])
    data.upload(_USE, rest if known is None else pa.concat_tables([known, rest]))


def _places(data: Data, use: pa.Table) -> set[tuple[str, str]]:
    """Return the tables and columns whose concepts were counted."""
    places = select(column("table_name"), column("column_name"), source=data.upload(_USE, use)).distinct(copy=False)
    return {(table, name) for table, name in data.lines(places)}


def unmapped(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count rows of concept 0, where nothing but the concept decides whether it lacks."""
    names = [column(name) for name in ("table_name", "column_name", "records")]
    zero = select(*names, source=exp.to_table(_USE), where=equal(column("concept_id"), number(0)))
    zeros = {(table, name): records for table, name, records in data.lines(zero)}
    return {
        check: (zeros.get((check.table, str(check.column)), 0), data.filled[check.table, str(check.column)])
        for check in checks
        if check.name in UNMAPPED and data.has(check.table, str(check.column)) and not has_source_value(data, check)
    }


def concepts(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count rows whose concept is unknown, of another domain or class, not standard or not valid: one query for all."""
    mine = [check for check in checks if _by_concept(check) and data.has(check.table, str(check.column))]
    if not mine or "concept" not in data.files:
        return {check: (data.filled[check.table, str(check.column)], data.rows[check.table]) for check in mine
                if check.name == "isForeignKey"}  # fmt: skip
    expected = {check.name: {(c.table, c.column): c.other for c in mine if c.name == check.name} for check in mine}
    places = sorted({(check.table, str(check.column)) for check in mine})
    rules = {
        "table_name": [table for table, _ in places],
        "column_name": [name for _, name in places],
        "domain": [expected.get("fkDomain", {}).get(place) for place in places],
        "class": [expected.get("fkClass", {}).get(place) for place in places],
    }
    data.list_up("checked_places", {name: ("VARCHAR", values) for name, values in rules.items()})
    found = {(row[0], row[1]): row[2:] for row in data.lines(_judged(data))}
    return {check: _numbers(data, check, found[check.table, str(check.column)]) for check in mine}


def _by_concept(check: Check) -> bool:
    named_so = check.name in CONCEPTS or (check.name == "isForeignKey" and check.other == "concept.concept_id")
    return named_so and check.table not in _WIDE


def _judged(data: Data) -> exp.Select:
    """Return the query: for each checked column its rows with a concept, and rows that fail each test."""
    rows, real = column("records", "u"), both(not_null(column("concept_id", "c")), _not_zero("c"))
    standard = call("coalesce", equal(column("standard_concept", "c"), text("S")), exp.Boolean(this=False))
    tests = [
        both(not_null(column("concept_id", "u")), is_null(column("concept_id", "c"))),
        both(real, exp.NEQ(this=column("domain_id", "c"), expression=column("domain", "p"))),
        both(real, exp.NEQ(this=column("concept_class_id", "c"), expression=column("class", "p"))),
        both(real, either(negate(standard), not_null(column("invalid_reason", "c")))),
    ]
    place = [column("table_name", "p"), column("column_name", "p")]
    failed = [call("sum", exp.Case(ifs=[exp.If(this=test, true=rows)], default=number(0))) for test in tests]
    query = select(*place, *failed, source=_aliased("checked_places", "p"))
    here = [equal(column(name, "u"), column(name, "p")) for name in ("table_name", "column_name")]
    query = query.join(_aliased(_USE, "u"), on=both(*here), copy=False)
    same = equal(column("concept_id", "c"), column("concept_id", "u"))
    return query.join(data.scan("concept", "c"), on=same, join_type="left", copy=False).group_by(*place, copy=False)


def _not_zero(alias: str) -> Node:
    return negate(equal(column("concept_id", alias), number(0)))


def _numbers(data: Data, check: Check, found: tuple[int | None, ...]) -> tuple[int, int]:
    unknown, domain, kind, standard = (int(value or 0) for value in found)
    rows, filled = data.rows[check.table], data.filled[check.table, str(check.column)]
    return {
        "isForeignKey": (unknown, rows),
        "fkDomain": (domain, rows),
        "fkClass": (kind, rows),
        "isStandardValidConcept": (standard, filled),
    }[check.name]


def references(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count rows that refer to nobody: one query for each table that is referred to."""
    mine = [check for check in checks if _by_reference(check) and data.has(check.table, str(check.column))]
    result: Numbers = {}
    for target in sorted({str(check.other) for check in mine}):
        those = [check for check in mine if check.other == target]
        table, _, key = target.partition(".")
        every = [data.filled[check.table, str(check.column)] for check in those]
        lost = _lost(data, those, table, key) if table in data.files else every
        result |= {check: (rows, data.rows[check.table]) for check, rows in zip(those, lost, strict=True)}
    return result


def _by_reference(check: Check) -> bool:
    if check.name != "isForeignKey" or check.other in {"person.person_id", "visit_occurrence.visit_occurrence_id"}:
        return False
    return check.other != "concept.concept_id" or check.table in _WIDE


def _lost(data: Data, checks: Sequence[Check], table: str, key: str) -> list[int]:
    """Return for each check how many rows have a value that is not there."""
    ids = known(data, table, key)
    if ids is None or not all(is_whole(data, check.table, str(check.column)) for check in checks):
        return _joined(data, checks, table, key)
    return [sum(ids.lost(each) for each in data.ids(check.table, str(check.column))) for check in checks]


def _joined(data: Data, checks: Sequence[Check], table: str, key: str) -> list[int]:
    values = [
        select(
            named(number(place), "place"),
            named(column(str(check.column)), "value"),
            source=data.scan(check.table),
            where=data.there(check.table, str(check.column)),
        )
        for place, check in enumerate(checks)
    ]
    here = [
        count_if(equal(column("place", "v"), number(place))) for place in range(len(checks))
    ]  # no group: it is slow
    query = exp.Select(expressions=here).from_(union(values).subquery("v", copy=False), copy=False)
    same = equal(column(key, "k"), column("value", "v"))
    return data.numbers(query.join(data.scan(table, "k"), on=same, join_type="anti", copy=False))


@dataclass(frozen=True)
class _Visited:
    """Rows that name a visit, perhaps with their day: what both are checked for."""

    refers: Check | None
    within: Check | None

    @property
    def table(self) -> str:
        return next(check.table for check in (self.refers, self.within) if check is not None)

    @property
    def column(self) -> str:
        return str(self.refers.column) if self.refers else "visit_occurrence_id"


def visits(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count rows of visits that are not there, and rows more than a week outside their visit: visits are read once for
    all tables. Where an id of visits is repeated, the widest of their days count."""
    parts = _visited(data, checks)
    if "visit_occurrence" not in data.files:
        refers = [part.refers for part in parts if part.refers]
        return {check: (data.filled[check.table, str(check.column)], data.rows[check.table]) for check in refers}
    result: Numbers = {}
    for part, (inside, outside) in zip(parts, _far(data, parts) if parts else (), strict=True):
        if part.refers:
            result[part.refers] = (data.filled[part.table, part.column] - inside, data.rows[part.table])
        if part.within:
            result[part.within] = (outside, inside)
    return result


def _visited(data: Data, checks: Sequence[Check]) -> list[_Visited]:
    within: dict[str, list[Check]] = {}
    for check in checks:
        if check.name == "withinVisitDates" and data.has(check.table, str(check.column), "visit_occurrence_id"):
            within.setdefault(check.table, []).append(check)
    parts: list[_Visited] = []
    for check in checks:
        refers = check.name == "isForeignKey" and check.other == "visit_occurrence.visit_occurrence_id"
        if refers and data.has(check.table, str(check.column)):
            dated = within.pop(check.table, []) if check.column == "visit_occurrence_id" else []
            parts += [_Visited(check, dated[0] if dated else None), *(_Visited(None, each) for each in dated[1:])]
    return parts


def _far(data: Data, parts: Sequence[_Visited]) -> list[tuple[int, int]]:
    """Return for each part its rows whose visit is there, and those that are far from its days."""
    rows = [
        select(
            named(column(part.column), "visit"),
            named(cast(column(str(part.within.column)) if part.within else exp.Null(), "DATE"), "day"),
            source=data.scan(part.table),
            where=data.there(part.table, part.column),
        )
        for part in parts
    ]
    table, key = VISIT
    ids = known(data, table, key, _days_of_visits(data, grouped=False), days=2)
    if ids is not None and len(ids) == data.filled[VISIT]:
        data.kept[VISIT] = ids
    elif ids is not None:
        ids = known(data, table, key, _days_of_visits(data, grouped=True), days=2)
    if ids is None or not all(is_whole(data, part.table, part.column) for part in parts):
        return _joined_visits(data, rows, _days_of_visits(data, grouped=bool(repeated(data, table, key))))
    return [_far_from(_with_days(data, part, each), ids) for part, each in zip(parts, rows, strict=True)]


def _days_of_visits(data: Data, *, grouped: bool) -> exp.Select:
    """Return the query: visits with the first and the last day on which their events may lie; each id once where they
    are `grouped`."""
    key = column("visit_occurrence_id")
    start, end = (cast(column(name), "DATE") for name in ("visit_start_date", "visit_end_date"))
    first, last = (call("min", start), call("max", end)) if grouped else (start, end)
    return select(
        key,
        named(call("coalesce", exp.Sub(this=first, expression=number(WEEK)), _ever("-infinity")), "first"),
        named(call("coalesce", exp.Add(this=last, expression=number(WEEK)), _ever("infinity")), "last"),
        source=data.scan("visit_occurrence"),
        where=data.there("visit_occurrence", "visit_occurrence_id"),
        group=key if grouped else None,
    )


def _ever(end: str) -> Node:
    """Return a day that no other lies beyond: a visit without its day has no bound there."""
    return cast(text(end), "DATE")


def _with_days(data: Data, part: _Visited, rows: exp.Select) -> Iterator[tuple[Any, ...]]:
    """Return ids of visits and days, without a query where the file holds days as such."""
    day = str(part.within.column) if part.within else ""
    if data.types[part.table].get(day) == "DATE":
        return data.ids_and_days(part.table, part.column, day)
    return data.batches(rows)


def _far_from(rows: Iterator[tuple[Any, ...]], visits: Known) -> tuple[int, int]:
    inside = outside = 0
    for ids, day in rows:
        there, (first, last) = visits.of(ids)
        inside += int(np.count_nonzero(there))
        far = (day < first) | (last < day)
        outside += int(np.count_nonzero(far & there & (day != NO_DAY)))
    return inside, outside


def _joined_visits(data: Data, rows: Sequence[exp.Select], visits: exp.Select) -> list[tuple[int, int]]:
    for place, each in enumerate(rows):
        each.select(named(number(place), "place"), copy=False)
    seen, day = visits.subquery("v", copy=False), column("day", "e")
    outside = either(below(day, column("first", "v")), below(column("last", "v"), day))
    counts = [column("place", "e"), call("count"), count_if(outside)]
    query = exp.Select(expressions=counts).from_(union(rows).subquery("e", copy=False), copy=False)
    same = equal(column("visit_occurrence_id", "v"), column("visit", "e"))
    query = query.join(seen, on=same, copy=False).group_by(column("place", "e"), copy=False)
    found = {int(place): (int(inside), int(outside or 0)) for place, inside, outside in data.lines(query)}
    return [found.get(place, (0, 0)) for place in range(len(rows))]


def _aliased(table: str, name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(table), alias=exp.TableAlias(this=exp.to_identifier(name)))
