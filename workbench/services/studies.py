"""Studies: from a draft protocol (a feasibility space) to an open study, each version of the protocol by digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from workbench.governance import lifecycle, policy, proofs, protocols, refresh_days
from workbench.governance.actors import Actor
from workbench.governance.proofs import Proof
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Refused
from workbench.repository import releases
from workbench.services import amendments, concept_limits, ending, people
from workbench.services.amendments import AMENDMENT, Proposal
from workbench.services.context import Workbench, acting, event
from workbench.services.expiry import expire
from workbench.services.releases import current_release
from workbench.store import chain, documents, successors
from workbench.store.documents import Document, State

ID = re.compile(r"^(rel|not|coh|req|app|ext|des|fea|med|mod)-")
"""What ids look like: a study must not be taken for one."""

CURRENT = "current"
"""In a protocol file, the word for the current release; the stored protocol names its digest."""


@dataclass(frozen=True)
class StudyView:
    """A study as people see it; `protocol` is the document that is valid now and `digest` names it.

    `ends_on` is the last day of an open study, where its protocol names one; `kept_until` the last day on which what is
    needed to find persons again is kept of one that ended. `proposed` is a change of an open study's protocol that
    waits for an officer.
    """

    id: str
    digest: str
    title: str
    state: str
    protocol: dict[str, Any]
    owner: str
    made_at: str
    ends_on: str | None = None
    kept_until: str | None = None
    proposed: Proposal | None = None


def create_study(wb: Workbench, actor: Actor, protocol: Mapping[str, Any]) -> StudyView:
    """Keep a draft protocol. The same study again with another text is a new version and closes nothing open.

    Raises `InvalidInput` where the protocol's form, legal basis or columns do not pass, and `services.not_a_member`
    where its author is not among its members; `services.study_exists` where it is open already.
    """
    with acting(wb, actor, "study.create", study=str(protocol.get("study"))):
        document = _whole(wb, actor, protocol)
        study, digest = document["study"], digest_document(document)
        with wb.store.read() as connection:
            now = documents.state(connection, "study", study)
        if now and now.digest == digest:
            return show_study(wb, actor, study)
        _check_replaceable(wb, actor, study, now)
        with wb.store.write(event(actor, "study.create", study=study, subject=study)) as write:
            documents.check_unchanged(write, now, "study", study)
            write.event.before = now.digest if now else document["release"]
            write.event.after = documents.put(write, "protocol", study, document, study=study)
            documents.set_state(write, State("study", study, digest, study, "draft", None, ""))
    return show_study(wb, actor, study)


def _whole(wb: Workbench, actor: Actor, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Check a protocol as its author gives it; return it with the release that it calls the current one, and the days
    of its interval, written out."""
    document = {**protocol}
    if document.get("release") == CURRENT:
        document["release"] = current_release(wb).digest
    document = refresh_days.written_out(document)
    protocols.check_protocol(document)
    _check_release(wb, document["release"])
    concept_limits.check_known(wb, document["release"], document)
    if not policy.is_member(actor, document):
        raise Refused("services.not_a_member", user=actor.name)
    return document


def amend_study(wb: Workbench, actor: Actor, protocol: Mapping[str, Any]) -> StudyView:
    """Propose another text of an open study's protocol, as one of its researchers; the former one stays valid until an
    officer opens the study on the new digest (`open_study`), which voids what was approved.

    Raises as `create_study`, and `services.study_not_open`, `services.same_protocol`, `store.no_document`.
    """
    study = str(protocol.get("study"))
    with acting(wb, actor, "study.amend", study=study):
        seen = _state(wb, actor, study)
        if seen.state != "open":
            raise Refused("services.study_not_open", study=study, state=seen.state)
        document = _whole(wb, actor, protocol)
        if digest_document(document) == seen.digest:
            raise Refused("services.same_protocol", study=study)
        amendments.propose(wb, actor, seen, document)
    return show_study(wb, actor, study)


def _check_replaceable(wb: Workbench, actor: Actor, study: str, now: State | None) -> None:
    """Check that a draft is the actor's own to replace, and that a new name cannot be taken for an id."""
    if ID.match(study):
        raise InvalidInput("services.study_name", study=study)
    if now is None:
        return
    if now.state != "draft":
        raise Refused("services.study_exists", study=study, state=now.state)
    with wb.store.read() as connection:
        draft = documents.find(connection, now.digest)
    if draft and not policy.is_member(actor, draft.body):
        raise Refused("services.study_exists", study=study, state=now.state)


def _check_release(wb: Workbench, digest: str) -> None:
    known = {release.digest for release in releases.list_releases(wb.settings.releases)}
    with wb.store.read() as connection:
        now = successors.successor(connection, digest)
    if now not in known:
        raise InvalidInput("services.unknown_release", release=digest[:12])


def open_study(
    wb: Workbench, actor: Actor, study: str, *, protocol_digest: str, reason: str, proof: Proof | None = None
) -> StudyView:
    """Open a draft study: the officer accepts exactly the protocol that was read, named by its digest.

    On an open study whose researchers propose another protocol, that one is accepted by its digest: every approval and
    waiting request under the former one is voided, and open extracts close (`workbench.services.amendments`).
    `proof` says how the officer authenticated for it (`governance.proofs.authentication`, whose errors are raised).
    """
    with acting(wb, actor, "study.open", study=study):
        view = show_study(wb, actor, study)
        change = view.proposed if view.proposed and view.proposed.digest == protocol_digest else None
        if protocol_digest != view.digest and change is None:
            raise Refused("services.protocol_changed", study=study)
        people.check_independent(
            wb, actor, change.proposed_by if change else view.owner, change.protocol if change else view.protocol
        )
        if change:
            state = lifecycle.check_transition(AMENDMENT, "proposed", "accept", actor.role, reason)
        else:
            state = lifecycle.check_transition("study", view.state, "open", actor.role, reason)
        with wb.store.read() as connection:
            seen = documents.state(connection, "study", study)
        if seen is None or seen.digest != view.digest or seen.state != view.state:
            raise Refused("services.protocol_changed", study=study)
        decided = {"study": study, "protocol": protocol_digest, "reason": reason}
        proved = proofs.authentication(wb.settings.openid, actor, "study.open", decided, proof)
        facts: dict[str, Any] = {"study": study, "subject": study, "reason": reason, "payload": proved}
        if change:
            amendments.accept(wb, event(actor, "study.accept", **facts), seen, change, state)
            return show_study(wb, actor, study)
        with wb.store.write(event(actor, "study.open", **facts)) as write:
            documents.check_unchanged(write, seen, "study", study)
            write.event.before = write.event.after = view.digest
            ends_on = view.protocol.get("ends_on")
            documents.set_state(write, State("study", study, view.digest, study, state, ends_on, ""))
    return show_study(wb, actor, study)


def close_study(wb: Workbench, actor: Actor, study: str, reason: str) -> StudyView:
    """Close an open study: its extracts and approvals end with it, as on their last day. Its keys stay, so that an
    opposition still finds its persons, until the protocol's `retention_days` after today are over.

    Raises `governance.wrong_state`, `governance.reason_needed`, `store.no_document`.
    """
    with acting(wb, actor, "study.close", study=study):
        seen = _state(wb, actor, study)
        to = lifecycle.check_transition("study", seen.state, "close", actor.role, reason)
        facts = {"study": study, "subject": study, "before": seen.digest, "reason": reason}
        with wb.store.write(event(actor, "study.close", **facts)) as write:
            documents.check_unchanged(write, seen, "study", study)
            until = ending.kept_until(write.connection, seen.digest, chain.today(write.connection))
            write.event.payload = {"closed": ending.end_belongings(write, study, "study.close"), "kept_until": until}
            documents.set_state(write, State("study", study, seen.digest, study, to, until, ""))
    return show_study(wb, actor, study)


def abandon_study(wb: Workbench, actor: Actor, study: str, reason: str) -> StudyView:
    """Give a draft up, as one of its researchers; nothing was made of it, so nothing is kept but the protocol. Of an
    open study, the change of its protocol that waits.

    Raises `governance.wrong_state`, `governance.reason_needed`, `store.no_document`.
    """
    with acting(wb, actor, "study.abandon", study=study):
        seen = _state(wb, actor, study)
        with wb.store.read() as connection:
            change = documents.state(connection, AMENDMENT, study)
        if change is not None and seen.state == "open" and change.state == "proposed":
            amendments.withdraw(wb, actor, change, reason)
            return show_study(wb, actor, study)
        to = lifecycle.check_transition("study", seen.state, "abandon", actor.role, reason)
        facts = {"study": study, "subject": study, "before": seen.digest, "reason": reason}
        with wb.store.write(event(actor, "study.abandon", **facts)) as write:
            documents.check_unchanged(write, seen, "study", study)
            documents.move_state(write, "study", study, to)
    return show_study(wb, actor, study)


def _state(wb: Workbench, actor: Actor, study: str) -> State:
    """Return where a study stands that the actor may know of; raises `store.no_document`."""
    show_study(wb, actor, study)
    with wb.store.read() as connection:
        state = documents.state(connection, "study", study)
    assert state is not None
    return state


def list_studies(wb: Workbench, actor: Actor) -> list[StudyView]:
    """Return the studies that the actor may know of, the latest change first."""
    with acting(wb, actor, "study.read"):
        expire(wb)
        with wb.store.read() as connection:
            found = [
                (state, documents.find(connection, state.digest)) for state in documents.states_of(connection, "study")
            ]
            return [
                _view(connection, state, doc) for state, doc in found if doc and policy.can_see_study(actor, doc.body)
            ]


def show_study(wb: Workbench, actor: Actor, study: str) -> StudyView:
    """Return one study; raises `store.no_document` where it is absent or not the actor's to see."""
    for view in list_studies(wb, actor):
        if view.id == study:
            return view
    raise Refused("store.no_document", ref=study)


def _view(connection: Connection, state: State, document: Document) -> StudyView:
    return StudyView(
        id=state.id,
        digest=state.digest,
        title=document.body["title"],
        state=state.state,
        protocol=document.body,
        owner=document.made_by,
        made_at=document.made_at,
        ends_on=state.expires_on if state.state == "open" else None,
        kept_until=state.expires_on if state.state in {"closed", "expired"} else None,
        proposed=amendments.proposal(connection, state.id, document.body) if state.state == "open" else None,
    )
