"""Questions about definitions: each is raised where it should be, and not where it nearly should."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.cohorts.check_cases import CASES, OTHER, USED, Case, drug, entry, item, items, made, match, rule, rules
from tests.cohorts.conftest import BLEED, concept_set
from workbench.cohorts.check import check
from workbench.cohorts.check_data import check_data
from workbench.cohorts.check_reading import HINTS
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.shipped import shipped
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.text import LANGS, catalogue

TODAY = date(2030, 1, 1)
DATA_CODES = {
    "concept_unknown", "set_resolves_nothing", "set_without_events", "exclusion_idle", "observation_unreachable",
    "table_missing", "column_missing", "column_type",
}  # fmt: skip
PREFIX = "cohort.check_"


def asked(definition: Definition) -> set[tuple[str, str]]:
    return {(question.code, question.path) for question in check(definition, today=TODAY)}


def test_ids_written_as_numbers_and_as_text_are_compared() -> None:
    sets = [concept_set(0, 1, 2), concept_set(1, 1, 2)]
    sets[1]["expression"]["items"][1]["concept"]["CONCEPT_ID"] = "2"
    found = asked(made(rules(USED, sets=[*sets, drug()])))
    assert ("set_same_concepts", "$.ConceptSets[1]") in found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_each_question_and_its_near_miss(case: Case) -> None:
    assert (case.code, case.path) in asked(made(case.asks))
    assert case.code not in {code for code, _ in asked(made(case.near))}


def test_every_question_has_a_case_and_words() -> None:
    codes = {case.code for case in CASES} | DATA_CODES
    for lang in LANGS:
        words = {key.removeprefix(PREFIX) for key in catalogue(lang)["text"] if key.startswith(PREFIX)}
        assert words == codes
    assert codes >= HINTS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_words_are_whole_in_both_languages(case: Case) -> None:
    for question in check(made(case.asks), today=TODAY):
        texts = [question.text(lang) for lang in LANGS]
        assert all(text and "{" not in text for text in texts)
        assert texts[0] != texts[1]


def test_shipped_definitions_raise_no_question() -> None:
    for name, path in shipped().items():
        found = check(read_definition(path))
        assert [question.code for question in found if question.level == "question"] == [], name


def test_questions_stand_in_the_order_of_the_document() -> None:
    change = {**items(item(1), item(1, INVALID_REASON="D")), **entry(Gender=[], Age={"Value": 0, "Op": "gte"})}
    found = [question.code for question in check(made(change), today=TODAY)]
    assert found == [
        "all_until_observation_ends", "concepts_empty", "range_idle", "concept_twice", "concept_invalid",
    ]  # fmt: skip


def test_a_definition_that_cannot_be_run_is_still_read() -> None:
    broken = Definition({"PrimaryCriteria": 3, "ConceptSets": [concept_set(0, 1)]})
    assert {"cannot_run", "set_unused"} <= {question.code for question in check(broken)}


def test_library(shared: Path) -> None:
    """Definitions that people use: few questions, none that calls a definition impossible."""
    files = sorted((shared / "data/circe/phenotype_library").glob("*.json"))[::10]
    counts = Counter(
        question.code for file in files for question in check(read_definition(file)) if question.level == "question"
    )
    never = {"contradiction", "excludes_everybody", "window_empty", "group_impossible", "range_empty"}
    assert not never & set(counts)
    assert sum(counts.values()) < len(files)


@pytest.mark.long
def test_no_definition_of_any_corpus_breaks_a_check(shared: Path) -> None:
    folder = shared / "data/circe"
    for file in [*folder.glob("phenotype_library/*.json"), *folder.glob("fuzz_0*/definitions/*.json")]:
        for question in check(read_definition(file)):
            assert question.path.startswith("$"), file
            assert all(question.text(lang) for lang in LANGS), file


@pytest.fixture
def data(patients: dict[str, Path]) -> Iterator[DuckDBEngine]:
    with DuckDBEngine.over_parquet(patients, threads=2) as engine:
        yield engine


def found(engine: DuckDBEngine, change: dict[str, object], *, events: bool = True) -> set[tuple[str, str]]:
    questions = check_data(engine, made(change), events=events, today=TODAY)
    return {(question.code, question.path) for question in questions}


SET = "$.ConceptSets[0]"
ENTRY = "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.CodesetId"
ON_DATA = [
    ("concept_unknown", f"{SET}.expression.items[1]", items(item(192671), item(999_999_999)), items(item(192671))),
    ("set_resolves_nothing", SET, items(item(999_999_999)), items(item(192671))),
    ("set_without_events", ENTRY, items(item(1118084)), items(item(192671))),
    ("exclusion_idle", f"{SET}.expression.items[1]", items(item(192671), item(80180, True)),
     items(item(192671), item(192671, True, False))),
    ("observation_unreachable", "$.PrimaryCriteria.ObservationWindow", {"ObservationWindow": {"PriorDays": 90_000}},
     {"ObservationWindow": {"PriorDays": 3650}}),
    ("domain_wrong", ENTRY, items(item(1118084)), items(item(192671, DOMAIN_ID="Drug"))),
    ("not_standard", f"{SET}.expression.items[0]", items(item(35208414, descendants=False)),
     items(item(192671, STANDARD_CONCEPT="N"))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "path", "asks", "near"), ON_DATA, ids=[row[0] for row in ON_DATA])
def test_questions_about_the_data(
    data: DuckDBEngine, code: str, path: str, asks: dict[str, object], near: dict[str, object]
) -> None:
    assert (code, path) in found(data, asks)
    assert code not in {each for each, _ in found(data, near)}


def test_without_leave_nothing_is_told_of_persons(data: DuckDBEngine) -> None:
    change = {**items(item(1118084)), "ObservationWindow": {"PriorDays": 90_000}}
    codes = {code for code, _ in found(data, change, events=False)}
    assert not codes & {"set_without_events", "observation_unreachable"}
    assert "domain_wrong" in codes


def test_each_table_and_column_that_the_data_lack_is_named_once(patients: dict[str, Path]) -> None:
    kept = {name: path for name, path in patients.items() if name not in ("condition_occurrence", "concept_ancestor")}
    with DuckDBEngine.over_parquet({**kept, "condition_occurrence": patients["condition_era"]}, threads=2) as engine:
        questions = check_data(engine, made(items(item(192671))), events=True, today=TODAY)
    named = [(q.code, q.path, q.facts.get("column") or q.facts["table"]) for q in questions if "table" in q.facts]
    place = ENTRY.removesuffix(".CodesetId")
    assert ("column_missing", place, "condition_start_date") in named
    assert ("table_missing", place, "concept_ancestor") in named
    assert len(named) == len(set(named))
    assert all("{" not in question.text(lang) for question in questions for lang in LANGS)


def test_how_much_is_observed_is_said_in_words() -> None:
    def told(days: int, count: int) -> list[str]:
        change = rules(rule(match(OTHER, -365, -1, 1 if count else 0, count)), USED)
        questions = check(made({**change, "ObservationWindow": {"PriorDays": days}}), today=TODAY)
        return [q.text(lang) for q in questions if q.code == "window_unobserved" for lang in LANGS]

    assert told(0, 0)[0].startswith("L’absence est cherchée sur 365 jours avant l’entrée, mais aucun suivi n’est exigé")
    assert "the observation required is only 1 day:" in told(1, 0)[1]
    assert told(0, 2)[1].startswith("At most 2 events are allowed over 365 days before entry")


@pytest.mark.parametrize(("key", "reference"), [(0, "0"), ("0", 0), (0.0, 0), (None, 0)])
def test_a_set_is_used_however_its_number_is_written(key: object, reference: object) -> None:
    one = made({**entry(CodesetId=reference), "sets": [{**concept_set(0, 1, name="s"), "id": key}]})
    assert not {code for code, _ in asked(one)} & {"set_unused", "no_set", "cannot_run"}


def test_one_of_a_kind_is_said_in_the_singular() -> None:
    def told(count: int) -> list[str]:
        items_ = [item(concept_id) for concept_id in range(1, count + 1)]
        odd = [{**each, "concept": {**each["concept"], "INVALID_REASON": "D"}} for each in items_]
        questions = check(made({"sets": [{"id": 0, "name": "s", "expression": {"items": odd}}]}), today=TODAY)
        return [q.text(lang) for q in questions if q.code == "concept_invalid" for lang in LANGS]

    assert told(1)[0].startswith("Dans le jeu « s », un concept n’est plus valide :")
    assert told(1)[1].startswith("In the set “s”, a concept is no longer valid:")
    assert told(2)[1].startswith("In the set “s”, concepts are no longer valid (2):")
    far = made({"EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": -1}}})
    texts = [q.text(lang) for q in check(far, today=TODAY) if q.code == "exit_negative" for lang in LANGS]
    assert [text.partition(":")[0].strip() for text in texts] == [
        "La sortie est 1 jour avant le début",
        "The exit is 1 day before the start",
    ]


def test_a_name_over_several_lines_is_said_on_one() -> None:
    sets = [concept_set(0, 1), {**concept_set(1, 2), "name": "\n\nHepatic  failure \n"}]
    questions = check(made({"ConceptSets": sets}), today=TODAY)
    assert [q.facts["name"] for q in questions if q.code == "set_unused"] == ["Hepatic failure"]


def test_every_shipped_definition_fits_the_simulated_patients(data: DuckDBEngine) -> None:
    for name, path in shipped().items():
        questions = check_data(data, read_definition(path), events=True)
        assert [question.code for question in questions if question.level == "question"] == [], name


def test_same_questions_for_equal_text() -> None:
    change = rules(rule(match(BLEED, -365, 0, 0, 0)), USED)
    once, again = (check(made(change), today=TODAY) for _ in range(2))
    assert once == again
    assert json.dumps([question.text("fr") for question in once])
