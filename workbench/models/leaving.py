"""What a model's file tells of the persons whom it was learned from, before it may leave a workspace."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.governance.airlock.verdicts import Check, doubtful, failed, passed
from workbench.governance.disclosure import THRESHOLD
from workbench.models.train import Fitted

FREEDOM: Final = 10
"""Persons that a linear model has beyond its parameters at least."""

EVENTS: Final = 10
"""Persons a parameter, below which a fit may repeat its persons instead of learning from them (a rule of thumb)."""


def check_model(fitted: Fitted, persons: int) -> list[Check]:
    """Check a fitted model of `persons` training persons: parameters, leaves, and statistics kept inside the file."""
    return _CHECKS[fitted.kind](fitted.estimator, persons)


def _linear(pipeline: Any, persons: int) -> list[Check]:
    logistic, scale = pipeline.named_steps["logistic"], pipeline.named_steps["scale"]
    parameters = int(np.count_nonzero(logistic.coef_)) + 1
    return [parameters_check(parameters, persons), *_scaler(scale)]


def parameters_check(parameters: int, persons: int) -> Check:
    """Check a number of fitted parameters against a number of persons."""
    facts = {"parameters": parameters, "freedom": FREEDOM, "each": EVENTS}
    if persons - parameters < FREEDOM:
        return failed("parameters", **facts)
    if persons < EVENTS * parameters:
        return doubtful("parameters", **facts)
    return passed("parameters", **facts)


def _scaler(scale: Any) -> list[Check]:
    """The scaler keeps means and variances to sixteen digits: of a yes-or-no covariate the number of persons."""
    kept = [name for name in ("mean_", "var_", "scale_") if getattr(scale, name, None) is not None]
    return [doubtful("statistics", what=", ".join(kept))] if kept else [passed("statistics")]


def _boosting(estimator: Any, persons: int) -> list[Check]:
    trees = [predictor for stage in estimator._predictors for predictor in stage]  # noqa: SLF001  (no public reading)
    leaves = [tree.nodes["count"][tree.nodes["is_leaf"].astype(bool)] for tree in trees]
    smallest = min((int(counts.min()) for counts in leaves if len(counts)), default=0)
    number = sum(len(counts) for counts in leaves)
    return [leaves_check(smallest, number), _density(number, persons), _edges(estimator)]


def leaves_check(smallest: int, leaves: int) -> Check:
    """Check the persons in the smallest leaf: a leaf of one person publishes that person."""
    facts = {"leaves": leaves, "threshold": THRESHOLD}
    return failed("leaves", **facts) if smallest < THRESHOLD else passed("leaves", **facts)


def _density(leaves: int, persons: int) -> Check:
    facts = {"parameters": leaves, "freedom": FREEDOM, "each": EVENTS}
    return doubtful("parameters", **facts) if persons < EVENTS * leaves else passed("parameters", **facts)


def _edges(estimator: Any) -> Check:
    """The bins' edges lie between values that persons have: those of a measurement tell its extremes."""
    edges = estimator._bin_mapper.bin_thresholds_  # noqa: SLF001  (no public reading)
    telling = sum(len(each) > 1 for each in edges)
    return doubtful("edges", columns=telling) if telling else passed("edges")


_CHECKS = {"l1_logistic": _linear, "gradient_boosting": _boosting}
