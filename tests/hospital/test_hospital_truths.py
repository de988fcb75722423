"""What is planted is in the tables: each truth counted again from the tables alone, with nothing of the code."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from tests.hospital.conftest import Hospital

END = date(2024, 12, 31)
YEAR = 365
CODES = {
    "ic": "I50", "fa": "I48", "mrc": "N18.[349]", "coronaropathie": "I25.[129]", "bpco": "J44.[89]", "hta": "I10|I11",
}  # fmt: skip
GLIFLOZINS, SULFONYLUREAS = ("dapagliflozin", "empagliflozin"), ("gliclazide", "glimepiride")


def first_day(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Each person's first day in some rows."""
    return rows.group_by("person_id").agg(index=pl.col(column).min())


def observed(hospital: Hospital) -> pl.DataFrame:
    """When each person is observed."""
    period = hospital.omop("observation_period")
    return period.select("person_id", since="observation_period_start_date", until="observation_period_end_date")


def new_users(hospital: Hospital, *names: str) -> pl.DataFrame:
    """Who starts one of these drugs after half a year of observation: person, index, end of observation."""
    starts = first_day(hospital.given(*names), "drug_exposure_start_date").join(observed(hospital), on="person_id")
    return starts.filter((pl.col("index") - pl.col("since")).dt.total_days() >= 180)


def outcomes(hospital: Hospital, users: pl.DataFrame) -> pl.DataFrame:
    """The same with the day of the first stay for heart failure in the year after, and whether there was one before."""
    stays = hospital.failure_stays().join(users.select("person_id", "index"), on="person_id")
    after = stays.filter(
        (pl.col("day") > pl.col("index")) & (pl.col("day") <= pl.col("index") + pl.duration(days=YEAR))
    )
    before = stays.filter(pl.col("day") <= pl.col("index"))
    return (
        users.join(first_day(after, "day").rename({"index": "event"}), on="person_id", how="left")
        .join(before.select("person_id", before=pl.lit(value=True)).unique(), on="person_id", how="left")
        .with_columns(pl.col("before").fill_null(value=False))
    )


def followed(users: pl.DataFrame) -> pl.DataFrame:
    """Those with the outcome, or alive and observed for the whole year."""
    whole = pl.col("until") > pl.col("index") + pl.duration(days=YEAR - 1)
    alive = (pl.col("until") > pl.col("index") + pl.duration(days=YEAR)) | (pl.col("until") == END)
    return users.filter(pl.col("event").is_not_null() | (whole & alive))


def covariates(hospital: Hospital, users: pl.DataFrame) -> tuple[dict[str, NDArray[np.float64]], pl.DataFrame]:
    """What the index day's own diagnoses and the year of birth say of each person."""
    table = users.join(hospital.omop("person").select("person_id", "year_of_birth"), on="person_id").sort("person_id")
    age = np.minimum((table["index"].dt.year() - table["year_of_birth"]).to_numpy(), 90)
    found: dict[str, NDArray[np.float64]] = {"age": (age - 65) / 10}
    for name, codes in CODES.items():
        rows = hospital.coded(codes).join(table.select("person_id", "index"), on="person_id")
        there = rows.filter(pl.col("condition_start_date") == pl.col("index"))["person_id"].unique()
        found[name] = table["person_id"].is_in(there.implode()).to_numpy().astype(float)
    return found, table


def risk(part: dict[str, float], known: dict[str, NDArray[np.float64]], treated: Any = 0.0) -> NDArray[np.float64]:
    """The probability that a part of the truths gives."""
    score = part["constante"] + sum(part[name] * known[name] for name in known if name in part)
    return 1 / (1 + np.exp(-(score + part.get("traitement", 0.0) * treated)))


def auc(score: NDArray[np.float64], event: NDArray[np.float64]) -> float:
    """The area under the curve, as the share of ordered pairs."""
    order = pl.Series(score).rank("average").to_numpy()
    n = event.sum()
    return float((order[event > 0].sum() - n * (n + 1) / 2) / (n * (len(event) - n)))


def test_cohorts_have_their_sizes(hospital: Hospital) -> None:
    counts = hospital.truths["counts"]
    metformin = outcomes(hospital, new_users(hospital, "metformin"))
    assert metformin.height == counts["metformin_new_users"]
    assert metformin.filter(~pl.col("before")).height == counts["metformin_new_users_without_failure"]
    assert new_users(hospital, *GLIFLOZINS).height == counts["gliflozin_new_users"]
    assert new_users(hospital, *SULFONYLUREAS).height == counts["sulfonylurea_new_users"]
    assert hospital.coded("E11")["person_id"].n_unique() == counts["type_2_diabetes"]
    stays = hospital.failure_stays()
    assert stays["visit_occurrence_id"].n_unique() == counts["heart_failure_stays"]
    assert stays["person_id"].n_unique() == counts["heart_failure_persons"]
    covid = hospital.coded("U07.1").filter(pl.col("condition_status_source_value") == "DP")
    assert covid["visit_occurrence_id"].n_unique() == counts["covid_stays"]


def test_people_births_and_deaths_are_counted(hospital: Hospital) -> None:
    counts, person = hospital.truths["counts"], hospital.omop("person")
    assert person.height == counts["persons"] + counts["duplicates"]
    assert (
        person.filter((pl.col("gender_concept_id") == 8532) & (pl.col("person_id") <= counts["persons"])).height
        == (counts["women"])
    )
    assert hospital.omop("death").height == counts["deaths"]
    born = hospital.omop("visit_occurrence").filter(pl.col("admitted_from_source_value") == "N")
    assert born["person_id"].n_unique() == counts["births"]
    fatal = hospital.omop("visit_occurrence").filter(pl.col("discharged_to_concept_id") == 4216643)
    assert fatal["person_id"].n_unique() == fatal.height == counts["deaths_in_hospital"]
    died = fatal.join(hospital.omop("death"), on="person_id")
    assert (died["visit_end_date"] == died["death_date"]).all()


def test_the_incidence_is_that_of_the_tables(hospital: Hospital) -> None:
    users = outcomes(hospital, new_users(hospital, "metformin")).filter(~pl.col("before"))
    until = pl.min_horizontal("event", "until", pl.col("index") + pl.duration(days=YEAR))
    days = users.select((until - pl.col("index")).dt.total_days().sum()).item()
    truth = hospital.truths["incidence"]
    assert (users["event"].is_not_null().sum(), days) == (truth["events"], truth["days"])
    assert truth["per_1000_years"] == pytest.approx(truth["events"] / days * 365_250)


def best_ranking(hospital: Hospital) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """The planted probabilities of the first outcome, computed from the tables, and the outcomes."""
    users = followed(outcomes(hospital, new_users(hospital, "metformin")).filter(~pl.col("before")))
    known, table = covariates(hospital, users)
    return (
        risk(hospital.truths["prediction"]["coefficients"], known),
        table["event"].is_not_null().to_numpy().astype(float),
        known,
    )


def test_the_signal_is_known_on_the_index_day(hospital: Hospital) -> None:
    truth = hospital.truths["prediction"]
    probability, event, _ = best_ranking(hospital)
    assert (len(event), int(event.sum())) == (truth["persons"], truth["events"])
    assert probability.sum() == pytest.approx(truth["expected_events"], rel=1e-6)
    pairs = probability[:, None] * (1 - probability[None, :])
    higher = (probability[:, None] > probability[None, :]) + 0.5 * (probability[:, None] == probability[None, :])
    assert truth["best_auc"] == pytest.approx(float((pairs * higher).sum() / pairs.sum()), abs=1e-6)


def comparison(hospital: Hospital) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """Who got which second drug, what was known of them that day, and the outcome of the year."""
    parts = []
    for treated, names in ((1.0, GLIFLOZINS), (0.0, SULFONYLUREAS)):
        parts.append(outcomes(hospital, new_users(hospital, *names)).with_columns(treated=pl.lit(treated)))
    known, table = covariates(hospital, followed(pl.concat(parts)))
    return known, table["treated"].to_numpy(), table["event"].is_not_null().to_numpy().astype(float)


def test_the_effect_is_that_of_the_tables(hospital: Hospital) -> None:
    truth = hospital.truths["effect"]
    known, treated, event = comparison(hospital)
    for group, arm in (("treated", 1.0), ("others", 0.0)):
        mine = treated == arm
        assert {"persons": int(mine.sum()), "events": int(event[mine].sum())} == truth[group]
    part = truth["coefficients"]
    difference = risk(part, known, 1.0).mean() - risk(part, known, 0.0).mean()
    assert difference == pytest.approx(truth["risk_difference"], abs=1e-7)
    drawn = risk(part, known, treated)
    odds = [share / (1 - share) for share in (drawn[treated == 1].mean(), drawn[treated == 0].mean())]
    assert odds[0] / odds[1] == pytest.approx(truth["crude_odds_ratio"], rel=1e-6)
    assert truth["crude_odds_ratio"] > 1 > np.exp(truth["log_odds_ratio"])
