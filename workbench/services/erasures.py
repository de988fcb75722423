"""Oppositions to being in the warehouse: persons erased from every stored release, cache and index.

An order is kept first, pending. Each release that holds one of its persons is made anew without them; the new one takes
its place in one transaction, with a tombstone that names both digests; then the old one's files go. A process that dies
in between leaves the order pending, and the next start goes on (docs/decisions/0015-erasures.md). Extracts and models
that were made before are listed, not changed: whoever is responsible decides on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from workbench.engines.content import content_digest
from workbench.governance.actors import Actor
from workbench.governance.oppositions import mark
from workbench.intake import erased
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import InvalidInput, Stopped, Unavailable, UserError
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate
from workbench.repository import releases
from workbench.repository.releases import Release
from workbench.services import cohorts, holding, numbers, quality
from workbench.services.context import Workbench, acting, alone, event
from workbench.services.erased_releases import (
    ERASED,
    LARGEST,
    OPPOSITION,
    Made,
    made_of,
    objecting,
    pending,
    sweep,
)
from workbench.services.expiry import SYSTEM
from workbench.store import documents, files, jobs, making, successors
from workbench.store.chain import Event
from workbench.store.documents import Document, State


@dataclass(frozen=True)
class OrderView:
    """An order as people see it: `persons` counts them; `state` is pending or done. `releases` pairs the id of each
    release that held one of them with the id of the one that stands for it."""

    id: str
    digest: str
    state: str
    persons: int
    made_by: str
    made_at: str
    releases: tuple[tuple[str, str], ...]
    concerned: tuple[Made, ...]


def add(wb: Workbench, actor: Actor, persons: Iterable[int], progress: Progress = silent) -> OrderView:
    """Keep an order to erase persons, by their `person_id`, and carry it out; the same persons twice are one order.

    Their ids are kept as keyed digests only: no later load brings them back. Raises `erasure.nobody` without any,
    `store.loading` where another process loads; `erasure.being_read` where somebody reads an erased release for longer
    than `holding.PATIENCE`, and what `intake.erased.erase` raises: then the order stays pending.
    """
    with acting(wb, actor, "optout.add"), alone(wb):
        order = _keep(wb, actor, set(persons))
        _carry_out(wb, actor.name, event(actor, ERASED), holding.PATIENCE, progress)
    return next(view for view in list_orders(wb, actor) if view.id == order)


def order(wb: Workbench, actor: Actor, persons: Iterable[int]) -> str:
    """Keep an order as `add` does, and leave carrying it out to `carry_out` or the next opening; return its id.

    For the app, which starts no long work itself and gives no worker the id of a person. Raises as `add`.
    """
    with acting(wb, actor, "optout.add"), alone(wb):
        return _keep(wb, actor, set(persons))


def carry_out(wb: Workbench, actor: Actor, progress: Progress = silent) -> None:
    """Carry out every order that is pending; raises as `add`."""
    with acting(wb, actor, "optout.add"), alone(wb):
        _carry_out(wb, actor.name, event(actor, ERASED), holding.PATIENCE, progress)


def _keep(wb: Workbench, actor: Actor, persons: set[int]) -> str:
    if not persons or any(not -LARGEST <= person <= LARGEST for person in persons):
        raise InvalidInput("erasure.nobody")
    key = wb.keys.opposition_key()
    marks = sorted(mark(key, person) for person in persons)
    body: dict[str, Any] = {"format": "workbench/opposition/1", "scope": "warehouse", "persons": marks}
    validate(body, "opposition")
    order = f"opp-{short(digest_document(body))}"
    facts = {"subject": order, "outcome": "intent", "payload": {"persons": len(marks)}}
    with wb.store.write(event(actor, "optout.add", **facts)) as write:
        write.event.after = documents.put(write, OPPOSITION, order, body)
        if documents.state(write.connection, OPPOSITION, order) is None:
            documents.set_state(write, State(OPPOSITION, order, write.event.after, None, "pending", None, ""))
    return order


def go_on(wb: Workbench) -> None:
    """Carry out what a process that died left pending; nothing where another process is at it, or where it cannot be
    done now (a damaged release, a full disk, one that is still read): then the doctor says so."""
    held = jobs.try_lock(wb.settings.home / "load.lock")
    if held is None:
        return
    with held, suppress(UserError):
        _carry_out(wb, SYSTEM, Event(SYSTEM, SYSTEM, ERASED), 0.0, silent)
        wb.seal()


def _carry_out(wb: Workbench, actor: str, begun: Event, patience: float, progress: Progress) -> None:
    """Make every release anew that holds somebody of a pending order, wait for who reads the old ones, remove these,
    and note the orders done."""
    orders = pending(wb)
    if not orders:
        return
    with wb.store.read() as connection:
        gone = {state.id for state in successors.erased(connection)}
        known = [each for each in documents.every(connection, "release") if each.digest not in gone]
    digests = [order.digest for order in orders]
    job_id = jobs.queue(wb.store, actor, "optout.add", {"orders": digests})
    with jobs.running(wb.store, wb.settings.jobs, job_id) as job:
        for done, document in enumerate(reversed(known)):  # the newest first: it is the one in use
            report = part(progress, 0.9 * done / len(known), 0.9 * (done + 1) / len(known))
            with holding.reading():  # it reads the old release, whose files are to go
                _erase(wb, job, begun, digests, document, report)
            sweep(wb)
        progress(0.9, "")
        left = sweep(wb, patience, part(progress, 0.9, 1.0))
        if left:
            raise Unavailable("erasure.being_read", releases=", ".join(left), seconds=f"{patience:.0f}")
    for order in orders:
        closing = Event(begun.actor, begun.role, "optout.add", subject=order.id, before=order.digest)
        with wb.store.write(closing) as write:
            documents.move_state(write, OPPOSITION, order.id, "done")


def _erase(
    wb: Workbench, job: jobs.Job, begun: Event, orders: list[str], document: Document, progress: Progress
) -> None:
    """Put a release without the persons who object in the place of one that holds some of them."""
    folder = wb.settings.releases / document.id
    if not folder.is_dir():
        return
    release = releases.open_release(folder)
    register = objecting(wb)
    if register is None or not erased.concerns(release, register):
        return
    root = wb.settings.releases
    begun = Event(begun.actor, begun.role, ERASED, subject=document.id, before=document.digest)
    with making.making(wb.store, job, root, begun) as made:
        result = erased.erase(release, made.folder, register, part(progress, 0.0, 0.5))
        assert result is not None
        after = releases.release_id(result.manifest)
        checked = _checked(wb, Release(after, result.manifest, made.folder), part(progress, 0.5, 1.0))
        tombstone: dict[str, Any] = {
            "format": "workbench/erasure/1",
            "orders": orders,
            "before": document.digest,
            "after": documents.identity("release", result.manifest),
            "persons": len(result.persons),
            "cohorts": _cohorts(wb, document, after, result),
        }
        validate(tombstone, "erasure")
        made.event.payload["manifest_sha256"] = files.sha256_file(made.folder / releases.MANIFEST)
        made.event.payload["tombstone"] = digest_document(tombstone)
        numbers.forget(wb, document.digest, result.persons)
        with made.publish("release", after, result.manifest) as write:
            documents.put(write, "erasure", f"era-{short(digest_document(tombstone))}", tombstone)
            successors.replace(write, document.digest, tombstone["after"])
            if checked is not None:
                quality.keep(write, checked)
            now = documents.state(write.connection, "release", "current")
            if now is not None and now.digest == document.digest:
                documents.set_state(write, State("release", "current", tombstone["after"], None, "current", None, ""))
    if releases.pointer(root) == document.id:
        releases.set_current(root, after)


def _checked(wb: Workbench, release: Release, progress: Progress) -> dict[str, Any] | None:
    """Return the quality document of a release without somebody, as a load would make it. Whatever stands in the way of
    the checks must not keep persons in the warehouse: then there is none, and the release says that it was not checked.
    """
    try:
        return quality.assessed(wb, release, progress)
    except Stopped:
        raise
    # Everything, on purpose: an order that cannot be carried out leaves a patient in the warehouse, a release without a
    # quality document leaves nobody anywhere. It is not silent: `releases show` and the page say that it lacks one, and
    # a steward's `releases check` raises what stood in the way.
    except Exception:
        return None


def _cohorts(wb: Workbench, release: Document, after: str, result: erased.Erased) -> list[dict[str, Any]]:
    """Keep the rows of every cohort version on a release without these persons; return what changed, by digests.

    Rows that can be had no more (null) are not there to erase; the version then has none until it is generated anew.
    """
    changed: list[dict[str, Any]] = []
    for version in _versions(wb, release.digest):
        before = cohorts.standing_rows(wb, version)
        try:
            rows = cohorts.rows_of(wb, version.digest)
        except UserError:
            changed.append({"cohort": version.digest, "rows_before": before, "rows_after": None})
            continue
        theirs = pc.is_in(rows["subject_id"], value_set=pa.array(result.persons, pa.int64()))
        kept = rows.filter(pc.invert(theirs))
        cohorts.write_rows(cohorts.place_of_rows(wb, after, version.id), kept)
        if kept.num_rows != rows.num_rows:
            digests = {"rows_before": before, "rows_after": content_digest(kept)}
            changed.append({"cohort": version.digest, **digests})
    return changed


def _versions(wb: Workbench, release: str) -> list[Document]:
    with wb.store.read() as connection:
        same = successors.formers(connection, release)
        return [each for each in documents.every(connection, "cohort_version") if each.body["release"] in same]


def list_orders(wb: Workbench, actor: Actor) -> list[OrderView]:
    """Return every order, the newest first, each with the releases and with what was made before that is concerned."""
    with acting(wb, actor, "optout.read"), wb.store.read() as connection:
        states = {state.digest: state.state for state in documents.states_of(connection, OPPOSITION)}
        tombstones = documents.every(connection, "erasure")
        orders = documents.every(connection, OPPOSITION)
        return [_view(connection, order, states[order.digest], tombstones) for order in reversed(orders)]


def _view(connection: Connection, order: Document, state: str, tombstones: list[Document]) -> OrderView:
    mine = [each for each in tombstones if order.digest in each.body["orders"]]
    return OrderView(
        id=order.id,
        digest=order.digest,
        state=state,
        persons=len(order.body["persons"]),
        made_by=order.made_by,
        made_at=order.made_at,
        releases=tuple(_pair(connection, each) for each in mine),
        concerned=tuple(dict.fromkeys(made for each in mine for made in _concerned(connection, each))),
    )


def _pair(connection: Connection, tombstone: Document) -> tuple[str, str]:
    found = [documents.find(connection, tombstone.body[name]) for name in ("before", "after")]
    before, after = (each.id if each else "" for each in found)
    return before, after


def _concerned(connection: Connection, tombstone: Document) -> Iterator[Made]:
    """Yield extracts of cohorts that held one of these persons, made while they did, and what was made of those."""
    then = successors.formers(connection, tombstone.body["before"])
    for entry in tombstone.body["cohorts"]:
        for _, extract in documents.children(connection, entry["cohort"]):
            if extract.kind == "extract" and extract.body["release"] in then:
                yield Made(extract.kind, extract.id, extract.study)
                yield from made_of(connection, extract)
