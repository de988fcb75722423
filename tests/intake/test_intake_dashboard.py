"""The dashboard's checks: the list is OHDSI's, the numbers are those of a naive reading, the statuses as defined."""

from __future__ import annotations

import csv
import re
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests.intake.naive_dashboard import KINDS, naive, naive_verdict, random_tables
from workbench.engines.duckdb import connect
from workbench.intake.omop import load_omop
from workbench.intake.quality.checks import Check, all_checks
from workbench.intake.quality.dashboard import Result, run, summary
from workbench.intake.quality.data import Data
from workbench.repository.cdm import TABLES

TODAY = date(2026, 11, 22)
SEVERITIES = {"fatal", "convention", "characterization"}


def results(folder: Path) -> dict[str, Result]:
    files = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    with connect() as connection:
        return {result.check.id: result for result in run(Data.of(connection, files), TODAY)}


@pytest.fixture(scope="module")
def listed(shared: Path) -> set[tuple[object, ...]]:
    """The instances of OHDSI's own lists: name, table, column, concepts, threshold."""
    folder = shared / "data" / "omop_quality"

    def read(name: str) -> list[dict[str, str]]:
        with (folder / f"OMOP_CDMv5.4_{name}.csv").open(encoding="utf-8-sig") as stream:
            return list(csv.DictReader(stream))

    levels = {level.upper(): read(f"{level}_Level") for level in ("Table", "Field", "Concept")}
    found: set[tuple[object, ...]] = set()
    for description in read("Check_Descriptions"):
        tests = [
            re.match(r"\s*(\w+)\s*(==|!=)\s*'(.*)'\s*$", part) for part in description["evaluationFilter"].split("&")
        ]
        for row in levels[description["checkLevel"]]:
            if all((row[test[1]] == test[3]) == (test[2] == "==") for test in tests if test):
                found.add(_instance(description["checkName"], row))
    return found


def _instance(name: str, row: dict[str, str]) -> tuple[object, ...]:
    concepts = tuple(int(each) for each in row.get("conceptId", "").split(",") if each.strip())
    column = row.get("cdmFieldName", "").lower().strip('"') or None
    return name, row["cdmTableName"].lower(), column, concepts, float(row.get(f"{name}Threshold") or 0)


def test_the_list_is_that_of_the_dashboard(listed: set[tuple[object, ...]]) -> None:
    mine = {(check.name, check.table, check.column, check.concepts, float(check.threshold)) for check in all_checks()}
    assert mine == listed
    assert len(mine) == len(all_checks()) == len({check.id for check in all_checks()}) == 2535
    assert {check.severity for check in all_checks()} == SEVERITIES


@pytest.mark.parametrize("seed", [1, 2])
def test_numbers_are_those_of_a_naive_reading(tmp_path: Path, seed: int) -> None:
    folder = random_tables(tmp_path / "tables", seed)
    found = results(folder)
    judged = [result for result in found.values() if result.status in {"passed", "failed"}]
    counted = [result for result in judged if result.check.name not in {"cdmTable", "cdmField"}]
    assert len(counted) > 1200
    assert not [result.check.id for result in found.values() if result.status == "error"]
    with duckdb.connect() as connection:
        for path in folder.glob("*.parquet"):
            connection.execute(f"CREATE TABLE {path.stem} AS FROM '{path}'")
        wrong = {
            result.check.id: ((result.failed, result.looked_at), expected)
            for result in counted
            if (expected := naive(connection, result.check, TODAY)) != (result.failed, result.looked_at)
        }
    assert wrong == {}
    for result in judged:
        share = 100 * result.failed / result.looked_at if result.looked_at else 0
        over = result.failed > 0 if result.check.threshold == 0 else share > result.check.threshold
        assert (result.status == "failed") == over, result


FOREIGN = """
    cdm_source.cdm_version concept.concept_class_id concept.domain_id concept.vocabulary_id
    concept_relationship.concept_id_1 concept_relationship.concept_id_2 concept_relationship.relationship_id
    condition_occurrence.condition_status condition_occurrence.condition_type death.death_type
    device_exposure.device_type drug_exposure.drug_type drug_exposure.route measurement.measurement_type
    measurement.operator measurement.unit measurement.value_as observation.observation_type observation.qualifier
    observation.unit observation.value_as observation_period.period_type person.ethnicity_source person.gender
    person.gender_source person.race person.race_source procedure_occurrence.modifier
    procedure_occurrence.procedure_type provider.gender provider.gender_source provider.specialty
    provider.specialty_source visit_detail.admitted_from visit_detail.discharged_to visit_detail.visit_detail_source
    visit_detail.visit_detail_type visit_occurrence.admitted_from visit_occurrence.discharged_to
    visit_occurrence.visit_source visit_occurrence.visit_type vocabulary.vocabulary
"""
OTHERS = {
    "measurePersonCompleteness:drug_era",
    "plausibleValueHigh:drug_exposure.days_supply",
    "plausibleValueLow:drug_exposure.days_supply",
    "plausibleValueLow:drug_exposure.quantity",
    "standardConceptRecordCompleteness:condition_occurrence.condition_status_concept_id",
    "standardConceptRecordCompleteness:measurement.unit_concept_id",
    "standardConceptRecordCompleteness:observation.unit_concept_id",
    *(
        f"standardConceptRecordCompleteness:{table}.{column}_concept_id"
        for table in ("visit_detail", "visit_occurrence")
        for column in ("admitted_from", "discharged_to")
    ),
}


@pytest.fixture(scope="module")
def synthea(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of Synthea27Nj as a release has them."""
    folder = tmp_path_factory.mktemp("synthea")
    source = folder / "source"
    source.mkdir()
    with zipfile.ZipFile(shared / "data" / "synthea27nj" / "Synthea27Nj_5.4.zip") as archive:
        for member in archive.namelist():
            if not member.startswith("__MACOSX"):
                (source / Path(member).name).write_bytes(archive.read(member))
    load_omop(source, folder / "release", name="Synthea27Nj", synthetic=True)
    return folder / "release" / "tables"


def test_synthea_fails_the_53_checks_that_it_is_known_to_fail(synthea: Path) -> None:
    found = results(synthea)
    failed = {name for name, result in found.items() if result.status == "failed"}
    foreign = {name if "." in name and name.rsplit("_", 1)[-1] in {"id", "1", "2"} else f"{name}_concept_id"
               for name in FOREIGN.split()}  # fmt: skip
    assert len(found) == 2535
    assert len(failed) == 53
    assert {name.partition(":")[2] for name in failed if name.startswith("isForeignKey")} == foreign
    assert len(foreign) == 42
    assert failed - {name for name in failed if name.startswith("isForeignKey")} == OTHERS


def test_every_check_of_synthea_is_that_of_a_naive_reading(synthea: Path) -> None:
    assert_each_as_expected(synthea)


def test_every_check_of_gibleed_is_that_of_a_naive_reading(gibleed: tuple[Path, dict[str, Any]]) -> None:
    assert_each_as_expected(gibleed[0] / "tables")


def assert_each_as_expected(folder: Path) -> None:
    """Hold status, failing rows, rows looked at and their share against a naive reading, check by check."""
    found = results(folder)
    with duckdb.connect() as connection:
        for path in folder.glob("*.parquet"):
            connection.execute(f"CREATE TABLE {path.stem} AS FROM '{path}'")
        expected = {check.id: naive_verdict(connection, check, TODAY) for check in all_checks()}
    mine = {name: (result.status, result.failed, result.looked_at) for name, result in found.items()}
    assert len(mine) == 2535
    assert {name: (each, expected[name]) for name, each in mine.items() if each != expected[name]} == {}


def test_gibleed_has_its_known_flaws(gibleed: tuple[Path, dict[str, Any]]) -> None:
    found = results(gibleed[0] / "tables")
    assert summary(list(found.values()))["error"] == 0
    repeated = found["isPrimaryKey:drug_exposure.drug_exposure_id"]
    assert (repeated.failed, repeated.looked_at, repeated.status) == (8768, 67707, "failed")
    lost = found["isForeignKey:drug_exposure.visit_occurrence_id"]
    assert (lost.failed, lost.looked_at, lost.status) == (66970, 67707, "failed")
    assert found["plausibleGender:condition_occurrence.condition_concept_id:26662"].reason == "no_records"


def one(folder: Path, table: str, frame: pl.DataFrame) -> dict[str, Result]:
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / f"{table}.parquet")
    return results(folder)


def test_not_applicable_is_not_passed(tmp_path: Path) -> None:
    person = pl.DataFrame({"person_id": [1, 2], "gender_concept_id": [8507, None], "year_of_birth": [None, None]})
    found = one(tmp_path, "person", person.cast(pl.Int64))

    def said(name: str) -> tuple[str, str | None]:
        return found[name].status, found[name].reason

    assert said("cdmTable:death") == ("failed", None)
    assert said("cdmField:death.death_date") == ("not_applicable", "no_table")
    assert said("measurePersonCompleteness:death") == ("not_applicable", "no_table")
    assert said("cdmField:person.race_concept_id") == ("failed", None)
    assert said("isRequired:person.race_concept_id") == ("not_applicable", "no_column")
    assert said("isRequired:person.year_of_birth") == ("not_applicable", "no_values")
    assert said("measureValueCompleteness:person.year_of_birth") == ("failed", None)
    assert said("isRequired:person.gender_concept_id") == ("failed", None)
    assert said("isPrimaryKey:person.person_id") == ("passed", None)
    assert said("measureConditionEraCompleteness:condition_era") == ("not_applicable", "no_rows")
    nothing = pl.DataFrame(schema={"person_id": pl.Int64, "death_date": pl.Date, "cause_concept_id": pl.Int64})
    found = one(tmp_path, "death", nothing)
    assert said("isRequired:death.person_id") == ("not_applicable", "no_rows")
    assert said("measureValueCompleteness:death.death_date") == ("not_applicable", "no_rows")
    assert (found["measurePersonCompleteness:death"].failed, said("measurePersonCompleteness:death")[0]) == (
        2,
        "passed",
    )


@pytest.mark.parametrize(
    ("ids", "failed"),
    [([1, 2, 65, 66], 0), ([1, 1, 2], 2), ([5, 5, 5, 69, 69], 5), ([-1, -65, 63], 0), ([7, None, None], 0)],
)
def test_keys_that_repeat_are_counted_with_every_row(tmp_path: Path, ids: list[int | None], failed: int) -> None:
    frame = pl.DataFrame({"person_id": ids}, schema={"person_id": pl.Int64})
    assert one(tmp_path, "person", frame)["isPrimaryKey:person.person_id"].failed == failed


def whole(table: str, **values: list[Any]) -> pl.DataFrame:
    """Return rows of a table with all its columns, as a release has them."""
    count = len(next(iter(values.values())))
    columns = {each.name: values.get(each.name, [None] * count) for each in TABLES[table].fields}
    return pl.DataFrame(columns, schema={each.name: KINDS[each.type] for each in TABLES[table].fields})


def test_a_person_or_a_visit_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    days = [date(2020, 1, 1), date(2021, 1, 1)]
    whole("person", person_id=[1, 1], year_of_birth=[1980, 2021]).write_parquet(tmp_path / "person.parquet")
    visits = whole("visit_occurrence", visit_occurrence_id=[9, 9], visit_start_date=days, visit_end_date=days)
    visits.write_parquet(tmp_path / "visit_occurrence.parquet")
    rows = whole("condition_occurrence", person_id=[1], visit_occurrence_id=[9], condition_start_date=days[:1])
    found = one(tmp_path, "condition_occurrence", rows)
    after = found["plausibleAfterBirth:condition_occurrence.condition_start_date"]
    within = found["withinVisitDates:condition_occurrence.condition_start_date"]
    assert (after.failed, after.looked_at) == (0, 1)
    assert (within.failed, within.looked_at) == (0, 1)


def test_a_check_that_cannot_be_run_is_an_error_and_the_others_are_not(tmp_path: Path) -> None:
    frame = whole("person", person_id=[1]).with_columns(year_of_birth=pl.lit("nineteen eighty"))
    frame.write_parquet(tmp_path / "person.parquet")
    rows = whole("condition_occurrence", person_id=[1], condition_start_date=[date(2020, 1, 1)])
    found = one(tmp_path, "condition_occurrence", rows)
    assert found["plausibleAfterBirth:condition_occurrence.condition_start_date"].status == "error"
    assert found["isPrimaryKey:person.person_id"].status == "passed"


def test_every_check_has_words() -> None:
    from workbench.kernel.text import LANGS, say

    names = {check.name for check in all_checks()}
    for lang in LANGS:
        assert len({say(f"quality.check_{name}", lang) for name in names}) == len(names)
    assert all(isinstance(check, Check) for check in all_checks())
