"""A small release, loaded from files written on the spot, and folders of copies to harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from workbench.intake.omop import load_omop
from workbench.repository.releases import Release, open_release, release_id

FILES = {
    "person.csv": "person_id,gender_concept_id,year_of_birth\n1,8507,1980\n2,8532,1990\n",
    "measurement.csv": "measurement_id,person_id,measurement_date,value_as_number\n"
    "1,1,2020-01-01,1.5\n2,2,2020-02-01,2.5\n3,2,2020-02-30,3\n",
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A sound release of two persons, with one row set aside."""
    root = tmp_path_factory.mktemp("releases")
    source = root / ".source"
    source.mkdir()
    for name, text in FILES.items():
        (source / name).write_text(text)
    manifest = load_omop(source, root / ".aside", name="small", synthetic=True)
    return open_release((root / ".aside").rename(root / release_id(manifest)))


@pytest.fixture
def copy(whole: Release, tmp_path: Path) -> Callable[[], Release]:
    """Make copies of the release, each in a folder of its own."""
    made = iter(range(1000))
    return lambda: open_release(copytree(whole.folder, tmp_path / str(next(made)) / whole.id))
