"""Features of one extract by one design: the sparse matrix, its rows and labels, and the manifest, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from workbench.features.covariates import demographic_facts, event_facts
from workbench.features.design import read_design
from workbench.features.files import write_table
from workbench.features.matrix import Matrix, assemble
from workbench.features.population import Population, population
from workbench.governance.disclosure import shown
from workbench.kernel.digest import digest_document, digest_manifest
from workbench.kernel.errors import InvalidInput
from workbench.kernel.progress import Progress, silent
from workbench.kernel.schemas import validate

FORMAT = "workbench/features/1"
NEEDED = ("cohort", "outcome", "person")


def build_features(
    tables: Mapping[str, pl.DataFrame],
    design: Mapping[str, Any],
    extract: Mapping[str, Any],
    into: Path,
    progress: Progress = silent,
    *,
    key: bytes | None = None,
) -> dict[str, Any]:
    """Write the features of an extract into the empty folder `into` and return their manifest.

    `tables` are the extract's tables, decrypted (days from the index, pseudonyms); `extract` is its manifest. Files:
    `values.parquet` (row_id, covariate_id, value: the sparse matrix in long form), `rows.parquet` (row_id, outcome,
    days_at_risk, split, fold, age_at_index, gender_concept_id: no pseudonym), `covariates.parquet`, `manifest.json`
    last; with `key` (the study's data secret) the Parquet files are sealed, as rows of persons must be at rest.
    Raises `InvalidInput` or `Refused` with codes `model.*`; see `read_design`, `population`, `event_facts`.
    """
    design = read_design(design)
    for name in NEEDED:
        if name not in tables:
            raise InvalidInput("model.not_delivered", table=name)
    progress(0.0, "population")
    persons = population(tables, design)
    progress(0.2, "covariates")
    facts = chain(demographic_facts(persons.rows, design), event_facts(tables, persons.rows, design))
    concepts = tables.get("concept", pl.DataFrame(schema={"concept_id": pl.Int64, "concept_name": pl.String}))
    matrix = assemble(facts, persons.rows, concepts, design["minimum_persons"])
    progress(0.7, "files")
    entries = [
        write_table(matrix.values, "values", into, key),
        write_table(persons.rows.drop("person_id"), "rows", into, key),
        write_table(matrix.covariates, "covariates", into, key),
    ]
    manifest = _manifest(persons, matrix, design, extract, entries, encrypted=key is not None)
    validate(manifest, "features")
    (into / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    progress(1.0, "done")
    return manifest


def features_id(manifest: Mapping[str, Any]) -> str:
    """Return the id of a feature set: `fea-` and the first twelve digits of its manifest's digest."""
    return f"fea-{digest_manifest(manifest)[:12]}"


def _manifest(
    persons: Population,
    matrix: Matrix,
    design: Mapping[str, Any],
    extract: Mapping[str, Any],
    entries: list[dict[str, Any]],
    *,
    encrypted: bool,
) -> dict[str, Any]:
    rows = persons.rows
    return {
        "format": FORMAT,
        "extract": digest_manifest(extract),
        "design": digest_document(design),
        "synthetic": extract["synthetic"],
        "rows": rows.height,
        "outcomes": int(rows["outcome"].sum()),
        "removed": {
            "washout": shown(persons.washout).value,
            "short_follow_up": shown(persons.short_follow_up).value,
        },
        "split": {side: int((rows["split"] == side).sum()) for side in ("train", "test")},
        "covariates": matrix.covariates.select(
            "name", "analysis", "concept", "table", "window", id="covariate_id"
        ).to_dicts(),
        "dropped": {"rare": matrix.rare, "constant": matrix.constant},
        "encrypted": encrypted,
        "tables": entries,
        "content_digest": digest_document({entry["name"]: entry["content_digest"] for entry in entries}),
    }
