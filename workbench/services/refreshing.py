"""Refreshes: the same approved request, run again on a newer release, on the days that its protocol declares.

Nothing is reviewed again: what was approved is a protocol that says when. Each declared day gives one refresh, from
that day on until the next; cohorts are generated anew on the current release, by the very definitions that were
approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.cohorts.circe import Definition
from workbench.governance.actors import Actor
from workbench.governance.keys import commitment
from workbench.kernel.errors import Refused, Unavailable
from workbench.kernel.progress import Progress, part, silent
from workbench.repository.releases import Release
from workbench.services import cohorts
from workbench.services.context import Workbench, acting, working
from workbench.services.expiry import today
from workbench.services.extracts import ExtractView, Renewed, deliver, made_for, may_deliver, show_extract
from workbench.services.releases import current_release
from workbench.services.requests import RequestView, show_request
from workbench.store import documents, successors


@dataclass(frozen=True)
class Refreshes:
    """The refreshes of a request: the declared `days`, the number of the one that is `due` (1 is the first day's), None
    where none is, and the `next` day on which one will be."""

    days: tuple[str, ...]
    due: int | None
    next: str | None


def refreshes(wb: Workbench, request: RequestView) -> Refreshes:
    """Return which refresh of a request is due; one that was made with keys renewed since counts as not made."""
    days = tuple(sorted(request.protocol.get("refresh_on", ())))
    now = today(wb).isoformat()
    reached = sum(day <= now for day in days)
    after = days[reached] if reached < len(days) else None
    return Refreshes(days, reached if reached and reached not in _done(wb, request) else None, after)


def _done(wb: Workbench, request: RequestView) -> set[int]:
    try:
        mark = commitment(wb.keys.study_secret(request.study, "pseudonym"))
    except Unavailable:  # never run, or destroyed
        return set()
    made = [document.body for document in made_for(wb, request) if document.body["key_commitment"] == mark]
    return {body["refresh"]["number"] for body in made if "refresh" in body}


def refresh_extract(wb: Workbench, actor: Actor, ref: str, progress: Progress = silent) -> ExtractView:
    """Make a new extract of a request that ran, on the current release, where a refresh is due.

    The manifest names both releases and both versions of each cohort. Raises `Refused`: `services.refresh_undeclared`,
    `services.refresh_not_yet`, `services.refresh_all_made`, `services.refresh_same_release`, and as
    `extracts.may_deliver`.
    """
    with acting(wb, actor, "extract.refresh", subject=ref):
        request = show_request(wb, actor, ref)
        state = may_deliver(wb, actor, request, "refresh")
        number = _number(wb, request)
        release = current_release(wb)
        _check_newer(wb, request, release)
        args = {"request": request.digest, "release": release.digest}
        with working(wb, actor, "extract.refresh", args, progress) as (job, report):
            renewed = _renewed(wb, actor, request, release, number, part(report, 0.0, 0.3))
            rest = part(report, 0.3, 1.0)
            extract_id = deliver(wb, actor, "extract.refresh", request, state, job, rest, renewed)
    return show_extract(wb, actor, extract_id)


def _number(wb: Workbench, request: RequestView) -> int:
    found = refreshes(wb, request)
    if found.due is not None:
        return found.due
    if not found.days:
        raise Refused("services.refresh_undeclared", study=request.study)
    if found.next is None:
        raise Refused("services.refresh_all_made", request=request.id, day=found.days[-1])
    raise Refused("services.refresh_not_yet", request=request.id, day=found.next)


def _check_newer(wb: Workbench, request: RequestView, release: Release) -> None:
    """Check that the current release is another than that of the last extract, whoever was erased from it since."""
    last = [document.body["release"] for document in made_for(wb, request)][-1]
    with wb.store.read() as connection:
        if release.digest in successors.formers(connection, successors.successor(connection, last)):
            raise Refused("services.refresh_same_release", release=release.id)


def _renewed(
    wb: Workbench, actor: Actor, request: RequestView, release: Release, number: int, report: Progress
) -> Renewed:
    """Generate the approved definitions on the current release."""
    approved = {each.name: each.digest for each in (request.cohort, *request.outcomes)}
    definitions = {name: Definition(_body(wb, digest)["definition"], name) for name, digest in approved.items()}
    made = {view.name: view.digest for view in cohorts.generate(wb, actor, definitions, report)}
    said: dict[str, Any] = {
        "number": number,
        "release": request.protocol["release"],
        "cohort": request.cohort.digest,
        "outcomes": [each.digest for each in request.outcomes],
    }
    if {_body(wb, digest)["release"] for digest in made.values()} != {release.digest}:
        raise Refused("store.changed_meanwhile", id=release.id)
    outcomes = {each.name: made[each.name] for each in request.outcomes}
    return Renewed(release, made[request.cohort.name], outcomes, said)


def _body(wb: Workbench, digest: str) -> Mapping[str, Any]:
    with wb.store.read() as connection:
        document = documents.find(connection, digest)
    assert document is not None
    return document.body
