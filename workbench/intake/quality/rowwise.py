"""Checks that one row of a table, its person and its person's death decide: one query a table counts them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
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
    select,
    text,
    try_cast,
)
from workbench.intake.quality.checks import Check
from workbench.intake.quality.data import Data
from workbench.intake.quality.dense import once
from workbench.repository.cdm import TABLES

Numbers = dict[Check, tuple[int, int]]
"""Check → rows that fail it, and rows that it looked at."""

GRACE = 60
"""Days after death on which something may still be recorded."""

WHO = "who"
_OF_A_PERSON = {"plausibleAfterBirth", "plausibleBeforeDeath", "plausibleDuringLife"}


def persons(data: Data) -> None:
    """Make the work table `who`: person_id, day of birth (the first of what is unknown; `june`: the first of June of
    the year), the last day on which something may be recorded of a dead one, whether dead, sex. One row a person, also
    where the source has several."""
    born = cast(column("birth_datetime", "p"), "DATE")
    one = number(1)
    parts = [call("coalesce", column(name, "p"), one) for name in ("month_of_birth", "day_of_birth")]
    year = column("year_of_birth", "p")
    first = call("try", call("make_date", year, *parts))
    june = call("try", call("make_date", year, number(6), one))
    alone = data.filled["person", "person_id"] == data.rows["person"] and once(data, "person", "person_id")
    least: Callable[[Node], Node] = (lambda value: value) if alone else (lambda value: call("min", value))
    values: dict[str, Node] = {
        "born": least(call("coalesce", born, first)),
        "june": least(call("coalesce", born, june)),
        "sex": least(column("gender_concept_id", "p")),
    }
    deaths = "death" in data.files
    values["until"] = least(column("until", "d")) if deaths else cast(exp.Null(), "DATE")
    dead_too: Node = not_null(least(column("person_id", "d"))) if deaths else exp.Boolean(this=False)
    query = select(
        column("person_id", "p"),
        *(named(value, name) for name, value in {**values, "dead": dead_too}.items()),
        source=data.scan("person", "p"),
        group=None if alone else column("person_id", "p"),
    )
    if deaths:
        died = call("min", _day(column("death_date")))
        dead = select(
            column("person_id"),
            named(exp.Add(this=died, expression=number(GRACE)), "until"),
            source=data.scan("death"),
            group=column("person_id"),
        ).subquery("d", copy=False)
        mine = equal(column("person_id", "d"), column("person_id", "p"))
        query = query.join(dead, on=mine, join_type="left", copy=False)
    data.make(WHO, query)


def count(data: Data, table: str, checks: Sequence[Check], today: date) -> Numbers:
    """Count a table's rows that fail each check, in one query. `today` is the day that "tomorrow" follows."""
    pairs = {check: made for check in checks if (made := _pair(data, check, today)) is not None}
    if not pairs or not data.rows.get(table):
        return {}
    counts = [call("count"), *(node for pair in pairs.values() for node in pair)]
    counted: list[int] = []
    # Most often each row has its person, and an inner join takes half the time of one that keeps those without.
    for kind in ("inner", "left") if any(_asks_for_person(check) for check in pairs) else ("none",):
        query = select(*counts, source=data.scan(table, "t"))
        if kind != "none":
            mine = equal(column("person_id", WHO), column("person_id", "t"))
            query = query.join(exp.to_table(WHO), on=mine, join_type=kind, copy=False)
        every, *counted = data.numbers(query)
        if every == data.rows[table]:
            break
    numbers = iter(counted)
    return {check: (failed, looked) for check, failed, looked in zip(pairs, numbers, numbers, strict=False)}


def _asks_for_person(check: Check) -> bool:
    return check.name in _OF_A_PERSON or check.other in {"birth", "person.person_id"}


def _pair(data: Data, check: Check, today: date) -> tuple[Node, Node] | None:
    """Return how rows that fail are counted, and rows looked at; None for checks that another module counts."""
    if check.column is None or not data.has(check.table, check.column):
        return None
    value = column(check.column, "t")
    if check.name == "isForeignKey" and check.other == "person.person_id":
        return count_if(both(not_null(value), is_null(column("person_id", WHO)))), _rows(data, check)
    maker = _MAKERS.get(check.name)
    return maker(data, check, value, today) if maker else None


def _datatype(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node]:
    kind = data.types[check.table][str(check.column)]
    if kind.endswith("INT") or kind in {"INTEGER", "HUGEINT"}:
        return number(0), _rows(data, check)
    same = equal(try_cast(value, "DOUBLE"), try_cast(value, "BIGINT"))
    return count_if(both(not_null(value), negate(call("coalesce", same, exp.Boolean(this=False))))), _rows(data, check)


def _completeness(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node] | None:
    """Rows of concept 0 or, with a source value, of no concept; None where concepts alone decide (`lookups`)."""
    if not has_source_value(data, check):
        return None
    there = not_null(column(_source_value(check), "t"))
    return count_if(either(equal(value, number(0)), both(is_null(value), there))), count_if(
        either(not_null(value), there)
    )


def has_source_value(data: Data, check: Check) -> bool:
    """Say whether a check of concepts that lack also asks for the source's own value: where no concept is required."""
    required = TABLES[check.table].by_name[str(check.column)].required
    return not required and data.has(check.table, _source_value(check))


def _source_value(check: Check) -> str:
    """Return the column of the source's own value beside a concept; the model names them alike."""
    stem = str(check.column).removesuffix("_concept_id").removesuffix("_source")
    return f"{stem}_source_value"


def _low(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node]:
    return count_if(below(value, _bound(check, None))), _filled(data, check)


def _high(data: Data, check: Check, value: Node, today: date) -> tuple[Node, Node]:
    return count_if(below(_bound(check, today), value)), _filled(data, check)


def _rows(data: Data, check: Check) -> Node:
    """Return the rows of a check's table, which need no counting: as a number."""
    return number(data.rows[check.table])


def _filled(data: Data, check: Check) -> Node:
    """Return the rows in which a check's column has a value: as a number too."""
    return number(data.filled[check.table, str(check.column)])


def _bound(check: Check, today: date | None) -> Node:
    """Return a bound as a value of the column's kind."""
    said = str(check.other)
    if said == "next year":
        return number((today or date.min).year + 1)
    day = ((today or date.min) + timedelta(days=1)).isoformat() if said == "tomorrow" else said
    kind = TABLES[check.table].by_name[str(check.column)].type
    if kind in {"date", "datetime"}:
        return cast(text(day), "DATE" if kind == "date" else "TIMESTAMP")
    return exp.Literal.number(said)


def _after(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node]:
    """Days before what they must follow: another column of the row, or birth (the first of June where only the year is
    known: this check is older than the others)."""
    before = column("june", WHO) if check.other == "birth" else _day(column(str(check.other), "t"))
    return count_if(below(_day(value), before)), _rows(data, check)


def _start(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node]:
    end = column(str(check.other), "t")
    names = [str(check.column), str(check.other)]
    tests = [not_null(column(name, "t")) for name in names if data.there(check.table, name) is not None]
    return count_if(below(_day(end), _day(value))), count_if(both(*tests)) if tests else _rows(data, check)


def _birth(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node]:
    return count_if(below(_day(value), column("born", WHO))), _filled(data, check)


def _death(data: Data, check: Check, value: Node, _: date) -> tuple[Node, Node]:
    late = below(column("until", WHO), _day(value))
    dead = call("coalesce", column("dead", WHO), exp.Boolean(this=False))
    every = check.name == "plausibleDuringLife" or data.there(check.table, str(check.column)) is None
    return count_if(late), count_if(dead if every else both(dead, not_null(value)))


def _day(value: Node) -> Node:
    return cast(value, "DATE")


_MAKERS: Mapping[str, Any] = {
    "cdmDatatype": _datatype,
    "standardConceptRecordCompleteness": _completeness,
    "sourceConceptRecordCompleteness": _completeness,
    "plausibleValueLow": _low,
    "plausibleValueHigh": _high,
    "plausibleTemporalAfter": _after,
    "plausibleStartBeforeEnd": _start,
    "plausibleAfterBirth": _birth,
    "plausibleBeforeDeath": _death,
    "plausibleDuringLife": _death,
}
