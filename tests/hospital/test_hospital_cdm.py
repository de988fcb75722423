"""Every table is OMOP CDM 5.4, and every error that is in it was planted and counted."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from tests.hospital.conftest import Hospital
from workbench.repository.cdm import TABLES

MADE = (
    "care_site", "cdm_source", "concept", "concept_ancestor", "concept_class", "concept_relationship",
    "concept_synonym", "condition_occurrence", "death", "domain", "drug_exposure", "location", "measurement",
    "observation", "observation_period", "person", "procedure_occurrence", "relationship", "source_to_concept_map",
    "visit_detail", "visit_occurrence", "vocabulary",
)  # fmt: skip
TYPES = {"integer": pl.Int64, "number": pl.Float64, "text": pl.String, "date": pl.Date, "datetime": pl.Datetime("us")}
PLANTED = {
    ("measurement", "measurement_concept_id"): "unknown_concept",
    ("measurement", "visit_occurrence_id"): "unknown_visit",
}


def test_these_tables_and_no_others(hospital: Hospital) -> None:
    assert sorted(path.stem for path in (hospital.folder / "omop").glob("*.parquet")) == sorted(MADE)


@pytest.mark.parametrize("name", MADE)
def test_columns_types_and_keys_are_the_models(hospital: Hospital, name: str) -> None:
    rows, model = hospital.omop(name), TABLES[name]
    assert rows.height
    for column, kind in rows.schema.items():
        assert kind == TYPES[model.by_name[column].type], column
    for each in model.fields:
        if each.required:
            assert each.name in rows.columns
            assert rows[each.name].null_count() == 0, each.name
        if each.key:
            assert rows[each.name].is_unique().all()


@pytest.mark.parametrize("name", MADE)
def test_references_lead_somewhere_but_for_the_planted(hospital: Hospital, name: str) -> None:
    rows = hospital.omop(name)
    for each in TABLES[name].fields:
        if not each.references or each.name not in rows.columns:
            continue
        keys = hospital.omop(each.references)[str(TABLES[each.references].key)]
        lost = rows.filter(pl.col(each.name).is_not_null() & ~pl.col(each.name).is_in(keys.implode())).height
        kind = PLANTED.get((name, each.name))
        assert lost == (hospital.truths["errors"][kind] if kind else 0), each.name


def test_every_error_is_counted(hospital: Hospital) -> None:
    truth = hospital.truths["errors"]
    rows = hospital.omop("measurement").join(
        hospital.omop("person").select("person_id", "year_of_birth"), on="person_id"
    )
    deaths = hospital.omop("death").select("person_id", "death_date")
    day = pl.col("measurement_date")
    late = rows.join(deaths, on="person_id").filter((day > pl.col("death_date")) & (day < date(2026, 6, 1)))
    drugs = hospital.omop("drug_exposure")
    backwards = drugs.filter(pl.col("drug_exposure_end_date") < pl.col("drug_exposure_start_date"))
    content = [name for name in rows.columns if name != "measurement_id"]
    repeated = rows.height - rows.unique(content).height
    code, value = pl.col("measurement_source_value"), pl.col("value_as_number")
    limits = {"TEMP": 100, "POIDS": 300, "TAILLE": 250, "K": 15}
    high = rows.filter(pl.any_horizontal((code == name) & (value > limit) for name, limit in limits.items()))
    assert rows.filter(day > date(2026, 6, 1)).height == truth["future_date"] > 0
    assert rows.filter(day.dt.year() < pl.col("year_of_birth")).height == truth["before_birth"] > 0
    assert late.height == truth["after_death"] > 0
    assert backwards.height == truth["end_before_start"] > 0
    assert repeated == truth["repeated_row"] > 0
    assert high.height == truth["impossible_value"] > 0


def test_a_second_identity_has_the_same_birth_sex_and_town(hospital: Hospital) -> None:
    person, total = hospital.omop("person"), hospital.truths["counts"]["persons"]
    again = person.filter(pl.col("person_id") > total)
    assert again.height == hospital.truths["counts"]["duplicates"] > 0
    same = ["gender_concept_id", "birth_datetime", "location_id"]
    first = person.with_columns(person_id=pl.col("person_id") + total)
    assert again.join(first, on=["person_id", *same]).height == again.height
    visits = hospital.omop("visit_occurrence").filter(pl.col("person_id") > total)
    assert visits.height == again.height


def test_nothing_lies_outside_its_observation_but_the_planted(hospital: Hospital) -> None:
    period = hospital.omop("observation_period")
    for name in ("visit_occurrence", "condition_occurrence", "procedure_occurrence", "measurement"):
        day = next(each.name for each in TABLES[name].fields if each.type == "date" and each.required)
        rows = hospital.omop(name).join(period, on="person_id")
        inside = pl.col(day).is_between("observation_period_start_date", "observation_period_end_date")
        planted = sum(hospital.truths["errors"][kind] for kind in ("future_date", "before_birth", "after_death"))
        assert rows.filter(~inside).height == (planted if name == "measurement" else 0), name


def test_acts_have_no_standard_concept_and_all_else_has(hospital: Hospital) -> None:
    acts = hospital.omop("procedure_occurrence")
    assert acts["procedure_concept_id"].unique().to_list() == [0]
    assert acts["procedure_source_concept_id"].min() > 2_000_000_000
    standard = hospital.omop("concept").filter(pl.col("standard_concept") == "S")["concept_id"]
    for name, column in (
        ("condition_occurrence", "condition"),
        ("drug_exposure", "drug"),
        ("observation", "observation"),
    ):
        assert hospital.omop(name)[f"{column}_concept_id"].is_in(standard.implode()).all()
