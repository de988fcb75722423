"""All checks of a file, by its kind, in one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.governance.airlock import counts, figures, identifiers, magnitudes, secondary, sheets
from workbench.governance.airlock.cells import Cells, Key
from workbench.governance.airlock.content import Content
from workbench.governance.airlock.declaration import MAGNITUDES, Declaration, Measure
from workbench.governance.airlock.differencing import Told
from workbench.governance.airlock.sheets import Line, is_hidden
from workbench.governance.airlock.verdicts import Check, doubtful, failed, judged, listed
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.populations import Classes


@dataclass(frozen=True)
class Judged:
    """What the checks found, and the persons behind each number that the file shows."""

    checks: tuple[Check, ...]
    numbers: tuple[Told, ...]


def judge_table(
    content: Content, declaration: Declaration | None, tables: Mapping[str, pl.DataFrame], key: bytes
) -> Judged:
    """Check a table against the rows of its extract (`tables`); `key` is the study's own for remembering sets.

    Without a declaration nothing can be computed again: what is left is to review at best.
    """
    assert content.sheet is not None
    known = identifiers.identifiers(tables)
    checks = identifiers.check_sheet(content.sheet, known, content)
    if declaration is None:
        persons = [table["person_id"].n_unique() for table in tables.values() if "person_id" in table.columns]
        everybody = max(persons, default=0)
        shape = sheets.shape(len(content.sheet.lines), everybody, recomputed=False)
        return Judged((doubtful("declaration"), *checks, shape, doubtful("differencing_unknown")), ())
    cells = Cells(declaration, tables)
    lines, wrong = sheets.read_lines(content.sheet, declaration, cells)
    open_columns = [m.name for m in declaration.measures if m.role in {"estimate", "other"}]
    shape = sheets.shape(len(content.sheet.lines), max(len(cells.persons), 1), recomputed=not open_columns)
    if not lines:
        return Judged((*wrong, *checks, shape), ())
    checks = [*wrong, *checks, shape, *_numbers(lines, declaration, cells)]
    if open_columns:
        checks.append(doubtful("recomputed", where=listed(open_columns)))
    return Judged(tuple(checks), tuple(told_numbers(lines, declaration, cells, Classes(key, cells.persons))))


def _numbers(lines: Sequence[Line], declaration: Declaration, cells: Cells) -> list[Check]:
    every = cells.of((True,) * len(declaration.groups))
    persons = next(iter(every.values())).persons if every else 0
    return [
        counts.check_small(lines, declaration),
        *counts.check_rounding(lines, declaration),
        *_secondary(lines, declaration, cells),
        *counts.check_percent(lines, declaration, cells),
        *magnitudes.check_magnitudes(lines, declaration, cells),
        *magnitudes.check_regression(lines, declaration, persons),
    ]


def _secondary(lines: Sequence[Line], declaration: Declaration, cells: Cells) -> list[Check]:
    found: list[Check] = []
    numbers = {line.key: line.number for line in lines}
    for measure in declaration.measures:
        if measure.role == "count":
            table = count_table(lines, measure, cells, implied(lines, measure, declaration))
            found.append(secondary.check_secondary(measure.name, table, numbers))
        elif measure.role in {"sum", "mean", "sd"} and cells.additive and cells.has(measure.of or ""):
            table = value_table(lines, measure, cells)
            found.append(secondary.check_secondary(measure.name, table, numbers, secondary.spanned))
    return found


def implied(lines: Sequence[Line], count: Measure, declaration: Declaration) -> dict[Key, Line]:
    """Return the cells that percentages are of, each with a line that shows one: a percentage tells its whole."""
    found: dict[Key, Line] = {}
    for measure in declaration.measures:
        if measure.role == "percent" and measure.of == count.name:
            for line in lines:
                if not is_hidden(line.texts[measure.name]):
                    found.setdefault(counts.whole_of(line.key, measure, declaration), line)
    return found


def count_table(
    lines: Sequence[Line], measure: Measure, cells: Cells, also: Mapping[Key, Line] | None = None
) -> secondary.Table:
    """Return the numbers of a count column, those that percentages tell (`also`), and the groups that the file leaves
    out: leaving out hides nothing."""
    shown = [
        secondary.Shown(
            line.key,
            None if is_hidden(line.texts[measure.name]) else counts.shown_count(line, measure),
            line.cell.persons < THRESHOLD,
        )
        for line in lines
    ]
    for key in also or {}:
        cell = cells.at(key)
        shown.append(secondary.Shown(key, counts.value_of(cell.persons, cell.rows.height, measure), False))
    left_out, atoms = _around({cell.key for cell in shown}, cells)
    shown += [secondary.Shown(key, None, cells.at(key).persons < THRESHOLD) for key in left_out]
    return secondary.Table(tuple(shown), atoms, cells.additive or measure.rows, persons=not measure.rows)


def value_table(lines: Sequence[Line], measure: Measure, cells: Cells) -> secondary.Table:
    """Return which sums or means a file shows, and which it hides of fewer than 11 persons with a value."""

    def shown(key: Key, *, is_shown: bool) -> secondary.Shown:
        persons = len(cells.at(key).with_values(measure.of or ""))
        return secondary.Shown(key, persons if is_shown else None, persons < THRESHOLD)

    told = [shown(line.key, is_shown=not is_hidden(line.texts[measure.name])) for line in lines]
    left_out, atoms = _around({cell.key for cell in told}, cells)
    return secondary.Table((*told, *(shown(key, is_shown=False) for key in left_out)), atoms, additive=True)


def _around(keys: set[Key], cells: Cells) -> tuple[list[Key], tuple[Key, ...]]:
    """Return the cells of the same kinds of lines that are left out, and the finest groups of all."""
    patterns = {tuple(label is None for label in key) for key in keys}
    left_out = [key for pattern in patterns for key in cells.of(pattern) if key not in keys]
    finest = tuple(all(pattern[place] for pattern in patterns) for place in range(len(cells.groups)))
    return left_out, tuple(dict.fromkeys([*cells.of(finest), *(key for key in keys if _is_of(key, finest))]))


def _is_of(key: tuple[str | None, ...], pattern: tuple[bool, ...]) -> bool:
    return tuple(label is None for label in key) == pattern


def told_numbers(lines: Sequence[Line], declaration: Declaration, cells: Cells, classes: Classes) -> list[Told]:
    """Return the persons behind each number shown: all of a cell for a count, those with a value for the others; the
    wholes of percentages; and the numbers that others add up to where nobody is in two groups."""
    found: dict[tuple[str, Key], Told] = {}
    for line in lines:
        for measure in declaration.measures:
            if measure.role == "percent" or is_hidden(line.texts[measure.name]) or not line.cell.persons:
                continue
            name, positions = _behind(measure, line, cells)
            if len(positions):
                found[name, line.key] = Told(name, str(line.number), classes.population(positions))
    for measure in declaration.measures:
        if measure.role == "count":
            for key, line in implied(lines, measure, declaration).items():
                told = Told("persons", str(line.number), classes.population(cells.at(key).positions))
                found.setdefault(("persons", key), told)
    return [*found.values(), *(_added(found) if cells.additive else ())]


def _added(found: Mapping[tuple[str, Key], Told]) -> Iterator[Told]:
    """The sums of the shown groups of one kind of lines, over every choice of group columns."""
    sums: dict[tuple[str, Key, Key], list[Told]] = {}
    for (name, key), told in found.items():
        inner = [place for place, label in enumerate(key) if label is not None]
        pattern = tuple(None if label is None else "" for label in key)
        for size in range(len(inner)):
            for kept in combinations(inner, size):
                coarser = tuple(label if place in kept else None for place, label in enumerate(key))
                sums.setdefault((name, pattern, coarser), []).append(told)
    for (name, _, _), each in sums.items():
        if len(each) > 1:
            together = reduce(lambda one, other: one.joined(other), (told.population for told in each))
            yield Told(name, each[0].place, together)


def _behind(measure: Measure, line: Line, cells: Cells) -> tuple[str, npt.NDArray[np.intp]]:
    if measure.role in MAGNITUDES and cells.has(measure.of or ""):
        return f"value:{measure.of}", line.cell.with_values(measure.of or "")
    if measure.role == "estimate":
        return "estimate", np.arange(len(cells.persons), dtype=np.intp)
    return "persons", line.cell.positions


def judge_figure(
    content: Content, declaration: Declaration | None, tables: Mapping[str, pl.DataFrame], key: bytes
) -> Judged:
    """Check a figure; with a declaration, the persons whom it is about are compared with those of other outputs."""
    known = identifiers.identifiers(tables)
    checks = figures.check_svg(content, known) if content.suffix == ".svg" else figures.check_png(content)
    if declaration is None:
        return Judged((*checks, doubtful("differencing_unknown")), ())
    cells = Cells(declaration, tables)
    if len(cells.persons) < THRESHOLD:
        return Judged((*checks, failed("small_cells", where="–", threshold=THRESHOLD)), ())
    everybody = Classes(key, cells.persons).population()
    checks.append(judged("small_cells", [], threshold=THRESHOLD))
    return Judged(tuple(checks), (Told("persons", "–", everybody),))


def judge_notebook(content: Content, tables: Mapping[str, pl.DataFrame]) -> Judged:
    """Check a notebook, whose outputs were taken out."""
    return Judged(tuple(figures.check_notebook(content, identifiers.identifiers(tables))), ())
