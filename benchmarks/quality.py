"""What the quality of a release costs beside reading it once.

    python -m benchmarks.quality DATABASE [--keep FOLDER]

The tables of an OMOP database (a DuckDB file; `large_database.py` makes one) are written as Parquet, sorted
as in a release. DuckDB then reads every value of every table once (`last` of each column: the cheapest aggregate that
no statistics answer), and the whole quality document is made: concepts counted, 2,535 checks, the counts of the
profile. Each is a process of its own. What the checks found is held against plain queries: a faster wrong answer is no
result.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from benchmarks.measure import Cost, cost
from workbench.engines.duckdb import connect
from workbench.intake.quality.report import assess
from workbench.repository.cdm import TABLES, VOCABULARY
from workbench.vocabulary.use import Used, count_use

MEMORY = "2GB"
DOCUMENT = "quality.json"
PLAIN = {
    "isForeignKey:measurement.person_id": "SELECT count(*) FROM '{}/measurement.parquet' WHERE person_id NOT IN "
    "(SELECT person_id FROM '{}/person.parquet')",
    "isPrimaryKey:visit_occurrence.visit_occurrence_id": "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM "
    "'{}/visit_occurrence.parquet' GROUP BY visit_occurrence_id HAVING n > 1)",
    "measurePersonCompleteness:drug_exposure": "SELECT count(*) FROM '{}/person.parquet' WHERE person_id NOT IN "
    "(SELECT person_id FROM '{}/drug_exposure.parquet')",
    "standardConceptRecordCompleteness:condition_occurrence.condition_concept_id": "SELECT count(*) FROM "
    "'{}/condition_occurrence.parquet' WHERE condition_concept_id = 0",
}
"""Check → the rows that fail it, by a plain query."""


def made(database: Path, folder: Path) -> None:
    """Write each table of the model as Parquet, sorted as a release has it."""
    folder.mkdir(parents=True)
    with duckdb.connect(config={"temp_directory": str(folder / ".spill"), "memory_limit": "4GB"}) as connection:
        connection.execute(f"ATTACH '{database}' AS source (READ_ONLY)")
        there = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        for name in sorted(there & set(TABLES)):
            order = ", ".join(f'"{each}"' for each in TABLES[name].order)
            into = folder / f"{name}.parquet"
            query = f"COPY (FROM source.{name} ORDER BY {order}) TO '{into}' (COMPRESSION zstd)"
            connection.execute(query).fetchall()


def tables(folder: Path) -> dict[str, Path]:
    """Return the files by table."""
    return {path.stem: path for path in sorted(folder.glob("*.parquet"))}


def scanned(folder: Path) -> None:
    """Read every value once."""
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        for path in tables(folder).values():
            connection.execute(f"SELECT last(COLUMNS(*)) FROM '{path}'").fetchall()


def checked(folder: Path) -> None:
    """Make the quality document, as a load does."""
    files = tables(folder)
    records = [
        Used(name, path, [each.name for each in TABLES[name].fields if each.references == "concept"],
             TABLES[name].has_person)
        for name, path in files.items() if name not in VOCABULARY
    ]  # fmt: skip
    with connect(memory=MEMORY, spill=folder / ".spill") as connection:
        use = count_use(connection, records)
    document = assess("0" * 64, files, use, date(2026, 11, 22), folder / ".spill")
    (folder / DOCUMENT).write_text(json.dumps(document), encoding="utf-8")


STEPS = {"scan": scanned, "quality": checked}


def check_same_numbers(folder: Path) -> int:
    """Assert that the document's numbers are those of plain queries; return the rows of all tables."""
    document: dict[str, Any] = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    found = {check["id"]: check.get("failed") for check in document["checks"]}
    assert not document["summary"]["error"], document["summary"]
    with duckdb.connect() as connection:
        for name, query in PLAIN.items():
            expected = connection.execute(query.replace("{}", str(folder))).fetchall()[0][0]
            assert found[name] == expected, (name, found[name], expected)
        counts = [
            connection.execute(f"SELECT count(*) FROM '{path}'").fetchall()[0][0] for path in tables(folder).values()
        ]
    return sum(counts)


def compare(database: Path, folder: Path) -> None:
    """Measure both and print what was measured."""
    if not folder.exists():
        made(database, folder)
    costs: dict[str, Cost] = {
        name: cost([sys.executable, "-m", "benchmarks.quality", "--step", name, str(folder)]) for name in STEPS
    }
    print(
        f"{check_same_numbers(folder):,} rows, DuckDB {duckdb.__version__}, Python {platform.python_version()}",
        end=", ",
    )
    print(f"{len(os.sched_getaffinity(0))} cores")
    for name, each in costs.items():
        print(f"{name:8} {each.cpu:7.1f} CPU-s {each.cpu / costs['scan'].cpu:5.2f} scans {each.memory:6.0f} MB")


def main(arguments: list[str]) -> None:
    """Run the benchmark, or one step of it."""
    if arguments[:1] == ["--step"]:
        STEPS[arguments[1]](Path(arguments[2]))
    elif "--keep" in arguments:
        compare(Path(arguments[0]), Path(arguments[arguments.index("--keep") + 1]))
    else:
        with TemporaryDirectory(prefix="benchmark-quality-") as place:
            compare(Path(arguments[0]), Path(place) / "tables")


if __name__ == "__main__":
    main(sys.argv[1:])
