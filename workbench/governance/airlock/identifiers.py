"""What points at a person: pseudonyms, identifiers' and source columns, dates, free text; and formulas, defused."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import polars as pl

from workbench.governance.airlock.content import Content, Sheet
from workbench.governance.airlock.verdicts import Check, doubtful, judged, passed

LONGEST: Final = 100
"""Letters of a cell beyond which it is a text, not a label."""

_DIGITS: Final = re.compile(r"\d{6,}")
_DATE: Final = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)"
)
_CLOSED_NAMES: Final = re.compile(
    r"(^|_)(person_id|pseudonym|source_value|note_text|nir|ins|ipp)$|_source_value$|_occurrence_id$|_detail_id$",
    re.IGNORECASE,
)


def identifiers(tables: Mapping[str, pl.DataFrame]) -> frozenset[int]:
    """Return every identifier that an extract holds: its pseudonyms, and ids of events; concepts are none."""
    found: set[int] = set()
    for table in tables.values():
        for column in table.columns:
            if column.endswith("_id") and not column.endswith("concept_id") and table.schema[column].is_integer():
                found.update(table[column].drop_nulls().to_list())
    return frozenset(found)


def holds_identifier(text: str, known: Collection[int]) -> bool:
    """Answer whether a text holds an identifier written out: digits alone, or grouped by spaces, points or commas."""
    plain = re.sub(r"(?<=\d)[ \u00a0\u202f.,_'](?=\d{3}(?!\d))", "", text)
    return any(int(run) in known for form in {text, plain} for run in _DIGITS.findall(form) if len(run) < 20)


def holds_date(text: str) -> bool:
    """Answer whether a text holds a calendar date."""
    return _DATE.search(text) is not None


def check_sheet(sheet: Sheet, known: Collection[int], content: Content) -> list[Check]:
    """Check every cell of a table and the names of its columns."""
    lines = list(enumerate((sheet.names, *sheet.lines), 1))
    return [
        judged("identifiers", [*_where(lines, lambda text: holds_identifier(text, known)), *_closed(sheet.names)]),
        judged("dates", _where(lines, holds_date)),
        judged("free_text", _where(lines, lambda text: len(text) > LONGEST or "\n" in text), longest=LONGEST),
        passed("formulas", count=content.defused),
    ]


def check_text(text: str, known: Collection[int]) -> list[Check]:
    """Check the text of a figure or a notebook, by its lines."""
    lines = [(number, [line]) for number, line in enumerate(text.splitlines(), 1)]
    dates = _where(lines, holds_date)
    return [
        judged("identifiers", _where(lines, lambda line: holds_identifier(line, known))),
        doubtful("dates", where=", ".join(map(str, dates[:12]))) if dates else passed("dates"),
    ]


def _closed(names: Iterable[str]) -> list[str]:
    return [name for name in names if _CLOSED_NAMES.search(name.strip())]


def _where(lines: Iterable[tuple[int, Sequence[str]]], test: Callable[[str], bool]) -> list[int]:
    return [number for number, texts in lines if any(test(text) for text in texts)]
