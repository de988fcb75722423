"""Secondary suppression in any table with totals: what a linear program tells of the hidden counts.

Unknown are the groups of the finest lines, known is what the table shows: each number stands for those that round to
it, a hidden one for 0 to 10 persons, a total for the sum of its groups. Where these bound a hidden number more closely
than "fewer than 11" does, it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workbench.governance.airlock.cells import Key
from workbench.governance.airlock.verdicts import Check, doubtful, failed, listed, passed
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.suppression import own_bounds

MOST: Final = 400
"""Hidden numbers that are tried; beyond, a person judges."""
GROUPS: Final = 3_000
EXACT_GROUPS: Final = 1_000
_EXACT: Final = 1e-6
_NO_NUMBERS: Final = (2, 3)
"""What `linprog` answers where nothing fulfils the constraints, or where they bound nothing."""


@dataclass(frozen=True)
class Shown:
    """A number as a table shows it: which cell, its rounded number or None; `small`: of fewer than 11 persons."""

    key: Key
    value: int | None
    small: bool


@dataclass(frozen=True)
class Table:
    """The numbers of one count column, the groups of the finest lines, and whether a total is the sum of its groups (a
    person may be in several groups of events: then it is at most that)."""

    cells: tuple[Shown, ...]
    atoms: tuple[Key, ...]
    additive: bool
    persons: bool = True


def parts(key: Key, atoms: Sequence[Key]) -> list[int]:
    """Return the places of the finest groups that a cell is made of."""
    fits = [all(mine in (None, theirs) for mine, theirs in zip(key, atom, strict=True)) for atom in atoms]
    return [place for place, inside in enumerate(fits) if inside]


def told(table: Table, among: Collection[Key] | None = None) -> list[Key]:
    """Return the small hidden cells (only of these, if given) that the shown numbers bound more closely than "fewer
    than 11" does."""
    program = _Program(table)
    hidden = [cell.key for cell in _hidden(table, among)]
    told_of = {key for sign in (1, -1) for key in program.bounded(hidden, sign)}
    return [key for key in hidden if key in told_of]


def spanned(table: Table, among: Collection[Key] | None = None) -> list[Key]:
    """Return the small hidden cells (only of these, if given) that follow from shown sums or means by adding and
    subtracting.

    These numbers are nearly exact, so no bounds are needed: a hidden cell is told where its groups are a linear
    combination of those of shown cells.
    """
    shown = [_row(cell.key, table.atoms) for cell in table.cells if cell.value is not None]
    hidden = [cell for cell in _hidden(table, among) if parts(cell.key, table.atoms)]
    if not shown or not hidden:
        return []
    given, wanted = np.array(shown).T, np.array([_row(cell.key, table.atoms) for cell in hidden]).T
    left = wanted - given @ np.linalg.lstsq(given, wanted, rcond=None)[0]
    return [cell.key for cell, rest in zip(hidden, np.abs(left).max(axis=0), strict=True) if rest < _EXACT]


Tells = Callable[[Table, Collection[Key] | None], list[Key]]
"""`told` or `spanned`."""


def _hidden(table: Table, among: Collection[Key] | None) -> list[Shown]:
    hidden = [cell for cell in table.cells if cell.value is None and cell.small]
    return hidden if among is None else [cell for cell in hidden if cell.key in among]


def _row(key: Key, atoms: Sequence[Key]) -> npt.NDArray[np.float64]:
    row = np.zeros(len(atoms))
    row[parts(key, atoms)] = 1
    return row


def cover(table: Table, tells: Tells = told) -> list[Key]:
    """Return shown cells, besides the hidden ones, that must be hidden so that none is told: each time the smallest
    beside one that is told. Hiding more only tells less, so what was not told is not asked again."""
    gone: list[Key] = []
    now, found = table, tells(table, None)
    while found and (pick := _beside(now, found[0])) is not None:
        gone.append(pick)
        cells = tuple(Shown(c.key, None, c.small) if c.key == pick else c for c in now.cells)
        now = Table(cells, now.atoms, now.additive, now.persons)
        found = tells(now, set(found))
    return gone


def _beside(table: Table, key: Key) -> Key | None:
    """The smallest shown cell beside a hidden one: the fewer labels differ the better, groups before totals."""

    def order(other: Shown) -> tuple[int, bool, int, str]:
        labels = list(zip(key, other.key, strict=True))
        differs = sum(one != two for one, two in labels)
        return differs, any(two is None and one is not None for one, two in labels), other.value or 0, str(other.key)

    shown = sorted((cell for cell in table.cells if cell.value is not None), key=order)
    return shown[0].key if shown else None


def check_secondary(column: str, table: Table, lines: Mapping[Key, int], tells: Tells = told) -> Check:
    """Check a column of counts, or of sums and means (`spanned`); `lines` are the numbers of its cells' lines."""
    if not _tells_at_all(table):
        return passed("secondary", column=column)
    if _is_too_large(table, tells):
        return doubtful("secondary", column=column)
    found = tells(table, None)
    if not found:
        return passed("secondary", column=column)
    also = [lines[key] for key in cover(table, tells) if key in lines]
    where = [lines.get(key, "–") for key in found]
    return failed("secondary", column=column, where=listed(where), also=listed(also) or "–")


def mended(table: Table, tells: Tells = told) -> list[Key]:
    """Return the shown cells that `cover` says must be hidden too; none where the table is too large to try."""
    return cover(table, tells) if _tells_at_all(table) and not _is_too_large(table, tells) else []


def _tells_at_all(table: Table) -> bool:
    hides = any(cell.value is None and cell.small for cell in table.cells)
    return hides and len({tuple(label is None for label in cell.key) for cell in table.cells}) > 1


def _is_too_large(table: Table, tells: Tells) -> bool:
    hidden = sum(cell.value is None and cell.small for cell in table.cells)
    return hidden > MOST or len(table.atoms) > (GROUPS if tells is told else EXACT_GROUPS)


class _Program:
    """The constraints, built once; one pair of programs for each hidden number."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.bounds: list[tuple[float, float]] = [(0, inf)] * len(table.atoms)
        rows: list[npt.NDArray[np.float64]] = []
        most: list[float] = []
        for cell in table.cells:
            inside = parts(cell.key, table.atoms)
            low, high = (
                (0, inf) if cell.value is None and not cell.small else own_bounds(cell.value, persons=table.persons)
            )
            if not inside:
                continue
            if len(inside) == 1 or not table.additive:
                for place in inside:  # of what may overlap, each part is at most the whole
                    self.bounds[place] = (self.bounds[place][0], min(self.bounds[place][1], high))
            if len(inside) == 1:
                self.bounds[inside[0]] = (max(self.bounds[inside[0]][0], low), self.bounds[inside[0]][1])
                continue
            row = np.zeros(len(table.atoms))
            row[inside] = 1
            if low > 0:
                rows, most = [*rows, -row], [*most, -low]
            if high < inf and table.additive:
                rows, most = [*rows, row], [*most, high]
        self.rows = np.array(rows) if rows else None
        self.most = np.array(most) if most else None

    def bounded(self, keys: Sequence[Key], sign: int) -> list[Key]:
        """Return the hidden cells that cannot be 0 (`sign` 1), or cannot be 10 (-1).

        One solution of the program that drives all of them there at once settles most; what it leaves is asked again,
        at the end one by one.
        """
        left = [(key, inside) for key in keys if self._binds(inside := parts(key, self.table.atoms))]
        while left:
            reached = self._reached([inside for _, inside in left], sign)
            rest = [each for each, done in zip(left, reached, strict=True) if not done]
            if len(rest) == len(left):
                break
            left = rest
        if len(left) < 2:
            return [key for key, _ in left]
        return [key for key, inside in left if not self._reached([inside], sign)[0]]

    def _binds(self, inside: Sequence[int]) -> bool:
        return len(inside) == 1 or (len(inside) > 1 and self.table.additive)

    def _reached(self, cells: Sequence[Sequence[int]], sign: int) -> list[bool]:
        """Drive cells to 0, or to 10, and say which get there: all, where no numbers fit those shown (they are wrong
        then, which the other checks say), none where the solver gives up."""
        import scipy.optimize  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - slow to import

        optimize: Any = scipy.optimize
        aim = np.zeros(len(self.table.atoms))
        for inside in cells:
            aim[list(inside)] += sign
        answer = optimize.linprog(aim, A_ub=self.rows, b_ub=self.most, bounds=self.bounds, method="highs")
        if answer.status != 0:
            return [answer.status in _NO_NUMBERS] * len(cells)
        values = [float(answer.x[list(inside)].sum()) for inside in cells]
        return [value <= _EXACT if sign > 0 else value >= THRESHOLD - 1 - _EXACT for value in values]
