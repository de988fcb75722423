"""A believable hospital: stays by unit, seasons, diseases that last, pathways in order, units that change."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from tests.hospital.conftest import Hospital

PRINCIPAL = pl.col("condition_status_source_value") == "DP"


def of_visits(hospital: Hospital) -> pl.DataFrame:
    """Measurements on the days of their visit: those with a planted date are not."""
    visits = hospital.omop("visit_occurrence").select("visit_occurrence_id", "visit_start_date", "visit_end_date")
    rows = hospital.omop("measurement").join(visits, on="visit_occurrence_id")
    return rows.filter(pl.col("measurement_date").is_between("visit_start_date", "visit_end_date"))


def months(hospital: Hospital, codes: str) -> list[int]:
    """Principal diagnoses by month of the year."""
    rows = hospital.coded(codes).filter(PRINCIPAL).group_by(pl.col("condition_start_date").dt.month()).len()
    found = dict(rows.rows())
    return [found.get(month, 0) for month in range(1, 13)]


def test_stays_are_made_of_units_in_order(hospital: Hospital) -> None:
    visits, steps = hospital.omop("visit_occurrence"), hospital.omop("visit_detail")
    by_visit = steps.group_by("visit_occurrence_id").agg(
        start=pl.col("visit_detail_start_datetime").min(), end=pl.col("visit_detail_end_datetime").max(), steps=pl.len()
    )
    both = visits.join(by_visit, on="visit_occurrence_id")
    assert both.height == visits.height
    assert (both["start"] == both["visit_start_datetime"]).all()
    assert (both["end"].dt.date() == both["visit_end_date"]).all()
    assert both["steps"].max() >= 3
    follows = steps.join(steps, left_on="preceding_visit_detail_id", right_on="visit_detail_id", suffix="_before")
    assert follows.height > 500
    assert (follows["visit_occurrence_id"] == follows["visit_occurrence_id_before"]).all()
    assert (follows["visit_detail_start_date"] == follows["visit_detail_end_date_before"]).all()
    assert (steps["visit_detail_end_datetime"] >= steps["visit_detail_start_datetime"]).all()


def test_nobody_is_in_two_stays_at_once(hospital: Hospital) -> None:
    total = hospital.truths["counts"]["persons"]
    visits = hospital.omop("visit_occurrence").filter(pl.col("person_id") <= total)
    ordered = visits.sort("person_id", "visit_start_date", "visit_end_date")
    before = ordered["visit_end_date"].shift()
    same = ordered["person_id"] == ordered["person_id"].shift()
    assert ordered.filter(same & (ordered["visit_start_date"] <= before)).height == 0


def test_every_stay_has_one_principal_diagnosis_a_unit(hospital: Hospital) -> None:
    stays = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value") != "CONS")
    steps = hospital.omop("visit_detail").join(stays, on="visit_occurrence_id", how="semi")
    emergency = pl.col("visit_detail_concept_id") == 9203
    role = pl.col("role") == "DP"
    conditions = hospital.omop("condition_occurrence").select("visit_detail_id", role="condition_status_source_value")
    observations = hospital.omop("observation").select("visit_detail_id", role="qualifier_source_value")
    principal = pl.concat([conditions, observations]).filter(role).group_by("visit_detail_id").len()
    assert principal["len"].max() == 1
    without = steps.join(principal, on="visit_detail_id", how="anti")
    assert without.filter(~emergency).height == 0
    assert {"DP", "DR", "DAS"} <= set(pl.concat([conditions, observations])["role"])


def test_lengths_of_stay_are_skewed(hospital: Hospital) -> None:
    stays = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value") == "HC")
    nights = (stays["visit_end_date"] - stays["visit_start_date"]).dt.total_days()
    assert 4 <= float(nights.median() or 0) <= 7
    assert float(nights.mean() or 0) > float(nights.median() or 0)
    assert 25 < int(nights.max() or 0) <= 120
    same_day = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value").is_in(["HDJ", "SEANCE", "CONS"]))
    assert (same_day["visit_end_date"] == same_day["visit_start_date"]).all()


def test_winter_has_flu_and_bronchiolitis(hospital: Hospital) -> None:
    flu, bronchiolitis = months(hospital, "J10|J11"), months(hospital, "J21")
    assert flu[0] + flu[1] + flu[2] + flu[11] > 4 * sum(flu[3:11])
    assert sum(bronchiolitis[9:]) + bronchiolitis[0] > 3 * sum(bronchiolitis[1:9])


def test_covid_comes_in_waves_from_march_2020(hospital: Hospital) -> None:
    rows = hospital.coded("U07.1").filter(PRINCIPAL)["condition_start_date"]
    assert rows.min() >= date(2020, 3, 1)
    by_year = dict(rows.dt.year().value_counts().rows())
    assert by_year[2020] + by_year[2021] + by_year[2022] > 0.8 * len(rows)
    quiet = rows.filter((rows >= date(2020, 6, 15)) & (rows < date(2020, 9, 1))).len()
    wave = rows.filter((rows >= date(2020, 10, 1)) & (rows < date(2020, 12, 15))).len()
    assert wave > 4 * quiet


def test_planned_care_was_put_off_in_spring_2020(hospital: Hospital) -> None:
    days = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value") == "CONS")["visit_start_date"]
    count = {year: days.filter((days >= date(year, 3, 20)) & (days < date(year, 5, 10))).len() for year in (2019, 2020)}
    assert count[2020] < 0.6 * count[2019]


def test_planned_visits_are_on_weekdays(hospital: Hospital) -> None:
    visits = hospital.omop("visit_occurrence")
    weekend = visits.with_columns(weekend=pl.col("visit_start_date").dt.weekday() > 5)
    share = dict(weekend.group_by("visit_source_value").agg(pl.col("weekend").mean()).rows())
    assert share["CONS"] < 0.06
    assert share["URG"] > 0.2


def test_age_and_sex_are_those_of_a_hospital(hospital: Hospital) -> None:
    stays = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value") == "HC")
    people = hospital.omop("person").select("person_id", "gender_concept_id", "year_of_birth")
    rows = stays.join(people, on="person_id").with_columns(
        age=pl.col("visit_start_date").dt.year() - pl.col("year_of_birth")
    )
    assert 52 < float(rows["age"].mean() or 0) < 68
    births = hospital.omop("condition_occurrence").filter(pl.col("condition_source_value").str.contains("^O8[0-2]"))
    mothers = births.join(people, on="person_id")
    assert mothers["gender_concept_id"].unique().to_list() == [8532]
    ages = mothers["condition_start_date"].dt.year() - mothers["year_of_birth"]
    assert 16 <= ages.min() <= ages.max() <= 46
    assert 29 < float(ages.mean() or 0) < 33
    for code, sex in (("N40|C61", 8507), ("N80|D25|C53", 8532)):
        assert hospital.coded(code).join(people, on="person_id")["gender_concept_id"].unique().to_list() == [sex]


def test_diseases_last_and_come_together(hospital: Hospital) -> None:
    stays = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value") == "HC")
    diabetes = hospital.coded("E11").group_by("person_id").agg(since=pl.col("condition_start_date").min())
    later = stays.join(diabetes, on="person_id").filter(pl.col("visit_start_date") > pl.col("since"))
    coded = hospital.coded("E11").select("visit_occurrence_id").unique()
    assert later.join(coded, on="visit_occurrence_id", how="semi").height / later.height > 0.9
    admitted = stays.select("person_id").unique()
    hypertensive = hospital.coded("I10").select("person_id").unique()
    among = admitted.join(diabetes, on="person_id", how="semi")
    others = admitted.join(diabetes, on="person_id", how="anti")
    share = [group.join(hypertensive, on="person_id", how="semi").height / group.height for group in (among, others)]
    assert share[0] > 1.5 * share[1]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("metformin",), ("dapagliflozin", "empagliflozin", "gliclazide", "glimepiride")),
        (("warfarin", "fluindione"), ("apixaban", "rivaroxaban", "dabigatran etexilate")),
    ],
)
def test_pathways_go_one_way(hospital: Hospital, first: tuple[str, ...], then: tuple[str, ...]) -> None:
    prescribed = pl.col("drug_type_concept_id") == 32838
    one, two = (hospital.given(*names).filter(prescribed) for names in (first, then))
    starts = one.group_by("person_id").agg(
        one=pl.col("drug_exposure_start_date").min(), last=pl.col("drug_exposure_start_date").max()
    )
    both = starts.join(two.group_by("person_id").agg(two=pl.col("drug_exposure_start_date").min()), on="person_id")
    assert both.height > 10
    assert (both["one"] < both["two"]).all()
    if first == ("metformin",):
        assert ((both["two"] - both["one"]).dt.total_days() >= 365).all()
    else:
        assert (both["last"] < both["two"]).all()


def test_cancer_is_operated_on_then_treated(hospital: Hospital) -> None:
    surgery = (
        hospital.coded("C50|C18|C20")
        .filter(PRINCIPAL)
        .group_by("person_id")
        .agg(operated=pl.col("condition_start_date").min())
    )
    sessions = hospital.omop("observation").filter(pl.col("observation_source_value") == "Z51.1")
    chemotherapy = sessions.group_by("person_id").agg(first=pl.col("observation_date").min(), sessions=pl.len())
    both = surgery.join(chemotherapy, on="person_id")
    assert both.height >= 3
    assert (both["operated"] < both["first"]).all()
    assert chemotherapy["sessions"].max() >= 8
    related = hospital.coded("C").filter(pl.col("condition_status_source_value") == "DR")
    assert related.join(sessions, on="visit_occurrence_id", how="semi").height > 0.9 * sessions.height


@pytest.mark.parametrize(
    ("code", "day", "before", "after", "factor"),
    [
        ("CREA", date(2018, 7, 1), "mg/L", "µmol/L", 8.84),
        ("HB", date(2020, 3, 1), "g/dL", "g/L", 10),
        ("GLY", date(2020, 1, 1), "g/L", "mmol/L", 5.55),
        ("UREE", date(2018, 7, 1), "g/L", "mmol/L", 16.67),
    ],
)
def test_units_change_and_the_body_does_not(
    hospital: Hospital, code: str, day: date, before: str, after: str, factor: float
) -> None:
    rows = of_visits(hospital).filter(pl.col("measurement_source_value").is_in([code, f"{code}_B"]))
    early = rows.filter(pl.col("measurement_date") < day)
    late = rows.filter((pl.col("measurement_date") >= day) & (pl.col("measurement_date").dt.year() <= day.year + 1))
    assert early["unit_source_value"].unique().to_list() == [before]
    assert late["unit_source_value"].unique().to_list() == [after]
    assert early["unit_concept_id"].unique().to_list() != late["unit_concept_id"].unique().to_list()
    ratio = float(late["value_as_number"].median() or 0) / float(early["value_as_number"].median() or 1)
    assert ratio == pytest.approx(factor, rel=0.1)


def test_troponin_changes_its_method(hospital: Hospital) -> None:
    rows = of_visits(hospital).filter(pl.col("measurement_source_value").str.starts_with("TROP"))
    rows = rows.filter(pl.col("measurement_concept_id") < 2_000_000_000)
    old = rows.filter(pl.col("measurement_date") < date(2019, 1, 1))
    new = rows.filter(pl.col("measurement_date") >= date(2019, 1, 1))
    known = hospital.omop("concept").select("concept_id", "concept_code")
    codes = [
        each.join(known, left_on="measurement_concept_id", right_on="concept_id")["concept_code"] for each in (old, new)
    ]
    assert [set(each) for each in codes] == [{"10839-9"}, {"67151-1"}]
    under = old.filter(pl.col("operator_concept_id") == 4171756)
    assert under.height > 0
    assert set(under["value_as_number"]) == {0.05}


def test_disease_shows_in_biology(hospital: Hospital) -> None:
    rows = hospital.omop("measurement").filter(pl.col("measurement_source_value") == "CREA")
    kidney = hospital.coded("N18").select("person_id").unique()
    ill = float(rows.join(kidney, on="person_id", how="semi")["value_as_number"].median() or 0)
    others = float(rows.join(kidney, on="person_id", how="anti")["value_as_number"].median() or 1)
    assert ill > 1.5 * others


def test_what_is_missing_depends_on_why_one_comes(hospital: Hospital) -> None:
    visits = hospital.omop("visit_occurrence").select("visit_occurrence_id", "visit_source_value")
    weighed = hospital.omop("measurement").filter(pl.col("measurement_source_value") == "POIDS")
    found = visits.with_columns(weighed=pl.col("visit_occurrence_id").is_in(weighed["visit_occurrence_id"].implode()))
    share = dict(found.group_by("visit_source_value").agg(pl.col("weighed").mean()).rows())
    assert 0.1 < share["URG"] < 0.35
    assert 0.6 < share["HC"] < 0.9


def test_modes_of_exit_follow_the_patient(hospital: Hospital) -> None:
    people = hospital.omop("person").select("person_id", "year_of_birth")
    stays = hospital.omop("visit_occurrence").filter(pl.col("visit_source_value") == "HC").join(people, on="person_id")
    old = pl.col("visit_start_date").dt.year() - pl.col("year_of_birth") >= 80
    to_rehabilitation = pl.col("discharged_to_concept_id") == 8920
    share = [stays.filter(chosen).select(to_rehabilitation.mean()).item() for chosen in (old, ~old)]
    assert share[0] > 2 * share[1]
    assert set(stays["discharged_to_source_value"]) == {"8", "62", "71", "87", "86", "9"}
    assert set(stays["admitted_from_source_value"]) == {"8", "85", "71", "N"}
