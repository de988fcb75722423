"""A large OMOP database for the comparison: the reference tools' own, with what they leave out.

Some definitions find next to nobody in it, so persons made to meet them are added, and, where chance makes too few,
those whom a definition finds are repeated under other numbers; and a vocabulary's 80 million rows of ancestors, which
a real one has, whatever its data.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from workbench.cohorts.circe import read_definition
from workbench.cohorts.generate import generate
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.progress import silent

EVENT_OFFSET = 10_000_000_000
PERSON_OFFSET = 100_000_000
MADE_FOR = 1_000
"""Persons made for each scarce definition."""
LEAST = 100
"""Rows that every definition must give."""
_VOCABULARY = ("concept", "concept_ancestor", "concept_relationship")
_EVENTS = (
    "person", "observation_period", "death", "visit_occurrence", "condition_occurrence", "drug_exposure",
    "procedure_occurrence", "measurement", "observation", "condition_era", "drug_era",
)  # fmt: skip
_LINKS = ("visit_occurrence_id",)


def build(
    tools: Path, database: Path, persons: int, ancestors: int, definitions: list[Path], scarce: list[Path]
) -> None:
    """Make the database in a file that is not there yet; `scarce` definitions get persons of their own."""
    # Made aside and renamed: a database half built must not be taken for one.
    aside, small = database.with_suffix(".partial"), database.with_suffix(".scarce")
    for old in (aside, small):
        old.unlink(missing_ok=True)
    _run(tools / "make_large_database.py", aside, persons, *definitions)
    _run(tools / "make_database.py", small, 11, MADE_FOR, *scarce)
    with duckdb.connect(str(aside)) as connection:
        connection.execute("SET threads = 2; SET memory_limit = '6GB'")
        connection.execute(f"ATTACH '{small}' AS scarce (READ_ONLY)")
        for table in (*_VOCABULARY, *_EVENTS):
            _add(connection, table, persons)
        _add_ancestors(connection, ancestors)
        connection.execute("CHECKPOINT")
    repeat_found(aside, scarce)
    aside.rename(database)
    small.unlink()


def repeat_found(database: Path, definitions: list[Path]) -> None:
    """Repeat the persons of definitions that give some rows, but fewer than `LEAST`, until they do."""
    with DuckDBEngine.over_database(database) as engine:
        rows = generate(engine, {file.stem: read_definition(file) for file in definitions}, silent).rows
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET threads = 2; SET memory_limit = '6GB'")
        for file in definitions:
            found = rows.filter(pc.equal(rows["cohort"], file.stem))
            for copy in range(1, -(-LEAST // found.num_rows) if found.num_rows else 1):
                _repeat(connection, found, copy)
        connection.execute("CHECKPOINT")


def _repeat(connection: duckdb.DuckDBPyConnection, found: pa.Table, copy: int) -> None:
    connection.register("found", found)
    for table in _EVENTS:
        columns = _columns(connection, "main", table)
        chosen = [_moved(table, column, copy * PERSON_OFFSET, 2 * copy * EVENT_OFFSET) for column in columns]
        whom = "person_id IN (SELECT subject_id FROM found)"
        connection.execute(f"INSERT INTO main.{table} SELECT {', '.join(chosen)} FROM main.{table} WHERE {whom}")
    connection.unregister("found")


def _run(tool: Path, *arguments: object) -> None:
    subprocess.run([sys.executable, str(tool), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def _add(connection: duckdb.DuckDBPyConnection, table: str, persons: int) -> None:
    columns = _columns(connection, "scarce.main", table)
    chosen = [_moved(table, column, persons, EVENT_OFFSET) for column in columns]
    names = ", ".join(f'"{column}"' for column in columns)
    new = ""
    if table in _VOCABULARY:
        new = f" EXCEPT SELECT {names} FROM main.{table}"
        if table == "concept":
            new = f" WHERE concept_id NOT IN (SELECT concept_id FROM main.{table})"
    connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {', '.join(chosen)} FROM scarce.main.{table}{new}")


def _columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> list[str]:
    return [str(name) for name, *_ in connection.execute(f"DESCRIBE {schema}.{table}").fetchall()]


def _moved(table: str, column: str, persons: int, events: int) -> str:
    """A column of an added row: persons and events get numbers that the large database does not use."""
    if table not in _VOCABULARY:
        if column == "person_id":
            return f'"{column}" + {persons}'
        if column == f"{table}_id" or column in _LINKS:
            return f'"{column}" + {events}'
    return f'"{column}"'


def _add_ancestors(connection: duckdb.DuckDBPyConnection, ancestors: int) -> None:
    """Pairs of concepts that no definition names: 8 million concepts' worth of a hierarchy nobody asks for."""
    connection.execute(
        "INSERT INTO concept_ancestor (ancestor_concept_id, descendant_concept_id, min_levels_of_separation,"
        f" max_levels_of_separation) SELECT 1500000000 + hash(i) % 8000000, 1500000000 + hash(i + 1) % 8000000, 1, 1"
        f" FROM range({ancestors}) r(i)"
    )
