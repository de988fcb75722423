"""OMOP tables → a data release: typed, sorted Parquet files and, last, a manifest that says all that was done."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.engines.content import content_digest
from workbench.engines.duckdb import connect
from workbench.intake import aside, eras, notices, observation_period, quality, tables
from workbench.intake.nodes import column, render, scan, select
from workbench.intake.opening import name_of, open_source
from workbench.intake.sharing import BUCKETS, Before
from workbench.intake.sources import RULES, Source, demo_source
from workbench.intake.tables import PERSONS, Plan, Rules
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate
from workbench.repository.cdm import CDM_VERSION, TABLES
from workbench.repository.releases import MANIFEST, Release, manifest_text
from workbench.store.files import write_text

__all__ = ["Options", "demo_source", "load_omop", "name_of"]

FORMAT = "workbench/release/2"
_MEMORY = "2GB"


@dataclass(frozen=True)
class Options:
    """What who loads may choose. `tables`: the wanted ones, none means all; `observation_period`: a rule's words
    (`observation_period.RULES`); the others are those of `Rules`."""

    tables: tuple[str, ...] = ()
    observation_period: str = observation_period.AUTO
    extracted_on: str | None = None
    decimal_comma: bool = False

    def rules(self) -> Rules:
        """Return the rules by which rows are judged."""
        return Rules(extracted_on=self.extracted_on, decimal_comma=self.decimal_comma)


@dataclass
class _Work:
    """A load under way: the release's files, readings and rules so far."""

    connection: Any
    into: Path
    options: Options
    period_rule: observation_period.Rule
    before: Before
    files: dict[str, Path]
    readings: list[dict[str, Any]]
    rows: dict[str, int]

    def place(self, table: str) -> Path:
        return self.into / "tables" / f"{table}.parquet"

    def add(self, table: str, rows: int) -> None:
        self.files[table], self.rows[table] = self.place(table), rows


def load_omop(
    source: Path | str,
    into: Path,
    *,
    name: str,
    synthetic: bool,
    options: Options | None = None,
    parent: Release | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Read OMOP CDM 5.4 or 5.3 from a folder of CSV or Parquet files, a DuckDB file or a PostgreSQL address into a
    release folder.

    Writes `into/tables/<table>.parquet`, `into/set_aside/<table>.parquet` for rows that cannot be used, and
    `into/manifest.json` last; returns the manifest. Every table that the model knows gets all its columns, NULL where
    the source lacks them; tables that the source lacks stay absent; what the model does not know is named and left.
    Tables whose source did not change since `parent` are taken over from it: the result is the same. Work spills to
    disk inside `into`; DuckDB keeps to 2 GB of memory.

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
                work = _Work(connection, into, chosen, period_rule, before, {}, [], {})
                _read_all(work, opened, spill, part(progress, 0.0, 0.6))
                if not opened.unchanged():
                    raise Unavailable("release.source_changed", table="person")
            finally:
                opened.close()
            manifest = _describe(work, opened, name, synthetic=synthetic, progress=part(progress, 0.6, 1.0))
        finally:
            shutil.rmtree(spill, ignore_errors=True)
    validate(manifest, "release_2")
    write_text(into / MANIFEST, manifest_text(manifest))
    progress(1.0, name)
    return manifest


def _rules(options: Options) -> dict[str, Any]:
    return {"version": RULES, **asdict(options.rules())}


def _describe(work: _Work, opened: Source, name: str, *, synthetic: bool, progress: Progress) -> dict[str, Any]:
    """Derive what the source lacks, check all, and return the manifest."""
    rule = _observation_periods(work)
    era_rules = {each: _eras(work, each) for each in eras.NEEDS}
    summary = quality.assess(work.connection, work.files, work.rows, part(progress, 0.0, 0.5))
    return {
        "format": FORMAT,
        "name": name,
        "synthetic": synthetic,
        "cdm_version": CDM_VERSION,
        "tables": _entries(work, part(progress, 0.5, 1.0)),
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


def _read_all(work: _Work, opened: Source, spill: Path, progress: Progress) -> None:
    """Read every known table, persons first: without persons nothing is written."""
    if "person" not in opened.tables:
        raise InvalidInput("release.no_person_table")
    known = sorted(opened.tables, key=lambda name: (name != "person", name))
    plans = [tables.plan(opened.tables[name], TABLES[name], work.options.rules()) for name in known]
    for done, plan in enumerate(plans):
        progress(done / len(plans), plan.model.name)
        _read(work, plan, spill)
        if plan.model.name == "person":
            _know_persons(work)


def _read(work: _Work, plan: Plan, spill: Path) -> None:
    """Take a table over, or read what changed of it, or all."""
    name = plan.model.name
    reading = work.before.take(plan.source, work.into)
    if reading is None:
        changed = work.before.changed(plan)
        judged = tables.judge(work.connection, plan, spill, changed)
        if changed is not None:
            judged = work.before.with_kept(judged, changed)
        reading = aside.write(work.connection, judged, work.into).document()
        for left in spill.glob(f"{name}.*.parquet"):
            left.unlink()
    if name == "person" and not reading["rows"]:
        raise InvalidInput("release.person_empty")
    work.readings.append(reading)
    work.add(name, reading["rows"])


def _know_persons(work: _Work) -> None:
    query = select(column("person_id"), source=scan("read_parquet", work.files["person"]))
    work.connection.execute(f"CREATE OR REPLACE TEMP TABLE {PERSONS} AS {render(query)}").fetchall()
    work.before.compare_persons()


def _observation_periods(work: _Work) -> dict[str, Any]:
    """Keep the source's periods where the rule says so; else derive them. Returns the rule."""
    name, asked = "observation_period", work.period_rule
    recorded = work.rows.get(name, 0)
    if asked.code == observation_period.RECORDED or (asked.code == observation_period.AUTO and recorded):
        return {"code": "as_recorded", "periods": recorded}
    inputs = observation_period.used(work.files)
    if not inputs:
        return {"code": "none", "periods": 0}
    former = work.before.release.manifest["observation_period_rule"] if work.before.release else {}
    wanted = {"tables": inputs, "code": observation_period.derived_code(asked), "days": asked.days}
    same = {**former, "days": former.get("days", 0)} == {**former, **wanted}
    if same and work.before.derives_alike(name, ["person", *inputs]) and work.before.take_file(name, work.into):
        work.add(name, former["periods"])
        return dict(former)
    work.place(name).unlink(missing_ok=True)  # the source's own, maybe shared with the release before
    rule = observation_period.derive(work.connection, work.files, work.place(name), asked, work.options.extracted_on)
    work.add(name, rule["periods"])
    work.before.taken.pop(name, None)
    return rule


def _eras(work: _Work, name: str) -> dict[str, Any]:
    """Keep the source's eras where it has any; else build them from what they need, where that is there."""
    if work.rows.get(name):
        return {"code": "as_recorded", "rows": work.rows[name]}
    needs = eras.NEEDS[name]
    if not all(work.rows.get(each) for each in needs):
        return {"code": "none", "rows": work.rows.get(name, 0)}
    former = work.before.release.manifest["era_rules"][name] if work.before.release else {}
    if (
        former.get("code") == "built"
        and work.before.derives_alike(name, needs)
        and work.before.take_file(name, work.into)
    ):
        work.add(name, former["rows"])
        return dict(former)
    work.place(name).unlink(missing_ok=True)
    rows = eras.build(work.connection, name, work.files, work.place(name))
    work.add(name, rows)
    work.before.taken.pop(name, None)
    return {"code": "built", "gap_days": eras.GAP_DAYS, "rows": rows}


def _entries(work: _Work, progress: Progress) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for done, name in enumerate(sorted(work.files)):
        progress(done / len(work.files), name)
        taken = work.before.taken.get(name)
        made = taken or tables.entry(work.connection, TABLES[name], work.rows[name], work.files[name], work.into)
        entries.append(made)
    return entries


def _buckets(work: _Work, opened: Source) -> str | None:
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
