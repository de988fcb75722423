"""Circe JSON: read and written without loss; what is wrong is named with its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.conftest import BLEED, definition
from workbench.cohorts.circe import read_definition, write_definition
from workbench.cohorts.shipped import shipped
from workbench.kernel.errors import InvalidInput, Unavailable


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_definitions_are_written_as_they_were_read(name: str) -> None:
    content = shipped()[name].read_text(encoding="utf-8")
    assert write_definition(read_definition(content)) == content


def test_library_is_read_without_loss(shared: Path) -> None:
    files = sorted((shared / "data/circe/phenotype_library").glob("*.json"))
    assert len(files) == 1100
    for file in files:
        read = read_definition(file)
        assert json.loads(write_definition(read)) == json.loads(file.read_text(encoding="utf-8"))
        assert read.unknown == ()
        assert read.plan.entry.events


def test_unknown_members_are_kept_and_reported() -> None:
    text = definition({"ConditionOccurrence": {"CodesetId": 0, "Colour": "red"}}, Author="someone")
    read = read_definition(text)
    assert sorted(read.unknown) == ["$.Author", "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.Colour"]
    assert json.loads(write_definition(read)) == json.loads(text)
    assert read.plan == read_definition(definition(BLEED)).plan


def test_equal_meaning_is_an_equal_plan() -> None:
    words = {"ConditionOccurrence": {"CodesetId": "0", "First": "false"}}
    assert read_definition(definition(words)).plan == read_definition(definition(BLEED)).plan


RULE = {
    "Type": "ALL",
    "CriteriaList": [],
    "DemographicCriteriaList": [{"Age": {"Value": 1, "Op": "gte"}}],
    "Groups": [],
}
WRONG: list[tuple[str, str, str]] = [
    ("cohort.malformed", "", '{"PrimaryCriteria": '),
    ("cohort.member_twice", "", '{"Title": "a", "Title": "b"}'),
    ("cohort.wrong_value", "$", "[]"),
    ("cohort.member_missing", "$.PrimaryCriteria", "{}"),
    ("cohort.member_missing", "$.PrimaryCriteria.CriteriaList[0]", definition()),
    ("cohort.unknown_criteria", "$.PrimaryCriteria.CriteriaList[0].Dream", definition({"Dream": {}})),
    (
        "cohort.set_missing",
        "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.CodesetId",
        definition({"ConditionOccurrence": {"CodesetId": 7}}),
    ),
    (
        "cohort.bad_date",
        "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.OccurrenceStartDate.Value",
        definition({"ConditionOccurrence": {"OccurrenceStartDate": {"Value": "2020-02-30", "Op": "gt"}}}),
    ),
    ("cohort.bad_date", "$.CensorWindow.StartDate", definition(BLEED, CensorWindow={"StartDate": "soon"})),
    (
        "cohort.wrong_value",
        "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.Age.Op",
        definition({"ConditionOccurrence": {"Age": {"Value": 1, "Op": "about"}}}),
    ),
    (
        "cohort.wrong_value",
        "$.InclusionRules[0].expression.Type",
        definition(BLEED, InclusionRules=[{"name": "r", "expression": {**RULE, "Type": "SOME"}}]),
    ),
    (
        "cohort.wrong_value",
        "$.PrimaryCriteria.ObservationWindow.PriorDays",
        definition(BLEED).replace('"PriorDays": 0', '"PriorDays": "many"'),
    ),
]


@pytest.mark.parametrize(("code", "path", "text"), WRONG)
def test_what_is_wrong_is_named_with_its_path(code: str, path: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_definition(text)
    assert caught.value.code == code
    assert caught.value.facts.get("path", "") == path
    for lang in ("fr", "en"):
        assert str(caught.value.text(lang))


def test_what_cannot_be_run_is_read_and_refused_by_the_plan() -> None:
    read = read_definition(definition(BLEED, EndStrategy={"Whenever": {}}))
    with pytest.raises(InvalidInput) as caught:
        _ = read.plan
    assert caught.value.code == "cohort.not_supported"
    assert caught.value.facts["path"] == "$.EndStrategy.Whenever"


def test_a_missing_file_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        read_definition(tmp_path / "none.json")


def test_a_document_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes('{"Title": "hémorragie"}'.encode("latin-1"))
    with pytest.raises(InvalidInput):
        read_definition(tmp_path / "latin.json")


def test_deep_nesting_is_refused_without_a_crash() -> None:
    with pytest.raises(InvalidInput):
        read_definition("[" * 100_000)


def test_digest_follows_meaning_not_layout() -> None:
    document: dict[str, Any] = json.loads(definition(BLEED))
    spaced = json.dumps(dict(reversed(document.items())), indent=8)
    assert read_definition(spaced).digest == read_definition(definition(BLEED)).digest
