"""The order of delivered rows: by person, then by every other column, so that a row's place says nothing of it.

Rows are put in order by whole numbers that hold as many bits of their columns as fit beside the row's place: sorting
plain numbers takes a tenth of comparing rows. What these bits leave undecided is put in order by the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.extracts.lookup import starts_run

Column = tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]
"""The values of a column (any where there is none), and where there is none, if anywhere."""

_Ints = npt.NDArray[np.int64]
_Bits = npt.NDArray[np.uint64]
_WORD = 64
_SIGN, _NUMBER = np.int64(63), np.int64(2**63 - 1)


def in_order(rows: _Ints, person: _Ints, columns: Sequence[Callable[[_Ints], Column]]) -> _Ints:
    """Return rows in rising order of `person` (a number from 0 for each, rising), where equal of the first column, then
    of the second, and so on. A column is asked for its values in the rows that those before leave undecided.

    No value comes first, NaN after every number; rows that are equal in all columns stay in their order.
    """
    order, slots = rows.copy(), np.arange(rows.size)
    group, fields, coming = person.astype(np.uint64), list[_Field](), list(columns)
    while rows.size > 1 and (fields or coming):
        below, above = (rows.size - 1).bit_length(), int(group[-1]).bit_length()
        word, fields = _next_bits(group, fields, coming, rows, _WORD - above - below)
        word <<= np.uint64(below)
        word |= np.arange(rows.size, dtype=np.uint64)
        word.sort()
        sorting = (word & np.uint64((1 << below) - 1)).view(np.int64)
        order[slots] = rows[sorting]
        word >>= np.uint64(below)
        first = starts_run(word)
        undecided = np.flatnonzero(~(first & np.append(first[1:], True)))
        slots, kept = slots[undecided], sorting[undecided]
        rows, fields = rows[kept], [(numbers[kept], bits) for numbers, bits in fields]
        group = np.cumsum(first[undecided], dtype=np.uint64)
    return order


_Field = tuple[_Bits, int]
"""A number a row that rises as the rows should, and how many bits it has."""


def _next_bits(
    word: _Bits, fields: list[_Field], coming: list[Callable[[_Ints], Column]], rows: _Ints, room: int
) -> tuple[_Bits, list[_Field]]:
    """Return for some rows, below the number of their group, as many bits as there is room for, of what earlier columns
    left, then of those coming (which are taken from the list); and what is left of the last one.
    """
    while room and (fields or coming):
        if not fields:
            fields = _fields(*coming.pop(0)(rows))
        (numbers, bits), *fields = fields
        taken = min(bits, room)
        room, left = room - taken, bits - taken
        word <<= np.uint64(taken)
        word |= numbers >> np.uint64(left)
        if left:
            fields = [(numbers & np.uint64((1 << left) - 1), left), *fields]
    return word, fields


def _fields(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None) -> list[_Field]:
    """Return a column's numbers from 0, after whether there is a value where some have none."""
    whole = _rising(values) if values.dtype.kind == "f" else values.astype(np.int64)
    if missing is None or not missing.any():
        return [_from_zero(whole)]
    whole[missing] = whole[~missing].min(initial=_NUMBER)
    return [((~missing).astype(np.uint64), 1), _from_zero(whole)]


def _from_zero(whole: _Ints) -> _Field:
    numbers = whole.view(np.uint64)
    numbers -= whole.min().view(np.uint64)
    return numbers, int(numbers.max()).bit_length()


def _rising(values: npt.NDArray[np.float64]) -> _Ints:
    """Return doubles as whole numbers that rise with them: of a negative one all bits but the sign turn round."""
    bits = (values + 0.0).view(np.int64)  # -0.0 is 0.0
    if (nan := np.isnan(values)).any():
        bits[nan] = np.float64(np.nan).view(np.int64)
    bits ^= (bits >> _SIGN) & _NUMBER
    return bits
