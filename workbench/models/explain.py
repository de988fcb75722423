"""Which covariates weigh most in a fitted model: numbers about covariates, none about persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.train import Fitted

TOP = 10


def weights(fitted: Fitted, covariates: Sequence[Mapping[str, Any]], top: int = TOP) -> list[dict[str, Any]]:
    """Return the `top` covariates that weigh most, heaviest first: `{id, name, table, window, weight}`.

    Logistic regression: the coefficient per standard deviation, signed. Boosting: the share of the gain of all splits.
    `covariates` is the list of the feature set's manifest.
    """
    values = _WEIGHTS[fitted.kind](fitted)
    described = {covariate["id"]: covariate for covariate in covariates}
    order = np.lexsort((fitted.covariates, -np.abs(values)))[:top]
    chosen = [(described[int(fitted.covariates[place])], float(values[place])) for place in order if values[place]]
    return [
        {**{part: covariate[part] for part in ("id", "name", "analysis", "table", "window")}, "weight": round(value, 4)}
        for covariate, value in chosen
    ]


def _coefficients(fitted: Fitted) -> NDArray[np.float64]:
    return fitted.estimator.named_steps["logistic"].coef_[0]


def _gains(fitted: Fitted) -> NDArray[np.float64]:
    trees = [tree.nodes for stage in fitted.estimator._predictors for tree in stage]  # noqa: SLF001
    gains = np.zeros(len(fitted.covariates))
    for nodes in trees:
        inner: Any = nodes[nodes["is_leaf"] == 0]
        np.add.at(gains, inner["feature_idx"], inner["gain"])
    return gains / gains.sum() if gains.sum() > 0 else gains


_WEIGHTS = {"l1_logistic": _coefficients, "gradient_boosting": _gains}
