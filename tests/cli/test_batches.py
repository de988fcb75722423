"""Many definitions at once: one that is bad is named, the others are answered; and databases as they come."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.cohorts.conftest import BLEED, definition
from tests.conftest import workbench
from workbench.cohorts.shipped import shipped
from workbench.intake.omop import demo_source
from workbench.repository.cdm import TABLES

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


BAD = {"malformed": "{", "unknown": '{"PrimaryCriteria": {"CriteriaList": [{"Astrology": {}}]}}'}
DISTINCT = {"Type": 2, "Count": 1, "IsDistinct": True, "CountColumn": "HOROSCOPE"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of definitions: one that can run, two that cannot be read, one that can be read and not be run."""
    made = tmp_path / "definitions"
    made.mkdir()
    good = json.loads(shipped()["gi_bleed"].read_text("utf-8"))
    (made / "good.json").write_text(json.dumps(good))
    counted = {"Criteria": {"DrugExposure": {}}, "StartWindow": good_window(), "Occurrence": DISTINCT}
    rule = {"name": "r", "expression": {"Type": "ALL", "CriteriaList": [counted]}}
    (made / "unrunnable.json").write_text(json.dumps({**good, "InclusionRules": [rule]}))
    for name, text in BAD.items():
        (made / f"{name}.json").write_text(text)
    return made


def good_window() -> dict[str, object]:
    return {"Start": {"Days": 1, "Coeff": -1}, "End": {"Days": 1, "Coeff": 1}}


def test_a_home_keeps_the_others_too(demo_copy: Path, folder: Path, tmp_path: Path) -> None:
    place = ("--home", str(demo_copy), "--as", "researcher")
    done = workbench("cohort", "generate", str(folder), *place, "--json", cwd=tmp_path, check=False)
    assert [made["name"] for made in json.loads(done.stdout)] == ["good"]
    assert done.returncode == 1
    told = workbench("cohort", "generate", str(folder), *place, cwd=tmp_path, check=False).stderr
    assert all(f"{name}:\n" in told for name in ("malformed", "unknown", "unrunnable"))
    alone = workbench("cohort", "generate", str(folder / "unrunnable.json"), *place, cwd=tmp_path, check=False)
    assert (alone.returncode, alone.stdout) == (2, "")


@pytest.mark.parametrize("verb", ["describe", "sql", "check", "attrition", "count", "inclusion"])
def test_the_others_are_answered_and_each_bad_one_is_named(upper: str, folder: Path, tmp_path: Path, verb: str) -> None:
    data = ("--database", upper) if verb in ("attrition", "count", "inclusion") else ()
    done = workbench("cohort", verb, str(folder), *data, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stdout.strip()
    for name in ("malformed", "unknown") if verb == "check" else ("malformed", "unknown", "unrunnable"):
        assert f"{name}:\n" in done.stderr
    assert "$.PrimaryCriteria.CriteriaList[0].Astrology" in done.stderr
    assert "good:\n" not in done.stderr


def test_in_json_an_error_has_its_definition(folder: Path, tmp_path: Path) -> None:
    done = workbench("cohort", "describe", str(folder), "--json", cwd=tmp_path, check=False)
    assert set(json.loads(done.stdout)) == {"good"}
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert {each["definition"] for each in said} == {"malformed", "unknown", "unrunnable"}


def test_one_definition_alone_is_refused_as_a_wrong_input(folder: Path, tmp_path: Path) -> None:
    for verb, name in (("describe", "unknown"), ("sql", "unrunnable"), ("check", "malformed")):
        done = workbench("cohort", verb, str(folder / f"{name}.json"), cwd=tmp_path, check=False)
        assert (done.returncode, done.stdout) == (2, "")


def test_two_files_of_one_name_are_refused(upper: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text((folder / "good.json").read_text())
    asked = ("cohort", "count", "good.json", str(folder / "good.json"), "--database", upper)
    done = workbench(*asked, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "[services.same_name]" in done.stderr
    twice = workbench("cohort", "count", "good.json", "good.json", "--database", upper, cwd=tmp_path)
    assert twice.stdout.count("good") == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 500)
    done = workbench("cohort", "count", RULES, "--database", "notes.txt", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "notes.txt is no database" in done.stderr


@pytest.mark.parametrize("asked", [("why", "gi_bleed", "--person"), ("controls", "rule.json", "--concept")])
def test_an_id_that_no_database_holds_is_a_usage_error(upper: str, tmp_path: Path, asked: tuple[str, ...]) -> None:
    (tmp_path / "rule.json").write_text('{"occurrenceType": "FIRST", "domains": ["condition"]}')
    out = ("--out", "rows.csv") if asked[0] == "controls" else ()
    done = workbench("cohort", *asked, "9" * 20, "--database", upper, *out, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert not (tmp_path / "rows.csv").exists()


def test_what_stands_beside_the_definitions_of_a_folder_is_left(tmp_path: Path) -> None:
    """Hidden files and folders are none; a name over two lines, or with a sign of the terminal, stands on one line."""
    folder = tmp_path / "definitions"
    (folder / "folder.json").mkdir(parents=True)
    for name in ("two\nlines", "red\x1b[31m"):
        (folder / f"{name}.json").write_text(definition(BLEED))
    (folder / "._two.json").write_bytes(b"\x00\x05\x16\x07")
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        for name in ("person", "observation_period", "condition_occurrence", "concept", "concept_ancestor"):
            fields = ", ".join(f"{field.name} {field.sql_type}" for field in TABLES[name].fields)
            connection.execute(f"CREATE TABLE {name} ({fields})").fetchall()
    done = workbench("cohort", "count", "definitions", "--database", "own.duckdb", cwd=tmp_path)
    assert [line.split()[:1] for line in done.stdout.splitlines()] == [["cohort"], ["red"], ["two"]]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("lang", "said"), [("fr", " : à savoir : "), ("en", ": worth knowing: ")])
def test_questions_are_asked_in_the_language_named(tmp_path: Path, lang: str, said: str) -> None:
    assert said in workbench("cohort", "check", "gi_bleed", "--lang", lang, cwd=tmp_path).stdout
