"""One table of a source → one typed, sorted Parquet file of the release.

A row is *judged* once: typed, and with the reasons why it cannot be used (`why`: none where it can). Files that are
scanned are judged as often as they are read; rows that come once are judged as they come and kept aside until written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake import casting
from workbench.intake.casting import Cast, parsed_name, raw_name
from workbench.intake.nodes import (
    Node,
    below,
    both,
    call,
    cast,
    column,
    either,
    is_null,
    named,
    negate,
    not_null,
    render,
    scan,
    select,
    text,
    when,
)
from workbench.intake.sources import SourceTable, answering
from workbench.kernel.errors import InvalidInput
from workbench.repository.cdm import RENAMED, Table
from workbench.repository.releases import described, table_digest

_OPTIONS = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
_ASIDE = "(FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 122880)"
FILE, LINE, WHY, WHOSE, ROW = "__of_file", "__at_line", "__why", "__whose", "__row"
HEADER, BLANK = "=header", "=blank"
"""What `why` says of a row that is none: column names repeated, or no value at all."""
PERSONS = "known_persons"
"""The work table of the persons that the release knows."""


@dataclass(frozen=True)
class Rules:
    """How rows are judged where who loads may choose. A start before `earliest` or after `extracted_on` (ISO dates; no
    limit where None) sets its row aside; `decimal_comma` allows numbers such as `1,5` in text."""

    earliest: str = "1900-01-01"
    extracted_on: str | None = None
    decimal_comma: bool = False


@dataclass(frozen=True)
class Test:
    """What sets a row aside: the condition, over the judged row, and the words `column: reason`."""

    fails: Node
    reason: Node


@dataclass(frozen=True)
class Plan:
    """How a source's table is read: one cast for every field of the model, and the tests that set a row aside."""

    model: Table
    source: SourceTable
    casts: tuple[Cast, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    tests: tuple[Test, ...] = field(repr=False)


@dataclass(frozen=True)
class Judged:
    """A table's rows, typed and judged: `rows` is what to select from, once or often. `ragged` is a file of records
    that are no rows. `kept` and `kept_aside` are rows of the release before that are still the source's."""

    plan: Plan
    rows: exp.Table
    ragged: Path | None = None
    ragged_rows: int = 0
    kept: exp.Select | None = None
    kept_aside: exp.Select | None = None

    @property
    def good(self) -> exp.Select:
        """The rows that can be used, in the columns of the model."""
        fields = [column(each.name) for each in self.plan.model.fields]
        return select(*fields, source=self.rows, where=is_null(column(WHY)))


def plan(source: SourceTable, model: Table, rules: Rules) -> Plan:
    """Match a source's columns to the model's, CDM 5.3 names included; say which lack and which are unknown.

    Raises `InvalidInput` where the column that says whose a row is lacks (`release.no_column`), or every one
    (`intake.no_known_column`): then the delimiter or the file is another than meant.
    """
    former = {new: old for old, new in RENAMED.get(model.name, {}).items() if new not in source.columns}
    used = {name: former.get(name, name) for name in model.names}
    present = {name: source.columns[found] for name, found in used.items() if found in source.columns}
    place = source.files[0] if source.files else model.name
    if not present:
        raise InvalidInput("intake.no_known_column", table=model.name, file=place)
    if model.has_person and "person_id" not in present:
        raise InvalidInput("release.no_column", table=model.name, column="person_id", file=place)
    casts = tuple(
        casting.read(each, *present[each.name], decimal_comma=rules.decimal_comma)
        if each.name in present
        else casting.absent(each)
        for each in model.fields
    )
    read = [each for each in casts if each.raw is not None]
    tests = [test for each in read for test in _tests(each, model, source)]
    tests += _of_the_row(model, set(present), rules)
    unknown = sorted(set(source.columns) - set(used.values()))
    missing = tuple(name for name in model.names if name not in present)
    return Plan(model, source, casts, missing, tuple(unknown), tuple(tests))


def _tests(each: Cast, model: Table, source: SourceTable) -> list[Test]:
    """Return what sets a row aside for one field."""
    name, value = each.field.name, column(each.field.name)
    broken = each.broken if each.broken is not None else exp.Boolean(this=False)
    tests = [Test(broken, each.reason)] if each.broken is not None else []
    if name in model.essential:
        tests.append(Test(both(is_null(value), negate(broken)), text(f"{name}: missing")))
    if source.nul and each.field.type == "text":
        tests.append(Test(call("contains", value, call("chr", exp.Literal.number(0))), text(f"{name}: nul")))
    return tests


def _of_the_row(model: Table, present: set[str], rules: Rules) -> list[Test]:
    """Return what sets a row aside for when it happened and whose it is."""
    tests: list[Test] = []
    start = model.start_date
    if model.has_person and start in present:
        early = below(column(start), cast(text(rules.earliest), "DATE"))
        tests.append(Test(early, text(f"{start}: too_early")))
        if rules.extracted_on:
            late = below(cast(text(rules.extracted_on), "DATE"), column(start))
            tests.append(Test(late, text(f"{start}: too_late")))
    if model.has_person and model.name != "person":
        known = exp.Subquery(this=select(column("person_id"), source=exp.to_table(PERSONS)))
        nobody = negate(exp.In(this=column("person_id"), query=known))
        tests.append(Test(both(not_null(column("person_id")), nobody), text("person_id: nobody")))
    return tests


def judge(connection: Any, reading: Plan, aside: Path, buckets: Sequence[int | None] | None = None) -> Judged:
    """Return a table's rows, typed and judged. Rows that come once are read now, into files in the folder `aside`
    (of a server's table only those of `buckets`, where given).

    Raises `InvalidInput` (`release.unreadable`, or what the source's own reading raises).
    """
    source = reading.source
    if source.relation is not None:
        view = f"judged_{source.name}"
        connection.execute(f"CREATE TEMP VIEW {view} AS {render(_judged(reading, source.relation))}").fetchall()
        return Judged(reading, exp.to_table(view))
    assert source.stream is not None
    stream = source.stream(aside / f"{source.name}.ragged.parquet", buckets)
    incoming, kept = f"incoming_{source.name}", aside / f"{source.name}.judged.parquet"
    aside.mkdir(parents=True, exist_ok=True)
    connection.register(incoming, stream.reader())
    query = _judged(reading, exp.to_table(incoming))
    try:
        with answering(source.name, lambda: stream.problem):
            connection.execute(f"COPY ({render(query)}) TO {render(text(kept))} {_ASIDE}").fetchall()
    finally:
        connection.unregister(incoming)
        stream.close()
    ragged = stream.ragged if stream.ragged_rows else None
    return Judged(reading, scan("read_parquet", kept), ragged, stream.ragged_rows)


def _judged(reading: Plan, relation: exp.Table) -> exp.Select:
    """Return the query: what the source has, then its values, then why they cannot be used."""
    source, raw = reading.source, {each.field: each.raw for each in reading.casts if each.raw is not None}
    no_row = [(HEADER, source.header_row()), (BLANK, source.blank_row())]
    none = exp.Case(ifs=[exp.If(this=test, true=text(what)) for what, test in no_row if test is not None])
    found = [column(each) for each, _ in source.columns.values()]
    place = [named(source.file, FILE), named(source.line, LINE)]
    nothing = none if none.args["ifs"] else cast(exp.Null(), "VARCHAR")
    raws = [named(found, raw_name(field)) for field, found in raw.items()]
    first = select(*found, *place, named(nothing, "__none"), *raws, source=relation)
    # Columns of the source may bear the model's names: they are carried under others from here on.
    kept = [named(column(each, "rows_read"), f"__as_{name}") for name, (each, _) in source.columns.items()]
    parsed = [named(each.parsed, parsed_name(each.field)) for each in reading.casts]
    beside = [column(name) for name in (FILE, LINE, "__none", *(raw_name(field) for field in raw))]
    second = select(*kept, *beside, *parsed, source=first)
    carried = [column(f"__as_{name}") for name in source.columns]
    values = [named(each.value, each.field.name) for each in reading.casts]
    return _reasons(reading, select(*carried, *beside, *values, source=second))


def _reasons(reading: Plan, typed: exp.Select) -> exp.Select:
    """Return the typed rows with the reasons that set them aside and, for those, what the source has, as JSON."""
    source = reading.source
    bad = call("coalesce", either(*(test.fails for test in reading.tests)), exp.Boolean(this=False))
    reasons = [when(test.fails, test.reason) for test in reading.tests]
    why = exp.Case(
        ifs=[
            exp.If(this=not_null(column("__none")), true=column("__none")),
            exp.If(this=bad, true=call("concat_ws", text("; "), *reasons)),
        ]
    )
    fields = [column(name) for name in reading.model.names]
    carried = [column(f"__as_{name}") for name in source.columns]
    judged = select(*fields, *carried, column(FILE), column(LINE), named(why, WHY), source=typed)
    row = as_json([(name, column(f"__as_{name}")) for name in source.columns])
    broken = not_null(column(WHY))
    named_person = "person_id" in source.columns
    person = cast(column("__as_person_id") if named_person else exp.Null(), "VARCHAR")
    last = [named(when(broken, person), WHOSE), named(when(broken, row), ROW)]
    return select(*fields, column(FILE), column(LINE), column(WHY), *last, source=judged)


def as_json(values: Sequence[tuple[str, Node]]) -> Node:
    """Return these values, each as text, as one JSON object."""
    members = [exp.PropertyEQ(this=text(name), expression=cast(value, "VARCHAR")) for name, value in values]
    structure: Any = exp.Struct(expressions=members)
    return cast(call("to_json", structure), "VARCHAR")


def ordered(query: exp.Select, model: Table, *, repeated: bool = True) -> exp.Select:
    """Return a query in the order of the release: by person, then key. Where keys are `repeated`, a hash of the whole
    row parts such rows, always in the same way, at a fraction of the cost of sorting by every column."""
    keys = [column(name) for name in model.order]
    keys += [call("hash", *(column(name) for name in model.names))] if model.key and repeated else []
    wrapped = select(exp.Star(), source=query)
    wrapped.set("order", exp.Order(expressions=[exp.Ordered(this=key, nulls_first=True) for key in keys]))
    return wrapped


def copy(connection: Any, query: exp.Query, path: Path) -> int:
    """Write a query's rows as one Parquet file; return their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = connection.execute(f"COPY ({render(query)}) TO {render(text(path))} {_OPTIONS}").fetchone()
    return int(row[0])


def empty(model: Table) -> exp.Select:
    """Return a query of no row in the columns of the model."""
    nothing = [named(casting.absent(each).parsed, each.name) for each in model.fields]
    return exp.Select(expressions=nothing).where(exp.Boolean(this=False))


def entry(connection: Any, model: Table, rows: int, path: Path, folder: Path) -> dict[str, Any]:
    """Return a table's entry of the manifest: its rows, its schema, the digest of its content, and its file."""
    return {
        "name": model.name,
        "rows": rows,
        "schema": [{"name": each.name, "type": each.sql_type} for each in model.fields],
        "content_digest": table_digest(model.name, path, connection),
        "files": [described(path, folder)],
    }
