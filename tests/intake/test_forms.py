"""One source in every form: the same tables, digest for digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.engines.servers import fill, postgres_server, statements
from tests.intake.forms import SMALL, as_database, as_folder
from workbench.intake.omop import Options, load_omop
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.repository.releases import release_id

FORMS = ("csv", "csv.gz", "tsv", "semicolon", "parquet", "parts")


def digests(manifest: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["content_digest"] for entry in manifest["tables"]}


@pytest.fixture(scope="session")
def server() -> Any:
    """A PostgreSQL server of its own."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the source gives as a DuckDB file."""
    folder = tmp_path_factory.mktemp("forms")
    database = as_database(folder / "small.duckdb", SMALL)
    return digests(load_omop(database, folder / "release", name="small", synthetic=True))


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_folder_gives_the_same_tables(tmp_path: Path, expected: dict[str, str], form: str) -> None:
    manifest = load_omop(as_folder(tmp_path / "source", SMALL, form), tmp_path / "release", name="x", synthetic=True)
    assert digests(manifest) == expected
    assert all(reading["set_aside"] == 0 for reading in manifest["intake"]["tables"])
    if form == "semicolon":
        assert {(each["delimiter"], each["encoding"]) for each in manifest["sources"]} == {(";", "utf-8")}


def test_a_server_gives_the_same_tables(tmp_path: Path, expected: dict[str, str], server: str) -> None:
    url = fill(server, "small", {name: frame.to_arrow() for name, frame in SMALL.items()})
    manifest = load_omop(url, tmp_path / "release", name="x", synthetic=True)
    assert digests(manifest) == expected
    assert [each["name"] for each in manifest["sources"]] == [
        "small.measurement", "small.person", "small.visit_occurrence",
    ]  # fmt: skip
    assert manifest["intake"]["source_version"]["by_names"] == "5.3"


def test_a_server_hands_over_every_type_of_column(tmp_path: Path, server: str) -> None:
    statements(
        server,
        "CREATE SCHEMA types",
        "CREATE TABLE types.person (person_id numeric(20), year_of_birth smallint, birth_datetime timestamptz,"
        " person_source_value char(5), care_site_id varchar)",
        "INSERT INTO types.person VALUES (9007199254740993, 1980, '2020-06-30 23:30:00+02', 'ab', '7')",
        "CREATE TABLE types.measurement (measurement_id bigint, person_id numeric, measurement_date timestamp,"
        " value_as_number numeric(10, 3), range_low real, value_source_value jsonb, unknown uuid)",
        "INSERT INTO types.measurement VALUES"
        " (1, 9007199254740993.0, '2020-01-02 10:00', 7.500, 0.5, '{\"a\": 1}', NULL),"
        " (2, 9007199254740993, 'infinity', 'NaN', NULL, NULL, NULL), (3, 1, '2020-01-02', NULL, NULL, NULL, NULL)",
    )
    manifest = load_omop(f"{server}&schema=types", tmp_path / "release", name="x", synthetic=True)
    person = pl.read_parquet(tmp_path / "release/tables/person.parquet").to_dicts()[0]
    assert (person["person_id"], person["person_source_value"], person["care_site_id"]) == (2**53 + 1, "ab", 7)
    assert str(person["birth_datetime"]) == "2020-06-30 21:30:00"
    measured = pl.read_parquet(tmp_path / "release/tables/measurement.parquet").to_dicts()
    assert [(row["measurement_id"], row["value_as_number"], row["range_low"]) for row in measured] == [(1, 7.5, 0.5)]
    assert str(measured[0]["measurement_date"]) == "2020-01-02"
    reading = next(each for each in manifest["intake"]["tables"] if each["name"] == "measurement")
    assert reading["unknown_columns"] == ["unknown"]
    assert {(each["column"], each["reason"]) for each in reading["reasons"]} == {
        ("measurement_date", "does_not_fit"),
        ("person_id", "nobody"),
    }


def test_some_tables_only(tmp_path: Path) -> None:
    source = as_folder(tmp_path / "source", SMALL, "csv")
    some = load_omop(
        source, tmp_path / "release", name="x", synthetic=True, options=Options(tables=("person", "measurement"))
    )
    assert {reading["name"] for reading in some["intake"]["tables"]} == {"person", "measurement"}
    with pytest.raises(InvalidInput) as refusal:
        load_omop(source, tmp_path / "other", name="x", synthetic=True, options=Options(tables=("persons",)))
    assert refusal.value.code == "intake.unknown_table"


def test_the_same_source_is_the_same_release_on_any_path(tmp_path: Path) -> None:
    ids = set()
    for place in ("here", "elsewhere"):
        source = as_folder(tmp_path / place, SMALL, "csv")
        ids.add(release_id(load_omop(source, tmp_path / f"{place}-release", name="x", synthetic=True)))
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("DROP SCHEMA wrong CASCADE", "engine.schema_without_person"),
        ("", "intake.table_denied"),
    ],
)
def test_a_server_that_refuses_is_named(tmp_path: Path, server: str, change: str, code: str) -> None:
    statements(server, "DROP SCHEMA IF EXISTS wrong CASCADE")
    fill(server, "wrong", {name: frame.to_arrow() for name, frame in SMALL.items()})
    statements(
        server,
        "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT USAGE ON SCHEMA wrong TO reader",
        "GRANT SELECT ON wrong.person, wrong.visit_occurrence TO reader",
        "GRANT SELECT (person_id) ON wrong.measurement TO reader",
        "GRANT INSERT ON wrong.measurement TO reader",
        change or "SELECT 1",
    )
    url = f"{server.replace('workbench@', 'reader@')}&schema=wrong"
    with pytest.raises((Unavailable, InvalidInput)) as refusal:
        load_omop(url, tmp_path / "release", name="x", synthetic=True)
    assert refusal.value.code == code
    assert "reader@" not in str(refusal.value)
