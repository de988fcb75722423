"""Vocabularies: loading one into a new release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.governance.actors import Actor
from workbench.intake.athena import Wish
from workbench.intake.athena import load_athena as build_release
from workbench.kernel.digest import digest_manifest
from workbench.kernel.progress import Progress, part, silent
from workbench.repository import releases
from workbench.services.context import Workbench, acting, alone, event, working
from workbench.services.erased_releases import check_none_pending
from workbench.services.releases import (
    LOADED,
    ReleaseView,
    check_quality,
    current_release,
    publish,
    show_release,
)
from workbench.store import making


@dataclass(frozen=True)
class LoadedVocabulary:
    """A release with a new vocabulary. `concepts`: how many it has now; `set_aside`: rows of the download that did not
    fit, by table and reason; `unfound`: what names concepts that are absent, by table and column."""

    release: ReleaseView
    version: str | None
    concepts: int
    set_aside: list[dict[str, Any]]
    unfound: list[dict[str, Any]]


def load_athena(
    wb: Workbench,
    actor: Actor,
    download: Path,
    *,
    name: str | None = None,
    source_to_concept_map: Path | None = None,
    accept_gaps: bool = False,
    progress: Progress = silent,
) -> LoadedVocabulary:
    """Load a vocabulary download: a new current release with the same records and this vocabulary.

    `name` is the new release's (else the current one's). Raises `services.no_release` where no data are loaded yet,
    `erasure.pending` where an order to erase persons waits,
    and what `workbench.intake.athena.load_athena` raises.
    """
    with acting(wb, actor, "release.load", subject=name), alone(wb):
        check_none_pending(wb)
        parent = current_release(wb)
        wish = Wish(download, name or parent.manifest["name"], source_to_concept_map, accept_gaps)
        with working(wb, actor, "release.load", {"name": wish.name}, part(progress, 0.0, LOADED)) as (job, report):
            loading = event(actor, "release.load", subject=wish.name)
            with making.making(wb.store, job, wb.settings.releases, loading) as made:
                manifest = build_release(wish, parent, made.folder, part(report, 0.0, 0.9))
                release_id = publish(made, parent, manifest, part(report, 0.9, 1.0))
                job.result_digest = digest_manifest(manifest)
            releases.set_current(wb.settings.releases, release_id)
    check_quality(wb, actor, release_id, part(progress, LOADED, 1.0))
    return _loaded(show_release(wb, actor, release_id), manifest)


def _loaded(view: ReleaseView, manifest: dict[str, Any]) -> LoadedVocabulary:
    readings = [each for each in manifest["intake"]["tables"] if each["set_aside"]]
    gaps = manifest["vocabulary"].get("gaps", {"inside": [], "used": []})
    return LoadedVocabulary(
        release=view,
        version=manifest["vocabulary"]["version"],
        concepts=view.rows.get("concept") or 0,
        set_aside=[{"table": each["name"], **reason} for each in readings for reason in each["reasons"]],
        unfound=[*gaps["used"], *gaps["inside"]],
    )
