"""Concepts that a protocol approves and a request asks for, table by table: checked, and put side by side.

Items are those of a concept set: a concept with what is below it or not, taken in or taken out, or a whole domain. A
table without items is approved (asked for) with all its concepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.governance.deliverable import main_concept
from workbench.kernel.errors import InvalidInput

Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Limit:
    """The items of one table in the request and in the protocol; None where one of them sets no limit."""

    requested: Items | None
    approved: Items | None


def check_concepts(document: Mapping[str, Any]) -> None:
    """Check the `concepts` of a protocol or a request, whose form is valid, against its own tables and columns.

    The main concept must be among the columns: the inspection of an extract proves by it that the limit was kept.
    Raises `InvalidInput`: `governance.concepts_table`, `governance.concepts_column`,
    `governance.concepts_only_excluded`.
    """
    for table, items in document.get("concepts", {}).items():
        if table not in document["tables"] or main_concept(table) is None:
            raise InvalidInput("governance.concepts_table", table=table)
        _check_column(table, document["tables"])
        if all(item.get("excluded", False) for item in items):
            raise InvalidInput("governance.concepts_only_excluded", table=table)


def limits(request: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, Limit]:
    """Return table → limit for each requested table that the request or the protocol limits.

    Raises `InvalidInput` (`governance.concepts_column`) where such a table is requested without its main concept.
    """
    asked, allowed = request.get("concepts", {}), protocol.get("concepts", {})
    limited = [table for table in sorted(request["tables"]) if table in asked or table in allowed]
    for table in limited:
        _check_column(table, request["tables"])
    return {table: Limit(asked.get(table), allowed.get(table)) for table in limited}


def _check_column(table: str, tables: Mapping[str, Sequence[str]]) -> None:
    column = main_concept(table)
    if column not in tables[table]:
        raise InvalidInput("governance.concepts_column", table=table, column=column)
