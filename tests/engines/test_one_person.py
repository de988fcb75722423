"""An engine seen through one person: the same queries on one person's rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.duckdb import DuckDBEngine
from workbench.engines.one_person import OnePerson

WHO = 918273645


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    made = {
        "drug_exposure": pa.table({"person_id": [1, WHO, WHO], "drug_concept_id": [7, 7, 8], "other": [0, 0, 0]}),
        "location_history": pa.table({"entity_id": [1, WHO], "location_id": [5, 6]}),
        "concept": pa.table({"concept_id": [7, 8], "concept_name": ["seven", "eight"]}),
    }
    for name, rows in made.items():
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    return {name: tmp_path / f"{name}.parquet" for name in made}


def test_rows_of_one_person_and_the_whole_vocabulary(tables: dict[str, Path]) -> None:
    drugs = sql.select(
        {"name": sql.col("c", "concept_name"), "drug": sql.col("d", "drug_concept_id")},
        sql.cdm_table("drug_exposure", "d"),
        joins=[
            sql.join(
                sql.cdm_table("concept", "c"),
                sql.compare(sql.col("c", "concept_id"), "=", sql.col("d", "drug_concept_id")),
            )
        ],
    )
    everybody = sql.select({"events": sql.count_all()}, sql.work_table("kept", "k"))
    with DuckDBEngine.over_parquet(tables) as engine, OnePerson(engine, WHO) as mine:
        assert sorted(mine.fetch(drugs)["name"].to_pylist()) == ["eight", "seven"]
        assert engine.fetch(drugs).num_rows == 3
        mine.materialise(Step("kept", drugs))
        assert mine.fetch(everybody)["events"].to_pylist() == [2]
        places = sql.select({"place": sql.col("h", "location_id")}, sql.cdm_table("location_history", "h"))
        assert mine.fetch(places).num_rows == 2  # of persons and of care sites, told apart by what reads them
        assert mine.columns("concept") == engine.columns("concept")


def test_the_person_is_forgotten(tables: dict[str, Path]) -> None:
    with DuckDBEngine.over_parquet(tables) as engine:
        with OnePerson(engine, WHO):
            pass
        engine.load("one_person", pa.table({"person_id": [1]}))  # the name is free again
        assert engine.fetch(sql.select(sql.columns("w", "person_id"), sql.work_table("one_person", "w"))).num_rows == 1
