"""Engines over the simulated patients and over the reference databases, and definitions written on the spot."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workbench.engines.duckdb import DuckDBEngine
from workbench.intake.omop import demo_source, load_omop

Rows = dict[str, Counter[tuple[int, dt.date, dt.date]]]


def rows_by_cohort(table: pa.Table) -> Rows:
    """Rows of each cohort, each with how often it is there."""
    found: Rows = {}
    for name, *row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found.setdefault(name, Counter())[tuple(row)] += 1
    return found


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The typed tables of GiBleed, one Parquet file each."""
    folder = tmp_path_factory.mktemp("gibleed") / "release"
    load_omop(demo_source(), folder, name="GiBleed", synthetic=True)
    return {path.stem: path for path in (folder / "tables").glob("*.parquet")}


@pytest.fixture
def engine(patients: dict[str, Path]) -> Iterator[DuckDBEngine]:
    """An engine over GiBleed."""
    with DuckDBEngine.over_parquet(patients, threads=2) as opened:
        yield opened


def concept(concept_id: int, name: str = "") -> dict[str, Any]:
    """A concept as ATLAS writes it, without what no rule reads."""
    return {"CONCEPT_ID": concept_id, "CONCEPT_NAME": name or f"concept {concept_id}", "STANDARD_CONCEPT": "S"}


def concept_set(key: int, *ids: int, name: str = "") -> dict[str, Any]:
    """A concept set with descendants."""
    items = [
        {"concept": concept(i), "isExcluded": False, "includeDescendants": True, "includeMapped": False} for i in ids
    ]
    return {"id": key, "name": name or f"set {key}", "expression": {"items": items}}


def definition(*criteria: dict[str, Any], sets: list[dict[str, Any]] | None = None, **members: Any) -> str:
    """The JSON text of a definition whose entry events are some criteria."""
    document = {
        "PrimaryCriteria": {
            "CriteriaList": list(criteria),
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "All"},
        },
        "ConceptSets": [concept_set(0, 192671)] if sets is None else sets,
        "QualifiedLimit": {"Type": "First"},
        "ExpressionLimit": {"Type": "All"},
        "InclusionRules": [],
        "CensoringCriteria": [],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
        "CensorWindow": {},
        **members,
    }
    return json.dumps(document)


BLEED = {"ConditionOccurrence": {"CodesetId": 0}}
