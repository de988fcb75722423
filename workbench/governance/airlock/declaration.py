"""What a requester says of a table: of which rows of the extract each cell was computed, and what each column is.

The airlock believes none of it: it computes the cells again from the same rows and compares. So the declaration is a
small closed language over the workspace's tables: no text of a query, nothing that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.kernel.errors import InvalidInput
from workbench.kernel.schemas import validate

Op = Literal["=", "!=", "<", "<=", ">", ">=", "in", "null", "not_null"]
Role = Literal["count", "sum", "mean", "sd", "percentile", "minimum", "maximum", "percent", "estimate", "other"]
MAGNITUDES: frozenset[str] = frozenset({"sum", "mean", "sd", "percentile"})
"""The roles whose number comes from values of persons, and which the airlock computes again."""


@dataclass(frozen=True)
class Condition:
    """A column compared with a value (a list for `in`, none for `null` and `not_null`)."""

    column: str
    op: Op
    value: Any = None


@dataclass(frozen=True)
class Rows:
    """Rows of one table of the extract that fulfil all conditions."""

    table: str
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Group:
    """A column that says which group a line is about.

    Its groups are the values of the column `of`, or bands of it between `cuts` (each cut begins a band), or whether a
    person has `any` of some rows (`true`, `false`). `labels` are what the file writes for them (value → text; `null`
    for none); `total` is what it writes where a line is about all of them.
    """

    name: str
    of: str | None
    any: Rows | None
    cuts: tuple[float, ...]
    labels: Mapping[str, str]
    total: str


@dataclass(frozen=True)
class Measure:
    """A column of numbers: its role, the column `of` the extract behind it, and what its role needs besides."""

    name: str
    role: Role
    of: str | None = None
    rows: bool = False
    percentile: float | None = None
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declaration:
    """The whole: rows, only those of persons who have (or lack) some other rows, groups, measures, and for a regression
    the number of its parameters."""

    source: Rows
    having: tuple[tuple[Rows, bool], ...]
    groups: tuple[Group, ...]
    measures: tuple[Measure, ...]
    parameters: int | None


def read_declaration(document: Mapping[str, Any]) -> Declaration:
    """Read a declaration; raises `InvalidInput` (`kernel.document_invalid`, `airlock.declaration_column`)."""
    validate(document, "output_declaration")
    columns: Mapping[str, Mapping[str, Any]] = document.get("columns", {})
    groups = tuple(_group(name, each) for name, each in columns.items() if each["role"] == "group")
    measures = tuple(_measure(name, each) for name, each in columns.items() if each["role"] != "group")
    having = tuple((_rows(each), bool(each.get("any", True))) for each in document.get("having", ()))
    declaration = Declaration(_rows(document), having, groups, measures, document.get("parameters"))
    _check(declaration)
    return declaration


def _rows(document: Mapping[str, Any]) -> Rows:
    conditions = tuple(Condition(c["column"], c["op"], c.get("value")) for c in document.get("where", ()))
    return Rows(document["table"], conditions)


def _group(name: str, given: Mapping[str, Any]) -> Group:
    rows = _rows(given["any"]) if "any" in given else None
    labels = {str(value): text for value, text in given.get("labels", {}).items()}
    return Group(name, given.get("of"), rows, tuple(given.get("cuts", ())), labels, given.get("total", "Total"))


def _measure(name: str, given: Mapping[str, Any]) -> Measure:
    return Measure(
        name, given["role"], given.get("of"), given.get("unit") == "rows", given.get("p"),
        tuple(given.get("within", ())),
    )  # fmt: skip


def _check(declaration: Declaration) -> None:
    """Check what a schema cannot say: which member each role needs, and that columns name each other rightly."""
    counts = {measure.name for measure in declaration.measures if measure.role == "count"}
    groups = {group.name for group in declaration.groups}
    for group in declaration.groups:
        if (group.of is None) == (group.any is None) or sorted(group.cuts) != list(group.cuts):
            raise InvalidInput("airlock.declaration_column", column=group.name)
    for measure in declaration.measures:
        wrong = (
            (measure.role in MAGNITUDES and measure.of is None)
            or (measure.role == "percentile" and measure.percentile is None)
            or (measure.role == "percent" and (measure.of not in counts or not groups.issuperset(measure.within)))
        )
        if wrong:
            raise InvalidInput("airlock.declaration_column", column=measure.name)
