"""All checks of a file, by its kind, in one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.governance.airlock import counts, figures, identifiers, magnitudes, secondary, sheets
from workbench.governance.airlock.cells import Cells
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
    return Judged(tuple(checks), tuple(_told(lines, declaration, cells, Classes(key, cells.persons))))


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
    for measure in declaration.measures:
        if measure.role == "count":
            table = count_table(lines, measure, cells)
            found.append(secondary.check_secondary(measure.name, table, {line.key: line.number for line in lines}))
    return found


def count_table(lines: Sequence[Line], measure: Measure, cells: Cells) -> secondary.Table:
    """Return the numbers of a count column, with the groups that the file leaves out: leaving out hides nothing."""
    listed_keys = {line.key for line in lines}
    patterns = {tuple(label is None for label in key) for key in listed_keys}
    every = [named for pattern in patterns for named in cells.of(pattern).items()]
    left_out = [(key, cell) for key, cell in every if key not in listed_keys]
    finest = tuple(all(pattern[place] for pattern in patterns) for place in range(len(cells.groups)))
    atoms = dict.fromkeys([*cells.of(finest), *(key for key in listed_keys if _is_of(key, finest))])
    shown = [
        secondary.Shown(
            line.key,
            None if is_hidden(line.texts[measure.name]) else counts.shown_count(line, measure),
            line.cell.persons < THRESHOLD,
        )
        for line in lines
    ]
    shown += [secondary.Shown(key, None, cell.persons < THRESHOLD) for key, cell in left_out]
    return secondary.Table(tuple(shown), tuple(atoms), cells.additive or measure.rows, persons=not measure.rows)


def _is_of(key: tuple[str | None, ...], pattern: tuple[bool, ...]) -> bool:
    return tuple(label is None for label in key) == pattern


def _told(lines: Sequence[Line], declaration: Declaration, cells: Cells, classes: Classes) -> list[Told]:
    """The persons behind each number shown: all of a cell for a count, those with a value for the others."""
    found: dict[tuple[str, int], Told] = {}
    for line in lines:
        for measure in declaration.measures:
            if measure.role == "percent" or is_hidden(line.texts[measure.name]) or not line.cell.persons:
                continue
            name, positions = _behind(measure, line, cells)
            if len(positions):
                told = Told(name, str(line.number), classes.population(positions))
                found[name, line.number] = told
    return list(found.values())


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
