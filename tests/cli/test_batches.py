"""Many definitions at once: one that is bad is named, the others are answered; and databases as they come."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.conftest import workbench
from workbench.intake.omop import demo_source

RULES = "celecoxib_without_prior_gi_bleed"


@pytest.fixture(scope="module")
def upper() -> str:
    """A DuckDB file whose vocabulary has its columns in capitals, as OHDSI publishes it."""
    database = demo_source()
    with duckdb.connect(str(database), read_only=True) as connection:
        names = [name for name, *_ in connection.execute("DESCRIBE concept").fetchall()]
    assert "CONCEPT_ID" in names
    return str(database)


def test_a_definition_is_checked_against_a_database_with_capitals(upper: str, tmp_path: Path) -> None:
    found = json.loads(
        workbench("cohort", "check", RULES, "--database", upper, "--json", cwd=tmp_path, check=False).stdout
    )
    assert "set_resolves_nothing" not in {question["code"] for question in found["warnings"][RULES]}


def test_what_the_data_lack_is_questioned(upper: str, tmp_path: Path) -> None:
    shutil.copy(upper, tmp_path / "own.duckdb")
    (tmp_path / "own.duckdb").chmod(0o600)
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        connection.execute("DROP TABLE condition_occurrence")
    asked = ("cohort", "check", "gi_bleed", "--database", "own.duckdb", "--json")
    done = workbench(*asked, cwd=tmp_path, check=False)
    first = json.loads(done.stdout)["warnings"]["gi_bleed"][0]
    assert (done.returncode, first["code"], first["level"]) == (1, "table_missing", "question")
    assert first["path"] == "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence"
    assert "condition_occurrence" in first["text"]
