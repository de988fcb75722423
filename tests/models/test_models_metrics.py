"""Discrimination and calibration against other people's code: R (pROC, rms, glm, glmnet) and MSKCC's dcurves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workbench.models.calibration import brier, calibration, distances
from workbench.models.discrimination import auroc, average_precision, net_benefit

PREDICTIONS = ["p1", "p2", "p3"]


def _r(shared: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(shared / "data" / "prediction" / "r" / name, null_values="NA")


def _predictions(shared: Path, column: str) -> tuple[np.ndarray, np.ndarray]:
    frame = _r(shared, "binary_predictions.csv")
    return frame["y"].to_numpy(), frame[column].to_numpy()


@pytest.mark.parametrize("column", PREDICTIONS)
def test_auroc_and_delong_equal_proc(shared: Path, column: str) -> None:
    expected = _r(shared, "auc_delong.csv").row(by_predicate=pl.col("pred") == column, named=True)
    found = auroc(*_predictions(shared, column))
    assert found.value == pytest.approx(expected["auc"], abs=1e-12)
    assert (found.low, found.high) == pytest.approx((expected["lo"], expected["hi"]), abs=1e-12)


@pytest.mark.parametrize("column", PREDICTIONS)
def test_calibration_equals_r_glm(shared: Path, column: str) -> None:
    expected = _r(shared, "calibration.csv").row(by_predicate=pl.col("pred") == column, named=True)
    found = calibration(*_predictions(shared, column))
    assert found.intercept is not None
    assert found.slope is not None
    values = [found.in_the_large.value, found.intercept.value, found.slope.value, found.observed_expected]
    assert values == pytest.approx([expected[name] for name in ("citl", "intercept", "slope", "oe")], abs=1e-8)
    errors = [(part.high - part.value) / 1.959963984540054 for part in (found.in_the_large, found.slope)]
    assert errors == pytest.approx([expected["citl_se"], expected["slope_se"]], abs=1e-6)


@pytest.mark.parametrize("column", PREDICTIONS)
def test_brier_and_smooth_curve_equal_rms(shared: Path, column: str) -> None:
    stats = _r(shared, "valprob.csv").filter(pl.col("pred") == column)
    expected = dict(zip(stats["stat"], stats["value"], strict=True))
    outcome, risk = _predictions(shared, column)
    assert brier(outcome, risk) == pytest.approx(expected["Brier"], abs=1e-12)
    assert distances(outcome, risk) == pytest.approx([expected[name] for name in ("Eavg", "E90", "Emax")], abs=1e-6)


def test_net_benefit_equals_dcurves(shared: Path) -> None:
    folder = shared / "data" / "prediction" / "dcurves"
    people = pl.read_csv(folder / "df_binary.csv")
    outcome = (people["cancer"].cast(pl.String).str.to_lowercase() == "true").cast(pl.Int8).to_numpy()
    expected = pl.read_csv(folder / "r_dca_famhistory.csv", null_values="NA").filter(pl.col("threshold") > 0)
    risks = {"famhistory": people["famhistory"].to_numpy().astype(float), "all": np.ones(people.height)}
    for row in expected.filter(pl.col("variable") != "none").iter_rows(named=True):
        found = net_benefit(outcome, risks[row["variable"]], row["threshold"])
        assert found == pytest.approx(row["net_benefit"], abs=1e-12), row


def test_average_precision_and_ties_by_hand() -> None:
    outcome = np.array([1, 0, 1, 0])
    assert average_precision(outcome, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(outcome, np.full(4, 0.5)) == pytest.approx(0.5)
    assert auroc(outcome, np.full(4, 0.5)).value == 0.5


def test_the_same_risk_for_all_has_no_slope() -> None:
    found = calibration(np.array([1, 0, 0, 0]), np.full(4, 0.25))
    assert found.slope is None
    assert found.in_the_large.value == pytest.approx(0, abs=1e-9)
