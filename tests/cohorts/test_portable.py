"""The same rows on DuckDB, PostgreSQL and Spark; the exported SQL, run as it is; one's own database on each engine.

The sample of `make test`: all shipped cohorts on the simulated patients; OHDSI's engine tests of whole cohorts; of the
corpora the definitions below, chosen so that together they use every criteria type, limit, exit and kind of test (a
test proves it); definitions on which Circe itself errs; and each rule of `rules.py` (`test_rules.py`). `make test-all`
runs all of `phenotypes_00` and `fuzz_00` on each engine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cohorts.conftest import rows_by_cohort
from tests.cohorts.test_cohorts_circe_be import cases as circe_be
from tests.cohorts.test_cohorts_circe_be import one_database, own
from tests.cohorts.test_cohorts_corpus import cases
from tests.conftest import absent, workbench
from tests.engines.conftest import ENGINES, open_engine
from tests.engines.servers import PASSWORD, fill, postgres_server, statements
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.domains import DOMAINS
from workbench.cohorts.generate import generate
from workbench.cohorts.shipped import shipped
from workbench.cohorts.sql import sql
from workbench.cohorts.survey import all_events
from workbench.engines.base import Engine
from workbench.engines.columns import nullable
from workbench.engines.duckdb import DuckDBEngine
from workbench.engines.postgres import PostgresEngine
from workbench.engines.spark import SparkEngine

pytestmark = pytest.mark.xdist_group("portable")

SAMPLE: Mapping[str, Mapping[str, str]] = {
    "fuzz_00": {
        "f1_0034": "adjusted dates, nested criteria, eight domains, an offset, the last event, texts",
        "f1_0007": "censoring, a drug era as the exit, source concepts, procedures, drug eras",
        "f1_0089": "payer plan periods, specimens, the end of observation",
        "f1_0038": "drug exposures, the first event",
        "f1_0028": "a censor window",
        "f1_0013": "dose eras",
    },
    "phenotypes_00": {
        "10": "a published phenotype of many rules",
        "1005": "first events with a washout",
        "1020": "nested groups",
        "1040": "the most rows",
        "1073": "visits as the entry event",
    },
}
ERRS_IN_CIRCE = ("f1_0001", "f1_0008", "f1_0073")
"""Abnormal measurements, concepts of payers, distinct visits of visit details: on these Circe itself fails."""


class Databases:
    """Opens the tables of a corpus on each engine; PostgreSQL is filled on first need and started once."""

    def __init__(self, stack: ExitStack, patients: Mapping[str, Path], shared: Path) -> None:
        self._stack, self._shared = stack, shared
        self._patients = patients
        self._server: str | None = None
        self._urls: dict[str, str] = {}

    def tables(self, corpus: str) -> dict[str, Path]:
        if corpus == "cdm":
            return dict(self._patients)
        return {path.stem: path for path in (self._shared / "data/circe" / corpus / "database").glob("*.parquet")}

    def server(self) -> str:
        if self._server is None:
            self._server = self._stack.enter_context(postgres_server())
        return self._server

    def url(self, corpus: str) -> str:
        if corpus not in self._urls:
            self._urls[corpus] = fill(self.server(), corpus, self.tables(corpus))
        return self._urls[corpus]

    def open(self, kind: str, corpus: str) -> Any:
        if kind == "postgres":
            return PostgresEngine.over_url(self.url(corpus))
        over = SparkEngine.over_parquet if kind == "spark" else DuckDBEngine.over_parquet
        return over(self.tables(corpus))


@pytest.fixture(scope="module")
def databases(patients: dict[str, Path], shared: Path) -> Iterator[Databases]:
    with ExitStack() as stack:
        yield Databases(stack, patients, shared)


def _read(files: Mapping[str, Path]) -> dict[str, Definition]:
    return {name: read_definition(file) for name, file in files.items()}


def _rows(engine: Engine, definitions: Mapping[str, Definition]) -> pa.Table:
    made = generate(engine, definitions)
    assert not made.failed
    return made.rows


def _compare(engine: Engine, files: Mapping[str, Path], expected: Path) -> None:
    ours, theirs = rows_by_cohort(_rows(engine, _read(files))), rows_by_cohort(pq.read_table(expected))
    assert [name for name in files if ours.get(name) != theirs.get(name)] == []


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("corpus", SAMPLE)
def test_the_sample_gives_circes_rows(databases: Databases, shared: Path, kind: str, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    files = {name: file for name, file in cases(folder).items() if name in SAMPLE[corpus]}
    assert len(files) == len(SAMPLE[corpus])
    with databases.open(kind, corpus) as engine:
        _compare(engine, files, folder / "expected.parquet")


@pytest.mark.long
@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("corpus", SAMPLE)
def test_all_of_two_corpora_give_circes_rows(databases: Databases, shared: Path, kind: str, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    with databases.open(kind, corpus) as engine:
        _compare(engine, cases(folder), folder / "expected.parquet")


@pytest.mark.parametrize("kind", ENGINES)
def test_circes_own_cohort_tests_give_their_rows(databases: Databases, shared: Path, tmp_path: Path, kind: str) -> None:
    """OHDSI's engine tests of whole cohorts, all in one database and one batch."""
    found = {name: case for name, case in circe_be(shared, "cohort").items() if case["expected"] is not None}
    tables, expressions, expected = one_database(found)
    engine = open_engine(kind, tables, tmp_path, databases.server() if kind == "postgres" else "")
    try:
        rows = rows_by_cohort(_rows(engine, {name: Definition(each, name) for name, each in expressions.items()}))
    finally:
        engine.close()
    ours = {name: own(rows.get(name, Counter()), at) for at, name in enumerate(found)}
    assert [name for name in found if ours[name] != expected[name]] == []
    assert len(found) == 38


@pytest.mark.parametrize("kind", ENGINES[1:])
def test_shipped_cohorts_have_the_same_rows(databases: Databases, kind: str) -> None:
    definitions = _read(shipped())
    with databases.open("duckdb", "cdm") as reference, databases.open(kind, "cdm") as engine:
        expected = _rows(reference, definitions)
        assert set(expected["cohort"].to_pylist()) == set(definitions)
        assert _rows(engine, definitions).equals(expected)


def test_what_circe_itself_cannot_run_has_the_same_rows(databases: Databases, shared: Path) -> None:
    folder = shared / "data/circe/fuzz_00/definitions"
    definitions = _read({name: folder / f"{name}.json" for name in ERRS_IN_CIRCE})
    found: list[pa.Table] = []
    for kind in ENGINES:
        with databases.open(kind, "fuzz_00") as engine:
            found.append(_rows(engine, definitions))
    assert found[0].num_rows > 0
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def _features(definitions: Mapping[str, Definition]) -> set[str]:
    found: set[str] = set()
    for each in definitions.values():
        plan = each.plan
        found |= {type(plan.exit).__name__, f"limit {plan.limit.kind}", f"entry {plan.entry.limit.kind}"}
        found |= {"censoring"} if plan.censoring else set()
        found |= {"window"} if plan.clip.start or plan.clip.end else set()
        for events, _ in all_events(plan):
            found |= {events.domain, *(type(test).__name__ for test in events.tests)}
            found |= {"nested"} if events.around is not None else set()
            found |= {"adjusted"} if events.adjust is not None else set()
            found |= {"source"} if events.source is not None else set()
    return found


def test_the_sample_covers_every_criteria_type(shared: Path) -> None:
    """All that the two corpora use. Regions stand in the rules, abnormal values are what Circe cannot run."""
    folders = {corpus: shared / "data/circe" / corpus for corpus in SAMPLE}
    every = [_features(_read(cases(folder))) for folder in folders.values()]
    chosen = [
        _features(_read({name: cases(folder)[name] for name in SAMPLE[corpus]})) for corpus, folder in folders.items()
    ]
    assert set().union(*every) <= set().union(*chosen)
    assert set(DOMAINS) <= set().union(*chosen) | {"LocationRegion"}
    errs = _read({name: folders["fuzz_00"] / f"definitions/{name}.json" for name in ERRS_IN_CIRCE})
    assert "Abnormal" in _features(errs)


def _exported(databases: Databases, name: str, kind: str, folder: Path) -> list[tuple[int, date, date]]:
    """Run a shipped definition's exported SQL as it is, where the OMOP tables are in `main` (DuckDB) or in `cdm`."""
    text = sql(read_definition(shipped()[name]), kind)
    if kind == "postgres":
        return _by_psql(databases, text, folder)
    tables = databases.tables("cdm")
    if kind == "duckdb":
        with duckdb.connect() as connection:
            for table, path in tables.items():
                connection.execute(f"CREATE VIEW \"{table}\" AS FROM '{path}'")
            return connection.execute(text).fetchall()
    with SparkEngine.over_parquet({}) as engine:
        spark = engine._session
        spark.sql("CREATE DATABASE cdm")
        for table, path in tables.items():
            spark.sql(f"CREATE TABLE cdm.{table} USING parquet LOCATION '{path}'")
        for statement in text.strip().removesuffix(";").split(";\n\n"):
            found = spark.sql(statement)
        # Sail forgets a dropped schema, and keeps its files: the test runs in a folder that is thrown away.
        return [tuple(row.values()) for row in found.toArrow().to_pylist()]


def _by_psql(databases: Databases, text: str, folder: Path) -> list[tuple[int, date, date]]:
    program = shutil.which("psql")
    if program is None:
        absent("psql", "apt-get install postgresql")
    (folder / "cohort.sql").write_text(text)
    url = databases.url("cdm").partition("&schema=")[0]
    options = ("--no-psqlrc", "--quiet", "--tuples-only", "--csv", "-v", "ON_ERROR_STOP=1")
    done = subprocess.run(
        [program, *options, "-f", str(folder / "cohort.sql"), url], capture_output=True, text=True, check=True
    )
    lines = [line.split(",") for line in done.stdout.splitlines()]
    return [(int(person), date.fromisoformat(start), date.fromisoformat(end)) for person, start, end in lines]


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("name", ["celecoxib_without_prior_gi_bleed", "gi_bleed"])
def test_exported_sql_runs_as_it_is(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with databases.open("duckdb", "cdm") as engine:
        expected = _rows(engine, {name: read_definition(shipped()[name])}).drop_columns(["cohort"]).to_pylist()
    found = _exported(databases, name, kind, tmp_path)
    assert sorted(found) == sorted(tuple(row.values()) for row in expected)
    assert found


# One's own database, by the command line.


@pytest.fixture(scope="module")
def folder(patients: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated patients as a folder of Parquet files."""
    made = tmp_path_factory.mktemp("own")
    for name, path in patients.items():
        (made / f"{name}.parquet").symlink_to(path)
    return made


def _generate(database: str, cwd: Path, *options: str, check: bool = True, **environment: str) -> Any:
    arguments = ("cohort", "generate", "gi_bleed", "--database", database, "--out", "rows.parquet", *options)
    return workbench(*arguments, cwd=cwd, check=check, **environment)


def test_the_command_line_gives_the_same_rows_on_each_engine(
    databases: Databases, folder: Path, tmp_path: Path
) -> None:
    found: list[pa.Table] = []
    for database, options in (
        (str(folder), ()),
        (str(folder), ("--engine", "spark")),
        (databases.url("cdm"), ("--engine", "postgres")),
        (databases.url("cdm"), ()),
    ):
        _generate(database, tmp_path, *options)
        found.append(nullable(pq.read_table(tmp_path / "rows.parquet")))
    assert found[0].num_rows > 0
    assert all(each.equals(found[0]) for each in found[1:])


def test_what_cannot_be_opened_is_said_in_words(databases: Databases, folder: Path, tmp_path: Path) -> None:
    statements(databases.server(), f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
    url = databases.url("cdm")
    (tmp_path / "own.duckdb").touch()
    for database, options, code, exit_code in (
        (url.replace("workbench@", "locked:wrong@"), (), "engine.sign_in", 1),
        (url.replace("=cdm", "=absent"), (), "engine.schema_without_person", 2),
        (f"postgresql:///postgres?host={tmp_path}", ("--engine", "postgres"), "engine.server_away", 1),
        (str(folder), ("--engine", "postgres"), "own.url_needed", 2),
        (str(folder), ("--engine", "oracle"), "own.engine_unknown", 2),
        (url, ("--engine", "spark"), "own.url_unknown", 2),
        ("mysql://localhost/omop", (), "own.url_unknown", 2),
        (str(tmp_path / "own.duckdb"), ("--engine", "spark"), "own.folder_needed", 2),
    ):
        done = _generate(database, tmp_path, *options, check=False)
        assert code in done.stderr
        assert done.returncode == exit_code
        assert "Traceback" not in done.stderr
        assert "wrong" not in done.stderr
    done = _generate(str(folder), tmp_path, "--engine", "spark", check=False, SPARK_REMOTE="sc://127.0.0.1:1")
    assert "engine.spark_away" in done.stderr


@pytest.mark.parametrize(("engine", "package"), [("postgres", "adbc_driver_postgresql"), ("spark", "pyspark")])
def test_a_missing_package_is_named(
    databases: Databases, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"workbench.engines.{engine}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    database = str(folder) if engine == "spark" else databases.url("cdm")
    done = _generate(database, tmp_path, "--engine", engine, check=False)
    assert done.returncode == 1
    assert f"pip install 'workbench[{engine}]'" in done.stderr


def test_production_reads_no_database_directly(databases: Databases, tmp_path: Path) -> None:
    done = _generate(databases.url("cdm"), tmp_path, check=False, WORKBENCH_PRODUCTION="1")
    assert "own.production" in done.stderr


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_a_homes_files_are_refused_to_every_engine(folder: Path, tmp_path: Path, engine: str) -> None:
    tables = tmp_path / "home" / "releases" / "rel" / "tables"
    shutil.copytree(folder, tables, symlinks=True)
    (tmp_path / "home" / "app.sqlite").touch()
    assert "own.home_files" in _generate(str(tables), tmp_path, "--engine", engine, check=False).stderr
