"""Learning from the training persons alone: L1 logistic regression and gradient boosting, the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from workbench.models.load import Features

PENALTIES = 15
"""Penalties tried, from the smallest that removes every covariate down to its `SMALLEST` part."""

SMALLEST = 0.01
PATIENCE = 3
WIDEST = 2_000
"""Columns that gradient boosting takes at most (it needs a dense matrix): the most frequent ones."""

LEAF = 30
"""Fewest training persons in a leaf: a leaf of one person would publish that person (governance: 11)."""


# Shallow and slow, for the few thousand persons and weak signals of a clinical extract.
BOOSTING: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "max_iter": 300,
    "max_leaf_nodes": 8,
    "min_samples_leaf": LEAF,
    "l2_regularization": 5.0,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "n_iter_no_change": 20,
}


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator, the covariate ids of its columns, and what was chosen for it or by it."""

    kind: str
    estimator: Any
    covariates: NDArray[np.int64]
    parameters: Mapping[str, float | int | str | None]

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Return the predicted risk (0 to 1) of each person of a feature set; a covariate that it lacks is 0."""
        return _risk(self.estimator, _input(self.kind, features.matrix @ self._selection(features.covariates)))

    def _selection(self, present: NDArray[np.int64]) -> csr_matrix:
        """Return the 0/1 matrix that takes the columns of a feature set to those of this model."""
        _, theirs, ours = np.intersect1d(present, self.covariates, assume_unique=True, return_indices=True)
        return csr_matrix((np.ones(len(ours)), (theirs, ours)), shape=(len(present), len(self.covariates)))


def train(features: Features, kind: str, seed: int) -> Fitted:
    """Fit one kind of model (`l1_logistic` or `gradient_boosting`) on the training side of the split.

    One thread and fixed seeds: the order of floating point sums, and so the result, stays the same.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  (costs an import only where something is trained)

    rows = features.side("train")
    with threadpool_limits(1):
        return _TRAINERS[kind](features, rows, seed)


def _train_logistic(features: Features, rows: NDArray[np.intp], seed: int) -> Fitted:
    matrix, outcome = features.matrix[rows], features.outcome[rows]
    fold = features.rows["fold"].to_numpy()[rows]
    penalties = penalty_path(matrix, outcome)
    losses = _path_losses(matrix, outcome, fold, penalties, seed)
    best = float(penalties[int(np.argmin(losses))])
    estimator = fit_logistic(matrix, outcome, best, seed)
    chosen = int(np.count_nonzero(estimator.named_steps["logistic"].coef_))
    parameters = {
        "penalty": "l1",
        "lambda": float(f"{best:.8g}"),
        "folds": int(np.unique(fold).size),
        "nonzero": chosen,
        "seed": seed,
    }
    return Fitted("l1_logistic", estimator, features.covariates, parameters)


def penalty_path(matrix: csr_matrix, outcome: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the penalties to try, falling (lambda of glmnet: mean log loss + lambda x sum of absolute coefficients).

    The first is the smallest that leaves no covariate in (Friedman, Hastie, Tibshirani 2010, section 2.5).
    """
    spread = _spread(matrix)
    gradient = matrix.T @ (outcome - outcome.mean()) / len(outcome) / spread
    highest = float(np.abs(gradient).max())
    return np.geomspace(highest, highest * SMALLEST, PENALTIES)


def fit_logistic(
    matrix: csr_matrix, outcome: NDArray[np.int8], penalty: float, seed: int, *, tolerance: float = 1e-8
) -> Any:
    """Return a pipeline (scaling by standard deviation, L1 logistic regression) fitted at one penalty.

    Scaled by the standard deviation, as glmnet does, and never by a maximum: a maximum is one person's value.
    """
    from sklearn.pipeline import Pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    logistic = logistic_regression(penalty, len(outcome), seed, tolerance)
    return Pipeline([("scale", StandardScaler(with_mean=False)), ("logistic", logistic)]).fit(matrix, outcome)


def logistic_regression(penalty: float, persons: int, seed: int, tolerance: float = 1e-8) -> Any:
    """Return an unfitted L1 logistic regression whose penalty means what glmnet's lambda means.

    liblinear penalises the intercept, so it is scaled out of the penalty's reach: at its default of 1 coefficients are
    off by 0.14 against glmnet. (saga does not converge here: age is far from zero, and centring ends sparsity.)
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(
        l1_ratio=1,
        C=1 / (penalty * persons),
        solver="liblinear",
        intercept_scaling=10_000,
        tol=tolerance,
        max_iter=5_000,
        random_state=seed,
    )


def _path_losses(
    matrix: csr_matrix, outcome: NDArray[np.int8], fold: NDArray[np.int8], penalties: NDArray[np.float64], seed: int
) -> list[float]:
    """Return the cross-validated log loss along the path, which ends when `PATIENCE` penalties brought nothing."""
    losses: list[float] = []
    for penalty in penalties:
        held = [fold == number for number in np.unique(fold)]
        losses.append(float(np.mean([_held_loss(matrix, outcome, part, penalty, seed) for part in held])))
        if len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE:
            break
    return losses


def _held_loss(
    matrix: csr_matrix, outcome: NDArray[np.int8], held: NDArray[np.bool_], penalty: float, seed: int
) -> float:
    estimator = fit_logistic(matrix[~held], outcome[~held], penalty, seed, tolerance=1e-4)
    return log_loss(outcome[held], _risk(estimator, matrix[held]))


def log_loss(outcome: NDArray[np.int8], risk: NDArray[np.float64]) -> float:
    """Return the mean negative log likelihood of the outcomes under the predicted risks."""
    safe = np.clip(risk, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(outcome == 1, np.log(safe), np.log1p(-safe))))


def _train_boosting(features: Features, rows: NDArray[np.intp], seed: int) -> Fitted:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    matrix = features.matrix[rows]
    columns = _most_frequent(matrix)
    estimator = HistGradientBoostingClassifier(**BOOSTING, random_state=seed).fit(
        _input("gradient_boosting", matrix[:, columns]), features.outcome[rows]
    )
    return Fitted(
        "gradient_boosting",
        estimator,
        features.covariates[columns],
        {**BOOSTING, "trees": int(estimator.n_iter_), "columns": len(columns), "seed": seed},
    )


def _most_frequent(matrix: csr_matrix) -> NDArray[np.intp]:
    frequency = matrix.getnnz(axis=0)
    order = np.lexsort((np.arange(len(frequency)), -frequency))
    return np.sort(order[:WIDEST])


def _input(kind: str, matrix: csr_matrix) -> Any:
    return matrix.toarray().astype(np.float32) if kind == "gradient_boosting" else matrix


def _risk(estimator: Any, matrix: Any) -> NDArray[np.float64]:
    return estimator.predict_proba(matrix)[:, 1]


def _spread(matrix: csr_matrix) -> NDArray[np.float64]:
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    square = np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.where(spread > 0, spread, 1.0)


_TRAINERS: Mapping[str, Callable[[Features, NDArray[np.intp], int], Fitted]] = {
    "l1_logistic": _train_logistic,
    "gradient_boosting": _train_boosting,
}
