"""Cohorts: generating versions of definitions on the current release, and seeing them with governed numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.cohorts.attrition import AttritionStep
from workbench.cohorts.check_data import check_data
from workbench.cohorts.check_reading import Question
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.generate import generate as run
from workbench.engines.content import content_digest
from workbench.engines.duckdb import DuckDBEngine
from workbench.governance.actors import Actor
from workbench.governance.disclosure import Shown, as_shown, rounded
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import Refused, UserError
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate
from workbench.kernel.text import Lang
from workbench.repository.releases import Release
from workbench.services import alerts, numbers
from workbench.services.context import Workbench, acting, event, working
from workbench.services.holding import hold, reading
from workbench.services.releases import current_release, verified_release
from workbench.store import documents, files, successors

FORMAT = "workbench/cohort_version/1"
ROWS = ("cohort", "subject_id", "cohort_start_date", "cohort_end_date")


@dataclass(frozen=True)
class Step:
    """One line of the attrition: its words, and persons, events and persons without this rule, as shown."""

    label: dict[Lang, str]
    persons: Shown
    events: Shown
    without: Shown | None


@dataclass(frozen=True)
class CohortRef:
    """A cohort version as a request names it: which one, by whom, what it says, and how many, governed."""

    id: str
    digest: str
    name: str
    title: str
    author: str
    sentence: dict[Lang, str]
    persons: Shown


@dataclass(frozen=True)
class CohortView:
    """A cohort version as people see it; every number is governed. `sentence` and warnings are in both languages."""

    id: str
    digest: str
    name: str
    title: str
    release: str
    definition_digest: str
    definition: dict[str, Any]
    owner: str
    made_at: str
    sentence: dict[Lang, str]
    persons: Shown
    events: Shown
    attrition: tuple[Step, ...]


@dataclass(frozen=True)
class Versions:
    """What a batch gave: the cohort versions kept, and why the others of its definitions could not be run, by name."""

    kept: list[CohortView]
    failed: dict[str, UserError]


def generate(
    wb: Workbench, actor: Actor, definitions: Mapping[str, Definition], progress: Progress = silent
) -> list[CohortView]:
    """Generate definitions as `generate_each`; raises the first reason why one could not be run, the others kept."""
    made = generate_each(wb, actor, definitions, progress)
    for error in made.failed.values():
        raise error
    return made.kept


def generate_each(
    wb: Workbench, actor: Actor, definitions: Mapping[str, Definition], progress: Progress = silent
) -> Versions:
    """Generate definitions on the current release, all in one batch, and keep each as a cohort version.

    A definition that cannot be run is named with its reason, and the others are kept. Stopped half way, the versions
    that were kept by then stay: each is whole.
    """
    with acting(wb, actor, "cohort.generate"):
        release = current_release(wb)
        args = {"release": release.digest, "definitions": {n: d.digest for n, d in definitions.items()}}
        with working(wb, actor, "cohort.generate", args, progress) as (_job, report):
            engine = DuckDBEngine.over_parquet(dict(release.tables))
            try:
                made = run(engine, definitions, part(report, 0.0, 0.9), explain=True, key=wb.keys.disclosure_key())
            finally:
                engine.close()
            if len(definitions) == 1:  # the job has failed with it
                for error in made.failed.values():
                    raise error
            digests: list[str] = []
            for position, name in enumerate(made.attrition):
                report(0.9 + 0.1 * position / len(definitions), name)
                digests.append(_keep(wb, actor, release, name, definitions[name], made.rows, made.attrition[name]))
            alerts.watch(wb, actor)
            report(1.0, "")
    mine = {view.digest: view for view in list_cohorts(wb, actor)}
    return Versions([mine[digest] for digest in digests], dict(made.failed))


def _keep(
    wb: Workbench, actor: Actor, release: Release, name: str, definition: Definition, rows: pa.Table,
    steps: list[AttritionStep],
) -> str:  # fmt: skip
    table = rows.filter(pc.equal(rows["cohort"], name))
    body: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "title": definition.title or name,
        "definition": definition.document,
        "definition_digest": definition.digest,
        "release": release.digest,
        "rows": {
            "content_digest": content_digest(table),
            "persons": len(pc.unique(table["subject_id"])),
            "events": table.num_rows,
        },
        "attrition": [asdict(step.row) for step in steps],
    }
    validate(body, "cohort_version")
    cohort_id = f"coh-{short(digest_document(body))}"
    told = numbers.tell(wb, release, [step.left.populations for step in steps])
    numbers.keep(wb, release.digest, digest_document(body), numbers.funnel(told.rows))
    path = place_of_rows(wb, release.id, cohort_id)
    write_rows(path, table)
    seen = event(actor, "cohort.generate", subject=cohort_id, before=release.digest, payload=told.pattern)
    try:
        with wb.store.write(seen) as write:
            successors.check_stands(write, release.digest)
            write.event.after = documents.put(write, "cohort_version", cohort_id, body)
            return write.event.after
    except Refused:
        path.unlink(missing_ok=True)
        raise


def place_of_rows(wb: Workbench, release_id: str, cohort_id: str) -> Path:
    """Return the file that keeps a cohort version's rows, in the cache of a release."""
    folder = wb.settings.cache / release_id / "cohorts"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{cohort_id}.parquet"


def write_rows(path: Path, table: pa.Table) -> None:
    """Write cohort rows as Parquet, whole or not at all."""
    with files.writing(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def rows_of(wb: Workbench, digest: str) -> pa.Table:
    """Return the rows (subject_id, start, end) of a cohort version, from the cache, held against its digest.

    Where the cache is gone or does not match, the same definition is run again on the same release, or on the one that
    stands for it since persons were erased: the tombstone tells the digest of the rows that stay.
    Raises `services.rows_differ` where even then the digest is another: then something is wrong with this machine.
    """
    with wb.store.read() as connection:
        document = documents.find(connection, digest)
        release_doc = successors.standing(connection, document.body["release"]) if document else None
    assert document is not None
    assert release_doc is not None
    with reading():
        hold(wb, release_doc.id)
        path = place_of_rows(wb, release_doc.id, document.id)
        wanted = standing_rows(wb, document)
        cached = _cached(path)
        if cached is not None and content_digest(cached) == wanted:
            return cached
        table = _run_again(verified_release(wb, release_doc.id), document)
        if content_digest(table) != wanted:
            raise Refused("services.rows_differ", cohort=document.id)
        write_rows(path, table)
        return table


def _run_again(release: Release, version: documents.Document) -> pa.Table:
    definition = read_definition(json.dumps(version.body["definition"]))
    engine = DuckDBEngine.over_parquet(dict(release.tables))
    try:
        return run(engine, {version.body["name"]: definition}, silent).rows
    finally:
        engine.close()


def standing_rows(wb: Workbench, version: documents.Document) -> str | None:
    """Return the digest of the rows that a cohort version has now: its own, or what the last erasure left of them
    (None where that is not known)."""
    wanted, release = version.body["rows"]["content_digest"], version.body["release"]
    with wb.store.read() as connection:
        tombstones = {each.body["before"]: each.body for each in documents.every(connection, "erasure")}
    while release in tombstones:
        left = {each["cohort"]: each["rows_after"] for each in tombstones[release]["cohorts"]}
        wanted, release = left.get(version.digest, wanted), tombstones[release]["after"]
    return wanted


def _cached(path: Path) -> pa.Table | None:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException):  # absent or damaged: a cache can be lost at any time
        return None


def check_here(wb: Workbench, actor: Actor, definitions: Mapping[str, Definition]) -> dict[str, list[Question]]:
    """Return the questions about definitions on the current release: its vocabulary, which is public; no person's row.

    That no event has a code is a count of persons, so it is not told here.
    """
    with acting(wb, actor, "cohort.generate"):
        engine = DuckDBEngine.over_parquet(dict(current_release(wb).tables))
        try:
            return {name: check_data(engine, definition) for name, definition in definitions.items()}
        finally:
            engine.close()


def list_cohorts(wb: Workbench, actor: Actor) -> list[CohortView]:
    """Return every cohort version, the newest first."""
    with acting(wb, actor, "cohort.read"):
        with wb.store.read() as connection:
            versions = documents.every(connection, "cohort_version")
            named = {version.body["release"] for version in versions}
            found = {digest: successors.standing(connection, digest) for digest in named}
        ids = {digest: release.id for digest, release in found.items() if release is not None}
        return [_view(wb, version, ids[version.body["release"]]) for version in reversed(versions)]


def show_cohort(wb: Workbench, actor: Actor, ref: str) -> CohortView:
    """Return a cohort version by id, digest or name (its newest version)."""
    with acting(wb, actor, "cohort.read", subject=ref):
        for view in list_cohorts(wb, actor):
            if ref in (view.id, view.digest, view.name):
                return view
        raise Refused("store.no_document", ref=ref)


def reference(wb: Workbench, document: documents.Document) -> CohortRef:
    """Return how a request shows a cohort version: never its exact counts."""
    body = document.body
    definition = read_definition(json.dumps(body["definition"]))
    return CohortRef(
        id=document.id,
        digest=document.digest,
        name=body["name"],
        title=body["title"],
        author=document.made_by,
        sentence={lang: describe(definition, lang) for lang in ("fr", "en")},
        persons=_steps(wb, document)[-1].persons,
    )


def governed_body(wb: Workbench, document: documents.Document) -> dict[str, Any]:
    """Return a cohort version's document with its numbers as they are shown, None where they are hidden."""
    steps = _steps(wb, document)
    attrition = [
        {**line, "persons": step.persons.value, "events": step.events.value,
         "persons_without": step.without and step.without.value}
        for line, step in zip(document.body["attrition"], steps, strict=True)
    ]  # fmt: skip
    counted = {"persons": steps[-1].persons.value, "events": steps[-1].events.value}
    return {**document.body, "rows": {**document.body["rows"], **counted}, "attrition": attrition}


def _view(wb: Workbench, document: documents.Document, release_id: str) -> CohortView:
    body = document.body
    definition = read_definition(json.dumps(body["definition"]))
    steps = _steps(wb, document)
    return CohortView(
        id=document.id,
        digest=document.digest,
        name=body["name"],
        title=body["title"],
        release=release_id,
        definition_digest=body["definition_digest"],
        definition=body["definition"],
        owner=document.made_by,
        made_at=document.made_at,
        sentence={lang: describe(definition, lang) for lang in ("fr", "en")},
        persons=steps[-1].persons,
        events=steps[-1].events,
        attrition=steps,
    )


def _steps(wb: Workbench, document: documents.Document) -> tuple[Step, ...]:
    """Return a version's attrition as it was shown when it was generated; one from before numbers were sticky, as it
    was shown then."""
    attrition = document.body["attrition"]
    rows = numbers.kept(wb, document.body["release"], document.digest)
    if rows is None:
        rows = [(rounded(each["persons"]), rounded(each["events"]), rounded(each["persons_without"] or 0))
                for each in attrition]  # fmt: skip
    return tuple(governed_step(step, row) for step, row in zip(attrition, rows, strict=True))


def governed_step(step: Mapping[str, Any], row: numbers.Row) -> Step:
    """Return a line of an attrition as people may see it; `row` is how its numbers are shown."""
    persons, events, without = row
    return Step(
        label={"fr": step["label_fr"], "en": step["label_en"]},
        persons=as_shown(persons),
        events=as_shown(events),
        without=None if step["persons_without"] is None else as_shown(without),
    )
