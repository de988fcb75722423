"""Sums, means, percentiles: nobody dominates a cell, nobody's own value is shown, and the numbers are coarse.

n-k: the two largest contributions are at most 90 % of all. p %: without the two largest, what remains is at least 10 %
of the largest, so that the second largest cannot estimate it within 10 %. Percentiles have 11 persons on both sides.
Numbers have four significant digits: from a mean with sixteen the number of persons follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from workbench.governance.airlock.cells import Cell, Cells
from workbench.governance.airlock.counts import decimals
from workbench.governance.airlock.declaration import MAGNITUDES, Declaration, Measure
from workbench.governance.airlock.sheets import Line, is_hidden, number_of
from workbench.governance.airlock.verdicts import Check, doubtful, failed, judged, listed
from workbench.governance.disclosure import THRESHOLD

LARGEST: Final = 2
SHARE: Final = 0.90
PROTECTION: Final = 0.10
DIGITS: Final = 4
FREEDOM: Final = 10
"""Residual degrees of freedom that a regression keeps at least."""
_CATEGORIES: Final = 10
"""A column that takes no more values than this in a whole table is counted by group, not averaged: a sum of zeros and
ones is a count that was not rounded."""


def dominated(contributions: npt.NDArray[np.float64]) -> bool:
    """Answer whether the two largest contributions (sorted, largest first) are more than 90 % of all."""
    total = float(contributions.sum())
    return total > 0 and float(contributions[:LARGEST].sum()) > SHARE * total


def told_within(contributions: npt.NDArray[np.float64]) -> bool:
    """Answer whether the second largest contributor can tell the largest within 10 %."""
    if not len(contributions) or contributions[0] <= 0:
        return False
    return float(contributions[LARGEST:].sum()) < PROTECTION * float(contributions[0])


def too_far_out(percentile: float, persons: int) -> bool:
    """Answer whether fewer than 11 persons lie on either side of a percentile (0 to 100)."""
    return math.floor(persons * min(percentile, 100 - percentile) / 100 + 1e-9) < THRESHOLD


def check_magnitudes(lines: Sequence[Line], declaration: Declaration, cells: Cells) -> list[Check]:
    """Check every column of values of persons; nothing where there is none."""
    ours = [measure for measure in declaration.measures if measure.role in MAGNITUDES]
    known = [measure for measure in ours if cells.has(measure.of or "")]
    unknown = [measure.name for measure in ours if measure not in known]
    checks = [failed("values_known", where=listed(unknown))] if unknown else []
    extremes = [measure.name for measure in declaration.measures if _is_extreme(measure)]
    checks += [judged("extremes", extremes)]
    if not known:
        return checks
    coded = [measure.name for measure in known if cells.rows[measure.of or ""].n_unique() <= _CATEGORIES]
    shown = [
        (line, measure, line.cell.contributions(measure.of or ""))
        for measure in known
        for line in lines
        if line.cell.persons >= THRESHOLD and not is_hidden(line.texts[measure.name])
    ]
    few = [line.number for line, _, values in shown if len(values) < THRESHOLD]
    sums = [(line, values) for line, measure, values in shown if measure.role != "percentile"]
    far = [line.number for line, measure, values in shown
           if measure.role == "percentile" and too_far_out(measure.percentile or 0, len(values))]  # fmt: skip
    return [
        *checks,
        judged("categories", coded),
        judged("few_values", few, threshold=THRESHOLD),
        judged("dominance", [line.number for line, values in sums if dominated(values)]),
        judged("p_percent", [line.number for line, values in sums if told_within(values)]),
        judged("percentiles", far, threshold=THRESHOLD),
        judged("precision", [line.number for line, measure, _ in shown if _digits(line.texts[measure.name]) > DIGITS],
               digits=DIGITS),
        judged("values_agree", [line.number for line, measure, _ in shown if not _agrees(line, measure)]),
    ]  # fmt: skip


def _is_extreme(measure: Measure) -> bool:
    return measure.role in {"minimum", "maximum"} or (
        measure.role == "percentile" and (measure.percentile or 0) in {0, 100}
    )


def statistic(cell: Cell, measure: Measure) -> float | None:
    """Return the true number of a cell; None where nobody has a value."""
    values = cell.values(measure.of or "")
    if len(values) < 2:
        return None
    if measure.role == "percentile":
        return float(np.percentile(values, measure.percentile or 0))
    return float({"sum": np.sum, "mean": np.mean, "sd": _spread}[measure.role](values))


def _spread(values: npt.NDArray[np.float64]) -> float:
    return float(np.std(values, ddof=1))


def _agrees(line: Line, measure: Measure) -> bool:
    """A number as written stands for all that round to it; a percentile may be interpolated in other ways."""
    number, value = number_of(line.texts[measure.name]), statistic(line.cell, measure)
    if number is None or value is None:
        return False
    half = 0.5 * 10.0 ** -decimals(line.texts[measure.name])
    if measure.role == "percentile":
        values = line.cell.values(measure.of or "")
        low, high = (float(np.percentile(values, measure.percentile or 0, method=way)) for way in ("lower", "higher"))
        return low - half <= number <= high + half
    # Trailing zeros before the point are no promise: 12300 may stand for 12345.
    return abs(number - value) <= half * (1 + 1e-9) or number == _coarsened(value, number)


def _coarsened(value: float, number: float) -> float:
    """Round a value to as many significant digits as a number has, trailing zeros not counted."""
    return float(f"{value:.{max(_digits(f'{number:g}'), 2) - 1}e}")


def _digits(text: str) -> int:
    """Return how many significant digits a written number has; zeros before the point at its end are not counted."""
    mantissa = text.strip().lower().partition("e")[0].replace(",", ".")
    plain = "".join(letter for letter in mantissa if letter in "0123456789.")
    whole, point, parts = plain.partition(".")
    digits = (whole + parts).lstrip("0") if point else whole.strip("0")
    return len(digits)


def check_regression(lines: Sequence[Line], declaration: Declaration, persons: int) -> list[Check]:
    """Check that a regression leaves 10 degrees of freedom, by its parameters: those declared, at least one a line."""
    if not any(measure.role == "estimate" for measure in declaration.measures):
        return []
    parameters = max(declaration.parameters or 0, len(lines))
    facts = {"parameters": parameters, "freedom": FREEDOM}
    if persons - parameters < FREEDOM:
        return [failed("freedom", **facts)]
    return [doubtful("freedom", **facts)]
