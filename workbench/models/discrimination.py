"""How well predicted risks rank persons: AUROC with DeLong's interval, average precision, net benefit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; the bounds are None where they cannot be computed."""

    value: float
    low: float | None
    high: float | None


def auroc(outcome: NDArray[np.integer], risk: Floats) -> Interval:
    """Return the area under the ROC curve with DeLong's 95 % interval, not cut to [0, 1] (as in pROC).

    Variance from the placement values of cases among controls and the reverse (DeLong, DeLong, Clarke-Pearson 1988),
    computed from midranks (Sun, Xu 2014), so that ties count a half. Needs two persons of each class for an interval.
    """
    cases, controls = risk[outcome == 1], risk[outcome == 0]
    many, few = len(controls), len(cases)
    together = rankdata(np.concatenate([cases, controls]))
    in_cases = (together[:few] - rankdata(cases)) / many
    in_controls = 1 - (together[few:] - rankdata(controls)) / few
    area = float(in_cases.mean())
    if min(few, many) < 2:
        return Interval(area, None, None)
    error = float(np.sqrt(in_cases.var(ddof=1) / few + in_controls.var(ddof=1) / many))
    reach = float(norm.ppf(0.975)) * error
    return Interval(area, area - reach, area + reach)


def average_precision(outcome: NDArray[np.integer], risk: Floats) -> float:
    """Return the area under the precision-recall curve as a step function (no interpolation, which flatters)."""
    thresholds, hits, alarms = _steps(outcome, risk)
    precision = hits / (hits + alarms)
    recall = hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision)) if len(thresholds) else float("nan")


def _steps(outcome: NDArray[np.integer], risk: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the distinct risks, falling, with the numbers of cases and controls at or above each."""
    order = np.argsort(-risk, kind="stable")
    falling, cases = risk[order], outcome[order] == 1
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    hits = np.cumsum(cases)[last].astype(np.float64)
    return falling[last], hits, last + 1 - hits


def confusion(outcome: NDArray[np.integer], risk: Floats, threshold: float) -> tuple[int, int, int, int]:
    """Return true positives, false positives, false negatives, true negatives; positive is a risk *above* it."""
    positive, case = risk > threshold, outcome == 1
    counts = (positive & case, positive & ~case, ~positive & case, ~positive & ~case)
    tp, fp, fn, tn = (int(np.count_nonzero(cell)) for cell in counts)
    return tp, fp, fn, tn


def net_benefit(outcome: NDArray[np.integer], risk: Floats, threshold: float) -> float:
    """Return the net benefit at a threshold: true positives minus false ones at its odds (Vickers, Elkin 2006)."""
    tp, fp, _, _ = confusion(outcome, risk, threshold)
    return (tp - fp * threshold / (1 - threshold)) / len(outcome)
