"""From what a source holds to what the model stores: one rule a type, and what does not fit is said, never guessed.

- integer: whole numbers only (`12`, `12.0`), never rounded; number: any number; blank text is no value.
- date: a date, the day of a timestamp, or text as `YYYY-MM-DD`, a timestamp in ISO 8601, or `YYYYMMDD` (Athena's form).
- datetime: likewise, midnight where only a day is known. Text keeps its clock time as written: OMOP has no zones, and
  the day must stay the one recorded. A SQL timestamp with time zone no longer says where it was: it is read in UTC.
- text: as it is.
A value that is there and does not fit its type sets its whole row aside: nothing enters by half.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from workbench.intake.nodes import Node, both, call, cast, column, equal, is_null, not_null, text, try_cast, when
from workbench.repository.cdm import Field

_SMALL = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


@dataclass(frozen=True)
class Cast:
    """How a field of the model is read: `value` is typed; `broken` is true where a value does not fit (None: never)."""

    field: Field
    value: Node
    broken: Node | None


def absent(field: Field) -> Cast:
    """Return the cast of a field that the source lacks: no value, in the field's type."""
    return Cast(field, cast(exp.Null(), field.sql_type), None)


def read(field: Field, source: str, source_type: str) -> Cast:
    """Return how a field is read from a source's column of a SQL type."""
    found = column(source)
    if field.type == "text":
        return Cast(field, cast(found, "VARCHAR"), None)
    textual = source_type.startswith(("VARCHAR", "ENUM"))
    raw = call("nullif", call("trim", cast(found, "VARCHAR")), text("")) if textual else found
    value = {"integer": _integer, "number": _number, "date": _date, "datetime": _datetime}[field.type](raw, source_type)
    safe = source_type in _SAFE[field.type]
    return Cast(field, value, None if safe else both(not_null(raw), is_null(value)))


_SAFE = {
    "integer": _SMALL,
    "number": _SMALL | {"DOUBLE", "FLOAT"},
    "date": {"DATE", "TIMESTAMP"},
    "datetime": {"DATE", "TIMESTAMP"},
}


def _integer(raw: Node, source_type: str) -> Node:
    if source_type in _SMALL:
        return cast(raw, "BIGINT")
    whole = try_cast(raw, "BIGINT")
    return when(equal(try_cast(raw, "DOUBLE"), whole), whole)


def _number(raw: Node, _: str) -> Node:
    return try_cast(raw, "DOUBLE")


def _date(raw: Node, source_type: str) -> Node:
    if source_type == "DATE":
        return raw
    if source_type.startswith("TIMESTAMP"):
        return cast(cast(raw, "TIMESTAMP"), "DATE")
    return call("coalesce", try_cast(cast(raw, "VARCHAR"), "DATE"), try_cast(_compact(raw), "DATE"))


def _datetime(raw: Node, source_type: str) -> Node:
    if source_type.startswith(("DATE", "TIMESTAMP")):
        return cast(raw, "TIMESTAMP")
    return call("coalesce", try_cast(cast(raw, "VARCHAR"), "TIMESTAMP"), _compact(raw))


def _compact(raw: Node) -> Node:
    return call("try_strptime", cast(raw, "VARCHAR"), text("%Y%m%d"))
