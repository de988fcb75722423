"""An extract as MEDS: made sealed in the study's workspace, opened there, taken only where the protocol allows it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.extracts.meds import meds_tables
from workbench.extracts.meds_files import meds_id, read_meds, write_meds, write_plain
from workbench.features.design import DEFAULTS
from workbench.features.population import FOLDS, draws
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, silent
from workbench.services import cohorts, extracts, objections, studies
from workbench.services.context import Workbench, acting, event, working
from workbench.services.extracts import ExtractView
from workbench.store import documents, files, making
from workbench.store.documents import Document


@dataclass(frozen=True)
class MedsView:
    """A MEDS form as people see it: its manifest (no row); `extract` is the extract's id."""

    id: str
    digest: str
    study: str
    extract: str
    manifest: dict[str, Any]
    made_by: str
    made_at: str


def make_meds(wb: Workbench, actor: Actor, extract_ref: str, progress: Progress = silent) -> MedsView:
    """Make the MEDS form of an open extract, sealed with the study's data key, below the extract.

    Made anew of the same rows it is the same one. Raises as `extracts.open_tables`.
    """
    with acting(wb, actor, "extract.meds", subject=extract_ref):
        view = extracts.show_extract(wb, actor, extract_ref)
        with working(wb, actor, "extract.meds", {"extract": view.digest}, progress) as (job, report):
            _, tables, secret = extracts.open_tables(wb, actor, view.id)
            facts = {"study": view.study, "subject": view.id, "before": view.digest}
            with making.making(wb.store, job, _root(wb, view), event(actor, "extract.meds", **facts)) as made:
                report(0.2, "meds")
                splits = splits_of(tables["cohort"].get_column("person_id").sort())
                manifest = write_meds(meds_tables(tables), splits, view.manifest, made.folder, secret)
                made_id = meds_id(manifest)
                with made.publish("meds", made_id, manifest) as write:
                    job.result_digest = write.event.after
                report(1.0, "")
    return show_meds(wb, actor, made_id)


def _root(wb: Workbench, view: ExtractView) -> Path:
    return wb.settings.extracts / view.id / "meds"


def splits_of(persons: pl.Series) -> pl.DataFrame:
    """Return `subject_id` and `split` of an extract's persons.

    Held out are the very persons whom the default design of features holds out; a fifth of the others tunes.
    """
    ids, split = persons.to_numpy(), DEFAULTS["split"]
    held_out = draws(ids, split["seed"], 0) < split["test_fraction"]
    tuning = draws(ids, split["seed"], 1) * FOLDS < 1
    names = np.where(held_out, "held_out", np.where(tuning, "tuning", "train"))
    return pl.DataFrame({"subject_id": ids, "split": names}, schema={"subject_id": pl.Int64, "split": pl.String})


def list_meds(wb: Workbench, actor: Actor) -> list[MedsView]:
    """Return the MEDS forms of the actor's studies, the newest first."""
    with acting(wb, actor, "extract.read"):
        mine = {study.id for study in studies.list_studies(wb, actor)}
        with wb.store.read() as connection:
            found = [each for each in documents.every(connection, "meds") if each.study in mine]
            of = {each.digest: documents.find(connection, each.body["extract"]) for each in found}
        return [_view(each, extract.id) for each in reversed(found) if (extract := of[each.digest])]


def _view(document: Document, extract: str) -> MedsView:
    facts = {"id": document.id, "digest": document.digest, "study": document.study or "", "extract": extract}
    return MedsView(**facts, manifest=document.body, made_by=document.made_by, made_at=document.made_at)


def show_meds(wb: Workbench, actor: Actor, ref: str) -> MedsView:
    """Return one MEDS form by id or digest; raises `store.no_document` where it is absent or not the actor's to see."""
    for view in list_meds(wb, actor):
        if ref in (view.id, view.digest):
            return view
    raise Refused("store.no_document", ref=ref)


def open_meds(wb: Workbench, actor: Actor, ref: str) -> dict[str, pl.DataFrame]:
    """Return the tables `data`, `codes` and `subject_splits` of a MEDS form, decrypted in memory; the opening of its
    extract is logged. Persons who objected to the study since are left out. Raises as `extracts.open_tables`."""
    with acting(wb, actor, "extract.open", subject=ref):
        return _opened(wb, actor, show_meds(wb, actor, ref))[1]


def _opened(wb: Workbench, actor: Actor, view: MedsView) -> tuple[Sequence[Document], dict[str, pl.DataFrame]]:
    """Return the objections that were applied, and the tables."""
    extract = extracts.show_extract(wb, actor, view.extract)
    with wb.store.read() as connection:
        objected = objections.active(connection, view.study)
    secret = extracts.opening(wb, actor, extract, objected)
    tables = read_meds(_root(wb, extract) / view.id, secret)
    if objected:
        cohort = cohorts.rows_of(wb, extract.manifest["cohort"])
        named = {name: rows.rename({"subject_id": "person_id"}, strict=False) for name, rows in tables.items()}
        kept = objections.without_pseudonyms(wb, objected, view.study, cohort, named)
        tables = {name: rows.rename({"person_id": "subject_id"}, strict=False) for name, rows in kept.items()}
    return objected, tables


def take_meds(wb: Workbench, actor: Actor, ref: str, out: Path) -> Path:
    """Write a MEDS form in the clear to a new folder (0700) that lies in a destination of the study's protocol.

    A destination that begins with a slash is a folder of this machine. Nothing else lets rows out of a workspace.
    Raises `Refused`: `extract.no_destination`, `files.exists`, and as `extracts.open_tables`.
    """
    with acting(wb, actor, "extract.take", subject=ref):
        view, destination = _may_take(wb, actor, ref, out)
        with files.user_errors(out):
            objected, tables = _opened(wb, actor, view)
            _write(wb, actor, view, destination, objected, tables, out)
    return out


def may_take(wb: Workbench, actor: Actor, ref: str, out: Path) -> None:
    """Raise what `take_meds` raises before it reads a row, so that a page can say it before the work begins."""
    with acting(wb, actor, "extract.take", subject=ref):
        _may_take(wb, actor, ref, out)


def _may_take(wb: Workbench, actor: Actor, ref: str, out: Path) -> tuple[MedsView, str]:
    """Return a MEDS form and the destination of its protocol in which the new folder lies."""
    view = show_meds(wb, actor, ref)
    destination = _destination(studies.show_study(wb, actor, view.study).protocol["destinations"], out)
    if destination is None:
        raise Refused("extract.no_destination", folder=str(out), study=view.study)
    if out.exists():
        raise Refused("files.exists", place=str(out))
    return view, destination


def _destination(allowed: Sequence[str], out: Path) -> str | None:
    """Return the destination in which a folder lies, links followed; None where it lies in none."""
    place = out.resolve()
    return next((each for each in allowed if each.startswith("/") and place.is_relative_to(Path(each).resolve())), None)


def _write(
    wb: Workbench, actor: Actor, view: MedsView, destination: str, objected: Sequence[Document],
    tables: dict[str, pl.DataFrame], out: Path,
) -> None:  # fmt: skip
    """Write aside, log who took it where, then rename: no copy is found that the log does not tell."""
    aside = out.parent / f".{out.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(mode=0o700, parents=True)
        write_plain(tables, view.manifest["dataset"], aside)
        taken = event(actor, "extract.take", study=view.study, subject=view.id, before=view.digest)
        taken.payload = {"destination": destination, "objections": [each.id for each in objected]}
        files.sync_tree(aside)
        with wb.store.write(taken):
            pass
        aside.rename(out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
