"""How well predicted risks agree with what happened: intercept, slope, smooth curve, Brier score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from workbench.models.discrimination import Floats, Interval

SMALLEST = 1e-12


@dataclass(frozen=True)
class Calibration:
    """`in_the_large`: intercept with the slope held at 1; `intercept` and `slope`: of outcome on logit risk.

    `observed_expected` is the ratio of observed to expected outcomes. Intervals are Wald's, 95 %.
    """

    in_the_large: Interval
    intercept: Interval | None
    slope: Interval | None
    observed_expected: float


def calibration(outcome: NDArray[np.integer], risk: Floats) -> Calibration:
    """Return Cox's calibration of predicted risks; intercept and slope are None where all risks are the same."""
    logit = logits(risk)
    ones = np.ones((len(risk), 1))
    large = _logistic(ones, outcome, offset=logit)
    ratio = float(outcome.sum() / risk.sum())
    if np.ptp(logit) < SMALLEST:
        return Calibration(_wald(*large, 0), None, None, ratio)
    both = _logistic(np.column_stack([ones, logit]), outcome, offset=np.zeros(len(risk)))
    return Calibration(_wald(*large, 0), _wald(*both, 0), _wald(*both, 1), ratio)


def logits(risk: Floats) -> Floats:
    """Return the log odds of risks; risks of exactly 0 or 1 are moved in by 1e-12."""
    safe = np.clip(risk, SMALLEST, 1 - SMALLEST)
    return np.log(safe) - np.log1p(-safe)


def _logistic(design: Floats, outcome: NDArray[np.integer], offset: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and standard errors of an unpenalised logistic regression (Newton's method)."""
    beta = np.zeros(design.shape[1])
    information = np.eye(design.shape[1])
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-np.clip(offset + design @ beta, -500, 500)))
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        step = np.linalg.lstsq(information, design.T @ (outcome - fitted), rcond=None)[0]
        beta += step
        if np.abs(step).max() < 1e-12:
            break
    return beta, np.sqrt(np.diag(np.linalg.pinv(information)))


def _wald(beta: Floats, error: Floats, place: int) -> Interval:
    value, reach = float(beta[place]), float(norm.ppf(0.975) * error[place])
    return Interval(value, value - reach, value + reach)


def brier(outcome: NDArray[np.integer], risk: Floats) -> float:
    """Return the mean squared difference of risk and outcome."""
    return float(np.mean((risk - outcome) ** 2))


def distances(outcome: NDArray[np.integer], risk: Floats) -> tuple[float, float, float]:
    """Return Harrell's E statistics: mean, 90th percentile and maximum distance of the risks to the smooth curve."""
    order = np.argsort(risk, kind="stable")
    rising = risk[order]
    # Equal risks get equal points of the curve: the mean over them, as R's approx() takes it.
    distinct, where = np.unique(rising, return_inverse=True)
    smooth = lowess(rising, outcome[order].astype(np.float64))
    curve = np.bincount(where, smooth) / np.bincount(where)
    away = np.abs(distinct - curve)[where]
    return float(away.mean()), float(np.quantile(away, 0.9)), float(away.max())


def lowess(x: Floats, y: Floats, share: float = 2 / 3) -> Floats:
    """Return Cleveland's (1979) locally weighted line of y on rising x, without robustness iterations.

    Fitted at points a hundredth of the range apart and joined by straight lines between, as R's `lowess` does: so the
    loop turns a hundred times, however many persons there are.
    """
    near = max(min(int(share * len(x) + 1e-7), len(x)), 2)
    anchors = _anchors(x, 0.01 * (x[-1] - x[0]))
    fitted = np.array([_local_line(x, y, place, near) for place in anchors])
    return np.interp(x, x[anchors], fitted)


def _anchors(x: Floats, step: float) -> NDArray[np.intp]:
    """Return the places to fit at: from one, the last place within `step`, or else the next."""
    places = [0]
    while x[places[-1]] < x[-1]:
        here = int(np.searchsorted(x, x[places[-1]], side="right")) - 1
        there = int(np.searchsorted(x, x[here] + step, side="right")) - 1
        places.append(there if there > here else here + 1)
    return np.array(places)


def _local_line(x: Floats, y: Floats, place: int, near: int) -> float:
    here = x[place]
    away = np.abs(x - here)
    reach = np.partition(away, near - 1)[near - 1]
    inside = away <= 0.999 * reach
    if reach <= 0 or not inside.any():
        return float(y[away <= reach].mean())
    ratio = away[inside] / reach
    weight = np.where(ratio <= 0.001, 1.0, (1 - ratio**3) ** 3)
    weight /= weight.sum()
    points, centre = x[inside], float(weight @ x[inside])
    spread = float(weight @ (points - centre) ** 2)
    if np.sqrt(spread) > 0.001 * (x[-1] - x[0]):
        weight = weight * (1 + (here - centre) / spread * (points - centre))
    return float(weight @ y[inside])
