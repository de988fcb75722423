"""What is known of a release's quality: a few set-based checks a table, in one statement each, as numbers with names.

A check that has nothing to look at (no such table, no row, no value) is `not_applicable`, which is not `passed`.

- `required`: a value that the model requires lacks.
- `unique`: rows beyond the first of a primary key.
- `known`: a reference to a row that is not there (0, "no matching concept", is counted as unmapped instead).
- `order`: an end before its start.
- `plausible_date`: a start before 1900 or after 2099.
- `after_birth`: a start before the person's year of birth.
- `observed`: a record outside all observation periods of its person.
- `mapped`: a record whose standard concept is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    render,
    scan,
    select,
    text,
    when,
)
from workbench.kernel.progress import Progress, silent
from workbench.repository.cdm import RECORDS, TABLES, Table


@dataclass(frozen=True)
class Check:
    """One check on one column: `looked_at` and `failed` are expressions over the table's rows (alias `t`)."""

    name: str
    column: str
    looked_at: Node
    failed: Node


def assess(
    connection: Any, files: Mapping[str, Path], rows: Mapping[str, int], progress: Progress = silent
) -> dict[str, Any]:
    """Check a release's tables; return its quality summary as the manifest keeps it.

    `files`: table name → Parquet file; `rows`: table name → rows. The result holds `persons`, `records` (rows, persons
    and unmapped rows of each table of records), `summary` (checks by status) and `checks` (table, column, check, rows
    looked at, rows failed, status).
    """
    checks: list[dict[str, Any]] = []
    for done, (name, model) in enumerate(TABLES.items()):
        progress(done / len(TABLES), name)
        if rows.get(name):
            checks += _table(connection, model, files)
        elif name in files:
            checks += _empty(model)
    status = [check["status"] for check in checks]
    return {
        "persons": rows["person"],
        "records": [_records(connection, name, files) for name in RECORDS if name in files],
        "summary": {name: status.count(name) for name in ("passed", "failed", "not_applicable")},
        "checks": checks,
    }


def _empty(model: Table) -> list[dict[str, Any]]:
    """Return the checks of a table without rows: none of them has anything to look at."""
    names = [(check.name, check.column) for check in _checks(model)]
    names += [("known", each.name) for each in model.fields if each.references]
    names += [(name, model.start_date) for name in ("observed", "after_birth") if model.record and model.start_date]
    return [_result(model.name, column, check, 0, 0) for check, column in names]


def _table(connection: Any, model: Table, files: Mapping[str, Path]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    checks = list(_checks(model))
    references = [each for each in model.fields if each.references]
    numbers = [part for check in checks for part in (check.looked_at, check.failed)]
    filled = [call("count", column(each.name, "t")) for each in references]
    values = _one(connection, select(call("count"), *numbers, *filled, source=_scan(files, model.name, "t")))
    counts = iter(values[1:])
    for check, looked, failed in zip(checks, counts, counts, strict=False):
        results.append(_result(model.name, check.column, check.name, looked, failed))
    for each, some in zip(references, values[1 + len(numbers) :], strict=True):
        there = some and each.references in files
        counted = _lost(connection, model.name, each.name, str(each.references), files) if there else (0, 0)
        results.append(_result(model.name, each.name, "known", *counted))
    if model.record and model.start_date:
        looked, observed, born_later = _in_time(connection, model, files)
        results.append(_result(model.name, model.start_date, "observed", looked, looked - observed))
        results.append(_result(model.name, model.start_date, "after_birth", looked, born_later))
    return results


def _checks(model: Table) -> Iterator[Check]:
    """Yield the checks that need nothing but the table's own rows."""
    every = call("count")
    for each in model.fields:
        value = column(each.name, "t")
        if each.required:
            yield Check("required", each.name, every, count_if(is_null(value)))
        if each.key:
            distinct = exp.Count(this=exp.Distinct(expressions=[value]))
            present = call("count", value)
            yield Check("unique", each.name, present, exp.Sub(this=present, expression=distinct))
        if each.after:
            start = column(each.after, "t")
            looked = both(not_null(value), not_null(start))
            yield Check("order", each.name, count_if(looked), count_if(both(looked, below(value, start))))
    if model.has_person and model.start_date:
        start = column(model.start_date, "t")
        early, late = cast(text("1900-01-01"), "DATE"), cast(text("2100-01-01"), "DATE")
        outside = either(below(start, early), negate(below(start, late)))
        yield Check("plausible_date", model.start_date, count_if(not_null(start)), count_if(outside))
    if model.record and model.standard_concept:
        concept = column(model.standard_concept, "t")
        yield Check("mapped", model.standard_concept, call("count", concept), count_if(equal(concept, number(0))))


def _lost(connection: Any, table: str, name: str, target: str, files: Mapping[str, Path]) -> tuple[int, int]:
    """Return how many rows refer to a table and how many of them to nobody: one look-up a distinct value."""
    value, rows, key = column(name), column("rows"), column(str(TABLES[target].key))
    real = both(not_null(value), negate(equal(value, number(0)))) if target == "concept" else not_null(value)
    counted = select(
        named(value, "value"), named(call("count"), "rows"), source=_scan(files, table), where=real, group=value
    )
    keys = exp.Subquery(this=select(key, source=_scan(files, target), where=not_null(key)))
    lost = call("sum", when(exp.Not(this=exp.In(this=column("value"), query=keys)), rows))
    looked, missing = _one(connection, select(call("sum", rows), lost, source=counted))
    return looked, missing


def _in_time(connection: Any, model: Table, files: Mapping[str, Path]) -> tuple[int, int, int]:
    """Return how many records have a date, lie inside a period of their person, and lie before the year of birth."""
    start = column(str(model.start_date), "t")
    mine = exp.EQ(this=column("person_id", "t"), expression=column("person_id", "o"))
    rows = select(call("count", start), source=_scan(files, model.name, "t"))
    (looked,) = _one(connection, rows)
    if not looked:
        return 0, 0, 0
    inside = exp.Between(
        this=start,
        low=column("observation_period_start_date", "o"),
        high=column("observation_period_end_date", "o"),
    )
    observed = 0
    if "observation_period" in files:
        periods = _scan(files, "observation_period", "o")
        (observed,) = _one(connection, rows.join(periods, on=both(mine, inside), join_type="semi", copy=False))
    born = below(call("year", start), column("year_of_birth", "o"))
    persons = _scan(files, "person", "o")
    born_later = select(count_if(born), source=_scan(files, model.name, "t")).join(persons, on=mine, copy=False)
    return looked, observed, _one(connection, born_later)[0]


def _records(connection: Any, name: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """Return a table's records, the persons who have any, and the records whose standard concept is 0 (None: no such
    column)."""
    concept = TABLES[name].standard_concept
    unmapped = count_if(equal(column(concept), number(0))) if concept else number(0)
    persons = exp.Count(this=exp.Distinct(expressions=[column("person_id")]))
    query = select(call("count"), persons, unmapped, source=_scan(files, name))
    rows, people, zero = _one(connection, query)
    return {"table": name, "rows": rows, "persons": people, "unmapped": zero if concept else None}


def _result(table: str, name: str, check: str, looked: int, failed: int) -> dict[str, Any]:
    status = "not_applicable" if not looked else "failed" if failed else "passed"
    return {"table": table, "column": name, "check": check, "rows": looked, "failed": failed, "status": status}


def _scan(files: Mapping[str, Path], name: str, alias: str | None = None) -> exp.Table:
    source = scan("read_parquet", files[name])
    if alias:
        source.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return source


def _one(connection: Any, query: exp.Query) -> tuple[int, ...]:
    """Return a query's only row of numbers; DuckDB's `count_if` and sums over no row are NULL: nothing, so 0."""
    return tuple(int(value or 0) for value in connection.execute(render(query)).fetchone())
