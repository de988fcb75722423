"""The DuckDB engine: read-only over data, closed to the outside, stoppable, and its errors are answers."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.duckdb import DuckDBEngine, connect, lock
from workbench.kernel.errors import Stopped, Unavailable


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "own.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE Person AS SELECT 1 AS PERSON_ID, 1980 AS year_of_birth").fetchall()
    return path


def people(alias: str = "p") -> exp.Select:
    return sql.select(sql.columns(alias, "person_id"), sql.cdm_table("person", alias))


def test_a_database_file_is_read_in_lower_case_and_never_written(database: Path) -> None:
    before = database.read_bytes()
    with DuckDBEngine.over_database(database, threads=1, memory="200MB") as engine:
        assert engine.columns("person") == {"person_id", "year_of_birth"}
        assert engine.columns("death") == frozenset()
        engine.materialise(Step("w", people()))
        assert engine.fetch(sql.select(sql.columns("w", "person_id"), sql.work_table("w", "w"))).num_rows == 1
        engine.drop("w")
        assert engine.explain(people())
    assert database.read_bytes() == before


def test_it_writes_the_files_that_it_was_opened_for_and_no_other(database: Path, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine's.parquet", tmp_path / "other.parquet"
    with DuckDBEngine.over_database(database, results=[mine]) as engine:
        engine.write(people(), mine, "parquet")
        with pytest.raises(Unavailable):
            engine.write(people(), other, "parquet")
    assert pq.read_table(mine)["person_id"].to_pylist() == [1]
    assert not other.exists()


def test_a_place_that_cannot_be_written_is_an_error_of_the_disk(database: Path) -> None:
    full = Path("/dev/full")
    with (
        DuckDBEngine.over_database(database, results=[full]) as engine,
        pytest.raises(OSError, match="space") as caught,
    ):
        engine.write(people(), full, "csv")
    assert caught.value.errno == errno.ENOSPC


def test_parquet_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "it's a person.parquet"
    pq.write_table(pa.table({"person_id": [1, 2]}), path)
    with DuckDBEngine.over_parquet({"person": path}) as engine:
        assert engine.fetch(people()).num_rows == 2


def test_sources_that_cannot_be_read_are_answers(tmp_path: Path) -> None:
    (tmp_path / "not.duckdb").write_text("nothing")
    for make, code in (
        (lambda: DuckDBEngine.over_database(tmp_path / "none.duckdb"), "engine.source_missing"),
        (lambda: DuckDBEngine.over_database(tmp_path / "not.duckdb"), "engine.source_unreadable"),
        (lambda: DuckDBEngine.over_parquet({"person": tmp_path / "not.duckdb"}), "engine.source_unreadable"),
    ):
        with pytest.raises(Unavailable) as caught:
            make()
        assert caught.value.code == code


def test_only_the_schema_main_of_a_file_is_read(tmp_path: Path) -> None:
    """A file may have a schema named as our own is."""
    with duckdb.connect(str(tmp_path / "two.duckdb")) as connection:
        connection.execute("CREATE SCHEMA cdm").fetchall()
        connection.execute("CREATE TABLE cdm.person AS SELECT 7 AS person_id, 1 AS other").fetchall()
        connection.execute("CREATE TABLE cdm.death AS SELECT 7 AS person_id").fetchall()
        connection.execute("CREATE TABLE person AS SELECT 1 AS person_id").fetchall()
    with DuckDBEngine.over_database(tmp_path / "two.duckdb", threads=1) as engine:
        assert (engine.columns("person"), engine.columns("death")) == ({"person_id"}, frozenset())
        assert engine.fetch(people())["person_id"].to_pylist() == [1]


def test_a_database_that_another_program_writes_is_said_to_be(database: Path) -> None:
    holding = f"import duckdb; c = duckdb.connect({str(database)!r}); print(flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    other.stdout.readline()
    try:
        with pytest.raises(Unavailable) as caught:
            DuckDBEngine.over_database(database)
        assert caught.value.code == "engine.source_locked"
    finally:
        other.communicate("\n")


def test_a_failing_step_tells_no_data(database: Path) -> None:
    with DuckDBEngine.over_database(database) as engine, pytest.raises(Unavailable) as caught:
        engine.fetch(sql.select(sql.columns("p", "no_such_column"), sql.cdm_table("person", "p")))
    assert caught.value.code == "engine.failed"
    assert "no_such_column" not in str(caught.value)


def test_a_running_query_stops_when_told() -> None:
    numbers = pa.table({"n": range(20_000)})
    with DuckDBEngine(connect(threads=1)) as engine:
        engine.load("numbers", numbers)
        a, b = (exp.Subquery(this=sql.select(sql.columns("n", "n"), sql.work_table("numbers", "n"))) for _ in range(2))
        for each, alias in ((a, "a"), (b, "b")):
            each.set("alias", exp.TableAlias(this=sql.name(alias)))
        far = sql.compare(exp.Add(this=sql.col("a", "n"), expression=sql.col("b", "n")), "<>", sql.number(-1))
        slow = sql.select({"n": sql.count_distinct(sql.col("a", "n"))}, a, joins=[sql.join(b, far)])
        timer = threading.Timer(0.3, engine.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            engine.fetch(slow)
        assert time.monotonic() - began < 20
        assert -1.0 <= engine.progress() <= 1.0


def test_a_locked_connection_reads_no_file_and_no_variable(tmp_path: Path) -> None:
    secret = pa.table({"x": [1]})
    (tmp_path / "secret.csv").write_text("x\n1\n")
    connection = connect(threads=1)
    lock(connection)
    for statement in (
        f"FROM read_csv('{tmp_path / 'secret.csv'}')",
        "FROM secret",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement).fetchall()
    assert secret.num_rows == 1


def test_a_stop_between_two_queries_is_not_lost(database: Path) -> None:
    with DuckDBEngine.over_database(database) as engine:
        engine.cancel()
        with pytest.raises(Stopped):
            engine.fetch(people())
        assert engine.fetch(people()).num_rows == 1


def test_batches_hold_the_rows_of_a_query_and_there_is_one_where_it_has_none(database: Path) -> None:
    numbers = exp.select("range").from_(exp.Anonymous(this="range", expressions=[exp.Literal.number(300_000)]))
    with DuckDBEngine.over_database(database, threads=1) as engine:
        batches = list(engine.batches(numbers, 4096))
        assert max(batch.num_rows for batch in batches) <= 4096
        assert pa.Table.from_batches(batches).column(0).to_pylist() == list(range(300_000))
        (none,) = engine.batches(people().where(exp.false()), 10)
        assert (none.num_rows, none.schema.names) == (0, ["person_id"])
        stopped = engine.batches(numbers.copy(), 4096)
        assert next(stopped).num_rows
        engine.cancel()
        with pytest.raises(Stopped):
            list(stopped)
        assert engine.fetch(people()).num_rows == 1
