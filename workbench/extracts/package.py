"""pyarrow writes the package: one sealed Parquet file a table, described in the manifest, which is written last."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.engines.content import content_digest
from workbench.extracts.dates import ORIGIN, date_names
from workbench.governance.date_forms import ONLY_DAYS, SHIFTED, Dates
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.sealed import write_sealed
from workbench.kernel.text import say

TYPES = {pl.Int64: "integer", pl.Int32: "integer", pl.Float64: "number", pl.String: "text", pl.Date: "date"}
_DERIVED: Mapping[str, Mapping[str, str]] = {
    "cohort": {
        "person_id": "person",
        "end_day": "cohort_end",
        "observation_start_day": "observation_start",
        "observation_end_day": "observation_end",
    },
    "outcome": {"person_id": "person", "outcome": "outcome_name", "start_day": "outcome_start"},
    "concept": {
        "concept_id": "concept_key",
        "concept_name": "concept_name",
        "domain_id": "concept_domain",
        "vocabulary_id": "concept_vocabulary",
    },
}


def label(study: str, table: str, digest: str) -> str:
    """Return the label under which a table's file is sealed."""
    return f"extract/{study}/{table}/{digest}"


def write_tables(
    tables: Mapping[str, pl.DataFrame], study: str, data_secret: bytes, into: Path
) -> list[dict[str, Any]]:
    """Write each table sealed under `into/tables/` and return their manifest entries, in the order of their names."""
    folder = into / "tables"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [_write_table(name, tables[name], study, data_secret, folder) for name in sorted(tables)]


def _write_table(name: str, frame: pl.DataFrame, study: str, data_secret: bytes, folder: Path) -> dict[str, Any]:
    rows = pl.DataFrame(frame).to_arrow(compat_level=pl.CompatLevel.oldest())
    digest = content_digest(rows, order=("person_id" if "person_id" in frame.columns else frame.columns[0],))
    path = folder / f"{name}.parquet"
    write_sealed(rows, path, data_secret, label(study, name, digest))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": name,
        "rows": frame.height,
        "schema": [{"name": column, "type": TYPES[type(kind)]} for column, kind in _types(frame)],
        "content_digest": digest,
        "files": [{"path": f"tables/{name}.parquet", "sha256": sha256, "bytes": path.stat().st_size}],
    }


def _types(frame: pl.DataFrame) -> list[tuple[str, pl.DataType]]:
    return [(column, kind if isinstance(kind, pl.DataType) else kind()) for column, kind in frame.schema.items()]


def write_manifest(manifest: Mapping[str, Any], into: Path) -> None:
    """Write `manifest.json`, aside and renamed: an extract without it does not exist."""
    aside = into / ".manifest.json.new"
    with aside.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, ensure_ascii=False, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(into / "manifest.json")


def dictionary(
    given: Mapping[str, Sequence[str]], names: Sequence[str], dates: Dates = ONLY_DAYS, *, moved_ages: bool = False
) -> list[dict[str, str]]:
    """Return the data dictionary: for every delivered column its CDM column and what it means, in both languages.

    `given` maps the protocol's tables to their delivered columns; `names` are all tables of the package.
    """
    entries: list[dict[str, str]] = []
    for table in names:
        if table in _DERIVED:
            kinds = [(column, "", kind) for column, kind in _derived(table, dates).items()]
        else:
            kinds = [
                (delivered_name(table, column), column, deliverable()[table][column].replace(".", "_"))
                for column in given[table]
            ]
        renamed = date_names(table) if dates.form == SHIFTED else {}
        entries += [
            {
                "table": table,
                "column": renamed.get(column, column),
                "cdm_column": cdm,
                "meaning_fr": say(meaning, "fr"),
                "meaning_en": say(meaning, "en"),
            }
            for column, cdm, kind in kinds
            for meaning in [_meaning(kind, moved_ages=moved_ages, shifted=column in renamed)]
        ]
    return entries


def _derived(table: str, dates: Dates) -> dict[str, str]:
    """Return the columns of a table that the CDM has not, with their kinds; days come under their own names."""
    columns = dict(_DERIVED[table])
    if table == "cohort" and dates.form == SHIFTED:
        columns = {"person_id": "person", ORIGIN: "index_shifted", **columns}
    return {**columns, "index_year": "index_year"} if table == "cohort" and dates.index_year else columns


def _meaning(kind: str, *, moved_ages: bool, shifted: bool) -> str:
    if kind == "age" and moved_ages:
        return "extract.means_age_moved"
    return f"extract.means_{kind}_shifted" if shifted else f"extract.means_{kind}"
