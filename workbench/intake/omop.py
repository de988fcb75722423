"""OMOP tables → a data release: typed, sorted Parquet files and, last, a manifest that says all that was done."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.engines.duckdb import connect
from workbench.intake import observation_period, quality, tables
from workbench.intake.nodes import call, column, equal, render, scan, select, text
from workbench.intake.sources import Source, demo_source, open_source
from workbench.intake.tables import Plan, Reading
from workbench.kernel.errors import InvalidInput
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate
from workbench.repository.cdm import CDM_VERSION, RECORDS, TABLES
from workbench.repository.releases import MANIFEST, manifest_text
from workbench.store.files import write_text

__all__ = ["demo_source", "load_omop"]

FORMAT = "workbench/release/1"
_MEMORY = "3GB"


def load_omop(source: Path, into: Path, *, name: str, synthetic: bool, progress: Progress = silent) -> dict[str, Any]:
    """Read OMOP CDM 5.4 (5.3 accepted) from a DuckDB file, or a folder of Parquet or CSV files, into a release folder.

    Writes `into/tables/<table>.parquet`, `into/set_aside/<table>.parquet` for rows that do not fit, and
    `into/manifest.json` last; returns the manifest. Every table of the source that the model knows gets all columns of
    the model, NULL where the source lacks them; tables that the source lacks stay absent; tables and columns that the
    model does not know are named in the manifest and left. Work spills to disk inside `into`, memory stays under 3 GB.

    `synthetic` says that no row stems from a real person. The caller gives an empty folder aside and renames it.
    Raises `InvalidInput` or `Unavailable` (`release.*`) where the source cannot be used, before anything is written
    where that can be known.
    """
    into.mkdir(parents=True, exist_ok=True)
    spill = into / ".spill"
    with connect(memory=_MEMORY, spill=spill) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        try:
            opened = open_source(connection, source)
            readings = _read_all(connection, opened, into, part(progress, 0.0, 0.6))
            files = {reading.name: _file(into, reading.name) for reading in readings}
            rule = _observation_periods(connection, readings, files, into)
            rows = {**{reading.name: reading.rows for reading in readings}, "observation_period": rule["periods"]}
            summary = quality.assess(connection, files, rows, part(progress, 0.6, 0.8))
            entries = _entries(connection, files, rows, into, part(progress, 0.8, 1.0))
            version = _vocabulary_version(connection, files)
        finally:
            shutil.rmtree(spill, ignore_errors=True)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "synthetic": synthetic,
        "cdm_version": CDM_VERSION,
        "tables": entries,
        "vocabulary": {"version": version},
        "sources": opened.origin,
        "observation_period_rule": rule,
        "quality": summary,
        "intake": {
            "tables": [reading.document() for reading in readings],
            "unknown_tables": sorted(set(opened.tables) - set(TABLES)),
        },
        "parent": None,
    }
    validate(manifest, "release")
    write_text(into / MANIFEST, manifest_text(manifest))
    progress(1.0, name)
    return manifest


def _file(into: Path, table: str) -> Path:
    return into / "tables" / f"{table}.parquet"


def _read_all(connection: Any, opened: Source, into: Path, progress: Progress) -> list[Reading]:
    """Read every known table, persons first: without persons nothing is written."""
    if "person" not in opened.tables:
        raise InvalidInput("release.no_person_table")
    known = sorted((name for name in opened.tables if name in TABLES), key=lambda name: (name != "person", name))
    plans = [tables.plan(opened.tables[name], TABLES[name]) for name in known]
    readings: list[Reading] = []
    for done, plan in enumerate(plans):
        progress(done / len(plans), plan.model.name)
        readings.append(_read(connection, plan, into))
    return sorted(readings, key=lambda reading: reading.name)


def _read(connection: Any, plan: Plan, into: Path) -> Reading:
    reading = tables.count(connection, plan)
    if plan.model.name == "person" and not reading.rows:
        raise InvalidInput("release.person_empty")
    tables.write(connection, plan, reading.rows, _file(into, plan.model.name))
    if not reading.set_aside:
        return reading
    digest = tables.write_aside(connection, plan, into / "set_aside" / f"{plan.model.name}.parquet")
    return reading.with_set_aside(digest)


def _observation_periods(
    connection: Any, readings: list[Reading], files: dict[str, Path], into: Path
) -> dict[str, Any]:
    """Keep the source's periods where it has any; else derive them. Adds the table to `files`; returns the rule."""
    recorded = next((reading.rows for reading in readings if reading.name == "observation_period"), 0)
    if recorded:
        return {**observation_period.AS_RECORDED, "periods": recorded}
    if not any(name in files for name in RECORDS):
        return {"code": "none", "periods": 0}
    path = _file(into, "observation_period")
    derived = observation_period.derive(connection, files, path)
    files["observation_period"] = path
    return derived


def _entries(
    connection: Any, files: Mapping[str, Path], rows: Mapping[str, int], into: Path, progress: Progress
) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for done, name in enumerate(sorted(files)):
        progress(done / len(files), name)
        entries.append(tables.entry(connection, TABLES[name], rows[name], files[name], into))
    return entries


def _vocabulary_version(connection: Any, files: Mapping[str, Path]) -> str | None:
    """Return the vocabulary's own version (its row 'None'), else the one that the source declares."""
    own = column("vocabulary_version")
    queries: list[exp.Select] = []
    if "vocabulary" in files:
        itself = equal(column("vocabulary_id"), text("None"))
        queries.append(select(own, source=scan("read_parquet", files["vocabulary"]), where=itself))
    if "cdm_source" in files:
        queries.append(select(call("min", own), source=scan("read_parquet", files["cdm_source"])))
    for query in queries:
        row = connection.execute(render(query)).fetchone()
        if row and row[0]:
            return str(row[0])
    return None
