"""A hospital of 2,000 patients with all its tables, made once for all tests and workers."""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workbench.hospital.make import SEED, make

PATIENTS = 2_000


@dataclass(frozen=True)
class Hospital:
    """A hospital on disk, read by tests with nothing of the code that made it."""

    folder: Path

    @cached_property
    def truths(self) -> dict[str, Any]:
        """What is planted."""
        return json.loads((self.folder / "truths.json").read_text(encoding="utf-8"))

    def omop(self, name: str) -> pl.DataFrame:
        """An OMOP table."""
        return pl.read_parquet(self.folder / "omop" / f"{name}.parquet")

    def plain(self, name: str) -> pl.DataFrame:
        """A dumped table, all text."""
        data = (self.folder / "tables" / f"{name}.csv").read_bytes()
        latin = name in {"patients", "sejours", "diagnostics"}
        text = data.decode("latin-1" if latin else "utf-8")
        return pl.read_csv(text.encode("utf-8"), separator=";", infer_schema_length=0)

    def coded(self, codes: str) -> pl.DataFrame:
        """Diagnoses of conditions whose CIM-10 code matches a pattern."""
        return self.omop("condition_occurrence").filter(pl.col("condition_source_value").str.contains(f"^(?:{codes})"))

    def given(self, *names: str) -> pl.DataFrame:
        """Drug exposures to ingredients, by name."""
        concepts = self.omop("concept").filter(pl.col("concept_name").is_in(names))["concept_id"]
        return self.omop("drug_exposure").filter(pl.col("drug_concept_id").is_in(concepts.implode()))

    def failure_stays(self) -> pl.DataFrame:
        """Stays with heart failure as the principal diagnosis: person and day."""
        stays = self.omop("visit_occurrence").filter(pl.col("visit_concept_id").is_in([9201, 262]))
        principal = self.coded("I50").filter(pl.col("condition_status_concept_id") == 32902)
        found = principal.join(stays, on="visit_occurrence_id", how="semi")
        return (
            found.join(stays.select("visit_occurrence_id", "visit_start_date"), on="visit_occurrence_id")
            .select("person_id", "visit_occurrence_id", day="visit_start_date")
            .unique()
        )


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Hospital:
    """The hospital of 2,000 patients; nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    place = (base if worker_id == "master" else base.parent) / "hospital"
    place.mkdir(exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            make(place / "made", patients=PATIENTS, seed=SEED, tables=True)
    return Hospital(place / "made")
