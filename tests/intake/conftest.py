"""Sources for the intake: GiBleed loaded once, and small OMOP databases written on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from workbench.intake.omop import demo_source, load_omop

PERSON = (
    "CREATE TABLE person AS"
    " SELECT range + 1 AS person_id, 8507 AS gender_concept_id, 1980 AS year_of_birth FROM range(3)"
)


@pytest.fixture(scope="session")
def gibleed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The release folder and the manifest of GiBleed."""
    folder = tmp_path_factory.mktemp("gibleed") / "release"
    return folder, load_omop(demo_source(), folder, name="GiBleed", synthetic=True)


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """Make a DuckDB file from statements; the first, unless told otherwise, makes three persons."""

    def make(*statements: str, person: str | None = PERSON) -> Path:
        path = tmp_path / "source.duckdb"
        with duckdb.connect(str(path)) as connection:
            for statement in ((person,) if person else ()) + statements:
                connection.execute(statement)
        return path

    return make
