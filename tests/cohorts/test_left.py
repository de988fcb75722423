"""The populations behind an attrition: the same numbers as the engine counts, and exactly the persons they count."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.cohorts.test_cohorts_corpus import cases
from workbench.cohorts.circe import read_definition
from workbench.cohorts.generate import generate
from workbench.cohorts.left import ExactCounts
from workbench.cohorts.left_people import PopulationCounts
from workbench.cohorts.live import LiveCounts
from workbench.engines import sql
from workbench.engines.duckdb import DuckDBEngine, connect
from workbench.governance.populations import Classes, Population

KEY = b"a key of thirty-two bytes, for us"[:32]


def population(counts: Counter[int]) -> tuple[Population, Population]:
    """The populations of persons and of their events, made of each person's number."""
    ids = np.array(sorted(counts), np.int64)
    found = Classes(KEY, ids).counted([counts[person] for person in ids.tolist()])
    return found.persons, found.events


@pytest.mark.parametrize("seed", range(8))
def test_rules_name_the_persons_of_a_plain_reading(seed: int) -> None:
    draw, rules = random.Random(seed), 1 + seed % 5
    judged = [
        {"person_id": draw.randrange(-5, 30), **{f"r{at}": int(draw.random() < 0.7) for at in range(rules)}}
        for _ in range(draw.choice((0, 1, 90)))
    ]
    schema = pa.schema([(name, pa.int64()) for name in ("person_id", *(f"r{at}" for at in range(rules)))])
    connection = connect()
    connection.execute("CREATE SCHEMA cdm").fetchall()
    with DuckDBEngine(connection) as engine:
        engine.load("judged", pa.Table.from_pylist(judged, schema))
        found = PopulationCounts.over(engine, KEY).rules("judged", rules)
        exact = ExactCounts(engine).rules("judged", rules)
        every = PopulationCounts.over(engine, KEY).all(sql.work_table("judged", "e"))
    assert [(left.persons, left.events, left.persons_without) for left in found] == [
        (left.persons, left.events, left.persons_without) for left in exact
    ]
    assert (every.populations.persons, every.populations.events) == population(
        Counter(row["person_id"] for row in judged)
    )
    for at, left in enumerate(found):
        passing = Counter(row["person_id"] for row in judged if all(row[f"r{one}"] for one in range(at + 1)))
        assert (left.populations.persons, left.populations.events) == population(passing)
        others = Counter(row["person_id"] for row in judged if all(row[f"r{one}"] for one in range(rules) if one != at))
        assert left.populations.without == population(others)[0]


@pytest.mark.parametrize("corpus", ["phenotypes_01", "fuzz_01"])
def test_numbers_are_those_of_an_attrition_without_populations(shared: Path, corpus: str) -> None:
    folder = shared / "data/circe" / corpus
    definitions = {name: read_definition(path) for name, path in list(cases(folder).items())[:12]}
    tables = {path.stem: path for path in (folder / "database").glob("*.parquet")}
    with DuckDBEngine.over_parquet(tables, threads=2) as engine:
        plain = generate(engine, definitions, explain=True)
        asked = generate(engine, definitions, explain=True, key=KEY)
    rows = {name: [step.row for step in steps] for name, steps in plain.attrition.items()}
    assert rows
    assert rows == {name: [step.row for step in steps] for name, steps in asked.attrition.items()}
    for name, steps in asked.attrition.items():
        last = Counter(asked.of(name)["subject_id"].to_pylist())
        told = steps[-1].left.populations
        assert (told.persons, told.events) == population(last)
    with DuckDBEngine.over_parquet(tables, threads=2) as engine:
        live = LiveCounts(engine)
        for name, steps in list(asked.attrition.items())[:3]:
            for _ in range(2):
                assert live.steps(definitions[name], KEY) == steps, "the other layout, and its memory"
