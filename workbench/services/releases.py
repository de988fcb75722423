"""Data releases: loading, listing, verifying."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.intake.changes import changes
from workbench.intake.omop import Options, name_of
from workbench.intake.omop import load_omop as build_release
from workbench.kernel.digest import digest_document, digest_manifest, short
from workbench.kernel.errors import Refused, Unavailable, UserError
from workbench.kernel.progress import Progress, part, silent
from workbench.repository import releases
from workbench.repository.releases import Release
from workbench.services.context import RETIRED, Workbench, acting, alone, event, working
from workbench.services.erased_releases import ERASED, objecting
from workbench.services.holding import hold
from workbench.services.release_view import ReleaseView, view_of
from workbench.store import documents, files, making, successors
from workbench.store.documents import State

__all__ = [
    "Options",
    "ReleaseView",
    "current_release",
    "list_releases",
    "load_omop",
    "name_of",
    "publish",
    "show_release",
    "standing_release",
    "verified_release",
    "verify_release",
]  # fmt: skip

LOADED = 0.85
"""The share of a load after which the release is there and its quality is checked."""


def load_omop(
    wb: Workbench,
    actor: Actor,
    source: Path | str,
    *,
    name: str = "",
    synthetic: bool = False,
    options: Options | None = None,
    full: bool = False,
    keep_vocabulary: bool = False,
    progress: Progress = silent,
) -> ReleaseView:
    """Load an OMOP source (a path or a `postgresql://` address) as a new release and make it the current one.

    What did not change since the current release is taken over from it, unless `full`: the release is the same either
    way. Without a `name` the release has the source's. `keep_vocabulary` keeps the current release's vocabulary where
    the source has none. Raises `services.demo_only_synthetic` in a demonstration home
    (its keys are public) for data of patients.
    """
    name = name or name_of(source)
    with acting(wb, actor, "release.load", subject=name), alone(wb):
        if wb.demo and not synthetic:
            raise Refused("services.demo_only_synthetic")
        args = {"name": name, "synthetic": synthetic}
        with working(wb, actor, "release.load", args, part(progress, 0.0, LOADED)) as (job, report):
            with making.making(wb.store, job, wb.settings.releases, event(actor, "release.load", subject=name)) as made:
                before = _before(wb)
                manifest = build_release(
                    source,
                    made.folder,
                    name=name,
                    synthetic=synthetic,
                    options=options,
                    parent=None if full else before,
                    vocabulary=before if keep_vocabulary else None,
                    objecting=objecting(wb),
                    progress=part(report, 0.0, 0.9),
                )
                release_id = publish(made, before, manifest, part(report, 0.9, 1.0))
                job.result_digest = digest_manifest(manifest)
            releases.set_current(wb.settings.releases, release_id)
    check_quality(wb, actor, release_id, part(progress, LOADED, 1.0))
    return show_release(wb, actor, release_id)


def check_quality(wb: Workbench, actor: Actor, release_id: str, progress: Progress) -> None:
    """Check a release that was just loaded. It is whole and current by now: where the checks cannot be run, it is left
    unchecked, and says so."""
    from workbench.services.quality import check_release  # noqa: PLC0415 - quality reads releases

    with suppress(UserError):
        check_release(wb, actor, release_id, progress)


def publish(made: making.Making, before: Release | None, manifest: dict[str, Any], progress: Progress) -> str:
    """List a release that was made aside as the current one, with what changed against the one before; return its id.

    The file `current` is the caller's to write, once the transaction is over.
    """
    release_id = releases.release_id(manifest)
    notes = None
    if before is not None and before.id != release_id:
        notes = changes(before, made.folder, manifest, progress)
    made.event.payload["manifest_sha256"] = files.sha256_file(made.folder / releases.MANIFEST)
    with made.publish("release", release_id, manifest) as write:
        digest = write.event.after or ""
        documents.set_state(write, State("release", "current", digest, None, "current", None, ""))
        if documents.state(write.connection, RETIRED, release_id) is not None:  # it is back
            documents.set_state(write, State(RETIRED, release_id, digest, None, "kept", None, ""))
        if notes is not None:
            documents.put(write, "release_notes", f"not-{short(digest_document(notes))}", notes)
    return release_id


def _before(wb: Workbench) -> Release | None:
    """Return the current release, if it can be opened; its files are checked one by one where they are used."""
    try:
        return releases.current(wb.settings.releases)
    except Unavailable:
        return None


def list_releases(wb: Workbench, actor: Actor) -> list[ReleaseView]:
    """Return every release, the first loaded first; not those from which persons were erased, but in their places what
    stands for them."""
    with acting(wb, actor, "release.read"):
        with wb.store.read() as connection:
            gone = {state.id for state in successors.erased(connection)}
            every = documents.every(connection, "release")
            first = {successors.successor(connection, each.digest): each for each in reversed(every)}
            known = [each for each in every if each.digest not in gone]
            notes = {note.body["release"]: note.body for note in documents.every(connection, "release_notes")}
            retired = {state.id for state in documents.states_of(connection, RETIRED) if state.state == "retired"}
        now = releases.pointer(wb.settings.releases)
        exact = can(actor, "release.load")
        views = [
            view_of(document, now, notes.get(document.digest), exact=exact, retired=document.id in retired)
            for document in known
        ]
        return sorted((_since(view, first[view.digest]) for view in views), key=lambda view: view.loaded_at)


def _since(view: ReleaseView, first: documents.Document) -> ReleaseView:
    """Return a view with when its data were loaded, which persons who were erased since do not change."""
    if first.digest == view.digest:
        return view
    return replace(view, loaded_at=first.made_at, in_place_of=first.id, erased_at=view.loaded_at)


def show_release(wb: Workbench, actor: Actor, ref: str) -> ReleaseView:
    """Return one release by id or digest, or the one that stands for it since persons were erased from it; raises
    `store.no_document` where it is absent."""
    views = list_releases(wb, actor)  # first: a release that is replaced in between is still among them
    now = standing_for(wb, ref)
    for view in views:
        if view.id in {ref, now} or (len(ref) >= 8 and view.digest.startswith(ref)):
            return view
    raise Refused("store.no_document", ref=ref)


def standing_for(wb: Workbench, ref: str) -> str | None:
    """Return the id of the release that stands for an erased one (by id or digest); None where `ref` names no such."""
    with wb.store.read() as connection:
        found = documents.find(connection, ref)
        after = successors.standing(connection, found.digest) if found and found.kind == "release" else None
    return after.id if found and after and after.digest != found.digest else None


def verify_release(wb: Workbench, actor: Actor, ref: str) -> tuple[releases.Problem, ...]:
    """Check every file of a release against its manifest, and the manifest against the log; return what is wrong.

    Of a release from which persons were erased, the one that stands for it is checked, and that nothing is left of it.
    """
    with acting(wb, actor, "release.verify", subject=ref):
        view = show_release(wb, actor, ref)
        if view.retired:
            raise Refused("release.retired", release=view.id)
        hold(wb, view.id)
        problems = (*releases.verify_folder(wb.settings.releases / view.id), *_against_log(wb, view))
        if view.id != ref and (wb.settings.releases / ref).is_dir():
            problems += (releases.Problem("not_erased", ref),)
        outcome = "done" if not problems else "denied"
        with wb.store.write(event(actor, "release.verify", subject=view.id, outcome=outcome)):
            pass
    return problems


def _against_log(wb: Workbench, view: ReleaseView) -> tuple[releases.Problem, ...]:
    """Hold the manifest's bytes against the log: it finds a file that was exchanged together with its SHA-256."""
    path = wb.settings.releases / view.id / releases.MANIFEST
    with wb.store.read() as connection:
        payloads = audit.payloads_of(connection, ("release.load", ERASED), view.digest)
    recorded = {payload["manifest_sha256"] for payload in payloads if "manifest_sha256" in payload}
    if not path.is_file() or not recorded or files.sha256_file(path) in recorded:
        return ()
    return (releases.Problem("manifest_edited", releases.MANIFEST),)


def current_release(wb: Workbench) -> Release:
    """Return the release that is current, its files verified before this process first reads them; see
    `verified_release`. Raises `services.no_release` where nothing was loaded.
    """
    now = None
    while (named := releases.pointer(wb.settings.releases)) != now:  # another may have taken its place before the hold
        now = named
        if now:
            hold(wb, now)
    if now is None:
        raise Unavailable("services.no_release")
    return verified_release(wb, now)


def standing_release(wb: Workbench, digest: str) -> Release:
    """Return the release that stands for one (by digest), verified. Raises `store.no_document`, and what
    `verified_release` raises."""
    with wb.store.read() as connection:
        document = successors.standing(connection, digest)
    if document is None:
        raise Refused("store.no_document", ref=digest[:12])
    return verified_release(wb, document.id)


def verified_release(wb: Workbench, release_id: str) -> Release:
    """Return a release by id, its files verified once by this process; they stay until the verb that asks is over.

    Raises `release.retired` where its folder was removed, `store.changed_meanwhile` where persons were just erased from
    it, `release.damaged` where a file does not match.
    """
    hold(wb, release_id)
    if not (wb.settings.releases / release_id).is_dir():
        with wb.store.read() as connection:
            state = documents.state(connection, RETIRED, release_id)
            document = documents.find(connection, release_id)
            after = successors.successor_of(connection, document.digest) if document else None
        if state is not None and state.state == "retired":
            raise Refused("release.retired", release=release_id)
        if after is not None:
            raise Refused("store.changed_meanwhile", id=release_id)
    release = releases.open_release(wb.settings.releases / release_id)
    if release.id not in wb.verified:
        releases.check_sound(release)
        wb.verified.add(release.id)
    return release
