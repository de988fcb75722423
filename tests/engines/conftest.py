"""The three engines over one small table of edge values.

Spark is Sail inside this process; with SPARK_REMOTE (`sc://host:port`) set, the same tests run on that server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.engines.servers import fill, postgres_server
from workbench.engines.base import Engine
from workbench.engines.duckdb import DuckDBEngine
from workbench.engines.postgres import PostgresEngine
from workbench.engines.spark import SparkEngine

ENGINES = ("duckdb", "postgres", "spark")
BIG = 2**63 - 1
EDGES = pa.table(
    {
        "person_id": pa.array([1], pa.int32()),
        "leap": pa.array([date(2024, 2, 28)]),
        "march": pa.array([date(2024, 3, 1)]),
        "eve": pa.array([date(2023, 12, 31)]),
        "no_day": pa.array([None], pa.date32()),
        "midnight": pa.array([datetime(2024, 2, 29)], pa.timestamp("us")),  # noqa: DTZ001 - OMOP's times have no zone
        "evening": pa.array([datetime(2024, 2, 28, 23, 59, 59)], pa.timestamp("us")),  # noqa: DTZ001
        "Birth_DATE": pa.array([datetime(2024, 2, 29, 0, 0)], pa.timestamp("us")),  # noqa: DTZ001
        "three": pa.array([3], pa.int32()),
        "minus": pa.array([-59], pa.int32()),
        "none": pa.array([None], pa.int64()),
        "big": pa.array([BIG], pa.int64()),
        "word": pa.array([2**61 + 5], pa.int64()),
        "half": pa.array([2.5]),
        "minus_half": pa.array([-2.5]),
        "price": pa.array(["7.500"]).cast(pa.decimal128(18, 3)),
        "empty": pa.array([""]),
        "name": pa.array(["Hôpital d'Évreux \\ 100 %"]),
        "no_text": pa.array([None], pa.string()),
    }
)


def open_engine(kind: str, tables: dict[str, pa.Table], folder: Path, url: str) -> Engine:
    """An engine of a kind over small tables; it may write `rows.parquet` and `rows.csv` in the folder."""
    if kind == "postgres":
        return PostgresEngine.over_url(fill(url, "edges", tables))
    paths = {name: folder / f"{name}.parquet" for name in tables}
    for name, path in paths.items():
        pq.write_table(tables[name], path)
    if kind == "spark":
        return SparkEngine.over_parquet(paths, remote=os.environ.get("SPARK_REMOTE"))
    return DuckDBEngine.over_parquet(paths, threads=1, results=[folder / "rows.parquet", folder / "rows.csv"])


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server that these tests started."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small tables, in which the engines may write."""
    return tmp_path_factory.mktemp("edges")


@pytest.fixture(scope="session", params=ENGINES)
def any_engine(request: pytest.FixtureRequest, results: Path) -> Iterator[Engine]:
    """Each engine in turn, over the edge values as the data table `person`."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    engine = open_engine(request.param, {"person": EDGES}, results, url)
    yield engine
    engine.close()
