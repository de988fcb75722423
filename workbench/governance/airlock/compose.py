"""A table made from its declaration alone, so that it can leave: rounded, small groups hidden, and with them whatever
would give them away.

Most tables that reviewers send back are unrounded or show small counts (governance.md, lessons of others). Here nobody
has to do that by hand: every rule of the airlock hides what it would complain of, until nothing is left to complain of.
What comes out is checked like any other file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

import polars as pl

from workbench.governance.airlock import counts, magnitudes, secondary
from workbench.governance.airlock.cells import Cells, Key, band_names
from workbench.governance.airlock.declaration import MAGNITUDES, Declaration, Group, Measure
from workbench.governance.airlock.differencing import Told, meetings
from workbench.governance.airlock.judge import count_table, implied, told_numbers, value_table
from workbench.governance.airlock.sheets import Line, is_hidden, number_of
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.populations import Classes
from workbench.kernel.errors import InvalidInput

MOST: Final = 2_000
"""Lines of a table that people read."""

_MADE: Final = frozenset({"count", "percent"}) | MAGNITUDES
_ROUNDS: Final = 200


def compose(
    declaration: Declaration, tables: Mapping[str, pl.DataFrame], key: bytes, released: Mapping[str, Sequence[Told]],
    *, totals: bool = True,
) -> bytes:  # fmt: skip
    """Return the declared table as CSV, a line for each group that somebody is in and, with `totals`, for all of each.

    `tables` are the extract's, `key` the study's own for remembering sets of persons, `released` the numbers of each
    output that left (`airlock.differencing`): none of these may be told by the new ones. Raises `InvalidInput`:
    `airlock.compose_role` (a column that only its author can compute), `airlock.compose_nothing`,
    `airlock.compose_long`, and as `Cells` does.
    """
    strange = [measure.name for measure in declaration.measures if measure.role not in _MADE]
    if strange or not declaration.measures:
        raise InvalidInput("airlock.compose_role", column=", ".join(strange) or "–")
    cells = Cells(declaration, tables)
    lines = _lines(declaration, cells, totals=totals)
    if not lines:
        raise InvalidInput("airlock.compose_nothing")
    if len(lines) > MOST:
        raise InvalidInput("airlock.compose_long", lines=len(lines), most=MOST)
    draft = _Draft(declaration, cells, lines)
    classes = Classes(key, cells.persons)
    for _ in range(_ROUNDS):
        if not draft.hide_followed() and not draft.hide_told(classes, released):
            break
    return draft.written()


def _lines(declaration: Declaration, cells: Cells, *, totals: bool) -> list[Line]:
    """Return a line for each cell that somebody is in, groups in their order, each group's total after it."""
    groups = declaration.groups
    patterns = product((False, True), repeat=len(groups)) if totals else [(False,) * len(groups)]
    found = {key: cell for pattern in patterns for key, cell in cells.of(pattern).items()}
    ranks = [_ranks(group, {key[place] for key in found}) for place, group in enumerate(groups)]

    def order(key: Key) -> tuple[int, ...]:
        return tuple(rank[label] for rank, label in zip(ranks, key, strict=True))

    return [
        Line(number, key, found[key], {**_labels(key, declaration), **_shown(key, declaration, cells)})
        for number, key in enumerate(sorted(found, key=order), 2)
    ]


def _ranks(group: Group, labels: set[str | None]) -> dict[str | None, int]:
    """Return the order of a group's labels: bands and given labels as declared, others by number or letter."""
    named = [group.labels.get(band, band) for band in band_names(group.cuts)] if group.cuts else []
    given = [*named, *group.labels.values()]
    rest = sorted(
        {label for label in labels if label is not None} - {*given, ""}, key=lambda text: (number_of(text) or 0, text)
    )
    return {label: rank for rank, label in enumerate(dict.fromkeys([*given, *rest, "", None]))}


def _labels(key: Key, declaration: Declaration) -> dict[str, str]:
    pairs = zip(declaration.groups, key, strict=True)
    return {group.name: group.total if label is None else label for group, label in pairs}


def _shown(key: Key, declaration: Declaration, cells: Cells) -> dict[str, str]:
    """Return what each column may show of a cell by itself, whatever stands in the others."""
    cell = cells.at(key)
    shown: dict[str, str] = {}
    for measure in declaration.measures:
        if cell.persons < THRESHOLD:
            shown[measure.name] = ""
        elif measure.role == "count":
            shown[measure.name] = _number(counts.value_of(cell.persons, cell.rows.height, measure))
        elif measure.role == "percent":
            shown[measure.name] = _percent(key, measure, declaration, cells)
        else:
            shown[measure.name] = _magnitude(key, measure, cells)
    return shown


def _percent(key: Key, measure: Measure, declaration: Declaration, cells: Cells) -> str:
    count = next(each for each in declaration.measures if each.name == measure.of)
    part, whole = (
        counts.value_of(cell.persons, cell.rows.height, count)
        for cell in (cells.at(key), cells.at(counts.whole_of(key, measure, declaration)))
    )
    return "" if part is None or not whole else f"{100 * part / whole:.1f}"


def _magnitude(key: Key, measure: Measure, cells: Cells) -> str:
    """Return a number of a cell's values in four significant digits; nothing where persons could be told from it."""
    column = measure.of or ""
    if not cells.has(column):
        raise InvalidInput("airlock.declaration_value", column=column)
    cell = cells.at(key)
    values = cell.contributions(column)
    if measure.role == "percentile":
        hides = magnitudes.too_far_out(measure.percentile or 0, len(values))
    else:
        hides = magnitudes.dominated(values) or magnitudes.told_within(values)
    value = None if hides or len(values) < THRESHOLD else magnitudes.statistic(cell, measure)
    return "" if value is None else _number(float(f"{value:.{magnitudes.DIGITS - 1}e}"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.12f}".rstrip("0").rstrip(".")


def _kind(measure: Measure) -> str:
    return f"value:{measure.of}" if measure.role in MAGNITUDES else "persons"


class _Draft:
    """The lines as they stand; numbers are hidden until none tells of a hidden one, nor of single persons."""

    def __init__(self, declaration: Declaration, cells: Cells, lines: list[Line]) -> None:
        self._declaration = declaration
        self._cells = cells
        self._texts: dict[Key, dict[str, str]] = {line.key: dict(line.texts) for line in lines}
        self._lines = [Line(line.number, line.key, line.cell, self._texts[line.key]) for line in lines]
        self._by_number = {str(line.number): line for line in lines}

    def hide_followed(self) -> bool:
        """Hide what would tell a hidden number by adding and subtracting; answer whether anything was."""
        some = False
        for measure in self._declaration.measures:
            for key in list(self._followed(measure)):
                some |= self._hide(key, measure)
        return some

    def _followed(self, measure: Measure) -> list[Key]:
        if measure.role == "count":
            also = implied(self._lines, measure, self._declaration)
            return secondary.mended(count_table(self._lines, measure, self._cells, also))
        if measure.role in {"sum", "mean", "sd"} and self._cells.additive:
            return secondary.mended(value_table(self._lines, measure, self._cells), secondary.spanned)
        return []

    def hide_told(self, classes: Classes, released: Mapping[str, Sequence[Told]]) -> bool:
        """Hide, of each meeting of numbers that tells of 1 to 10 persons, the smallest of ours."""
        found, _ = meetings(told_numbers(self._lines, self._declaration, self._cells, classes), released)
        gone: set[tuple[str, Key]] = set()
        for meeting in found:
            mine = [meeting.place, *(place for output, place in meeting.others if not output)]
            keys = [self._by_number[place].key for place in mine]
            if gone.isdisjoint((meeting.measure, key) for key in keys):  # else it is another one by now
                smallest = min(keys, key=lambda key: (self._cells.at(key).persons, keys.index(key)))
                if self._hide_all(smallest, meeting.measure):
                    gone.add((meeting.measure, smallest))
        return bool(gone)

    def _hide_all(self, key: Key, kind: str) -> bool:
        """Hide a line's numbers of one kind (`Told.measure`)."""
        ours = [each for each in self._declaration.measures if _kind(each) == kind]
        return sum(self._hide(key, measure) for measure in ours) > 0

    def _hide(self, key: Key, measure: Measure) -> bool:
        """Hide one number, and the percentages that follow from it; answer whether any was shown."""
        places = [(key, measure.name), *(self._percents_of(key, measure) if measure.role == "count" else ())]
        shown = [(at, name) for at, name in places if at in self._texts and not is_hidden(self._texts[at][name])]
        for at, name in shown:
            self._texts[at][name] = ""
        return bool(shown)

    def _percents_of(self, key: Key, count: Measure) -> Iterator[tuple[Key, str]]:
        for measure in self._declaration.measures:
            if measure.role == "percent" and measure.of == count.name:
                for at in self._texts:
                    if key in {at, counts.whole_of(at, measure, self._declaration)}:
                        yield at, measure.name

    def written(self) -> bytes:
        """Return the table as CSV."""
        names = [each.name for each in (*self._declaration.groups, *self._declaration.measures)]
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([names, *([line.texts[name] for name in names] for line in self._lines)])
        return out.getvalue().encode()
