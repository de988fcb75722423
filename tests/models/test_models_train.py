"""Learning: against glmnet, the known mechanism found, the same twice, nothing learned from held-out patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from workbench.kernel.errors import Refused, Unavailable
from workbench.models.load import load_features
from workbench.models.persist import estimator_digest
from workbench.models.run import model_id, train_models
from workbench.models.train import LEAF, logistic_regression, train

if TYPE_CHECKING:
    from conftest import Made

KEY = bytes(range(32))
KINDS = ["l1_logistic", "gradient_boosting"]


def _coefficients(matrix: csr_matrix, outcome: np.ndarray, penalty: float) -> np.ndarray:
    fitted = logistic_regression(penalty, len(outcome), 0).fit(matrix, outcome)
    return np.concatenate([fitted.intercept_, fitted.coef_[0]])


def test_l1_equals_glmnet_on_sparse_data(shared: Path) -> None:
    folder = shared / "data" / "prediction" / "r"
    cells = pl.read_csv(folder / "lasso_sparse_X.csv")
    outcome = pl.read_csv(folder / "lasso_sparse_y.csv")["y"].to_numpy()
    matrix = csr_matrix((np.ones(cells.height), (cells["row"].to_numpy(), cells["col"].to_numpy())), shape=(2000, 300))
    expected = pl.read_csv(folder / "lasso_sparse_glmnet.csv")
    for (penalty,), rows in expected.group_by("lambda"):
        found = _coefficients(matrix, outcome, float(str(penalty)))
        np.testing.assert_allclose(found, rows.sort("j")["coef"].to_numpy(), atol=1e-4)


def test_l1_equals_glmnet_on_dense_data(shared: Path) -> None:
    folder = shared / "data" / "prediction" / "r"
    people = pl.read_csv(folder / "binary_predictions.csv", null_values="NA")
    matrix = csr_matrix(people.select(pl.col("age") / 100, "famhistory", "marker").to_numpy())
    for (penalty,), rows in pl.read_csv(folder / "glmnet_lasso.csv").group_by("lambda", maintain_order=True):
        found = _coefficients(matrix, people["y"].to_numpy(), float(str(penalty)))
        np.testing.assert_allclose(found, rows["coef"].to_numpy(), atol=1.5e-2)


def test_the_mechanism_is_found(trained: Made) -> None:
    for manifest in trained.manifests:
        folder = trained.models / model_id(manifest)
        evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        heaviest = {row["name"] for row in evaluation["weights"][:4]}
        assert {"Ulcer", "Omeprazole"} <= heaviest
        assert manifest["metrics"]["auroc_low"] > 0.55


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_same(trained: Made, kind: str) -> None:
    features = load_features(trained.features, KEY)
    digests = {estimator_digest(train(features, kind, 20)) for _ in range(2)}
    assert digests == {manifest["estimator_digest"] for manifest in trained.manifests if manifest["kind"] == kind}


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_patients_teach_nothing(trained: Made, kind: str) -> None:
    """Turning every held-out label around leaves the fitted model as it was."""
    features = load_features(trained.features, KEY)
    test = pl.col("split") == "test"
    turned = features.rows.with_columns(outcome=pl.when(test).then(1 - pl.col("outcome")).otherwise(pl.col("outcome")))
    other = type(features)(features.manifest, features.matrix, turned, features.covariates)
    assert estimator_digest(train(other, kind, 20)) == estimator_digest(train(features, kind, 20))


def test_no_leaf_is_smaller_than_the_threshold(trained: Made) -> None:
    fitted = train(load_features(trained.features, KEY), "gradient_boosting", 20)
    smallest = min(int(tree.nodes["count"].min()) for stage in fitted.estimator._predictors for tree in stage)
    assert smallest >= LEAF > 11


def test_a_missing_covariate_counts_as_absent(trained: Made) -> None:
    features = load_features(trained.features, KEY)
    fitted = train(features, "l1_logistic", 20)
    fewer = type(features)(features.manifest, features.matrix[:, 1:], features.rows, features.covariates[1:])
    emptied = features.matrix.tolil()
    emptied[:, 0] = 0
    empty = type(features)(features.manifest, csr_matrix(emptied), features.rows, features.covariates)
    np.testing.assert_allclose(fitted.predict(fewer), fitted.predict(empty))


def test_another_extract_or_design_is_refused(trained: Made, tmp_path: Path) -> None:
    other: dict[str, Any] = {**trained.extract, "study": "another"}
    with pytest.raises(Refused, match=r"model\.other_extract"):
        train_models(trained.features, trained.design, other, tmp_path, key=KEY)
    with pytest.raises(Refused, match=r"model\.other_extract"):
        train_models(trained.features, {**trained.design, "washout": False}, trained.extract, tmp_path, key=KEY)
    with pytest.raises(Unavailable, match=r"model\.features_damaged"):
        train_models(trained.features, trained.design, trained.extract, tmp_path)
    assert list(tmp_path.iterdir()) == []
