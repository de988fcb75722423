"""From what a source holds to what the model stores: one rule a type, and what does not fit is said, never guessed.

- integer: whole numbers only (`12`, `12.0`), never rounded; number: any finite number, with a decimal point (with a
  decimal comma only where who loads says so); blank text is no value, and neither is the NaN of a column of doubles,
  which is how many tools write one.
- date: a date, the day of a timestamp, or text as `YYYY-MM-DD`, a timestamp in ISO 8601, or `YYYYMMDD` (Athena's form),
  of the years 1 to 9999; never a word such as `today` or `infinity`.
- datetime: likewise, midnight where only a day is known. Text keeps its clock time as written: OMOP has no zones, and
  the day must stay the one recorded. A SQL timestamp with time zone no longer says where it was: it is read in UTC.
- text: as it is; an empty text is no value, as a CSV file cannot tell the two apart.
A value that is there and does not fit its type sets its whole row aside: nothing enters by half.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    below,
    both,
    call,
    cast,
    column,
    equal,
    is_null,
    negate,
    not_null,
    text,
    try_cast,
    when,
)
from workbench.repository.cdm import Field

_SMALL = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_COMMA = r"[+-]?\d+,\d+"


@dataclass(frozen=True)
class Cast:
    """How a field of the model is read, in two steps. `raw` is what the source has, blank text as none; `value` is
    typed and reads the column `raw_name(field)`, which holds `raw`. `broken` is true where a value does not fit, and
    reads that column and the one of the field's own name, which holds `value` (None: never). `textual`: the source has
    it as text.
    """

    field: Field
    raw: Node | None
    value: Node
    broken: Node | None
    textual: bool = False


def raw_name(field: Field) -> str:
    """Return the name of the column that holds what the source has for a field."""
    return f"__raw_{field.name}"


def absent(field: Field) -> Cast:
    """Return the cast of a field that the source lacks: no value, in the field's type."""
    return Cast(field, None, cast(exp.Null(), field.sql_type), None)


def read(field: Field, source: str, source_type: str, *, decimal_comma: bool = False) -> Cast:
    """Return how a field is read from a source's column of a SQL type."""
    found, raw = column(source), column(raw_name(field))
    textual = source_type.startswith(("VARCHAR", "ENUM"))
    if field.type == "text":
        return Cast(field, call("nullif", cast(found, "VARCHAR"), text("")), raw, None, textual)
    readers = {"integer": _integer, "number": _number, "date": _date, "datetime": _datetime}
    value = readers[field.type](raw, source_type)
    if field.type == "number" and textual and decimal_comma:
        with_point = try_cast(call("replace", raw, text(","), text(".")), "DOUBLE")
        value = call("coalesce", value, when(is_comma(raw), with_point))
    safe = source_type in _SMALL and field.type in {"integer", "number"}
    broken = None if safe else both(not_null(raw), is_null(column(field.name)))
    return Cast(field, _start(found, source_type, textual=textual), value, broken, textual)


def _start(found: Node, source_type: str, *, textual: bool) -> Node:
    if textual:
        return call("nullif", call("trim", cast(found, "VARCHAR")), text(""))
    return when(negate(call("isnan", found)), found) if source_type in {"DOUBLE", "FLOAT"} else found


def is_comma(raw: Node) -> Node:
    """Return the condition of a text that is a number written with a decimal comma."""
    return call("regexp_full_match", raw, text(_COMMA))


def _integer(raw: Node, source_type: str) -> Node:
    if source_type in _SMALL:
        return cast(raw, "BIGINT")
    whole = try_cast(raw, "BIGINT")
    return when(both(_plain(raw, source_type), equal(try_cast(raw, "DOUBLE"), whole)), whole)


def _number(raw: Node, source_type: str) -> Node:
    if source_type in _SMALL:
        return cast(raw, "DOUBLE")
    double = try_cast(raw, "DOUBLE")
    return when(both(_plain(raw, source_type), call("isfinite", double)), double)


def _plain(raw: Node, source_type: str) -> Node:
    """Return the condition of a text without anything but what numbers are written with: no `1_000`, `0x1F`, `inf`."""
    if not source_type.startswith(("VARCHAR", "ENUM")):
        return exp.Boolean(this=True)
    return equal(call("translate", raw, text("0123456789+-.eE"), text("")), text(""))


def _date(raw: Node, source_type: str) -> Node:
    if source_type.startswith(("DATE", "TIMESTAMP")):
        return _in_time(cast(cast(raw, "TIMESTAMP"), "DATE") if source_type != "DATE" else raw, "DATE")
    return _in_time(
        call("coalesce", try_cast(cast(raw, "VARCHAR"), "DATE"), try_cast(_compact(raw), "DATE")), "DATE", raw
    )


def _datetime(raw: Node, source_type: str) -> Node:
    if source_type.startswith(("DATE", "TIMESTAMP")):
        return _in_time(cast(raw, "TIMESTAMP"), "TIMESTAMP")
    return _in_time(call("coalesce", try_cast(cast(raw, "VARCHAR"), "TIMESTAMP"), _compact(raw)), "TIMESTAMP", raw)


def _in_time(value: Node, kind: str, written: Node | None = None) -> Node:
    """Return a date of the years 1 to 9999; where it was text, of a text that begins with a digit."""
    first, last = cast(text("0001-01-01"), kind), cast(text("10000-01-01"), kind)
    inside = [negate(below(value, first)), below(value, last)]
    if written is not None:
        as_text = cast(written, "VARCHAR")
        inside += [negate(below(as_text, text("0"))), below(as_text, text(":"))]
    return when(both(*inside), value)


def _compact(raw: Node) -> Node:
    return call("try_strptime", cast(raw, "VARCHAR"), text("%Y%m%d"))
