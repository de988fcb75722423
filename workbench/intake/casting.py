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

A cast has three steps, each a column of its own, so that nothing is computed twice: what the source has (`raw`), what
DuckDB makes of it (`parsed`), and whether our rules let that stand (`value`). Rare cases are tested inside a CASE: it
looks at the rows concerned only.
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
_NO = exp.Boolean(this=False)


@dataclass(frozen=True)
class Cast:
    """How a field of the model is read. `raw` reads the source (None: the source lacks it); `parsed` reads the column
    `raw_name(field)`, which holds `raw`; `value` reads that column and `parsed_name(field)`. `broken` is true where a
    value is there that does not fit, and reads the column `raw_name(field)` and the one of the field's own name, which
    holds `value` (None: never). `reason` says why, in the same columns."""

    field: Field
    raw: Node | None
    parsed: Node
    value: Node
    broken: Node | None
    reason: Node


def raw_name(field: Field) -> str:
    """Return the name of the column that holds what the source has for a field."""
    return f"__raw_{field.name}"


def parsed_name(field: Field) -> str:
    """Return the name of the column that holds what DuckDB makes of it."""
    return f"__parsed_{field.name}"


def absent(field: Field) -> Cast:
    """Return the cast of a field that the source lacks: no value, in the field's type."""
    nothing = cast(exp.Null(), field.sql_type)
    return Cast(field, None, nothing, column(parsed_name(field)), None, text(""))


def read(field: Field, source: str, source_type: str, *, decimal_comma: bool = False) -> Cast:
    """Return how a field is read from a source's column of a SQL type."""
    found, raw, parsed = column(source), column(raw_name(field)), column(parsed_name(field))
    textual = source_type.startswith(("VARCHAR", "ENUM"))
    if field.type == "text":
        return Cast(field, call("nullif", cast(found, "VARCHAR"), text("")), raw, parsed, None, text(""))
    if textual:
        found = cast(found, "VARCHAR")
    elif source_type in {"DOUBLE", "FLOAT"}:
        found = when(negate(call("isnan", found)), found)
    steps = {"integer": _integer, "number": _number, "date": _date, "datetime": _datetime}
    first, value = steps[field.type](raw, parsed, source_type, textual=textual)
    comma = textual and field.type == "number"
    if comma and decimal_comma:
        with_point = try_cast(call("replace", raw, text(","), text(".")), "DOUBLE")
        first = call("coalesce", first, when(_is_comma(raw), with_point))
    safe = source_type in _SMALL and field.type in {"integer", "number"}
    unfit: Node = when(both(not_null(raw), is_null(column(field.name))), _not_blank(raw) if textual else exp.true())
    reason = text(f"{field.name}: does_not_fit")
    if comma:
        as_comma = exp.If(this=_is_comma(raw), true=text(f"{field.name}: decimal_comma"))
        reason = exp.Case(ifs=[as_comma], default=reason)
    return Cast(field, found, first, value, None if safe else call("coalesce", unfit, _NO), reason)


def _not_blank(raw: Node) -> Node:
    return negate(equal(call("trim", raw), text("")))


def _is_comma(raw: Node) -> Node:
    return call("regexp_full_match", call("trim", raw), text(_COMMA))


def _integer(raw: Node, parsed: Node, source_type: str, *, textual: bool) -> tuple[Node, Node]:
    """Whole numbers: most texts are as DuckDB would write them; of the others, `12.0` stands, `1_000` does not."""
    if source_type in _SMALL:
        return cast(raw, "BIGINT"), parsed
    whole = equal(try_cast(raw, "DOUBLE"), parsed)
    if not textual:
        return try_cast(raw, "BIGINT"), when(whole, parsed)
    plain = exp.If(this=equal(cast(parsed, "VARCHAR"), raw), true=parsed)
    other = exp.If(this=both(_digits(raw), whole), true=parsed)
    return try_cast(raw, "BIGINT"), exp.Case(ifs=[plain, other])


def _number(raw: Node, parsed: Node, source_type: str, *, textual: bool) -> tuple[Node, Node]:
    if source_type in _SMALL:
        return cast(raw, "DOUBLE"), parsed
    stands = call("isfinite", parsed)
    if textual:
        stands = both(stands, negate(call("contains", raw, text("_"))))
    return try_cast(raw, "DOUBLE"), when(stands, parsed)


def _digits(raw: Node) -> Node:
    """Return the condition of a text without anything but what numbers are written with: no `1_000`, no `0x1F`."""
    return equal(call("translate", call("trim", raw), text("0123456789+-.eE"), text("")), text(""))


def _date(raw: Node, parsed: Node, source_type: str, *, textual: bool) -> tuple[Node, Node]:
    if source_type.startswith(("DATE", "TIMESTAMP")):
        first = raw if source_type == "DATE" else cast(cast(raw, "TIMESTAMP"), "DATE")
        return first, _in_time(parsed, "DATE")
    words = cast(raw, "VARCHAR")
    first = call("coalesce", try_cast(words, "DATE"), try_cast(_compact(words), "DATE"))
    return first, _in_time(parsed, "DATE", words if textual else None)


def _datetime(raw: Node, parsed: Node, source_type: str, *, textual: bool) -> tuple[Node, Node]:
    if source_type.startswith(("DATE", "TIMESTAMP")):
        return cast(raw, "TIMESTAMP"), _in_time(parsed, "TIMESTAMP")
    words = cast(raw, "VARCHAR")
    first = call("coalesce", try_cast(words, "TIMESTAMP"), _compact(words))
    return first, _in_time(parsed, "TIMESTAMP", words if textual else None)


def _in_time(parsed: Node, kind: str, written: Node | None = None) -> Node:
    """Return a date of the years 1 to 9999; where it was text, of a text without the words that DuckDB knows."""
    first, last = cast(text("0001-01-01"), kind), cast(text("10000-01-01"), kind)
    inside = [negate(below(parsed, first)), below(parsed, last)]
    if written is not None:
        inside.append(below(written, text(":")))  # a text that begins with a digit or a blank
    return when(both(*inside), parsed)


def _compact(words: Node) -> Node:
    return call("try_strptime", call("trim", words), text("%Y%m%d"))
