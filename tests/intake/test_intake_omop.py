"""Loading OMOP: GiBleed exactly, small databases for each rule, and each bad source refused with nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from workbench.intake.omop import demo_source, load_omop
from workbench.kernel.digest import digest_manifest
from workbench.kernel.errors import InvalidInput, Stopped, Unavailable
from workbench.kernel.schemas import validate
from workbench.repository.cdm import TABLES

ROWS = {
    "person": 2694, "observation_period": 2694, "visit_occurrence": 1037, "condition_occurrence": 65332,
    "drug_exposure": 67707, "procedure_occurrence": 37409, "measurement": 44053, "observation": 1477,
    "condition_era": 65719, "drug_era": 52508, "concept": 442, "concept_ancestor": 65690, "concept_synonym": 1064,
    "concept_relationship": 8, "relationship": 480, "domain": 45, "vocabulary": 125, "cdm_source": 1,
}  # fmt: skip

Make = Callable[..., Path]
Loaded = tuple[Path, dict[str, Any]]


def intake(manifest: dict[str, Any], table: str) -> dict[str, Any]:
    return next(entry for entry in manifest["intake"]["tables"] if entry["name"] == table)


def checked(manifest: dict[str, Any], table: str, column: str, check: str) -> tuple[int, int, str]:
    found = [
        c for c in manifest["quality"]["checks"] if (c["table"], c["column"], c["check"]) == (table, column, check)
    ]
    assert len(found) == 1
    return found[0]["rows"], found[0]["failed"], found[0]["status"]


def load(source: Path, into: Path) -> dict[str, Any]:
    return load_omop(source, into, name="small", synthetic=True)


def test_gibleed_has_the_rows_of_the_source_and_none_of_column_names(gibleed: Loaded) -> None:
    folder, manifest = gibleed
    rows = {entry["name"]: entry["rows"] for entry in manifest["tables"]}
    assert {name: count for name, count in rows.items() if count} == ROWS
    assert sum(entry["header_rows"] for entry in manifest["intake"]["tables"]) == 18
    assert manifest["intake"]["unknown_tables"] == ["cohort_attribute", "ontime"]
    aside = {entry["name"]: entry["set_aside"] for entry in manifest["intake"]["tables"] if entry["set_aside"]}
    assert aside == {"observation_period": 2649}, "periods of nobody"
    assert [path.name for path in (folder / "set_aside").iterdir()] == ["observation_period.parquet"]


def test_gibleed_is_typed_and_sorted_by_person(gibleed: Loaded) -> None:
    folder, manifest = gibleed
    types = {"BIGINT": pl.Int64, "DOUBLE": pl.Float64, "VARCHAR": pl.String, "DATE": pl.Date}
    for entry in manifest["tables"]:
        schema = pl.read_parquet_schema(folder / entry["files"][0]["path"])
        assert list(schema) == list(TABLES[entry["name"]].names)
        for name, kind in schema.items():
            expected = types.get(TABLES[entry["name"]].by_name[name].sql_type, pl.Datetime("us"))
            assert kind == expected
    drugs = pl.read_parquet(folder / "tables/drug_exposure.parquet")
    assert drugs["person_id"].is_sorted()
    assert drugs.select(pl.struct("person_id", "drug_exposure_id").is_sorted()).item()


def test_gibleed_keeps_its_observation_periods_and_says_so(gibleed: Loaded) -> None:
    _, manifest = gibleed
    assert manifest["observation_period_rule"] == {"code": "as_recorded", "periods": 2694}
    assert manifest["vocabulary"] == {"version": "v5.0 18-JAN-19"}
    assert manifest["quality"]["persons"] == 2694


def test_gibleed_has_the_known_flaws_of_the_source(gibleed: Loaded) -> None:
    _, manifest = gibleed
    assert checked(manifest, "person", "person_id", "unique") == (2694, 0, "passed")
    assert checked(manifest, "drug_exposure", "drug_exposure_id", "unique") == (67707, 4384, "failed")
    assert checked(manifest, "observation_period", "person_id", "known") == (2694, 0, "passed")
    assert checked(manifest, "death", "death_date", "observed") == (0, 0, "not_applicable")
    assert checked(manifest, "measurement", "value_as_concept_id", "known")[2] in ("passed", "not_applicable")


def test_manifest_fits_its_schema_and_names_no_place(gibleed: Loaded) -> None:
    folder, manifest = gibleed
    validate(manifest, "release_2")
    text = (folder / "manifest.json").read_text()
    assert str(folder) not in text
    assert str(demo_source().parent) not in text


def test_a_second_load_and_a_shuffled_copy_have_the_same_content(gibleed: Loaded, tmp_path: Path) -> None:
    _, first = gibleed
    again = load_omop(demo_source(), tmp_path / "again", name="GiBleed", synthetic=True)
    assert digest_manifest(again) == digest_manifest(first)
    assert [e["files"][0]["sha256"] for e in again["tables"]] == [e["files"][0]["sha256"] for e in first["tables"]]
    shuffled = load_omop(shuffle(tmp_path), tmp_path / "shuffled", name="GiBleed", synthetic=True)
    content = {entry["name"]: entry["content_digest"] for entry in first["tables"]}
    assert {entry["name"]: entry["content_digest"] for entry in shuffled["tables"]} == content
    assert shuffled["quality"] == first["quality"]


def shuffle(tmp_path: Path) -> Path:
    """Return a copy of GiBleed with the rows of every table in another order."""
    copy = tmp_path / "shuffled.duckdb"
    with duckdb.connect(str(copy)) as connection:
        connection.execute(f"ATTACH '{demo_source()}' AS demo (READ_ONLY)")
        names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'demo'").fetchall()
        for (name,) in names:
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM demo.main."{name}" ORDER BY random()')
    return copy


def test_rows_that_do_not_fit_are_set_aside_whole_and_counted(database: Make, tmp_path: Path) -> None:
    source = database(
        "CREATE TABLE measurement (measurement_id VARCHAR, person_id VARCHAR, measurement_date VARCHAR,"
        " value_as_number VARCHAR, colour VARCHAR)",
        "INSERT INTO measurement VALUES ('1', '1', '2020-01-31', '1.5', 'red'), ('2.0', '2', '20200131', ' ', 'red'),"
        " ('3', '3', '2020-02-31', '1', 'red'), ('4.5', '1', '2020-01-01', 'high', 'red'),"
        " (NULL, '1', '2020-01-01', '1', 'red'),"
        " ('measurement_id', 'person_id', 'measurement_date', 'value_as_number', 'colour')",
    )
    manifest = load(source, tmp_path / "release")
    entry = intake(manifest, "measurement")
    assert (entry["rows"], entry["header_rows"], entry["set_aside"]) == (2, 1, 3)
    assert entry["unknown_columns"] == ["colour"]
    assert "unit_concept_id" in entry["missing_columns"]
    assert {(r["column"], r["reason"], r["rows"]) for r in entry["reasons"]} == {
        ("measurement_date", "does_not_fit", 1),
        ("measurement_id", "does_not_fit", 1),
        ("value_as_number", "does_not_fit", 1),
        ("measurement_id", "missing", 1),
    }
    kept = pl.read_parquet(tmp_path / "release/tables/measurement.parquet")
    assert kept["measurement_id"].to_list() == [1, 2]
    assert kept["value_as_number"].to_list() == [1.5, None]
    assert kept["measurement_date"].to_list()[1].isoformat() == "2020-01-31"
    aside = pl.read_parquet(tmp_path / "release/set_aside/measurement.parquet")
    assert aside.columns == ["file", "line", "reason", "person_id", "row"]
    assert aside.select("file", "line", "reason", "person_id").rows() == [
        ("source.duckdb/measurement", 3, "measurement_date: does_not_fit", "3"),
        ("source.duckdb/measurement", 4, "measurement_id: does_not_fit; value_as_number: does_not_fit", "1"),
        ("source.duckdb/measurement", 5, "measurement_id: missing", "1"),
    ]
    assert [json.loads(row)["colour"] for row in aside["row"]] == ["red"] * 3
    assert json.loads(aside["row"][1])["value_as_number"] == "high"


def test_names_of_cdm_5_3_and_capitals_are_read(database: Make, tmp_path: Path) -> None:
    source = database(
        "CREATE TABLE VISIT_OCCURRENCE AS SELECT 1 AS VISIT_OCCURRENCE_ID, 1 AS PERSON_ID, 9201 AS VISIT_CONCEPT_ID,"
        " DATE '2020-01-01' AS VISIT_START_DATE, DATE '2020-01-03' AS VISIT_END_DATE,"
        " 8870 AS ADMITTING_SOURCE_CONCEPT_ID"
    )
    manifest = load(source, tmp_path / "release")
    assert intake(manifest, "visit_occurrence")["unknown_columns"] == []
    visits = pl.read_parquet(tmp_path / "release/tables/visit_occurrence.parquet")
    assert visits["admitted_from_concept_id"].to_list() == [8870]


def test_observation_periods_are_derived_from_first_to_last_record_and_end_at_death(
    database: Make, tmp_path: Path
) -> None:
    source = database(
        "CREATE TABLE condition_occurrence AS SELECT * FROM (VALUES"
        " (1, 1, DATE '2020-03-01', DATE '2020-04-01'), (2, 1, DATE '2019-01-01', NULL),"
        " (3, 2, DATE '2020-01-01', DATE '2021-01-01'), (4, 99, DATE '2020-01-01', NULL))"
        " v(condition_occurrence_id, person_id, condition_start_date, condition_end_date)",
        "CREATE TABLE death AS SELECT 2 AS person_id, DATE '2020-06-01' AS death_date",
    )
    manifest = load(source, tmp_path / "release")
    rule = manifest["observation_period_rule"]
    assert (rule["code"], rule["capped_by_death"], rule["periods"]) == ("first_to_last_record", True, 2)
    periods = pl.read_parquet(tmp_path / "release/tables/observation_period.parquet")
    days = periods.select("observation_period_start_date", "observation_period_end_date").cast(pl.String).rows()
    assert periods["person_id"].to_list() == [1, 2]
    assert days == [("2019-01-01", "2020-04-01"), ("2020-01-01", "2020-06-01")]
    assert periods["period_type_concept_id"].to_list() == [32882, 32882]
    assert checked(manifest, "condition_occurrence", "person_id", "known") == (3, 0, "passed")
    assert [(r["column"], r["reason"], r["rows"]) for r in intake(manifest, "condition_occurrence")["reasons"]] == [
        ("person_id", "nobody", 1)
    ]
    assert checked(manifest, "condition_occurrence", "condition_end_date", "order") == (2, 0, "passed")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_folder_of_files_gives_the_same_tables(gibleed: Loaded, tmp_path: Path, suffix: str) -> None:
    folder, manifest = gibleed
    source = tmp_path / "files"
    source.mkdir()
    for name in ("person", "observation_period", "visit_occurrence"):
        frame = pl.read_parquet(folder / f"tables/{name}.parquet")
        path = source / f"{name.upper()}.{suffix}"
        frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(path)
    again = load(source, tmp_path / "release")
    content = {entry["name"]: entry["content_digest"] for entry in manifest["tables"]}
    assert {e["name"]: e["content_digest"] for e in again["tables"]} == {
        e["name"]: content[e["name"]] for e in again["tables"]
    }
    assert [origin["name"] for origin in again["sources"]] == sorted(path.name for path in source.iterdir())


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "release.no_source"), (b"not a database", "release.not_duckdb"), (b"", "release.not_duckdb")],
)
def test_a_source_that_is_none_is_refused(tmp_path: Path, content: bytes | None, code: str) -> None:
    source = tmp_path / "source.duckdb"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(InvalidInput) as refusal:
        load(source, tmp_path / "release")
    assert refusal.value.code == code
    assert refusal.value.text("fr").what != refusal.value.text("en").what
    assert not list((tmp_path / "release").iterdir())


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        (["CREATE TABLE visit_occurrence (person_id BIGINT)"], "release.no_person_table"),
        (["CREATE TABLE person (person_id BIGINT)"], "release.person_empty"),
        (["CREATE TABLE person AS SELECT 1 AS id"], "intake.no_known_column"),
        (["CREATE TABLE person AS SELECT 1 AS year_of_birth"], "release.no_column"),
        (["CREATE TABLE person AS SELECT 'a' AS column0, 'b' AS column1"], "release.no_column_names"),
        (["CREATE TABLE person AS SELECT 'PERSON_ID' AS column0, 'YEAR_OF_BIRTH' AS column1"], "release.person_empty"),
    ],
)
def test_a_database_without_persons_is_refused(
    database: Make, tmp_path: Path, statements: list[str], code: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load(database(*statements, person=None), tmp_path / "release")
    assert refusal.value.code == code
    assert not (tmp_path / "release/manifest.json").exists()


def test_a_view_of_the_source_is_never_run(database: Make, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("person_id\n7\n")
    with pytest.raises(InvalidInput) as refusal:
        load(database(f"CREATE VIEW person AS SELECT * FROM '{secret}'", person=None), tmp_path / "release")
    assert refusal.value.code == "release.no_tables"


def test_a_table_named_twice_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("person.csv", "PERSON.csv"):
        (source / name).write_text("person_id\n1\n")
    with pytest.raises(InvalidInput) as refusal:
        load(source, tmp_path / "release")
    assert (refusal.value.code, refusal.value.facts["table"]) == ("release.table_twice", "person")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(InvalidInput) as refusal:
        load(tmp_path / "source", tmp_path / "release")
    assert refusal.value.code == "release.no_tables"


def test_a_source_open_elsewhere_is_named(database: Make, tmp_path: Path) -> None:
    source = database()
    with duckdb.connect(str(source)), pytest.raises((Unavailable, InvalidInput)) as refusal:
        load(source, tmp_path / "release")
    assert refusal.value.code in ("release.source_locked", "release.not_duckdb")


def test_a_person_can_stop_a_load(database: Make, tmp_path: Path) -> None:
    def stop(share: float, message: str) -> None:
        raise Stopped("engine.stopped")

    with pytest.raises(Stopped):
        load_omop(database(), tmp_path / "release", name="small", synthetic=True, progress=stop)
    assert not (tmp_path / "release/manifest.json").exists()
