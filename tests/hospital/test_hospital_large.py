"""A hundred thousand patients: in time and memory, every truth again, the effect and the signal found by analysis."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from tests.hospital import test_hospital_cdm as cdm
from tests.hospital import test_hospital_truths as truths
from tests.hospital.conftest import Hospital

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.xdist_group("hospital_large")]

MAKE = """
import json, pathlib, resource, sys, time
from workbench.hospital.make import make
make(pathlib.Path(sys.argv[1]), patients=100_000)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hospital, dict[str, float]]:
    """The hospital of 100,000 and what making it took."""
    folder = tmp_path_factory.mktemp("large") / "made"
    done = subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True, text=True)
    return Hospital(folder), json.loads(done.stdout)


def fitted(
    columns: list[NDArray[np.float64]], event: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A logistic regression by Newton's method: coefficients (the constant first) and their standard errors."""
    matrix = np.column_stack([np.ones(len(event)), *columns])
    beta = np.zeros(matrix.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-matrix @ beta))
        information = matrix.T @ (matrix * (p * (1 - p))[:, None])
        beta = beta + np.linalg.solve(information, matrix.T @ (event - p))
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


def test_it_takes_about_a_minute_and_a_gigabyte(large: tuple[Hospital, dict[str, float]]) -> None:
    assert large[1]["cpu"] < 120
    assert large[1]["megabytes"] < 1500


@pytest.mark.parametrize(
    "check",
    [
        truths.test_cohorts_have_their_sizes,
        truths.test_people_births_and_deaths_are_counted,
        truths.test_the_incidence_is_that_of_the_tables,
        truths.test_the_effect_is_that_of_the_tables,
        cdm.test_every_error_is_counted,
        cdm.test_a_second_identity_has_the_same_birth_sex_and_town,
        cdm.test_nothing_lies_outside_its_observation_but_the_planted,
    ],
)
def test_every_truth_again(large: tuple[Hospital, dict[str, float]], check: object) -> None:
    assert callable(check)
    check(large[0])


def test_the_crude_comparison_misleads_and_the_adjusted_one_is_right(large: tuple[Hospital, dict[str, float]]) -> None:
    truth = large[0].truths["effect"]
    known, treated, event = truths.comparison(large[0])
    crude, crude_error = fitted([treated], event)
    adjusted, error = fitted([treated, *(known[name] for name in ("age", "ic", "mrc", "fa"))], event)
    assert abs(crude[1] - truth["log_odds_ratio"]) > 4 * crude_error[1]
    assert np.exp(crude[1]) == pytest.approx(truth["crude_odds_ratio"], rel=0.2)
    assert crude[1] > 0
    assert abs(adjusted[1] - truth["log_odds_ratio"]) < 2.5 * error[1]
    assert adjusted[1] + 2 * error[1] < 0


def test_the_best_ranking_is_nearly_reached_and_not_beaten(large: tuple[Hospital, dict[str, float]]) -> None:
    truth = large[0].truths["prediction"]
    probability, event, known = truths.best_ranking(large[0])
    assert (len(event), int(event.sum())) == (truth["persons"], truth["events"])
    assert truths.auc(probability, event) == pytest.approx(truth["best_auc"], abs=0.02)
    odd = np.arange(len(event)) % 2 == 1
    columns = [known[name] for name in truth["coefficients"] if name in known]
    beta, _ = fitted([column[odd] for column in columns], event[odd])
    score = np.column_stack([np.ones(len(event)), *columns]) @ beta
    assert truth["best_auc"] - 0.03 < truths.auc(score[~odd], event[~odd]) < truth["best_auc"] + 0.02
    planted = [truth["coefficients"][name] for name in truth["coefficients"] if name in known]
    beta, error = fitted(columns, event)
    assert (np.abs(beta[1:] - planted) < 3.5 * error[1:]).all()


def test_winter_is_busier(large: tuple[Hospital, dict[str, float]]) -> None:
    codes = large[0].coded("J1[358]|J44|J69|I50").filter(pl.col("condition_status_source_value") == "DP")
    month = codes["condition_start_date"].dt.month()
    winter, summer = month.is_in([12, 1, 2]).sum(), month.is_in([6, 7, 8]).sum()
    assert winter > 1.15 * summer
