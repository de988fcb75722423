"""Retiring a data release: its folder goes, its document stays, and what depended on it is named first."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, silent
from workbench.repository import releases as folders
from workbench.services import holding
from workbench.services.context import RETIRED, Workbench, acting, alone, event, remove_retired
from workbench.services.releases import ReleaseView, show_release
from workbench.services.tracing import Link, trace
from workbench.store import documents, successors
from workbench.store.documents import State

ABOUT_IT = frozenset({"release", "quality", "release_notes", "erasure"})
"""Documents that tell of releases and stay readable without their folders."""


@dataclass(frozen=True)
class Retirement:
    """A release that was retired: the bytes that its folder and caches held, and what can no longer be made again or
    checked against it (ids and digests; oldest first)."""

    release: str
    digest: str
    freed: int
    lost: tuple[Link, ...]


def dependents(wb: Workbench, actor: Actor, ref: str) -> tuple[Link, ...]:
    """Return what stands on a release, or on one that it took the place of: cohorts, requests, extracts, features,
    models. Raises `store.no_document`."""
    view = show_release(wb, actor, ref)
    with wb.store.read() as connection:
        digests = sorted(successors.formers(connection, view.digest))
    found = {link.digest: link for digest in digests for link in trace(wb, actor, digest).forward}
    return tuple(link for link in found.values() if link.kind not in ABOUT_IT)


def retire_release(
    wb: Workbench, actor: Actor, ref: str, *, losing: bool = False, progress: Progress = silent
) -> Retirement:
    """Remove a release's folder and caches; its document, its quality and the log stay.

    What stands on it keeps its own files (an extract is whole without its release), but cannot be made again. With
    `losing` that is accepted, and the log names it. Loading the same source again brings the same release back.
    Who reads the release by then reads it to the end: that is waited for, for `holding.PATIENCE` seconds at most.

    Raises `release.is_current`, `release.retired`, `release.in_use` where it is still read after that,
    `release.depended_on` where something stands on it and `losing` was not said, `store.no_document`, `store.loading`.
    """
    with acting(wb, actor, "release.retire", subject=ref), alone(wb):
        view = show_release(wb, actor, ref)
        _losses(wb, actor, view, losing=losing)  # told before the wait
        with holding.removing(wb, view.id, holding.PATIENCE, progress) as nobody_reads:
            if not nobody_reads:
                raise Refused("release.in_use", release=view.id, seconds=f"{holding.PATIENCE:.0f}")
            lost = _losses(wb, actor, view, losing=losing)
            freed = sum(_size(wb, place, view.id) for place in ("releases", "cache"))
            with wb.store.write(event(actor, "release.retire", subject=view.id)) as write:
                write.event.before = view.digest
                write.event.payload["lost"] = [link.digest for link in lost]
                documents.set_state(write, State(RETIRED, view.id, view.digest, None, "retired", None, ""))
            wb.verified.discard(view.id)
            remove_retired(wb, view.id)
    return Retirement(view.id, view.digest, freed, lost)


def _losses(wb: Workbench, actor: Actor, view: ReleaseView, *, losing: bool) -> tuple[Link, ...]:
    """Return what stands on a release that may go; raise `Refused` where it may not."""
    if view.retired:
        raise Refused("release.retired", release=view.id)
    if view.id == folders.pointer(wb.settings.releases):
        raise Refused("release.is_current", release=view.id)
    lost = dependents(wb, actor, view.id)
    if lost and not losing:
        names = ", ".join(dict.fromkeys(link.id for link in lost))
        raise Refused("release.depended_on", release=view.id, count=len(lost), names=names)
    return lost


def _size(wb: Workbench, place: str, release: str) -> int:
    """Return the bytes that only this folder holds: files shared with other releases are not freed."""
    found = ((wb.settings.home / place) / release).rglob("*")
    return sum(each.stat().st_size for each in found if each.is_file() and each.stat().st_nlink == 1)
