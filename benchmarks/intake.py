"""What a load costs beside the least that it could: DuckDB's own copy of the same files to Parquet, in the same run.

    python -m benchmarks.intake [ROWS] [--keep FOLDER]

A table of measurements (10 million rows unless told otherwise, 20 columns) and its persons are written as CSV and as
Parquet. Each form is copied by DuckDB (`COPY … TO … (COMPRESSION zstd)`: nothing typed, sorted, judged or digested),
then loaded in full, then loaded again with nothing changed, each in a process of its own. The rows of the release are
held against the source's: a faster wrong answer is no result. Last, the release is verified, beside `sha256sum` of the
same files one after the other.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import duckdb

from benchmarks.measure import Cost, cost
from workbench.intake.omop import load_omop
from workbench.repository.releases import check_sound, open_release, release_id

FORMS = ("csv", "parquet")
PERSONS, ROWS = 100_000, 10_000_000


def made(folder: Path, rows: int) -> None:
    """Write the source in both forms. Draws are hashes of the row's number: the same on any machine."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""CREATE VIEW measurement AS SELECT i AS measurement_id,
            1 + hash(i * 1024) % {PERSONS} AS person_id, 3000000 + hash(i * 1024 + 1) % 500 AS measurement_concept_id,
            DATE '2015-01-01' + (hash(i * 1024 + 2) % 3000)::INT AS measurement_date,
            measurement_date::TIMESTAMP + to_seconds((hash(i * 1024 + 3) % 86400)::BIGINT) AS measurement_datetime,
            NULL::VARCHAR AS measurement_time, 32856 AS measurement_type_concept_id, 4172703 AS operator_concept_id,
            round((hash(i * 1024 + 4) % 100000) / 100.0, 2)::DOUBLE AS value_as_number,
            NULL::BIGINT AS value_as_concept_id, 8840 AS unit_concept_id, 0.5 AS range_low, 120.5 AS range_high,
            1 + hash(i * 1024 + 5) % 500 AS provider_id, i // 20 AS visit_occurrence_id,
            NULL::BIGINT AS visit_detail_id, 'GLU-' || hash(i * 1024 + 1) % 500 AS measurement_source_value,
            0 AS measurement_source_concept_id, 'mg/dL' AS unit_source_value, NULL::VARCHAR AS value_source_value
            FROM range({rows}) t(i)"""
        )
        connection.execute(
            f"""CREATE VIEW person AS SELECT i + 1 AS person_id, 8507 + 25 * (i % 2) AS gender_concept_id,
            1930 + i % 90 AS year_of_birth, 0 AS race_concept_id, 0 AS ethnicity_concept_id
            FROM range({PERSONS}) t(i)"""
        )
        for form in FORMS:
            (folder / form).mkdir()
            for name in ("measurement", "person"):
                connection.execute(f"COPY {name} TO '{folder / form / name}.{form}'")


def copied(source: Path, into: Path) -> None:
    """Let DuckDB copy the files to Parquet."""
    into.mkdir(parents=True)
    with duckdb.connect() as connection:
        for file in sorted(source.iterdir()):
            connection.execute(f"COPY (FROM '{file}') TO '{into / file.stem}.parquet' (COMPRESSION zstd)")


def loaded(source: Path, into: Path, parent: Path | None = None) -> None:
    """Load the files as a release, after another one where it is named."""
    before = open_release(parent) if parent else None
    load_omop(source, into, name="benchmark", synthetic=True, parent=before)


STEPS = {"copied": copied, "loaded": loaded}


def measured(step: str, *places: Path) -> Cost:
    """Run a step in a process of its own."""
    return cost([sys.executable, "-m", "benchmarks.intake", "--step", step, *map(str, places)])


def check_same_rows(source: Path, release: Path) -> None:
    """Assert that the release holds the source's rows, by sums over every kind of column."""
    query = (
        "SELECT count(*), sum(measurement_id), sum(person_id), sum(hash(measurement_datetime)::HUGEINT),"
        " round(sum(value_as_number)), sum(hash(measurement_source_value)::HUGEINT), count(visit_detail_id) FROM '{}'"
    )
    with duckdb.connect() as connection:
        places = (release / "tables/measurement.parquet", source / "measurement.parquet")
        found, expected = (connection.execute(query.format(place)).fetchone() for place in places)
    assert found == expected, (found, expected)


def verify_speed(release: Path) -> None:
    """Measure how fast a release is verified, from the system's cache, beside `sha256sum`; print both."""
    tables = sorted((release / "tables").iterdir())
    size = sum(path.stat().st_size for path in tables) / 1e6
    begun, work = perf_counter(), process_time()
    check_sound(open_release(release))
    here, work = perf_counter() - begun, process_time() - work
    least = cost(["sha256sum", *map(str, tables)])
    print(f"verify   {size:6.0f} MB in {here:.2f} s, {size / here:.0f} MB/s, {size / work:.0f} MB a CPU-second", end="")
    print(f"; sha256sum {size / least.cpu:.0f} MB a CPU-second")


def compare(folder: Path, rows: int) -> None:
    """Measure both forms and print what was measured."""
    if not (folder / "csv").exists():
        made(folder, rows)
    print(f"{rows:,} rows, DuckDB {duckdb.__version__}, Python {platform.python_version()}", end=", ")
    print(f"{len(os.sched_getaffinity(0))} cores")
    for form in FORMS:
        work = folder / f"work-{form}"
        steps = {
            "copy": measured("copied", folder / form, work / "copy"),
            "load": measured("loaded", folder / form, work / "release"),
            "again": measured("loaded", folder / form, work / "again", work / "release"),
        }
        check_same_rows(folder / "parquet", work / "release")
        for name, each in steps.items():
            ratio = each.cpu / steps["copy"].cpu
            print(f"{form:8} {name:6} {each.cpu:7.1f} CPU-s {ratio:6.2f} times the copy", end=" ")
            print(f"{each.memory:6.0f} MB {each.clock:6.1f} s")
    made_there = folder / "work-csv" / "release"
    verify_speed(made_there.rename(made_there.with_name(release_id(open_release(made_there).manifest))))


def main(arguments: list[str]) -> None:
    """Run the benchmark, or one step of it."""
    if arguments[:1] == ["--step"]:
        STEPS[arguments[1]](*map(Path, arguments[2:]))
        return
    rows = next((int(each) for each in arguments if each.isdigit()), ROWS)
    if "--keep" in arguments:
        folder = Path(arguments[arguments.index("--keep") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        compare(folder, rows)
        return
    with TemporaryDirectory(prefix="benchmark-intake-") as place:
        compare(Path(place), rows)


if __name__ == "__main__":
    main(sys.argv[1:])
