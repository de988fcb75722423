"""What a definition needs of a database is known before anything runs: tables, columns, and what these hold."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from tests.cohorts.conftest import BLEED, concept_set, definition
from tests.conftest import workbench
from tests.engines.conftest import ENGINES
from tests.engines.servers import fill, postgres_server
from workbench.cohorts.check_data import check_data
from workbench.cohorts.circe import read_definition
from workbench.cohorts.compile import compile_batch
from workbench.cohorts.generate import generate
from workbench.cohorts.plan import Places, Plan
from workbench.cohorts.requirements import reads, wanted_kind
from workbench.engines.base import Engine
from workbench.engines.duckdb import DuckDBEngine
from workbench.engines.postgres import PostgresEngine
from workbench.engines.spark import SparkEngine
from workbench.engines.sql import CDM
from workbench.repository.cdm import TABLES, Table

_NONE = Table("", (), record=False)
ENTRY = "$.PrimaryCriteria.CriteriaList[0]"
OLD = {"CriteriaList": [], "DemographicCriteriaList": [{"Age": {"Value": 40, "Op": "gt"}}], "Groups": [], "Type": "ALL"}
BATCH: Mapping[str, Any] = {
    "bleed": definition(BLEED),
    "old": definition({"Death": {}}, InclusionRules=[{"name": "old", "expression": OLD}]),
    "drug": definition({"DrugExposure": {"CodesetId": 0}}, sets=[concept_set(0, 1118084)]),
    "era": definition({"ConditionEra": {"CodesetId": 0}}),
}


def test_all_that_is_read_is_asked_for(shared: Path) -> None:
    """Each column of the data that the steps of a definition read was looked at before they run, as what
    the model says that it holds."""
    files = sorted((shared / "data/circe").glob("fuzz_0*/definitions/*.json"))
    files += sorted((shared / "data/circe/phenotype_library").glob("*.json"))[::40]
    asked: set[tuple[str, str]] = set()
    for file in files:
        for plan in _with_places(read_definition(file).plan):
            looked_at = {(table, column) for table, columns, _ in reads(plan) for column in columns}
            assert _read(plan) - looked_at == set(), file.stem
            asked |= looked_at
    kinds = {"integer": "number", "number": "number", "text": "text", "date": "date"}
    fields = [TABLES[table].by_name[name] for table, name in asked if name in TABLES.get(table, _NONE).by_name]
    assert len(fields) > 150
    assert [field.name for field in fields if wanted_kind(field.name) not in (kinds[field.type], None)] == []


def _with_places(plan: Plan) -> list[Plan]:
    places = any(table == "location" for table, _, _ in reads(plan))
    return [plan, replace(plan, places=Places(True, "region_concept_id"))] if places else [plan]


def _read(plan: Plan) -> set[tuple[str, str]]:
    script = compile_batch({"one": plan})
    return {read for step in (*script.shared, *script.cohorts["one"].steps) for read in _columns(step.tree)}


def _columns(tree: exp.Query) -> Iterator[tuple[str, str]]:
    for table in tree.find_all(exp.Table):
        inside = table.parent_select
        if table.db == CDM and inside is not None:
            yield from ((table.name, each.name) for each in inside.find_all(exp.Column) if each.table == table.alias)


ALTERED: Mapping[str, Mapping[str, str]] = {
    "condition_occurrence": {"condition_start_date": "VARCHAR", "condition_end_date": "VARCHAR"},
    "person": {"year_of_birth": "VARCHAR"},
    "drug_exposure": {"drug_concept_id": "VARCHAR"},
}
NAMED = {
    "bleed": ("condition_occurrence", "condition_end_date", f"{ENTRY}.ConditionOccurrence", "DATE"),
    "old": ("person", "year_of_birth", "$.InclusionRules[0].expression.DemographicCriteriaList[0]", "BIGINT"),
    "drug": ("drug_exposure", "drug_concept_id", f"{ENTRY}.DrugExposure", "BIGINT"),
}


@pytest.fixture(scope="module")
def altered(patients: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """GiBleed with some columns as text."""
    folder = tmp_path_factory.mktemp("altered")
    found = dict(patients)
    with duckdb.connect() as connection:
        for table, columns in ALTERED.items():
            found[table] = folder / f"{table}.parquet"
            casts = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
            source = f"SELECT * REPLACE ({casts}) FROM '{patients[table]}'"
            connection.execute(f"COPY ({source}) TO '{found[table]}'").fetchall()
    return found


@pytest.mark.xdist_group("portable")
@pytest.mark.parametrize("kind", ENGINES)
def test_a_column_of_another_type_is_named_and_the_others_run(kind: str, altered: dict[str, Path]) -> None:
    needed = ("person", "observation_period", "condition_occurrence", "condition_era", "drug_exposure", "death",
              "concept", "concept_ancestor")  # fmt: skip
    with _opened(kind, {name: altered[name] for name in needed}) as engine:
        made = generate(engine, {name: read_definition(text) for name, text in BATCH.items()})
    assert {name: error.code for name, error in made.failed.items()} == dict.fromkeys(NAMED, "cohort.column_type")
    facts = {name: error.facts for name, error in made.failed.items()}
    named = {name: (each["table"], each["column"], each["path"], each["wanted"]) for name, each in facts.items()}
    assert named == NAMED
    assert {each["found"] for each in facts.values()} <= {"VARCHAR", "character varying", "text", "string"}
    assert made.persons("era") == 479


@contextmanager
def _opened(kind: str, tables: dict[str, Path]) -> Generator[Engine]:
    with ExitStack() as stack:
        if kind == "postgres":
            yield stack.enter_context(
                PostgresEngine.over_url(fill(stack.enter_context(postgres_server()), "altered", tables))
            )
        elif kind == "spark":
            yield stack.enter_context(SparkEngine.over_parquet(tables))
        else:
            yield stack.enter_context(DuckDBEngine.over_parquet(tables, threads=2))


def test_a_person_without_the_year_of_birth_costs_only_whom_it_concerns(
    patients: dict[str, Path], tmp_path: Path
) -> None:
    person = tmp_path / "person.parquet"
    duckdb.sql(f"SELECT * EXCLUDE (year_of_birth) FROM '{patients['person']}'").write_parquet(str(person))
    with DuckDBEngine.over_parquet({**patients, "person": person}, threads=2) as engine:
        made = generate(engine, {name: read_definition(BATCH[name]) for name in ("bleed", "old")})
    assert (made.persons("bleed"), made.failed["old"].code) == (479, "cohort.column_missing")


def test_the_command_names_table_column_and_types(altered: dict[str, Path], tmp_path: Path) -> None:
    """As a person sees it, from a DuckDB file: the others are written, exit 1."""
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        for name, path in altered.items():
            connection.execute(f"CREATE TABLE {name} AS FROM '{path}'").fetchall()
    for name, text in BATCH.items():
        (tmp_path / f"{name}.json").write_text(text)
    files = [f"{name}.json" for name in BATCH]
    asked = ("cohort", "generate", *files, "--database", "own.duckdb", "--out", "rows.parquet")
    done = workbench(*asked, cwd=tmp_path, check=False)
    assert (done.returncode, "479" in done.stdout) == (1, True)
    for word in ("condition_end_date", "condition_occurrence", "VARCHAR", "DATE is needed", "cohort.column_type"):
        assert word in done.stderr
    assert "BinderException" not in done.stderr
    checked = workbench("cohort", "check", "drug.json", "--database", "own.duckdb", "--json", cwd=tmp_path, check=False)
    found = [each for each in json.loads(checked.stdout)["warnings"]["drug"] if each["code"] == "column_type"]
    assert (checked.returncode, [each["path"] for each in found]) == (1, [f"{ENTRY}.DrugExposure"])


def test_a_column_of_nothing_but_null_is_no_fault(patients: dict[str, Path], tmp_path: Path) -> None:
    """Such a column of a Parquet file has no type at all."""
    path = tmp_path / "condition_occurrence.parquet"
    rows = pq.read_table(patients["condition_occurrence"])
    at = rows.schema.get_field_index("condition_end_date")
    pq.write_table(rows.set_column(at, "condition_end_date", pa.nulls(rows.num_rows)), path)
    with DuckDBEngine.over_parquet({**patients, "condition_occurrence": path}, threads=2) as engine:
        definition_ = read_definition(BATCH["bleed"])
        assert generate(engine, {"bleed": definition_}).persons("bleed") == 479
        assert "column_type" not in {question.code for question in check_data(engine, definition_, events=True)}
