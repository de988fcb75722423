"""Evaluation on held-out patients. What it returns may be shown: no cell of 1 to 10 persons, counts rounded to 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.governance.disclosure import BASE, THRESHOLD, shown
from workbench.models.calibration import brier, calibration, distances
from workbench.models.discrimination import Floats, Interval, auroc, average_precision, confusion, net_benefit

DECILES = 10
DIGITS = 3
"""Digits of metrics. More, or a score that is scaled by the outcome's rate, would give exact counts back."""

RATE_DIGITS = 2
"""Digits of rates in tables: with more, a rate would give the exact count behind a rounded one back."""

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
AGE_BANDS = ((0, 18), (18, 40), (40, 65), (65, 80), (80, None))


def evaluate(outcome: NDArray[np.integer], risk: Floats, rows: pl.DataFrame) -> dict[str, Any]:
    """Return the evaluation document of predicted risks for held-out persons.

    `rows` has age_at_index and gender_concept_id of the same persons, in the same order. The document has `metrics`
    (name to number, three decimals, None where it cannot be computed), `calibration_groups` (tenths of the risk, joined
    until each holds 11 persons with and 11 without the outcome), `thresholds`, `subgroups` and `hidden_cells`.
    """
    groups = calibration_groups(outcome, risk)
    thresholds = _threshold_rows(outcome, risk)
    subgroups = [*_subgroups("sex", _sexes(rows), outcome, risk), *_subgroups("age", _ages(rows), outcome, risk)]
    hidden = sum(row["hidden"] for row in [*thresholds, *subgroups])
    return {
        "persons": shown(len(outcome)).value,
        "outcomes": shown(int(outcome.sum())).value,
        "metrics": metrics(outcome, risk),
        "calibration_groups": groups,
        "thresholds": thresholds,
        "subgroups": subgroups,
        "hidden_cells": hidden,
    }


def metrics(outcome: NDArray[np.integer], risk: Floats) -> dict[str, float | None]:
    """Return the metrics of all held-out persons by name, rounded to three decimals."""
    agreement = calibration(outcome, risk)
    # The largest distance stays out: a maximum is one person's value.
    average, ninetieth, _ = distances(outcome, risk) if np.ptp(risk) > 0 else (None, None, None)
    rate = float(outcome.mean())
    found: dict[str, float | None] = {
        **_named("auroc", auroc(outcome, risk)),
        "auprc": average_precision(outcome, risk),
        "brier": brier(outcome, risk),
        **_named("calibration_in_the_large", agreement.in_the_large),
        **_named("calibration_intercept", agreement.intercept),
        **_named("calibration_slope", agreement.slope),
        "observed_expected": agreement.observed_expected,
        "e_average": average,
        "e_90": ninetieth,
        "outcome_rate": round(rate, RATE_DIGITS),
    }
    return {name: None if value is None else round(value, DIGITS) for name, value in found.items()}


def _named(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def calibration_groups(outcome: NDArray[np.integer], risk: Floats) -> list[dict[str, Any]]:
    """Return tenths of the predicted risk, neighbours joined until no group has a cell below 11.

    Joined rather than hidden: the picture stays whole, and no hidden cell can be had by subtraction.
    """
    order = np.argsort(risk, kind="stable")
    pending: list[NDArray[np.intp]] = []
    groups: list[NDArray[np.intp]] = []
    for tenth in np.array_split(order, DECILES):
        pending.append(tenth)
        if _large(outcome[np.concatenate(pending)]):
            groups.append(np.concatenate(pending))
            pending = []
    if pending and groups:
        groups[-1] = np.concatenate([groups[-1], *pending])
    return [_group(outcome[members], risk[members]) for members in groups]


def _group(outcome: NDArray[np.integer], risk: Floats) -> dict[str, Any]:
    return {
        "persons": shown(len(outcome)).value,
        "outcomes": shown(int(outcome.sum())).value,
        "predicted": round(float(risk.mean()), RATE_DIGITS),
        "observed": round(float(outcome.mean()), RATE_DIGITS),
    }


def _large(outcome: NDArray[np.integer]) -> bool:
    cases = int(outcome.sum())
    return min(cases, len(outcome) - cases) >= THRESHOLD


def _threshold_rows(outcome: NDArray[np.integer], risk: Floats) -> list[dict[str, Any]]:
    """Return one row per threshold; hidden where a cell, or its difference to the last shown row, is 1 to 10."""
    rows: list[dict[str, Any]] = []
    last: NDArray[np.intp] | None = None
    for threshold in THRESHOLDS:
        cells = np.array(confusion(outcome, risk, threshold))
        apart = np.zeros(1, dtype=np.intp) if last is None else np.abs(cells - last)
        if cells.min() < THRESHOLD or np.any((apart > 0) & (apart < THRESHOLD)):
            rows.append({"threshold": threshold, "hidden": True})
            continue
        last = cells
        benefit = (net_benefit(outcome, risk, threshold), net_benefit(outcome, np.ones(len(risk)), threshold))
        rows.append({"threshold": threshold, "hidden": False, **_threshold_row(cells.tolist(), benefit)})
    return rows


def _threshold_row(cells: Sequence[int], benefit: tuple[float, float]) -> dict[str, Any]:
    tp, fp, fn, tn = cells
    rates = {
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "positive_predictive_value": tp / (tp + fp),
        "negative_predictive_value": tn / (tn + fn),
        "net_benefit": benefit[0],
        "net_benefit_all": benefit[1],
    }
    counts = dict(zip(("true_positive", "false_positive", "false_negative", "true_negative"), cells, strict=True))
    return {
        **{name: shown(count).value for name, count in counts.items()},
        **{name: round(value, RATE_DIGITS) for name, value in rates.items()},
    }


def _sexes(rows: pl.DataFrame) -> Mapping[str, NDArray[np.bool_]]:
    concept = rows["gender_concept_id"].fill_null(0).to_numpy()
    return {str(value): concept == value for value in np.unique(concept)}


def _ages(rows: pl.DataFrame) -> Mapping[str, NDArray[np.bool_]]:
    if rows["age_at_index"].null_count() == rows.height:
        return {}
    age = rows["age_at_index"].fill_null(-1).to_numpy()
    return {_band(low, high): (age >= low) & (age < (high or np.inf)) for low, high in AGE_BANDS}


def _band(low: int, high: int | None) -> str:
    return f"{low}+" if high is None else f"{low}-{high - 1}"


def _subgroups(
    by: str, members: Mapping[str, NDArray[np.bool_]], outcome: NDArray[np.integer], risk: Floats
) -> list[dict[str, Any]]:
    """Return one row per group that holds anybody; groups with a small cell are hidden, and so is a second one
    where the hidden cell could otherwise be had from the total.
    """
    present = {name: chosen for name, chosen in members.items() if chosen.any()}
    hidden = _hidden_groups({name: outcome[chosen] for name, chosen in present.items()})
    return [
        {"by": by, "group": name, "hidden": True}
        if name in hidden
        else {"by": by, "group": name, "hidden": False, **_subgroup(outcome[chosen], risk[chosen])}
        for name, chosen in present.items()
    ]


def _subgroup(outcome: NDArray[np.integer], risk: Floats) -> dict[str, Any]:
    interval = {name: None if v is None else round(v, 3) for name, v in _named("auroc", auroc(outcome, risk)).items()}
    return {**_group(outcome, risk), **interval}


def _hidden_groups(outcomes: Mapping[str, NDArray[np.integer]]) -> set[str]:
    hidden = {name for name, values in outcomes.items() if not _large(values)}
    by_size = sorted(outcomes, key=lambda name: (len(outcomes[name]), name))
    while hidden and len(hidden) < len(outcomes) and not _large(_together(outcomes, sorted(hidden))):
        hidden.add(next(name for name in by_size if name not in hidden))
    return hidden


def _together(outcomes: Mapping[str, NDArray[np.integer]], names: Sequence[str]) -> NDArray[np.integer]:
    return np.concatenate([outcomes[name] for name in names])


CHECKS = ("cells_below_threshold", "secondary_suppression", "rounded_counts", "no_minimum_or_maximum")


def disclosure(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was checked of the evaluation and the card before anybody sees them, for the model's manifest.

    The model file itself is not cleared by this: it leaves the study's workspace only by a reviewed request.
    """
    return {
        "threshold": THRESHOLD,
        "rounding": BASE,
        "checks": list(CHECKS),
        "hidden_cells": evaluation["hidden_cells"],
        "row_level": False,
    }
