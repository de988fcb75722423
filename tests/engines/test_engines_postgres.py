"""The PostgreSQL engine: it only reads the data, stops when told, and its errors are answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp

from tests.engines.servers import PASSWORD, fill, statements
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.postgres import PostgresEngine, place_of, split_url
from workbench.kernel.errors import InvalidInput, Stopped, Unavailable, UserError

pytestmark = pytest.mark.xdist_group("portable")
PEOPLE = pa.table({"PERSON_ID": pa.array([1, 2], pa.int32()), "year_of_birth": pa.array([1980, 1990], pa.int32())})


@pytest.fixture(scope="module")
def url(postgres_url: str) -> str:
    """A database with a schema `care`, one table of which is in capitals, and a table that is named like our own."""
    care = fill(postgres_url, "care", {"Person": PEOPLE, "sets": pa.table({"a": [1]})})
    statements(
        postgres_url,
        f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'",
        "GRANT USAGE ON SCHEMA care TO locked",
        'GRANT SELECT ON care."Person" TO locked',
        "CREATE SCHEMA bare",
    )
    return care


@pytest.fixture
def engine(url: str) -> Iterator[PostgresEngine]:
    with PostgresEngine.over_url(url) as opened:
        yield opened


def people() -> exp.Select:
    return sql.select(sql.columns("p", "person_id"), sql.cdm_table("person", "p"))


def slow() -> exp.Select:
    """Eight thousand million rows of a table with two thousand, in small portions, between which an engine can stop."""
    total = exp.Add(this=exp.Add(this=sql.col("a", "n"), expression=sql.col("b", "n")), expression=sql.col("c", "n"))
    joins = [
        sql.join(sql.work_table("numbers", each), sql.compare(sql.col("a", "n"), "<>", sql.col(each, "n")))
        for each in ("b", "c")
    ]
    return sql.select({"n": sql.count_distinct(total)}, sql.work_table("numbers", "a"), joins=joins)


def test_names_in_capitals_are_read_in_lower_case(engine: PostgresEngine) -> None:
    assert engine.columns("person") == {"person_id", "year_of_birth"}
    assert engine.columns("death") == frozenset()
    assert (engine.type_of("person", "person_id"), engine.type_of("death", "person_id")) == ("integer", "")
    assert sorted(engine.fetch(people())["person_id"].to_pylist()) == [1, 2]
    assert "Person" in engine.explain(people())
    assert engine.progress() == -1.0


def test_a_work_table_never_touches_a_table_of_the_data(engine: PostgresEngine, url: str) -> None:
    """The data's schema has a table `sets` too: ours is another, temporary one, and dropping it drops only ours."""
    engine.materialise(Step("sets", people()))
    assert engine.fetch(sql.select({"n": sql.count_all()}, sql.work_table("sets", "s")))["n"].to_pylist() == [2]
    engine.drop("sets")
    engine.drop("sets")
    with pytest.raises(Unavailable):
        engine.fetch(sql.select({"n": sql.count_all()}, sql.work_table("sets", "s")))
    with PostgresEngine.over_url(url) as other:
        assert other.columns("sets") == {"a"}
        assert other.fetch(sql.select(sql.columns("s", "a"), sql.cdm_table("sets", "s"))).num_rows == 1


def test_work_tables_end_with_the_session(url: str) -> None:
    with PostgresEngine.over_url(url) as first:
        first.materialise(Step("w", people()))
    with PostgresEngine.over_url(url) as second, pytest.raises(Unavailable):
        second.fetch(sql.select(sql.columns("w", "person_id"), sql.work_table("w", "w")))


def test_numerics_come_as_numbers(engine: PostgresEngine) -> None:
    found = engine.fetch(
        sql.select({"v": sql.aggregate(exp.Sum, sql.cast(sql.number(1), "BIGINT"))}, sql.sub(people(), "p"))
    )
    assert found["v"].to_pylist() == [2.0]


def test_a_failing_step_tells_no_data(engine: PostgresEngine) -> None:
    with pytest.raises(Unavailable) as caught:
        engine.fetch(sql.select({"v": sql.cast(sql.text("Mrs Martin"), "INT")}, sql.cdm_table("person", "p")))
    assert caught.value.code == "engine.failed"
    assert "Martin" not in str(caught.value)
    assert engine.fetch(people()).num_rows == 2


def test_a_running_query_stops_when_told(engine: PostgresEngine) -> None:
    engine.load("numbers", pa.table({"n": range(2_000)}))
    timer = threading.Timer(0.3, engine.cancel)
    started = time.monotonic()
    timer.start()
    with pytest.raises(Stopped):
        engine.materialise(Step("far", slow()))
    assert time.monotonic() - started < 60  # to its end it would take many minutes
    engine.drop("numbers")
    assert engine.fetch(people()).num_rows == 2


def test_a_stop_between_two_queries_is_not_lost(engine: PostgresEngine) -> None:
    engine.cancel()
    engine.drop("anything")
    with pytest.raises(Stopped):
        engine.fetch(people())
    assert engine.fetch(people()).num_rows == 2


def _code(url: str) -> str:
    with pytest.raises(UserError) as caught:
        PostgresEngine.over_url(url)
    assert PASSWORD not in str(caught.value)
    assert "workbench@" not in str(caught.value)
    return caught.value.code


def test_what_cannot_be_opened_says_why(postgres_url: str, url: str, tmp_path: Path) -> None:
    locked = url.replace("workbench@", "locked:wrong@")
    assert _code(f"postgresql:///postgres?host={tmp_path}") == "engine.server_away"
    assert _code("postgresql://workbench@localhost:1/postgres") == "engine.server_away"
    assert _code(locked) == "engine.sign_in"
    assert _code(postgres_url.replace("workbench@", "locked@")) == "engine.sign_in"
    assert _code(postgres_url.replace("workbench@", "nobody_here@")) == "engine.sign_in"
    assert _code(postgres_url.replace("/postgres?", "/none?")) == "engine.no_database"
    assert _code(f"{postgres_url}&schema=bare") == "engine.schema_without_person"
    assert _code(f"{postgres_url}&schema=absent") == "engine.schema_without_person"
    assert _code(f"{postgres_url}&no_such_parameter=1") == "engine.url_wrong"
    assert _code("postgresql://somebody:secret@[::1/care") == "engine.url_wrong"


def test_a_user_who_may_only_read_suffices(url: str, postgres_url: str) -> None:
    with PostgresEngine.over_url(url.replace("workbench@", f"locked:{PASSWORD.replace(' ', '%20')}@")) as reader:
        reader.materialise(Step("w", people()))
        assert reader.columns("sets") == frozenset()
    statements(postgres_url, "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
    try:
        with PostgresEngine.over_url(url.replace("workbench@", f"locked:{PASSWORD.replace(' ', '%20')}@")) as reader:
            with pytest.raises(Unavailable) as caught:
                reader.materialise(Step("w", people()))
            assert caught.value.code == "engine.denied"
    finally:
        statements(postgres_url, "GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")


@pytest.mark.parametrize("parameter", ["schema", "currentSchema", "search_path"])
def test_the_schema_is_taken_out_of_the_url(parameter: str) -> None:
    address, schema = split_url(f"postgres://u:p%40@h:5433/db?{parameter}=omop&sslmode=require")
    assert schema == "omop"
    assert address == "postgresql://u:p%40@h:5433/db?sslmode=require&connect_timeout=10"


def test_the_schema_is_found_where_the_search_path_says(url: str) -> None:
    base = url.partition("&schema=")[0]
    with PostgresEngine.over_url(f"{base}&options=-csearch_path%3Dbare,care") as opened:
        assert opened.fetch(people()).num_rows == 2


def test_a_place_names_neither_user_nor_password() -> None:
    assert place_of("postgresql://u:secret@h:5433/db?schema=x") == "h:5433/db"
    assert place_of("postgresql:///db") == "local/db"


def test_a_url_that_is_none_is_an_answer() -> None:
    with pytest.raises(InvalidInput):
        PostgresEngine.over_url("postgresql://h:port/db")
