"""Circe JSON: read and written without loss; what is wrong is named with its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.conftest import BLEED, definition
from workbench.cohorts.circe import read_definition, write_definition
from workbench.cohorts.shipped import shipped
from workbench.kernel.errors import InvalidInput


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


def test_what_cannot_be_run_is_read_and_refused_by_the_plan() -> None:
    read = read_definition(definition(BLEED, EndStrategy={"Whenever": {}}))
    with pytest.raises(InvalidInput) as caught:
        _ = read.plan
    assert caught.value.code == "cohort.not_supported"
    assert caught.value.facts["path"] == "$.EndStrategy.Whenever"


def test_digest_follows_meaning_not_layout() -> None:
    document: dict[str, Any] = json.loads(definition(BLEED))
    spaced = json.dumps(dict(reversed(document.items())), indent=8)
    assert read_definition(spaced).digest == read_definition(definition(BLEED)).digest
