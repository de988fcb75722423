"""The counts that researchers look at first: records by month, age and sex, observation, top concepts, what is not
mapped. Exact, for the release's own document; what is shown of them is governed.

Beside each number of records stands its *crowd*, at least so many persons are behind it (`workbench.vocabulary.use`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from sqlglot import exp

from workbench.intake.nodes import (
    both,
    call,
    cast,
    column,
    equal,
    named,
    negate,
    not_null,
    number,
    select,
    text,
)
from workbench.intake.quality import observation
from workbench.intake.quality.checks import facts
from workbench.intake.quality.data import Data
from workbench.intake.quality.observation import OBSERVED
from workbench.intake.quality.rowwise import WHO
from workbench.repository.cdm import RECORDS, TABLES
from workbench.vocabulary.use import DERIVED, classes_of

TOP = 20
BAND = 10
"""Years of one age group."""


def profile(data: Data, use: pa.Table) -> dict[str, Any]:
    """Return the counts of a release. The work tables `who` (`rowwise.persons`) and
    `observed` (`observation.persons`) must be there; `use` is how often each
    concept stands in each column of concepts."""
    months = {name: _months(data, name) for name in RECORDS if _dated(data, name)}
    data.upload("used_concepts", use)
    return {
        "persons": data.rows.get("person", 0),
        "ages": _ages(data),
        "observation": observation.profile(data),
        "months": {name: _series(found) for name, found in months.items()},
        "years": {name: _years(found) for name, found in months.items()},
        "concepts": list(_top(data)),
        "unmapped": _unmapped(data),
        "vocabularies": _vocabularies(data),
    }


def _dated(data: Data, name: str) -> bool:
    start = TABLES[name].start_date
    return bool(start) and data.has(name, "person_id", str(start))


def _months(data: Data, name: str) -> list[tuple[str, int, int]]:
    """Return the records of each month, with the classes of their persons. Days are counted first: a month of each row
    would cost more than a group of each day."""
    start = str(TABLES[name].start_date)
    columns = [named(column(start), "day"), named(call("count"), "n"), named(classes_of(column("person_id")), "bits")]
    days = select(*columns, source=data.scan(name), where=data.there(name, start), group=column(start))
    month = call("date_trunc", text("month"), column("day"))
    query = select(month, call("sum", column("n")), call("bit_or", column("bits")), source=days, group=month)
    return sorted((row[0].isoformat()[:7], int(row[1]), int(row[2])) for row in data.lines(query))


def _series(months: list[tuple[str, int, int]]) -> dict[str, list[int]]:
    return {month: [rows, bits.bit_count()] for month, rows, bits in months}


def _years(months: list[tuple[str, int, int]]) -> dict[str, list[int]]:
    found: dict[str, tuple[int, int]] = {}
    for month, rows, bits in months:
        before = found.get(month[:4], (0, 0))
        found[month[:4]] = (before[0] + rows, before[1] | bits)
    return {year: [rows, bits.bit_count()] for year, (rows, bits) in found.items()}


def _ages(data: Data) -> list[dict[str, Any]]:
    """Return persons by sex and age group, at the start of their first observation period."""
    if not data.has("person", "year_of_birth") or not observation.known(data):
        return []
    age = exp.Sub(this=call("year", column("first", OBSERVED)), expression=call("year", column("june", WHO)))
    tens = call("floor", exp.Div(this=exp.Paren(this=age), expression=number(BAND)))
    band = exp.Mul(this=cast(tens, "BIGINT"), expression=number(BAND))
    sex, born = column("sex", WHO), column("june", WHO)
    query = select(sex, named(band, "band"), call("count"), source=exp.to_table(WHO), where=not_null(born))
    mine = equal(column("person_id", OBSERVED), column("person_id", WHO))
    query = query.join(exp.to_table(OBSERVED), on=mine, copy=False).group_by(sex, band, copy=False)
    found = sorted((int(s or 0), int(b), int(n)) for s, b, n in data.lines(query) if b is not None)
    return [{"sex": s, "from": b, "persons": n} for s, b, n in found]


def _top(data: Data) -> Iterator[dict[str, Any]]:
    """Yield the concepts that most records of each table have, with their names."""
    for name in RECORDS:
        concept = TABLES[name].standard_concept
        if concept is None or not data.has(name, concept) or "concept" not in data.files:
            continue
        here = both(equal(column("table_name", "u"), text(name)), equal(column("column_name", "u"), text(concept)))
        real = both(not_null(column("concept_id", "u")), negate(equal(column("concept_id", "u"), number(0))))
        source = exp.Table(this=exp.to_identifier("used_concepts"), alias=exp.TableAlias(this=exp.to_identifier("u")))
        columns = [column("concept_id", "u"), column("records", "u"), column("crowd", "u")]
        labels = [column(each, "c") for each in ("concept_name", "vocabulary_id", "concept_code")]
        query = select(*columns, *labels, source=source, where=both(here, real))
        same = equal(column("concept_id", "c"), column("concept_id", "u"))
        query = query.join(data.scan("concept", "c"), on=same, join_type="left", copy=False)
        order = [exp.Ordered(this=column("records", "u"), desc=True), exp.Ordered(this=column("concept_id", "u"))]
        query.set("order", exp.Order(expressions=order))
        for found in data.lines(query.limit(TOP, copy=False)):
            names = ("concept", "records", "crowd", "name", "vocabulary", "code")
            yield {"table": name, **dict(zip(names, found, strict=True))}


def _unmapped(data: Data) -> list[dict[str, Any]]:
    """Return, for each column of standard concepts that should be filled, its rows, those without a concept and those
    of concept 0."""
    places = [place for each in facts()["standardConceptRecordCompleteness"].values() for place in each]
    zero, absent = equal(column("concept_id"), number(0)), exp.Is(this=column("concept_id"), expression=exp.Null())
    sums = [
        call("sum", column("records")),
        *(call("sum", exp.Case(ifs=[exp.If(this=test, true=column("records"))])) for test in (absent, zero)),
        call("max", exp.Case(ifs=[exp.If(this=zero, true=column("crowd"))])),
    ]
    by = [column("table_name"), column("column_name")]
    query = select(*by, *sums, source=exp.to_table("used_concepts")).group_by(*by, copy=False)
    names = ("rows", "missing", "unmapped", "crowd")
    return [
        {"table": table, "column": name, **{key: int(value or 0) for key, value in zip(names, found, strict=True)}}
        for table, name, *found in sorted(data.lines(query), key=lambda row: row[:2])
        if f"{table}.{name}" in places and found[0]
    ]


def _vocabularies(data: Data) -> dict[str, int]:
    """Return the vocabularies of the concepts in use, with the records that name them."""
    if "concept" not in data.files:
        return {}
    source = exp.Table(this=exp.to_identifier("used_concepts"), alias=exp.TableAlias(this=exp.to_identifier("u")))
    same = equal(column("concept_id", "c"), column("concept_id", "u"))
    made = exp.In(this=column("table_name", "u"), expressions=[text(name) for name in DERIVED])
    where = both(negate(equal(column("concept_id", "u"), number(0))), negate(made), not_null(column("crowd", "u")))
    group = column("vocabulary_id", "c")
    query = select(group, call("sum", column("records", "u")), source=source, where=where, group=group)
    query = query.join(data.scan("concept", "c"), on=same, copy=False)
    return {str(name): int(rows) for name, rows in sorted(data.lines(query)) if name}
