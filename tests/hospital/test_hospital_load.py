"""The hospital as a data release: it loads, quality finds what is planted, shipped cohorts have the planted sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hospital.conftest import Hospital
from workbench.cohorts.check import check
from workbench.cohorts.circe import read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.generate import generate
from workbench.cohorts.shipped import HOSPITAL, shipped
from workbench.engines.duckdb import DuckDBEngine
from workbench.intake.omop import load_omop

COHORTS = {
    "hospital_covid_stay": None,
    "hospital_gliflozin_new_users": "gliflozin_new_users",
    "hospital_heart_failure_readmission": None,
    "hospital_heart_failure_stay": "heart_failure_persons",
    "hospital_hip_fracture_over_75": None,
    "hospital_metformin_new_users": "metformin_new_users_without_failure",
    "hospital_sulfonylurea_new_users": "sulfonylurea_new_users",
    "hospital_type_2_diabetes": "type_2_diabetes",
}
"""Each shipped cohort, with the planted count of its persons where there is one."""


@pytest.fixture(scope="module")
def loaded(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The release folder and its manifest."""
    folder = tmp_path_factory.mktemp("release") / "release"
    return folder, load_omop(hospital.folder / "omop", folder, name="CHU", synthetic=True)


@pytest.fixture
def engine(loaded: tuple[Path, dict[str, Any]]) -> Iterator[DuckDBEngine]:
    """An engine over the release."""
    folder, _ = loaded
    tables = {path.stem: path for path in (folder / "tables").glob("*.parquet")}
    with DuckDBEngine.over_parquet(tables, threads=2) as opened:
        yield opened


def failed(manifest: dict[str, Any], table: str, column: str, check: str) -> int:
    """How many rows fail a check."""
    found = [
        each["failed"]
        for each in manifest["quality"]["checks"]
        if (each["table"], each["column"], each["check"]) == (table, column, check)
    ]
    assert len(found) == 1
    return int(found[0])


def test_every_row_enters_the_release(hospital: Hospital, loaded: tuple[Path, dict[str, Any]]) -> None:
    rows = {table["name"]: table["rows"] for table in loaded[1]["tables"]}
    for name in ("person", "visit_detail", "measurement", "drug_exposure", "concept", "concept_ancestor"):
        assert rows[name] == hospital.omop(name).height, name
    assert loaded[1]["vocabulary"]["version"] == "CHU de synthèse 1"


def test_quality_finds_what_is_planted(hospital: Hospital, loaded: tuple[Path, dict[str, Any]]) -> None:
    truth, manifest = hospital.truths["errors"], loaded[1]
    day = ("measurement", "measurement_date")
    assert failed(manifest, "measurement", "measurement_concept_id", "known") == truth["unknown_concept"]
    assert failed(manifest, "measurement", "visit_occurrence_id", "known") == truth["unknown_visit"]
    assert failed(manifest, *day, "after_birth") == truth["before_birth"]
    outside = sum(truth[kind] for kind in ("future_date", "before_birth", "after_death"))
    assert failed(manifest, *day, "observed") == outside
    assert failed(manifest, "drug_exposure", "drug_exposure_end_date", "order") == truth["end_before_start"]


@pytest.mark.parametrize("name", sorted(COHORTS))
def test_the_sentence_beside_a_definition_is_its_own(name: str) -> None:
    path = shipped(HOSPITAL)[name]
    definition = read_definition(path)
    expected = f"# {name}\n\n{describe(definition, 'fr')}\n\n{describe(definition, 'en')}\n"
    assert path.with_suffix(".md").read_text(encoding="utf-8") == expected
    assert check(definition) == []


def test_shipped_cohorts_have_their_planted_sizes(hospital: Hospital, engine: DuckDBEngine) -> None:
    assert sorted(shipped(HOSPITAL)) == sorted(COHORTS)
    made = generate(engine, {name: read_definition(path) for name, path in shipped(HOSPITAL).items()})
    assert not made.failed
    for name, count in COHORTS.items():
        expected = hospital.truths["counts"][count] if count else made.persons(name)
        assert made.persons(name) == expected > 0, name
