"""New random definitions and databases, and the rows that the reference engine gives of them.

Some definitions have ties: two events of a person start on one day and a limit keeps one. The reference keeps whichever
its database hands it first. A difference from our rows is excused only where the reference contradicts itself: on a
copy of the database in another row order, or with persons renumbered in the same order, it gives other rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import duckdb
import pyarrow.parquet as pq

from tests.cohorts.conftest import Rows, rows_by_cohort
from workbench.cohorts.circe import read_definition
from workbench.cohorts.generate import generate
from workbench.engines.duckdb import DuckDBEngine

_FACTORS = (3, 7, 31, 1009)


@dataclass(frozen=True)
class Comparison:
    """What both engines gave: definitions compared, those with rows, those the reference cannot run, those in which
    the rows differ by a proven tie, and those in which they differ for no such reason."""

    compared: int
    with_rows: int
    beyond_reference: int
    ties: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """A folder with random definitions and a database that they hit, and its copy in another row order."""

    definitions: tuple[Path, ...]
    database: Path

    @classmethod
    def make(cls, tools: Path, folder: Path, seed: int, definitions: int, persons: int) -> Corpus:
        """Make definitions of a seed and a database with some persons for each."""
        made, database = folder / f"definitions_{seed}", folder / f"{seed}.duckdb"
        _run(tools / "make_definitions.py", made, seed, definitions)
        files = tuple(sorted(made.glob("*.json")))
        _run(tools / "make_database.py", database, seed, persons, *files)
        return cls(files, database)

    @property
    def shuffled(self) -> Path:
        """Return the copy in another row order."""
        return self.database.with_suffix(".shuf.duckdb")

    def renumbered(self) -> Iterator[tuple[Path, int]]:
        """Yield copies in which each person's number is a multiple of what it was."""
        for factor in _FACTORS:
            copy = self.database.with_suffix(f".times{factor}.duckdb")
            copyfile(self.database, copy)
            with duckdb.connect(str(copy)) as connection:
                found = connection.execute(
                    "SELECT table_name FROM information_schema.columns WHERE column_name = 'person_id'"
                ).fetchall()
                for (table,) in found:
                    connection.execute(f'UPDATE "{table}" SET person_id = person_id * {factor}')
            yield copy, factor


def compare(tools: Path, corpus: Corpus) -> Comparison:
    """Compare our rows with the reference's, definition by definition. Ours must not depend on the row order at all."""
    ours = our_rows(corpus, corpus.database)
    assert ours == our_rows(corpus, corpus.shuffled)
    theirs, failed = _reference(tools, corpus.database, corpus.definitions)
    compared = [file for file in corpus.definitions if file.stem not in failed]
    differing = [file for file in compared if ours.get(file.stem) != theirs.get(file.stem)]
    ties = _ties(tools, corpus, differing, theirs) if differing else set[str]()
    return Comparison(
        compared=len(compared),
        with_rows=sum(file.stem in theirs for file in compared),
        beyond_reference=len(failed),
        ties=tuple(sorted(ties)),
        wrong=tuple(file.stem for file in differing if file.stem not in ties),
    )


def our_rows(corpus: Corpus, database: Path) -> Rows:
    """Our rows of all definitions of a corpus, run as one batch."""
    with DuckDBEngine.over_database(database, threads=1) as engine:
        made = generate(engine, {file.stem: read_definition(file) for file in corpus.definitions})
    assert not made.failed
    return rows_by_cohort(made.rows)


def _ties(tools: Path, corpus: Corpus, files: list[Path], theirs: Rows) -> set[str]:
    """The definitions of which the reference gives other rows on a copy that says the same."""
    found: set[str] = set()
    copies = [(corpus.shuffled, 1), *corpus.renumbered()]
    for copy, factor in copies:
        left = [file for file in files if file.stem not in found]
        if not left:
            break
        rows, _ = _reference(tools, copy, tuple(left))
        for file in left:
            told = Counter({(p // factor, *days): n for (p, *days), n in rows.get(file.stem, Counter()).items()})
            if told != theirs.get(file.stem, Counter()):
                found.add(file.stem)
    return found


def _reference(tools: Path, database: Path, files: tuple[Path, ...]) -> tuple[Rows, set[str]]:
    """The reference's rows, and the definitions on which it fails."""
    out = database.with_suffix(".rows.parquet")
    said = _run(tools / "reference_rows.py", database, out, *files)
    return rows_by_cohort(pq.read_table(out)), set(json.loads(said)["failed"])


def _run(program: Path, *arguments: object) -> str:
    command = [sys.executable, str(program), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
