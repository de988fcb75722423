"""A batch: what cannot be run is named, the others run; progress and stops; a database that lacks a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cohorts.conftest import BLEED, concept_set, definition
from workbench.cohorts.check import check
from workbench.cohorts.circe import read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.generate import ROWS, generate
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import Stopped

WINDOW = {"Start": {"Days": 1, "Coeff": 1}, "End": {"Days": 1, "Coeff": -1}}


def test_the_others_of_a_batch_still_run(engine: DuckDBEngine) -> None:
    definitions = {
        "good": read_definition(definition(BLEED)),
        "other": read_definition(definition(BLEED, EndStrategy={"Whenever": {}})),
    }
    made = generate(engine, definitions)
    assert made.persons("good") == 479
    assert {name: error.code for name, error in made.failed.items()} == {"other": "cohort.not_supported"}
    assert made.rows.schema == ROWS


def test_a_database_without_a_table_is_named_with_the_path(patients: dict[str, Path]) -> None:
    tables = {name: path for name, path in patients.items() if name != "specimen"}
    definitions = {"a": read_definition(definition({"Specimen": {}})), "b": read_definition(definition(BLEED))}
    with DuckDBEngine.over_parquet(tables) as engine:
        made = generate(engine, definitions)
    assert made.failed["a"].facts == {"table": "specimen", "path": "$.PrimaryCriteria.CriteriaList[0].Specimen"}
    assert made.persons("b") == 479


def test_an_empty_batch_has_no_rows(engine: DuckDBEngine) -> None:
    assert generate(engine, {}).rows.num_rows == 0


def test_progress_rises_and_can_stop(engine: DuckDBEngine) -> None:
    shares: list[float] = []
    generate(engine, {"a": read_definition(definition(BLEED))}, lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    def stop(share: float, message: str) -> None:
        raise Stopped("engine.stopped")

    with pytest.raises(Stopped):
        generate(engine, {"a": read_definition(definition(BLEED))}, stop)


def test_two_batches_on_one_engine_do_not_meet(engine: DuckDBEngine) -> None:
    definitions = {"a": read_definition(definition(BLEED))}
    assert generate(engine, definitions).rows.equals(generate(engine, definitions).rows)


def test_questions_about_a_definition() -> None:
    rule = {
        "Type": "AT_LEAST",
        "Count": 3,
        "CriteriaList": [
            {"Criteria": BLEED, "StartWindow": WINDOW, "Occurrence": {"Type": 2, "Count": 1, "IsDistinct": False}}
        ],
        "DemographicCriteriaList": [{"Age": {"Value": 60, "Op": "bt", "Extent": 40}}],
        "Groups": [],
    }
    sets = [concept_set(0, 192671), concept_set(1, 80180, name="osteoarthritis"), {"id": 2, "name": "none"}]
    text = definition(BLEED, {"Death": {"CodesetId": 2}}, sets=sets, InclusionRules=[{"name": "r", "expression": rule}])
    found = check(read_definition(text))
    assert [(each.code, each.path) for each in found] == [
        ("all_until_observation_ends", "$.EndStrategy"),
        ("set_unused", "$.ConceptSets[1]"),
        ("set_empty", "$.ConceptSets[2]"),
        ("qualified_idle", "$.QualifiedLimit"),
        ("group_impossible", "$.InclusionRules[0].expression"),
        ("window_empty", "$.InclusionRules[0].expression.CriteriaList[0].StartWindow"),
        ("range_empty", "$.InclusionRules[0].expression.DemographicCriteriaList[0].Age"),
    ]
    assert all(each.text("fr") != each.text("en") for each in found)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_every_definition_of_the_library_has_a_sentence(shared: Path, lang: str) -> None:
    files = [*(shared / "data/circe/phenotype_library").glob("*.json")]
    files += [*(shared / "data/circe").glob("fuzz_0*/definitions/*.json")]
    for file in files:
        text = describe(read_definition(file), lang)  # pyright: ignore[reportArgumentType]
        assert text.endswith(".")
        assert "{" not in text
