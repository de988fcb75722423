"""Bad sources, in two tables of cases: refused with the place and the mend, or read, and what is broken set aside.

A load ends in a whole release or in none.
"""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.engines.servers import postgres_server, statements
from workbench.intake.omop import Options, load_omop
from workbench.kernel.errors import InvalidInput, Unavailable, UserError
from workbench.kernel.schemas import validate

PERSON = "person_id,year_of_birth,person_source_value\n1,1980,a\n2,1990,b\n"
Write = Callable[[Path], object]


def put(name: str, content: str | bytes) -> Write:
    """Write a file, its folder made."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def parquet(name: str, cut: int = 0) -> Write:
    """Write persons as Parquet, cut short by so many bytes."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        pl.DataFrame({"person_id": [1, 2]}).write_parquet(folder / name)
        if cut:
            (folder / name).write_bytes((folder / name).read_bytes()[:-cut])

    return write


def link(name: str, target: str) -> Write:
    return lambda folder: (folder / name).symlink_to(target)


MEASUREMENT = "measurement_id,person_id,measurement_date,value_as_number,value_source_value\n"

REFUSED: dict[str, tuple[list[Write], str, dict[str, object]]] = {
    "a delimiter that is none": (
        [put("person.csv", "person_id:year_of_birth\n1:1980\n")],
        "intake.no_known_column",
        {"table": "person", "file": "person.csv"},
    ),
    "two encodings": (
        [put("person.csv", PERSON.encode() + "3,1970,é\n".encode() + "4,1971,è\n".encode("latin-1"))],
        "intake.encoding_mixed",
        {"file": "person.csv", "line": 5},
    ),
    "a table in capitals and in small letters": (
        [put("person.csv", PERSON), put("PERSON.csv", PERSON)],
        "release.table_twice",
        {"table": "person", "first": "PERSON.csv", "second": "person.csv"},
    ),
    "a table as text and as Parquet": (
        [put("person.csv", PERSON), parquet("person.parquet")],
        "release.table_twice",
        {"table": "person", "first": "person.csv", "second": "person.parquet"},
    ),
    "a table as a file and as a folder": (
        [put("person.csv", PERSON), parquet("person/part-0.parquet")],
        "release.table_twice",
        {"table": "person", "first": "person/part-0.parquet", "second": "person.csv"},
    ),
    "a folder of two kinds of files": (
        [parquet("person/part-0.parquet"), put("person/part-1.csv", PERSON)],
        "release.table_twice",
        {"table": "person", "first": "person/part-0.parquet", "second": "person/part-1.csv"},
    ),
    "parts with other columns": (
        [put("person/1.csv", PERSON), put("person/2.csv", "person_id,ward\n3,x\n")],
        "intake.parts_differ",
        {"table": "person", "file": "person/2.csv", "first": "person/1.csv"},
    ),
    "a column twice": (
        [put("person.csv", "person_id,Ward,ward\n1,a,b\n")],
        "intake.column_twice",
        {"file": "person.csv", "column": "ward"},
    ),
    "a quote that never ends": (
        [put("person.csv", PERSON + '3,1970,"x\n4,1971,y\n')],
        "intake.quote_open",
        {"file": "person.csv", "line": 4},
    ),
    "a quote that swallows a line": (
        [put("person.csv", PERSON + '3,1970,"x\n4,1971,"y"\n')],
        "intake.quote_stray",
        {"file": "person.csv", "line": 4},
    ),
    "lines that end in two ways": (
        [put("person.csv", PERSON + "3,1970,x\r4,1971,y\r")],
        "intake.line_ends",
        {"file": "person.csv"},
    ),
    "an empty file": ([put("person.csv", "")], "intake.file_empty", {"file": "person.csv"}),
    "column names only": ([put("person.csv", PERSON.splitlines()[0] + "\n")], "release.person_empty", {}),
    "no person at all": ([put("death.csv", "person_id,death_date\n1,2020-01-01\n")], "release.no_person_table", {}),
    "a table of nobody": (
        [put("person.csv", PERSON), put("death.csv", "death_date\n2020-01-01\n")],
        "release.no_column",
        {"table": "death", "column": "person_id", "file": "death.csv"},
    ),
    "a compressed file that breaks off": (
        [put("person.csv.gz", gzip.compress(PERSON.encode() * 50)[:-12])],
        "intake.file_truncated",
        {"file": "person.csv.gz"},
    ),
    "a compressed file that is none": (
        [put("person.csv.gz", PERSON)],
        "intake.file_truncated",
        {"file": "person.csv.gz"},
    ),
    "a Parquet file that breaks off": (
        [parquet("person.parquet", cut=20)],
        "intake.not_parquet",
        {"file": "person.parquet"},
    ),
    "a Parquet file that is none": ([put("person.parquet", PERSON)], "intake.not_parquet", {"file": "person.parquet"}),
    "a link out of the folder": ([link("person.csv", "/etc/hostname")], "intake.link_outside", {"file": "person.csv"}),
    "a link to nowhere": ([link("person.csv", "nowhere.csv")], "intake.file_unreadable", {"file": "person.csv"}),
    "a link to itself": ([link("person.csv", "person.csv")], "intake.file_unreadable", {"file": "person.csv"}),
    "an empty folder": ([], "release.no_tables", {"source": "source"}),
    "other files only": ([put("person.xlsx", "x")], "release.no_tables", {"source": "source"}),
}


def refused(source: Path | str, release: Path, **choices: Any) -> UserError:
    """Load, and return the refusal: nothing was finished, and it is said in both languages."""
    with pytest.raises((InvalidInput, Unavailable)) as refusal:
        load_omop(source, release, name="bad", synthetic=True, **choices)
    assert not (release / "manifest.json").exists()
    assert not (release / ".spill").exists()
    assert refusal.value.text("fr").what != refusal.value.text("en").what
    return refusal.value


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_source_is_refused_with_the_place_and_the_mend(tmp_path: Path, case: str) -> None:
    writes, code, facts = REFUSED[case]
    source = tmp_path / "source"
    source.mkdir()
    for write in writes:
        write(source)
    error = refused(source, tmp_path / "release")
    assert error.code == code
    assert {name: error.facts[name] for name in facts} == facts


ASIDE: dict[str, tuple[str, bytes | str, list[tuple[str, int | None, str]], int]] = {
    "a line with too many values": ("person", PERSON + "3,1970,c,d\n", [("person.csv", 4, "*: ragged")], 2),
    "a line with too few values": ("person", PERSON + "3\n4,1971,d\n", [("person.csv", 4, "*: ragged")], 3),
    "a person twice, with other values": (
        "person",
        PERSON + "1,1981,a\n3,1970,c\n",
        [("person.csv", line, "person_id: id_repeated") for line in (2, 4)],
        2,
    ),
    "a person twice, the same": ("person", PERSON + "1,1980,a\n", [("person.csv", 4, "person_id: copy")], 2),
    "blank lines and column names in between": ("person", PERSON + "\n" + PERSON.splitlines()[0] + "\n\n", [], 2),
    "a character NUL": ("person", PERSON + "3,1970,x\0y\n", [("person.csv", 4, "person_source_value: nul")], 2),
    "a letter of Windows-1252": ("person", PERSON.encode() + "3,1970,Zoé\n".encode("cp1252"), [], 3),
    "after a text of three lines": (
        "person",
        PERSON + '3,1970,"x\ny\nz"\nfour,1971,d\n',
        [("person.csv", 7, "person_id: does_not_fit")],
        3,
    ),
    "an event id twice, with other values": (
        "measurement",
        MEASUREMENT + "1,1,2020-01-01,1,\n1,2,2020-01-02,2,\n",
        [],
        2,
    ),
    "an event twice, the same": (
        "measurement",
        MEASUREMENT + "1,1,2020-01-01,1,\n1,1,2020-01-01,1,\n",
        [("measurement.csv", 3, "measurement_id: copy")],
        1,
    ),
    "dates out of range": (
        "measurement",
        MEASUREMENT + "1,1,1899-12-31,1,\n2,1,1900-01-01,1,\n3,1,2020-02-30,1,\n4,1,31/01/2020,1,\n5,1,,1,\n",
        [
            ("measurement.csv", 2, "measurement_date: too_early"),
            ("measurement.csv", 4, "measurement_date: does_not_fit"),
            ("measurement.csv", 5, "measurement_date: does_not_fit"),
            ("measurement.csv", 6, "measurement_date: missing"),
        ],
        1,
    ),
    "somebody whom nobody knows": (
        "measurement",
        MEASUREMENT + "1,9,2020-01-01,1,\n2,1,2020-01-01,1,\n",
        [("measurement.csv", 2, "person_id: nobody")],
        1,
    ),
    "decimal commas and several reasons": (
        "measurement",
        MEASUREMENT + '1,1,2020-01-01,"1,5",NA\nx,,2020-01-01,high,\n',
        [
            ("measurement.csv", 2, "value_as_number: decimal_comma"),
            (
                "measurement.csv",
                3,
                "measurement_id: does_not_fit; person_id: missing; value_as_number: does_not_fit",
            ),
        ],
        0,
    ),
}


@pytest.mark.parametrize("case", ASIDE)
def test_a_row_that_cannot_be_used_is_set_aside_whole_with_its_place(tmp_path: Path, case: str) -> None:
    table, content, expected, kept = ASIDE[case]
    source = tmp_path / "source"
    source.mkdir()
    put("person.csv", PERSON)(source)
    put(f"{table}.csv", content)(source)
    manifest = load_omop(source, tmp_path / "release", name="bad", synthetic=True)
    validate(manifest, "release_2")
    reading = next(each for each in manifest["intake"]["tables"] if each["name"] == table)
    assert (reading["rows"], reading["set_aside"]) == (kept, len(expected))
    assert pl.read_parquet(tmp_path / f"release/tables/{table}.parquet").height == kept
    path = tmp_path / f"release/set_aside/{table}.parquet"
    found = pl.read_parquet(path).select("file", "line", "reason").rows() if path.exists() else []
    assert found == expected
    reasons = [reason for _, _, reasons in expected for reason in reasons.split("; ")]
    counted = {f"{each['column']}: {each['reason']}": each["rows"] for each in reading["reasons"]}
    assert counted == {reason: reasons.count(reason) for reason in reasons}


def test_rows_after_the_day_of_extraction_are_set_aside_where_it_is_given(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    put("person.csv", PERSON)(source)
    put("measurement.csv", MEASUREMENT + '1,1,2020-01-01,"1,5",\n2,1,2020-01-02,2,\n')(source)
    options = Options(extracted_on="2020-01-01", decimal_comma=True)
    manifest = load_omop(source, tmp_path / "release", name="x", synthetic=True, options=options)
    assert manifest["intake"]["rules"]["extracted_on"] == "2020-01-01"
    assert pl.read_parquet(tmp_path / "release/tables/measurement.parquet")["value_as_number"].to_list() == [1.5]
    aside = pl.read_parquet(tmp_path / "release/set_aside/measurement.parquet")
    assert aside["reason"].to_list() == ["measurement_date: too_late"]


def test_what_does_not_fit_but_stops_nothing_is_a_notice(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    put("person.csv", PERSON.encode() + "3,1970,Zoé\n".encode("cp1252"))(source)
    put("concept.csv", "concept_id,concept_name\n3000963,Hemoglobin\n")(source)
    put("vocabulary.csv", "vocabulary_id,vocabulary_version\nNone,v5.0 31-AUG-23\n")(source)
    put(
        "cdm_source.csv",
        "cdm_source_name,cdm_version,vocabulary_version,source_release_date\nx,v5.4,v5.0 18-JAN-19,2020-01-01\n",
    )(source)
    put(
        "visit_occurrence.csv",
        "visit_occurrence_id,person_id,visit_start_date,visit_concept_id,admitting_source_value\n"
        "1,1,2020-01-01,9201,x\n2,1,2021-01-01,0,x\n",
    )(source)
    manifest = load_omop(source, tmp_path / "release", name="x", synthetic=True)
    assert manifest["intake"]["source_version"] == {"stated": "v5.4", "by_names": "5.3"}
    assert manifest["intake"]["notices"] == [
        {"code": "cdm_version_disagrees", "stated": "v5.4", "by_names": "5.3"},
        {"code": "vocabulary_version_disagrees", "own": "v5.0 31-AUG-23", "stated": "v5.0 18-JAN-19"},
        {
            "code": "vocabulary_does_not_fit",
            "table": "visit_occurrence",
            "column": "visit_concept_id",
            "rows": 1,
            "of": 1,
        },
        {"code": "encoding", "file": "person.csv", "encoding": "windows-1252"},
        {"code": "after_release", "table": "visit_occurrence", "rows": 1, "of": 2, "released": "2020-01-01"},
    ]


@contextmanager
def as_nobody() -> Generator[None]:
    """Act, in this process, as a user without rights where the tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("closed", "code", "facts"),
    [
        (".", "intake.folder_unreadable", {"folder": "source"}),
        ("person", "intake.folder_unreadable", {"folder": "person"}),
        ("measurement.csv", "intake.file_unreadable", {"file": "measurement.csv"}),
    ],
)
def test_a_folder_or_file_without_rights_is_named(
    tmp_path: Path, closed: str, code: str, facts: dict[str, object]
) -> None:
    from workbench.engines.duckdb import connect
    from workbench.intake.opening import open_source

    source = tmp_path / "source"
    source.mkdir()
    put("person/1.csv", PERSON)(source)
    put("measurement.csv", MEASUREMENT)(source)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (source / closed).chmod(0)
    with connect() as connection, as_nobody(), pytest.raises((Unavailable, InvalidInput)) as refusal:
        open_source(connection, source)
    (source / closed).chmod(0o755)
    assert (refusal.value.code, refusal.value.facts) == (code, facts)


def test_a_server_that_dies_half_way_is_named(tmp_path: Path) -> None:
    """The server's processes are killed while its rows are on their way."""
    with postgres_server() as url:
        statements(
            url,
            "CREATE SCHEMA omop",
            "CREATE TABLE omop.person AS SELECT i AS person_id, 1980 AS year_of_birth FROM generate_series(1, 10) i",
            "CREATE TABLE omop.note AS SELECT i AS note_id, 1 AS person_id, DATE '2020-01-01' AS note_date,"
            " repeat('lorem ipsum ', 3000) AS note_text FROM generate_series(1, 4000) i",
        )
        folder = Path(url.rpartition("host=")[2].replace("%2F", "/"))
        server = int((folder / "data/postmaster.pid").read_text().splitlines()[0])

        def kill(_: float, message: str) -> None:
            if message == "note":
                threading.Timer(0.05, os.kill, (server, signal.SIGQUIT)).start()

        error = refused(f"{url}&schema=omop", tmp_path / "release", progress=kill)
        assert error.code == "intake.connection_lost"
        assert error.facts["table"] == "note"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("mysql://db/omop", "intake.url_unknown"),
        ("postgresql://user:secret@localhost:1/omop", "engine.server_away"),
        ("postgresql://user:secret@/omop?host=%2Fnowhere", "engine.server_away"),
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_password(tmp_path: Path, address: str, code: str) -> None:
    error = refused(address, tmp_path / "release")
    assert error.code == code
    assert "secret" not in str(error)
