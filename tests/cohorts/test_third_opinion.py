"""New random definitions on new random databases: our rows are the reference engine's, row for row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cohorts.third_opinion import Corpus, compare


@pytest.mark.parametrize(("seed", "definitions", "persons"), [(2001, 8, 25)])
def test_a_few_new_definitions(shared: Path, tmp_path: Path, seed: int, definitions: int, persons: int) -> None:
    tools = shared / "tools"
    found = compare(tools, Corpus.make(tools, tmp_path, seed, definitions, persons))
    assert found.wrong == ()
    assert found.with_rows >= 3


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2101, 2111))
def test_many_new_definitions(shared: Path, tmp_path: Path, seed: int) -> None:
    tools = shared / "tools"
    found = compare(tools, Corpus.make(tools, tmp_path, seed, 60, 25))
    print(seed, found)
    assert found.wrong == ()
    assert found.compared + found.beyond_reference == 60
    assert found.with_rows >= 10
