"""A table's lines against the cells that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.governance.airlock.cells import Cell, Cells, Key
from workbench.governance.airlock.content import Sheet
from workbench.governance.airlock.declaration import Declaration, Group
from workbench.governance.airlock.verdicts import Check, doubtful, failed, judged, listed, passed

HIDDEN: Final = frozenset({"", "-", "–", "—", "…", "*", "c", "[c]", "x", "na", "n/a", "nan", "null", "nd", "hidden"})
"""What a table may write for a number that is not shown, beside the workbench's own "fewer than 11"."""

_FEWER: Final = ("<", "fewer than", "moins de", "not shown", "non affiché", "masqué")


@dataclass(frozen=True)
class Line:
    """One line: its number in the file, which cell it is about, and what it writes in each column."""

    number: int
    key: Key
    cell: Cell
    texts: Mapping[str, str]


def read_lines(sheet: Sheet, declaration: Declaration, cells: Cells) -> tuple[tuple[Line, ...], list[Check]]:
    """Return the lines with their cells, and what is wrong with columns and labels; no line where columns are wrong."""
    declared = [each.name for each in (*declaration.groups, *declaration.measures)]
    strange = sorted({*sheet.names} ^ {*declared})
    if strange or len(set(sheet.names)) != len(sheet.names):
        return (), [failed("columns", where=listed(strange or sheet.names))]
    lines = tuple(_line(number, sheet, texts, declaration, cells) for number, texts in enumerate(sheet.lines, 2))
    seen: set[Key] = set()
    twice = [line.number for line in lines if line.key in seen or seen.add(line.key)]
    strangers = [line.number for line in lines if not line.cell.persons and _shows(line, declaration)]
    return lines, [passed("columns"), judged("lines", sorted({*twice, *strangers}))]


def _line(number: int, sheet: Sheet, texts: Sequence[str], declaration: Declaration, cells: Cells) -> Line:
    named = dict(zip(sheet.names, texts, strict=True))
    key = tuple(_label(group, named[group.name]) for group in declaration.groups)
    return Line(number, key, cells.at(key), named)


def _label(group: Group, text: str) -> str | None:
    return None if text.strip() == group.total else text.strip()


def _shows(line: Line, declaration: Declaration) -> bool:
    return any(not is_hidden(line.texts[measure.name]) for measure in declaration.measures)


def is_hidden(text: str) -> bool:
    """Answer whether a cell of a file shows no number."""
    plain = text.strip().lstrip("'").casefold()
    return plain in HIDDEN or plain.startswith(_FEWER)


def number_of(text: str) -> float | None:
    """Return the number that a cell shows: thousands set apart by spaces, a decimal point or comma; None for others."""
    plain = "".join(text.strip().split()).replace("\u202f", "").replace("\u00a0", "").replace("−", "-")
    if plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if abs(value) < 1e300 and value == value else None  # noqa: PLR0124 - not a number is not itself


def shape(lines: int, persons: int, *, recomputed: bool) -> Check:
    """Check that a table is no list of persons: its lines against the persons whom it is about."""
    facts = {"lines": lines, "ratio": 11}
    if lines >= persons:
        return failed("rows", **facts)
    if lines * 11 > persons and not recomputed:
        return doubtful("rows", **facts)
    return passed("rows", **facts)
