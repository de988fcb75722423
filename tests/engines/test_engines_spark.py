"""The Spark engine: it leaves nothing behind, stops when told, and its errors are answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.engines.test_engines_postgres import PEOPLE, people, slow
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.spark import SparkEngine
from workbench.kernel.errors import Stopped, Unavailable

pytestmark = pytest.mark.xdist_group("portable")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spark")
    pq.write_table(PEOPLE, folder / "it's a person.parquet")
    (folder / "scratch").mkdir()
    return folder


@pytest.fixture(scope="module")
def engine(place: Path) -> Iterator[SparkEngine]:
    with SparkEngine.over_parquet({"person": place / "it's a person.parquet"}, scratch=place / "scratch") as opened:
        yield opened
    assert list((place / "scratch").iterdir()) == []


def test_names_in_capitals_are_read_in_lower_case(engine: SparkEngine) -> None:
    assert engine.columns("person") == {"person_id", "year_of_birth"}
    assert engine.columns("death") == frozenset()
    assert (engine.type_of("person", "person_id"), engine.type_of("death", "person_id")) == ("int32", "")
    assert sorted(engine.fetch(people())["person_id"].to_pylist()) == [1, 2]
    assert engine.explain(people())
    assert engine.progress() == -1.0


def test_a_dropped_work_table_is_gone_from_the_disk(engine: SparkEngine, place: Path) -> None:
    engine.materialise(Step("w", people()))
    assert list(place.rglob("scratch/*/*/*.parquet"))
    engine.drop("w")
    assert not list(place.rglob("scratch/*/*/*.parquet"))
    with pytest.raises(Unavailable):
        engine.fetch(sql.select(sql.columns("w", "person_id"), sql.work_table("w", "w")))


def test_a_failing_step_tells_no_data(engine: SparkEngine) -> None:
    with pytest.raises(Unavailable) as caught:
        engine.fetch(sql.select({"v": sql.cast(sql.text("Mrs Martin"), "INT")}, sql.cdm_table("person", "p")))
    assert caught.value.code == "engine.failed"
    assert "Martin" not in str(caught.value)
    assert engine.fetch(people()).num_rows == 2


def test_a_running_query_stops_when_told(engine: SparkEngine) -> None:
    engine.load("numbers", pa.table({"n": range(2_000)}))
    started = time.monotonic()
    threading.Timer(0.3, engine.cancel).start()
    with pytest.raises(Stopped):
        engine.fetch(slow())
    assert time.monotonic() - started < 60  # to its end it would take many minutes
    engine.drop("numbers")
    assert engine.fetch(people()).num_rows == 2


def test_a_stop_between_two_queries_is_not_lost(engine: SparkEngine) -> None:
    engine.cancel()
    with pytest.raises(Stopped):
        engine.materialise(Step("w", people()))
    assert engine.fetch(people()).num_rows == 2


def test_what_cannot_be_opened_says_why(place: Path) -> None:
    (place / "not.parquet").write_text("nothing")
    started = time.monotonic()
    for tables, remote, code in (
        ({"person": place / "it's a person.parquet"}, "sc://127.0.0.1:1/;token=secret", "engine.spark_away"),
        ({"person": place / "it's a person.parquet"}, "nothing", "engine.spark_away"),
        ({"person": place / "not.parquet"}, None, "engine.source_unreadable"),
    ):
        with pytest.raises(Unavailable) as caught:
            SparkEngine.over_parquet(tables, remote=remote, scratch=place / "scratch")
        assert caught.value.code == code
        assert "secret" not in str(caught.value)
    assert time.monotonic() - started < 20
