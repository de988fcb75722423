"""A clean extract of the release that a module's fixture `bleed` gives, what is known of it, and a copy to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_release import Case, make

from workbench.extracts.inspect import Truth, truth


@pytest.fixture(scope="module")
def known(bleed: Case) -> Truth:
    return truth(bleed.tables, bleed.cohort, bleed.cut_off)


@pytest.fixture(scope="module")
def clean(bleed: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("made") / "extract"
    make(bleed, into)
    return into


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    shutil.copytree(clean, tmp_path / "extract")
    return tmp_path / "extract"
