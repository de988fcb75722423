"""Data releases: loading, listing, verifying."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.intake.omop import load_omop as build_release
from workbench.kernel.errors import Refused, Unavailable
from workbench.kernel.progress import Progress, silent
from workbench.repository import releases
from workbench.repository.releases import Release
from workbench.services.context import Workbench, acting, alone, event, working
from workbench.store import documents, files, making
from workbench.store.documents import State


@dataclass(frozen=True)
class ReleaseView:
    """A release as people see it; `rows` counts each table's rows, `quality` is the manifest's summary."""

    id: str
    digest: str
    name: str
    synthetic: bool
    current: bool
    loaded_at: str
    rows: dict[str, int]
    observation_period_rule: dict[str, Any]
    quality: dict[str, Any]
    sources: list[dict[str, Any]]


def load_omop(
    wb: Workbench, actor: Actor, source: Path, *, name: str, synthetic: bool = False, progress: Progress = silent
) -> ReleaseView:
    """Load an OMOP source as a new release and make it the current one.

    Raises `services.demo_only_synthetic` in a demonstration home (its keys are public) for data of patients.
    """
    with acting(wb, actor, "release.load", subject=name), alone(wb):
        if wb.demo and not synthetic:
            raise Refused("services.demo_only_synthetic")
        args = {"name": name, "synthetic": synthetic}
        with working(wb, actor, "release.load", args, progress) as (job, report):
            with making.making(wb.store, job, wb.settings.releases, event(actor, "release.load", subject=name)) as made:
                manifest = build_release(source, made.folder, name=name, synthetic=synthetic, progress=report)
                release_id = releases.release_id(manifest)
                made.event.payload["manifest_sha256"] = files.sha256_file(made.folder / releases.MANIFEST)
                with made.publish("release", release_id, manifest) as write:
                    digest = write.event.after or ""
                    documents.set_state(write, State("release", "current", digest, None, "current", None, ""))
                    job.result_digest = digest
            releases.set_current(wb.settings.releases, release_id)
    return show_release(wb, actor, release_id)


def list_releases(wb: Workbench, actor: Actor) -> list[ReleaseView]:
    """Return every release, oldest first."""
    with acting(wb, actor, "release.read"):
        with wb.store.read() as connection:
            known = documents.every(connection, "release")
        now = releases.pointer(wb.settings.releases)
        return [_view(document, now) for document in known]


def show_release(wb: Workbench, actor: Actor, ref: str) -> ReleaseView:
    """Return one release by id or digest; raises `store.no_document` where it is absent."""
    for view in list_releases(wb, actor):
        if ref == view.id or (len(ref) >= 8 and view.digest.startswith(ref)):
            return view
    raise Refused("store.no_document", ref=ref)


def _view(document: documents.Document, current: str | None) -> ReleaseView:
    body = document.body
    return ReleaseView(
        id=document.id,
        digest=document.digest,
        name=body["name"],
        synthetic=body["synthetic"],
        current=document.id == current,
        loaded_at=document.made_at,
        rows={table["name"]: table["rows"] for table in body["tables"]},
        observation_period_rule=body["observation_period_rule"],
        quality=body["quality"],
        sources=body["sources"],
    )


def verify_release(wb: Workbench, actor: Actor, ref: str) -> tuple[releases.Problem, ...]:
    """Check every file of a release against its manifest, and the manifest against the log; return what is wrong."""
    with acting(wb, actor, "release.verify", subject=ref):
        view = show_release(wb, actor, ref)
        problems = (*releases.verify_folder(wb.settings.releases / view.id), *_against_log(wb, view))
        outcome = "done" if not problems else "denied"
        with wb.store.write(event(actor, "release.verify", subject=view.id, outcome=outcome)):
            pass
    return problems


def _against_log(wb: Workbench, view: ReleaseView) -> tuple[releases.Problem, ...]:
    """Hold the manifest's bytes against the log: it finds a file that was exchanged together with its SHA-256."""
    path = wb.settings.releases / view.id / releases.MANIFEST
    with wb.store.read() as connection:
        payloads = audit.payloads_of(connection, "release.load", view.digest)
    recorded = {payload["manifest_sha256"] for payload in payloads if "manifest_sha256" in payload}
    if not path.is_file() or not recorded or files.sha256_file(path) in recorded:
        return ()
    return (releases.Problem("manifest_edited", releases.MANIFEST),)


def current_release(wb: Workbench) -> Release:
    """Return the release that is current, its files verified before this process first reads them.

    Raises `services.no_release` where nothing was loaded, `release.damaged` where a file does not match.
    """
    now = releases.current(wb.settings.releases)
    if now is None:
        raise Unavailable("services.no_release")
    return verified_release(wb, now.id)


def verified_release(wb: Workbench, release_id: str) -> Release:
    """Return a release by id, verified once by this process; see `current_release`."""
    release = releases.open_release(wb.settings.releases / release_id)
    if release.id not in wb.verified:
        releases.check_sound(release)
        wb.verified.add(release.id)
    return release
