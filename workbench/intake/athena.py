"""A vocabulary → a new data release: the records of the release before, unchanged, with the new vocabulary.

The records' files are not copied: the new release has them under a second name, and their digests carry over
(docs/decisions/0009-incremental-loads.md).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.engines.content import content_digest
from workbench.engines.duckdb import connect
from workbench.intake import aside, eras, notices, quality, tables
from workbench.intake.athena_files import MAP, open_download, open_map
from workbench.intake.athena_fit import Fit, faults_of_map, fit, unfound_in_use
from workbench.intake.athena_merge import Merge, is_whole
from workbench.intake.nodes import column, negate, scan, select, text
from workbench.intake.sharing import BUCKETS
from workbench.intake.sources import Source
from workbench.intake.tables import Rules, Test
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.kernel.progress import Progress, part, silent
from workbench.repository.cdm import TABLES, VOCABULARY
from workbench.repository.releases import Release, link, take_over, write_manifest
from workbench.vocabulary.use import Used, count_use

FORMAT = "workbench/release/2"
_MEMORY = "3GB"
_FEW = 6


@dataclass(frozen=True)
class Wish:
    """What a load of a vocabulary is asked for: the download, perhaps a hospital's own map, the new release's name;
    `accept_gaps` says that somebody knows of the concepts that will be absent."""

    download: Path
    name: str
    map: Path | None = None
    accept_gaps: bool = False


@dataclass
class _Work:
    """One load under way. `new`: typed files of the download; `files`, `rows`: of the new release; `taken`: entries of
    the manifest of tables that were taken over; `readings`: what each table's source gave."""

    connection: Any
    parent: Release
    into: Path
    spill: Path
    new: dict[str, Path] = field(default_factory=dict[str, Path])
    files: dict[str, Path] = field(default_factory=dict[str, Path])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    taken: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    readings: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def before(self) -> dict[str, Any]:
        """The parent's entries by table."""
        return {entry["name"]: entry for entry in self.parent.manifest["tables"]}

    @property
    def read_before(self) -> dict[str, Any]:
        """The parent's readings by table."""
        return {reading["name"]: reading for reading in self.parent.manifest["intake"]["tables"]}

    def put(self, name: str, rows: int) -> Path:
        """Note a table of the new release; return its file."""
        self.files[name], self.rows[name] = self.into / "tables" / f"{name}.parquet", rows
        return self.files[name]


def load_athena(wish: Wish, parent: Release, into: Path, progress: Progress = silent) -> dict[str, Any]:
    """Write into the folder `into` a release with the records of `parent` and the vocabulary of a download; return its
    manifest, which is written last.

    Which rows of the former vocabulary stay: see `workbench.intake.athena_merge`. Raises `Unavailable`
    (`vocabulary.parent_old`) where the parent was made by the first version; `InvalidInput`: what cannot be read
    (`workbench.intake.athena_files`), `vocabulary.concepts_repeated`, and `vocabulary.gaps` where concepts in use or
    ends of ancestors would be absent and the wish does not accept that. Memory stays under 4 GB; work spills to disk
    inside `into`.
    """
    if parent.manifest["format"] != FORMAT:
        raise Unavailable("vocabulary.parent_old", release=parent.id)
    into.mkdir(parents=True, exist_ok=True)
    spill = into / ".spill"
    with connect(memory=_MEMORY, spill=spill) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        work = _Work(connection, parent, into, spill)
        try:
            download = open_download(connection, wish.download, spill / "unpacked")
            _read(work, download, part(progress, 0.0, 0.4))
            whole = is_whole(connection, work.new["concept"], work.new["vocabulary"], wish.download.name)
            _take_records(work)
            _merge(work, download, whole, part(progress, 0.4, 0.6))
            origin = download.origin + _read_map(work, wish.map)
            era_rules = {name: _eras(work, name) for name in eras.NEEDS}
            fitted = _fit(work, wish, whole)
            sources, told = _sources(work, origin, whole), list(notices.of_encodings(download))
            made = _describe(work, sources, told, fitted, part(progress, 0.65, 1.0))
            manifest = {**made, "name": wish.name, "era_rules": era_rules}
        finally:
            shutil.rmtree(spill, ignore_errors=True)
    manifest = write_manifest(into, manifest)
    progress(1.0, wish.name)
    return manifest


def _read(work: _Work, source: Source, progress: Progress, tests: tuple[Test, ...] = ()) -> None:
    """Type every table of a source into files aside; rows that cannot be used are set aside."""
    for done, (name, each) in enumerate(sorted(source.tables.items())):
        progress(done / len(source.tables), name)
        plan = tables.plan(each, TABLES[name], Rules())
        judged = tables.judge(work.connection, replace(plan, tests=(*plan.tests, *tests)), work.spill)
        reading = aside.write(work.connection, judged, work.spill / "new")
        work.new[name] = work.spill / "new" / "tables" / f"{name}.parquet"
        work.readings[name] = reading.document()
        repeated = sum(rows for _, reason, rows in reading.reasons if reason == "id_repeated")
        if name == "concept" and repeated:
            raise InvalidInput("vocabulary.concepts_repeated", count=repeated)


def _take_records(work: _Work) -> None:
    """Take over every table that is not of the vocabulary, with what its source gave and the rows set aside of it."""
    for name, entry in work.before.items():
        if name not in VOCABULARY:
            _take(work, name, entry)
    for name, reading in work.read_before.items():
        if name not in VOCABULARY:
            _take_reading(work, name, reading)


def _take(work: _Work, name: str, entry: dict[str, Any]) -> None:
    if not take_over(work.parent, entry, work.into):
        raise Unavailable("release.damaged", release=work.parent.id, count=1, where=entry["files"][0]["path"])
    work.put(name, entry["rows"])
    work.taken[name] = entry


def _take_reading(work: _Work, name: str, reading: dict[str, Any]) -> None:
    work.readings[name] = reading
    if reading["set_aside"]:
        link(aside.place_of(work.parent.folder, name), aside.place_of(work.into, name))


def _merge(work: _Work, download: Source, whole: bool, progress: Progress) -> None:
    """Write the merged vocabulary; a former table of which every row stays and to which none comes is taken over."""
    former = {name: work.parent.table(name) for name in work.before if name in VOCABULARY}
    merge = Merge(former, work.new, whole)
    merge.prepare(work.connection)
    names = sorted({*former, *work.new})
    for done, name in enumerate(names):
        progress(done / len(names), name)
        removed = merge.removed(work.connection, name)
        comes = name in work.new and work.readings[name]["rows"]
        if name in former and not comes and not removed:
            _take(work, name, work.before[name])
            if name in work.read_before:
                _take_reading(work, name, work.read_before[name])
            continue
        stays = name in former and removed < work.before[name]["rows"]
        _write(work, merge, name, stays=stays)
        _note(work, name, download, stays=stays)


def _write(work: _Work, merge: Merge, name: str, *, stays: bool) -> None:
    if name in work.new and not stays:
        path = work.put(name, work.readings[name]["rows"])
        path.parent.mkdir(parents=True, exist_ok=True)
        work.new[name].rename(path)
        return
    query = tables.ordered(select(exp.Star(), source=merge.rows(name)), TABLES[name])
    path = work.put(name, 0)
    work.rows[name] = tables.copy(work.connection, query, path)


def _note(work: _Work, name: str, download: Source, *, stays: bool) -> None:
    """Note what a merged table was read from, and keep the rows set aside of its new part.

    Its rows are those of two sources, so its digest is of both: a later load must not take it for either.
    """
    former = work.read_before.get(name)
    reading = work.readings.get(name) or former
    if reading is None:
        return
    parts = [each["source"] for each in (former if stays else None, work.readings.get(name)) if each is not None]
    both = digest_document({"merged": parts, "with": [each["sha256"] for each in download.origin]})
    work.readings[name] = {**reading, "source": both if stays or name not in work.new else reading["source"]}
    if name in work.new and reading["set_aside"]:
        link(aside.place_of(work.spill / "new", name), aside.place_of(work.into, name))
    elif name not in work.new and reading["set_aside"]:
        link(aside.place_of(work.parent.folder, name), aside.place_of(work.into, name))


def _read_map(work: _Work, path: Path | None) -> list[dict[str, str]]:
    """Read a hospital's own map, which replaces the former one; rows with a target that is unknown, not standard or not
    valid are set aside."""
    if path is None:
        return []
    opened = open_map(work.connection, path, work.spill / "map")
    _read(work, opened, silent, faults_of_map(column("target_concept_id"), work.files["concept"]))
    final = work.put(MAP, work.readings[MAP]["rows"])
    for old in (final, aside.place_of(work.into, MAP)):
        old.unlink(missing_ok=True)
    work.taken.pop(MAP, None)
    work.new[MAP].rename(final)
    if work.readings[MAP]["set_aside"]:
        link(aside.place_of(work.spill / "new", MAP), aside.place_of(work.into, MAP))
    return opened.origin


def _eras(work: _Work, name: str) -> dict[str, Any]:
    """Build eras that the source does not have anew where the vocabulary decides on them; return the rule."""
    rule, needs = work.parent.manifest["era_rules"][name], eras.NEEDS[name]
    if rule["code"] == "as_recorded" or not set(needs) & set(VOCABULARY):
        return dict(rule)
    work.taken.pop(name, None)
    work.put(name, 0).unlink(missing_ok=True)
    if not all(work.rows.get(each) for each in needs):
        del work.files[name], work.rows[name]
        return {"code": "none", "rows": 0}
    work.rows[name] = eras.build(work.connection, name, work.files, work.files[name])
    return {"code": "built", "gap_days": eras.GAP_DAYS, "rows": work.rows[name]}


def _fit(work: _Work, wish: Wish, whole: bool) -> Fit:
    """Compare the new vocabulary with itself and with the records. Raises `InvalidInput` as `load_athena` says.

    An addition is not asked for what was absent before it: only concepts in use that it takes away are in its way.
    """
    records = [
        Used(name, path, [each.name for each in TABLES[name].fields if each.references == "concept"], False)
        for name, path in work.files.items()
        if name not in VOCABULARY
    ]
    use = count_use(work.connection, records)
    fitted = fit(work.connection, work.files, use)
    if fitted.repeated:
        raise InvalidInput("vocabulary.concepts_repeated", count=fitted.repeated)
    lost = list(fitted.used)
    if not whole and lost:
        former = work.parent.tables.get("concept")
        lost = unfound_in_use(work.connection, work.files["concept"], use, former) if former else []
    gaps = [*lost, *fitted.ancestors]
    if gaps and not wish.accept_gaps:
        named = [f"{each.table}.{each.column}: {each.concepts} ({each.rows})" for each in gaps[:_FEW]]
        more = f" + {len(gaps) - _FEW}" if len(gaps) > _FEW else ""
        raise InvalidInput("vocabulary.gaps", places="; ".join(named) + more)
    return fitted


def _sources(work: _Work, origin: list[dict[str, Any]], whole: bool) -> list[dict[str, Any]]:
    """Return what the release was read from: a whole vocabulary stands for all those before it, a map for the one
    before."""
    replaced = {each["kind"] for each in origin} - ({"athena"} if not whole else set())
    return [each for each in work.parent.manifest["sources"] if each["kind"] not in replaced] + origin


def _describe(
    work: _Work,
    sources: list[dict[str, Any]],
    told: list[dict[str, Any]],
    fitted: Fit,
    progress: Progress,
) -> dict[str, Any]:
    """Return the manifest: the parent's, but for what the vocabulary changes."""
    of_records = [each for each in work.parent.manifest["intake"]["notices"] if "vocabulary" not in each["code"]]
    summary = quality.assess(work.connection, work.files, work.rows, part(progress, 0.0, 0.3))
    entries: list[dict[str, Any]] = []
    for done, table in enumerate(sorted(work.files)):
        progress(0.3 + 0.7 * done / len(work.files), table)
        made = (TABLES[table], work.rows[table], work.files[table], work.into)
        entries.append(work.taken.get(table) or tables.entry(work.connection, *made))
    vocabulary: dict[str, Any] = {"version": notices.vocabulary_version(work.connection, work.files)}
    if fitted.inside or fitted.used:
        vocabulary["gaps"] = fitted.document()
    intake = {
        **work.parent.manifest["intake"],
        "tables": [work.readings[each] for each in sorted(work.readings)],
        "notices": [*of_records, *notices.of_vocabulary(work.connection, work.files), *told],
        "buckets_digest": _buckets(work),
    }
    changed = {"tables": entries, "vocabulary": vocabulary, "sources": sources}
    return {**work.parent.manifest, **changed, "quality": summary, "intake": intake, "parent": None}


def _buckets(work: _Work) -> str | None:
    """Keep what a server's tables held, for the next load, but for the vocabulary's: those rows are another's now."""
    if not work.parent.manifest["intake"]["buckets_digest"]:
        return None
    source, path = work.parent.folder / BUCKETS, work.into / BUCKETS
    theirs = exp.In(this=column("table"), expressions=[text(name) for name in VOCABULARY])
    query = select(exp.Star(), source=scan("read_parquet", source), where=negate(theirs))
    if not tables.copy(work.connection, query, path):
        path.unlink()
        return None
    return content_digest(path, work.connection)
