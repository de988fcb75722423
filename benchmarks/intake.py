"""What a load costs beside the least that it could: DuckDB's own copy of the same file to Parquet, in the same run.

    python -m benchmarks.intake [ROWS] [--keep FOLDER]

A table of measurements (10 million rows unless told otherwise, 20 columns) and its persons are written as CSV and as
Parquet. Each form is copied by DuckDB (`COPY … TO … (FORMAT parquet, COMPRESSION zstd)`, nothing typed, sorted, checked
or digested), then loaded in full, then loaded again with nothing changed, each in a process of its own. The rows of the
release are held against the source's first: a faster wrong answer is no result.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from workbench.intake.omop import load_omop
from workbench.repository.releases import open_release

FORMS = ("csv", "parquet")
PERSONS = 100_000
ROWS = 10_000_000


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
            NULL::BIGINT AS visit_detail_id,
            'GLU-' || hash(i * 1024 + 1) % 500 AS measurement_source_value, 0 AS measurement_source_concept_id,
            'mg/dL' AS unit_source_value, NULL::VARCHAR AS value_source_value FROM range({rows}) t(i)"""
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
    with duckdb.connect() as connection:
        for file in sorted(source.iterdir()):
            connection.execute(f"COPY (FROM '{file}') TO '{into / file.stem}.parquet' (COMPRESSION zstd)")


def loaded(source: Path, into: Path, parent: str = "") -> None:
    """Load the files as a release, after another one where it is named."""
    before = open_release(Path(parent)) if parent else None
    load_omop(source, into, name="benchmark", synthetic=True, parent=before)


STEPS = {"copied": copied, "loaded": loaded}


def measured(step: str, *arguments: Path) -> dict[str, float]:
    """Run a step in a process of its own; return its seconds, CPU seconds and peak memory (GB)."""
    command = [sys.executable, "-m", "benchmarks.intake", "--step", step, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_step(step: str, *arguments: str) -> None:
    """Do one step and print what it took."""
    start = time.perf_counter()
    STEPS[step](*(Path(each) for each in arguments[:2]), *arguments[2:])
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = {"seconds": time.perf_counter() - start, "cpu": used.ru_utime + used.ru_stime}
    print(json.dumps({**took, "gigabytes": used.ru_maxrss / 1024**2}))


def same_rows(source: Path, release: Path) -> None:
    """Assert that the release holds the source's rows, by sums over every kind of column."""
    query = (
        "SELECT count(*), sum(measurement_id), sum(person_id), sum(hash(measurement_datetime)::HUGEINT),"
        " round(sum(value_as_number)), sum(hash(measurement_source_value)::HUGEINT), count(visit_detail_id) FROM '{}'"
    )
    with duckdb.connect() as connection:
        found, expected = (
            connection.execute(query.format(path)).fetchone()
            for path in (release / "tables/measurement.parquet", source / "measurement.parquet")
        )
    assert found == expected, (found, expected)


def compare(folder: Path, rows: int) -> dict[str, Any]:
    """Measure both forms; return what was measured and the ratios."""
    if not (folder / "csv").exists():
        made(folder, rows)
    result: dict[str, Any] = {"rows": rows}
    for form in FORMS:
        work = folder / f"work-{form}"
        (work / "copy").mkdir(parents=True)
        copy = measured("copied", folder / form, work / "copy")
        load = measured("loaded", folder / form, work / "release")
        same_rows(folder / "parquet", work / "release")
        again = measured("loaded", folder / form, work / "again", work / "release")
        ratios = {"load / copy": load["seconds"] / copy["seconds"], "again / load": again["seconds"] / load["seconds"]}
        result[form] = {"copy": copy, "load": load, "again": again, **ratios}
    return result


def main(arguments: list[str]) -> None:
    """Run the benchmark and print it."""
    if arguments[:1] == ["--step"]:
        run_step(*arguments[1:])
        return
    keep = Path(arguments[arguments.index("--keep") + 1]) if "--keep" in arguments else None
    rows = next((int(each) for each in arguments if each.isdigit()), ROWS)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        print(json.dumps(compare(keep, rows), indent=1))
    else:
        with TemporaryDirectory(prefix="benchmark-intake-") as folder:
            print(json.dumps(compare(Path(folder), rows), indent=1))
    print(f"DuckDB {duckdb.__version__}, Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores")


if __name__ == "__main__":
    main(sys.argv[1:])
