"""A batch: what cannot be run is named, the others run; progress and stops; a database that lacks a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.check_cases import match, rule
from tests.cohorts.conftest import BLEED, concept_set, definition
from workbench.cohorts.check import check
from workbench.cohorts.circe import read_definition
from workbench.cohorts.compile import compile_batch
from workbench.cohorts.describe import describe
from workbench.cohorts.generate import generate
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
    assert [f"{field.name} {field.type}" for field in made.rows.schema] == [
        "cohort string", "subject_id int64", "cohort_start_date date32[day]", "cohort_end_date date32[day]",
    ]  # fmt: skip


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


def test_visits_wanted_by_several_contexts_are_read_once(engine: DuckDBEngine) -> None:
    """A batch reads the visits of the persons whom any of the contexts wants; each cohort stays what it is alone."""
    flu, sore = {"ConditionOccurrence": {"CodesetId": 0}}, {"ConditionOccurrence": {"CodesetId": 1}}
    within = {
        "ConditionOccurrence": {
            "CodesetId": 2,
            "CorrelatedCriteria": rule(match(_visit(sore), -9000, 9000))["expression"],
        }
    }
    sets = [concept_set(0, 40481087), concept_set(1, 4112343), concept_set(2, 260139)]
    batch = {
        name: read_definition(definition(_visit(one), sets=sets))
        for name, one in {"flu": flu, "sore": sore, "within": within}.items()
    }
    together = generate(engine, batch)
    names = [step.name for step in compile_batch({name: one.plan for name, one in batch.items()}).shared]
    assert [name for name in names if name.startswith("near")] == ["near1"]
    counts = {name: generate(engine, {name: one}).counts[name] for name, one in batch.items()}
    assert together.counts == counts
    assert min(counts.values()) > (0, 0), counts


def _visit(inner: dict[str, Any]) -> dict[str, Any]:
    return {"VisitOccurrence": {"CorrelatedCriteria": rule(match(inner, -900, 900))["expression"]}}


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
