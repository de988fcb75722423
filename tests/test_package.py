"""The wheel: everything that the product needs at run time, nothing that only we need."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a freshly built wheel."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(place.glob("*.whl"))).namelist()


def test_it_carries_every_shipped_cohort(wheel: list[str]) -> None:
    shipped = {path.name for path in (ROOT / "cohorts").glob("*.json")}
    assert shipped
    assert {Path(name).name for name in wheel if name.startswith("workbench/shipped_cohorts/")} >= shipped


def test_it_carries_every_file_of_the_package(wheel: list[str]) -> None:
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "workbench").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= set(wheel)


def test_it_carries_no_tests_and_no_stubs(wheel: list[str]) -> None:
    assert {name.partition("/")[0] for name in wheel} == {"workbench", "workbench-0.1.0.dist-info"}
