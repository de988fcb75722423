"""OMOP tables → a data release: typed, sorted Parquet files and, last, a manifest that says all that was done."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.engines.content import content_digest
from workbench.engines.duckdb import connect
from workbench.intake import aside, derived, eras, erasing, notices, observation_period, quality, tables
from workbench.intake.nodes import column, render, scan, select
from workbench.intake.opening import name_of, open_source
from workbench.intake.sharing import BUCKETS, Before
from workbench.intake.sources import RULES, Source, demo_source
from workbench.intake.tables import PERSONS, Plan
from workbench.intake.work import Objecting, Options, Work
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.kernel.progress import Progress, part, silent
from workbench.repository.cdm import CDM_VERSION, TABLES, VOCABULARY
from workbench.repository.releases import Release, take_over, write_manifest

__all__ = ["Options", "demo_source", "load_omop", "name_of"]

FORMAT = "workbench/release/2"
_MEMORY = "2GB"


def load_omop(
    source: Path | str,
    into: Path,
    *,
    name: str,
    synthetic: bool,
    options: Options | None = None,
    parent: Release | None = None,
    vocabulary: Release | None = None,
    objecting: Objecting | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Read OMOP CDM 5.4 or 5.3 from a folder of CSV or Parquet files, a DuckDB file or a PostgreSQL address into a
    release folder.

    Writes `into/tables/<table>.parquet`, `into/set_aside/<table>.parquet` for rows that cannot be used, and
    `into/manifest.json` last; returns the manifest. Every table that the model knows gets all its columns, NULL where
    the source lacks them; tables that the source lacks stay absent; what the model does not know is named and left.
    Tables whose source did not change since `parent` are taken over from it: the result is the same. Work spills to
    disk inside `into`; DuckDB keeps to 2 GB of memory. Where the source has no vocabulary (table `concept`), that of
    the release `vocabulary` is kept, and named among the sources. Nothing of persons who object is kept.

    `synthetic` says that no row stems from a real person. The caller gives an empty folder aside and renames it.
    Raises `InvalidInput` or `Unavailable` (`release.*`) where the source cannot be used, before anything is written
    where that can be known.
    """
    chosen = options or Options()
    period_rule = observation_period.rule(chosen.observation_period, chosen.extracted_on)
    into.mkdir(parents=True, exist_ok=True)
    spill = into / ".spill"
    with connect(memory=_MEMORY, spill=spill) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        try:
            before = Before(parent, _rules(chosen), connection)
            opened = open_source(connection, source, chosen.tables)
            try:
                work = Work(connection, into, chosen, period_rule, before)
                fresh = erasing.read_whole([*opened.tables]) if objecting is not None else frozenset[str]()
                _read_all(work, opened, spill, fresh, part(progress, 0.0, 0.6))
                if not opened.unchanged():
                    raise Unavailable("intake.source_changed", source=name_of(source))
            finally:
                opened.close()
            if objecting is not None:
                erasing.take_out(work, objecting)
            if vocabulary is not None and "concept" not in work.files:
                opened.origin.append(_keep_vocabulary(work, vocabulary))
            manifest = _describe(work, opened, name, synthetic=synthetic, progress=part(progress, 0.6, 1.0))
        finally:
            shutil.rmtree(spill, ignore_errors=True)
    manifest = write_manifest(into, manifest)
    progress(1.0, name)
    return manifest


def _rules(options: Options) -> dict[str, Any]:
    return {"version": RULES, **asdict(options.rules())}


def _describe(work: Work, opened: Source, name: str, *, synthetic: bool, progress: Progress) -> dict[str, Any]:
    """Derive what the source lacks, check all, and return the manifest."""
    rule = derived.observation_periods(work)
    era_rules = {each: derived.era_rule(work, each) for each in eras.NEEDS}
    summary = quality.assess(work.connection, work.files, work.rows, part(progress, 0.0, 0.5))
    return {
        "format": FORMAT,
        "name": name,
        "synthetic": synthetic,
        "cdm_version": CDM_VERSION,
        "tables": work.entries(part(progress, 0.5, 1.0)),
        "vocabulary": {"version": notices.vocabulary_version(work.connection, work.files)},
        "sources": opened.origin,
        "observation_period_rule": rule,
        "era_rules": era_rules,
        "quality": summary,
        "intake": {
            "rules": _rules(work.options),
            "source_version": notices.source_version(work.connection, opened, work.files),
            "tables": sorted(work.readings, key=lambda reading: reading["name"]),
            "unknown_tables": list(opened.unknown_tables),
            "unknown_files": list(opened.unknown_files),
            "notices": notices.notices(work.connection, opened, work.files, work.options.extracted_on),
            "buckets_digest": _buckets(work, opened),
        },
        "parent": None,
    }


def _read_all(work: Work, opened: Source, spill: Path, fresh: frozenset[str], progress: Progress) -> None:
    """Read every known table, persons first: without persons nothing is written. Of `fresh` nothing is taken over."""
    if "person" not in opened.tables:
        raise InvalidInput("release.no_person_table")
    known = sorted(opened.tables, key=lambda name: (name != "person", name))
    plans = [tables.plan(opened.tables[name], TABLES[name], work.options.rules()) for name in known]
    for done, plan in enumerate(plans):
        progress(done / len(plans), plan.model.name)
        _read(work, plan, spill, fresh=plan.model.name in fresh)
        if plan.model.name == "person":
            _know_persons(work)


def _read(work: Work, plan: Plan, spill: Path, *, fresh: bool) -> None:
    """Take a table over, or read what changed of it, or all."""
    name = plan.model.name
    reading = None if fresh else work.before.take(plan.source, work.into)
    if reading is None:
        changed = None if fresh else work.before.changed(plan)
        judged = tables.judge(work.connection, plan, spill, changed)
        if changed is not None:
            judged = work.before.with_kept(judged, changed)
        reading = aside.write(work.connection, judged, work.into).document()
        for left in spill.glob(f"{name}.*.parquet"):
            left.unlink()
    if name == "person" and not reading["rows"] and name not in work.before.taken:  # taken over: all of them objected
        raise InvalidInput("release.person_empty")
    work.readings.append(reading)
    work.add(name, reading["rows"])


def _keep_vocabulary(work: Work, release: Release) -> dict[str, Any]:
    """Take the vocabulary of a release over; return it as a source: the same tables, the same digest."""
    kept: list[list[str]] = []
    for entry in release.manifest["tables"]:
        name = entry["name"]
        if name in VOCABULARY and name not in work.files:
            if not take_over(release, entry, work.into):
                raise Unavailable("release.damaged", release=release.id, count=1, where=entry["files"][0]["path"])
            work.add(name, entry["rows"])
            work.before.taken[name] = entry
            kept.append([name, entry["content_digest"]])
    return {"kind": "release", "name": "vocabulary", "sha256": digest_document(kept)}


def _know_persons(work: Work) -> None:
    query = select(column("person_id"), source=scan("read_parquet", work.files["person"]))
    work.connection.execute(f"CREATE OR REPLACE TEMP TABLE {PERSONS} AS {render(query)}").fetchall()
    work.before.compare_persons()


def _buckets(work: Work, opened: Source) -> str | None:
    """Keep what a server's tables held, by buckets, for the next load; return the digest of its content."""
    cut = [each for each in opened.tables.values() if each.buckets is not None]
    if not cut:
        return None
    parts = []
    for each in sorted(cut, key=lambda table: table.name):
        assert each.buckets is not None
        rows = each.buckets.digests.num_rows
        facts = {"table": each.name, "key": each.buckets.key, "columns": each.buckets.columns}
        constant = {name: pa.repeat(pa.scalar(value, pa.string()), rows) for name, value in facts.items()}
        shift = {"shift": pa.repeat(pa.scalar(each.buckets.shift, pa.int64()), rows)}
        digests = {name: each.buckets.digests[name] for name in ("bucket", "rows", "digest")}
        parts.append(pa.table({**constant, **shift, **digests}))
    pq.write_table(pa.concat_tables(parts), work.into / BUCKETS, compression="zstd")
    return content_digest(work.into / BUCKETS, work.connection)
