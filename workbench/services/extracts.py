"""Extracts: run after approval, listed, opened in the workspace, expired or revoked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from workbench.engines.duckdb import DuckDBEngine
from workbench.extracts.build import build_extract
from workbench.extracts.read import read_tables
from workbench.extracts.select import last_date
from workbench.governance import lifecycle, policy, proofs
from workbench.governance.actors import Actor
from workbench.governance.proofs import Proof
from workbench.kernel.digest import digest_manifest, short
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, silent
from workbench.repository.releases import Release
from workbench.services import cohorts, ending, key_deeds, objections, requests, sensitive_cohorts, studies
from workbench.services.context import Workbench, acting, event, working
from workbench.services.expiry import expire, today
from workbench.services.releases import standing_release
from workbench.services.requests import RequestView
from workbench.store import documents, making, successors
from workbench.store.documents import Document, State
from workbench.store.jobs import Job
from workbench.store.store import Write


@dataclass(frozen=True)
class ExtractView:
    """An extract as people see it: its manifest (which holds no row), where it stands and until when it is open."""

    id: str
    digest: str
    study: str
    state: str
    manifest: dict[str, Any]
    made_by: str
    made_at: str
    expires_on: str | None


def run_extract(wb: Workbench, actor: Actor, ref: str, progress: Progress = silent) -> ExtractView:
    """Make the extract of an approved request.

    Raises `Refused` where the request is not approved, its approval is out of date, a cohort tells of a sensitive class
    (`governance.sensitive_cohort`), or the independent inspection finds anything (`extract.inspection`): then nothing
    is delivered and the log says why.
    """
    with acting(wb, actor, "extract.run", subject=ref):
        request = requests.show_request(wb, actor, ref)
        done = _already(wb, request)
        if done:
            return show_extract(wb, actor, done)
        state = may_deliver(wb, actor, request, "run")
        args = {"request": request.digest}
        with working(wb, actor, "extract.run", args, progress) as (job, report):
            extract_id = deliver(wb, actor, "extract.run", request, state, job, report)
    return show_extract(wb, actor, extract_id)


@dataclass(frozen=True)
class Renewed:
    """What a refresh takes in place of what was approved: the release, the target's digest, the outcomes' by name; and
    what the manifest says of it."""

    release: Release
    cohort: str
    outcomes: Mapping[str, str]
    said: Mapping[str, Any]


def deliver(
    wb: Workbench, actor: Actor, verb: str, request: RequestView, state: str, job: Job, report: Progress,
    renewed: Renewed | None = None,
) -> str:  # fmt: skip
    """Make and list the extract of a request that may be delivered, and leave the request in `state`; return its id.

    Raises as `run_extract`, and `store.changed_meanwhile` where anything it stands on changed while it was made.
    """
    key_deeds.go_on(wb)  # a renewal that died half-way, before new secrets are made
    facts = {"study": request.study, "subject": request.id}
    with making.making(wb.store, job, wb.settings.extracts, event(actor, verb, **facts)) as made:
        with wb.store.read() as connection:
            objected = objections.active(connection, request.study)
            renewals = key_deeds.renewals(connection, request.study)
        made.event.payload["objections"] = [each.id for each in objected]
        manifest = _build(wb, request, renewed, made, objected, report)
        extract_id = f"ext-{short(digest_manifest(manifest))}"
        with made.publish("extract", extract_id, manifest) as write:
            digest = write.event.after or ""
            job.result_digest = digest
            write.event.before = manifest["approval"]
            # Revoked, expired or decided anew while it was made: then nothing of it is delivered.
            seen = State("request", request.id, request.digest, request.study, request.state,
                         request.expires_on, request.changed_at)  # fmt: skip
            documents.check_unchanged(write, seen, "request", request.id)
            successors.check_stands(write, manifest["release"])
            objections.check_unchanged(write, request.study, objected)
            _check_study(write, request)
            if key_deeds.renewals(write.connection, request.study) != renewals:
                raise Refused("store.changed_meanwhile", id=request.study)
            expires = request.expires_on
            documents.set_state(write, State("extract", extract_id, digest, request.study, "open", expires, ""))
            documents.move_state(write, "request", request.id, state)
    return extract_id


def _check_study(write: Write, request: RequestView) -> None:
    state = documents.state(write.connection, "study", request.study)
    if state is None or state.state != "open" or state.digest != request.document["protocol"]:
        raise Refused("services.protocol_changed", study=request.study)


def _already(wb: Workbench, request: RequestView) -> str | None:
    if request.state != "run":
        return None
    made = [document.id for document in made_for(wb, request) if "refresh" not in document.body]
    return made[-1] if made else None


def made_for(wb: Workbench, request: RequestView) -> list[Document]:
    """Return the extracts that were made of a request, the first first."""
    with wb.store.read() as connection:
        return [each for _, each in documents.children(connection, request.digest) if each.kind == "extract"]


def may_deliver(wb: Workbench, actor: Actor, request: RequestView, step: str) -> str:
    """Check that an approved request may take a step (run, refresh) and return the state after it.

    Raises `Refused`: `services.study_not_open`, `services.protocol_changed`, `services.approval_expired`,
    `governance.wrong_state`.
    """
    study = studies.show_study(wb, actor, request.study)
    if study.state != "open":
        raise Refused("services.study_not_open", study=study.id, state=study.state)
    if study.digest != request.document["protocol"]:
        raise Refused("services.protocol_changed", study=study.id)
    state = lifecycle.check_transition("request", request.state, step, actor.role)
    if request.expires_on is None or date.fromisoformat(request.expires_on) < today(wb):
        raise Refused("services.approval_expired", request=request.id, expires_on=request.expires_on)
    return state


def _build(
    wb: Workbench, request: RequestView, renewed: Renewed | None, made: making.Making, objected: Sequence[Document],
    report: Progress,
) -> dict[str, Any]:  # fmt: skip
    release = renewed.release if renewed else standing_release(wb, request.protocol["release"])
    cohort = renewed.cohort if renewed else request.cohort.digest
    outcomes = renewed.outcomes if renewed else {each.name: each.digest for each in request.outcomes}
    assert request.approval is not None
    sensitive_cohorts.check_cohorts(wb, release, (cohort, *outcomes.values()), request.protocol)
    secrets = wb.keys.create_study_secrets(request.study)
    tables = dict(release.tables)
    rows = {name: (digest, cohorts.rows_of(wb, digest)) for name, digest in outcomes.items()}
    return build_extract(
        release_tables=tables,
        release_digest=release.digest,
        approved_release=request.protocol["release"],  # `release` stands for it, if persons were erased since
        cut_off=_cut_off(tables),
        cohort=objections.without(wb, objected, cohorts.rows_of(wb, cohort)),
        cohort_digest=cohort,
        outcomes={name: (digest, objections.without(wb, objected, each)) for name, (digest, each) in rows.items()},
        protocol=request.protocol,
        request=request.document,
        approval=request.approval.body,
        secrets=secrets,
        synthetic=bool(release.manifest["synthetic"]),
        refresh=renewed.said if renewed else None,
        into=made.folder,
        progress=report,
    )


def _cut_off(tables: Mapping[str, Path]) -> date:
    with DuckDBEngine.over_parquet(tables) as engine:
        return last_date(engine)


def list_extracts(wb: Workbench, actor: Actor) -> list[ExtractView]:
    """Return the extracts of the studies that the actor may know of, the latest change first."""
    with acting(wb, actor, "extract.read"):
        expire(wb)
        mine = {study.id for study in studies.list_studies(wb, actor)}
        with wb.store.read() as connection:
            states = [s for s in documents.states_of(connection, "extract") if s.study in mine]
            found = [(state, documents.find(connection, state.digest)) for state in states]
        return [_view(state, document) for state, document in found if document]


def show_extract(wb: Workbench, actor: Actor, ref: str) -> ExtractView:
    """Return one extract by id or digest; raises `store.no_document` where it is absent or not the actor's to see."""
    with acting(wb, actor, "extract.read", subject=ref):
        for view in list_extracts(wb, actor):
            if ref in (view.id, view.digest):
                return view
        raise Refused("store.no_document", ref=ref)


def _view(state: State, document: documents.Document) -> ExtractView:
    return ExtractView(
        id=state.id,
        digest=state.digest,
        study=document.body["study"],
        state=state.state,
        manifest=document.body,
        made_by=document.made_by,
        made_at=document.made_at,
        expires_on=state.expires_on,
    )


def open_tables(wb: Workbench, actor: Actor, ref: str) -> tuple[ExtractView, dict[str, pl.DataFrame], bytes]:
    """Open an extract in the study's workspace: its manifest, its tables, its data secret; the opening is logged.

    Persons who objected to the study since it was made are left out of the tables.

    Raises `Refused` (`services.extract_closed`) where it is expired or revoked.
    """
    with acting(wb, actor, "extract.open", subject=ref):
        view = show_extract(wb, actor, ref)
        with wb.store.read() as connection:
            objected = objections.active(connection, view.study)
        secret = opening(wb, actor, view, objected)
        tables = read_tables(wb.settings.extracts / view.id, secret)
        if objected:
            cohort = cohorts.rows_of(wb, view.manifest["cohort"])
            tables = objections.without_pseudonyms(wb, objected, view.study, cohort, tables)
        return view, tables, secret


def opening(wb: Workbench, actor: Actor, view: ExtractView, objected: Sequence[Document]) -> bytes:
    """Log that rows of an extract are opened, without the persons of the objections named, and return the study's data
    secret. Raises `Refused` (`services.extract_closed`) where it is expired or revoked."""
    policy.check_member(actor, studies.show_study(wb, actor, view.study).protocol)
    if view.state != "open":
        raise Refused("services.extract_closed", extract=view.id, state=view.state)
    secret = wb.keys.study_secret(view.study, "data")
    opened = event(actor, "extract.open", study=view.study, subject=view.id, before=view.digest)
    opened.payload["objections"] = [each.id for each in objected]
    with wb.store.write(opened):
        pass
    return secret


def revoke(wb: Workbench, actor: Actor, ref: str, reason: str, proof: Proof | None = None) -> ExtractView:
    """Close an extract and destroy the study's data secret: no file of the study's extracts can be read any more.

    The pseudonym secret stays until retention ends, so that an opposition still finds its persons. Copies already
    opened cannot be recalled. `proof` says how the officer authenticated for it, on this extract and all others of the
    study that close with it (`governance.proofs.authentication`, whose errors are raised).
    Raises `governance.reason_needed`, `store.no_document`, `store.changed_meanwhile`.
    """
    with acting(wb, actor, "extract.revoke", subject=ref):
        view = show_extract(wb, actor, ref)
        lifecycle.check_transition("request", "run", "revoke", actor.role, reason)
        with wb.store.read() as connection:
            seen = documents.state(connection, "extract", view.id)
            every = documents.states_of(connection, "extract")
        closes = sorted(each.digest for each in every if each.study == view.study and each.state == "open")
        decided = {"extract": view.digest, "study": view.study, "closes": closes, "reason": reason}
        proved = proofs.authentication(wb.settings.openid, actor, "extract.revoke", decided, proof)
        facts = {"study": view.study, "subject": view.id, "before": view.digest, "reason": reason, "payload": proved}
        with wb.store.write(event(actor, "extract.revoke", **facts)) as write:
            documents.check_unchanged(write, seen, "extract", view.id)
            documents.move_state(write, "extract", view.id, "revoked")  # its entry is that of the decision
            mine = [s for s in documents.states_of(write.connection, "extract") if s.study == view.study]
            others = [s for s in mine if s.id != view.id and s.state != "revoked"]
            ending.move_each(write, [*others, *ending.granted(write, view.study)], "revoke", "revoked", reason)
        key_deeds.carry_out(wb, event(actor, "extract.revoke"))
    return show_extract(wb, actor, ref)
