"""Requests for extracts: filed, checked, and decided by another person on the digest of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

from workbench.governance import audit, lifecycle, proofs, protocols
from workbench.governance.actors import Actor
from workbench.governance.proofs import Proof
from workbench.governance.protocols import Columns
from workbench.governance.votes import read_votes
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.schemas import validate
from workbench.services import concept_limits, people, sensitive_cohorts, studies, study_numbers
from workbench.services.cohorts import CohortRef
from workbench.services.context import Workbench, acting, event
from workbench.services.expiry import expire, today
from workbench.services.releases import standing_release
from workbench.services.studies import StudyView
from workbench.store import documents, successors
from workbench.store.documents import Document, State

FORMAT = "workbench/request/1"
APPROVAL_FORMAT = "workbench/approval/1"
Decision = Literal["approved", "refused", "sent_back"]
TRANSITION: Mapping[Decision, str] = {"approved": "approve", "refused": "refuse", "sent_back": "send_back"}


@dataclass(frozen=True)
class RequestView:
    """A request as people see it: what is asked, what the protocol approves, what would be delivered, and where it is.

    `approval` is the decision document once there is one; `expires_on` the day after which an extract is closed.
    """

    id: str
    digest: str
    study: str
    state: str
    document: dict[str, Any]
    protocol: dict[str, Any]
    columns: dict[str, Columns]
    cohort: CohortRef
    outcomes: tuple[CohortRef, ...]
    requester: str
    made_at: str
    approval: Document | None
    expires_on: str | None
    changed_at: str


def file_request(wb: Workbench, actor: Actor, study: str, asked: Mapping[str, Any]) -> RequestView:
    """File a request for an extract of a study and run the automatic checks at once.

    `asked` names `cohort` and `outcomes` (ids, digests or names), `tables`, `period`, `why_not_aggregate`, and may
    name `concepts`, `outcome_period`, `dates` and `index_year`. Raises `Refused` or `InvalidInput` where a check fails;
    then nothing is kept.
    """
    with acting(wb, actor, "request.create", study=study):
        _check_kinds(asked)
        view = studies.show_study(wb, actor, study)
        if view.state != "open":
            raise Refused("services.study_not_open", study=study, state=view.state)
        document = _document(wb, actor, view, asked)
        versions = [_version(wb, document["cohort"], view), *(_version(wb, o, view) for o in document["outcomes"])]
        protocols.check_request(document, view.protocol, [version.body["name"] for version in versions])
        concept_limits.check_known(wb, view.protocol["release"], document)
        release = standing_release(wb, view.protocol["release"])
        sensitive_cohorts.check_cohorts(wb, release, [version.digest for version in versions], view.protocol)
        request_id = f"req-{short(digest_document(document))}"
        with wb.store.read() as connection:
            known = documents.state(connection, "request", request_id)
        if known is None:
            _file(wb, actor, request_id, document)
    return show_request(wb, actor, request_id)


def _check_kinds(asked: Mapping[str, Any]) -> None:
    """Check what is read before the request's schema can be: the names of the cohorts."""
    outcomes: Any = asked.get("outcomes", [])
    if not isinstance(asked.get("cohort", ""), str) or not isinstance(outcomes, list):
        raise InvalidInput("services.request_cohorts")
    if not all(isinstance(outcome, str) for outcome in cast("list[object]", outcomes)):
        raise InvalidInput("services.request_cohorts")


def _document(wb: Workbench, actor: Actor, study: StudyView, asked: Mapping[str, Any]) -> dict[str, Any]:
    allowed = {"cohort", "outcomes", "tables", "concepts", "period", "outcome_period", "dates", "index_year",
               "why_not_aggregate"}  # fmt: skip
    unknown = sorted(set(asked) - allowed)
    if unknown or "cohort" not in asked:
        raise InvalidInput(
            "services.request_members", unknown=", ".join(unknown) or "-", known=", ".join(sorted(allowed))
        )
    return {
        "format": FORMAT,
        "study": study.id,
        "protocol": study.digest,
        **{name: asked[name] for name in allowed - {"cohort", "outcomes"} if name in asked},
        "cohort": _version(wb, asked["cohort"], study).digest,
        "outcomes": [_version(wb, outcome, study).digest for outcome in asked.get("outcomes", [])],
        "requester": actor.name,
    }


def _version(wb: Workbench, ref: str, study: StudyView) -> Document:
    """Return the cohort version meant by an id, a digest or a name, on the study's own release.

    A name that stands for different definitions means none of them: raises `services.cohort_ambiguous`.
    """
    with wb.store.read() as connection:
        versions = documents.every(connection, "cohort_version")
        now = successors.successor(connection, study.protocol["release"])
        same = successors.formers(connection, now)
    here = [version for version in versions if version.body["release"] in same]
    meant = [v for v in here if ref in (v.id, v.digest)] or [v for v in here if ref == v.body["name"]]
    if not meant:
        raise InvalidInput("services.no_cohort_version", ref=ref)
    if len({version.body["definition_digest"] for version in meant}) > 1:
        raise InvalidInput("services.cohort_ambiguous", ref=ref, ids=", ".join(version.id for version in meant))
    return meant[-1]


def _file(wb: Workbench, actor: Actor, request_id: str, document: dict[str, Any]) -> None:
    study = document["study"]
    checked = lifecycle.check_transition("request", "filed", "pass_checks", "workbench")
    facts = {"study": study, "subject": request_id, "before": document["cohort"]}
    with wb.store.write(event(actor, "request.create", **facts)) as write:
        digest = documents.put(write, "request", request_id, document, study=study)
        write.event.after = digest
        documents.set_state(write, State("request", request_id, digest, study, checked, None, ""))


def decide(
    wb: Workbench, actor: Actor, ref: str, decision: Decision, *, protocol_digest: str, reason: str,
    conditions: Sequence[str] = (), votes: Sequence[str] = (), proof: Proof | None = None,
) -> RequestView:  # fmt: skip
    """Decide on a request as somebody other than its author, on exactly the protocol that was read.

    The actor names the protocol's digest again, at the moment of deciding; the log keeps when, and by `proof` how the
    actor authenticated for it (`governance.proofs.authentication`, whose errors are raised too). `votes` are those of
    committees (`governance.votes.read_vote`), `conditions` what the decision asks for; both stand in the approval.
    Raises `Refused`: what `people.check_independent` raises, `governance.wrong_state`, `governance.reason_needed`,
    `services.protocol_changed`, `services.study_not_open`; `InvalidInput`: `governance.vote_form`,
    `governance.vote_later`.
    """
    with acting(wb, actor, "request.decide", subject=ref):
        view = show_request(wb, actor, ref)
        people.check_independent(wb, actor, view.requester, view.protocol)
        current = studies.show_study(wb, actor, view.study)
        if protocol_digest != view.document["protocol"] or current.digest != protocol_digest:
            raise Refused("services.protocol_changed", study=view.study)
        if current.state != "open":
            raise Refused("services.study_not_open", study=view.study, state=current.state)
        state = lifecycle.check_transition("request", view.state, TRANSITION[decision], actor.role, reason)
        document: dict[str, Any] = {
            "format": APPROVAL_FORMAT,
            "request": view.digest,
            "protocol": protocol_digest,
            "reviewer": actor.name,
            "decision": decision,
            "reason": reason,
            "conditions": list(conditions),
        }
        if votes:
            document["votes"] = read_votes(votes)
            _check_past(wb, document["votes"])
        validate(document, "approval")
        proved = proofs.authentication(wb.settings.openid, actor, "request.decide", document, proof)
        _decide(wb, actor, view, document, state, _last_day(wb, view) if decision == "approved" else None, proved)
    return show_request(wb, actor, ref)


def _check_past(wb: Workbench, votes: Sequence[Mapping[str, str]]) -> None:
    """No committee has voted on a day that is still to come. Raises `InvalidInput` (`governance.vote_later`)."""
    for vote in votes:
        if vote["day"] > today(wb).isoformat():
            raise InvalidInput("governance.vote_later", committee=vote["committee"], day=vote["day"])


def _last_day(wb: Workbench, view: RequestView) -> str:
    """Return the last day of an approval: the protocol's `duration_days` from now, and never after its study's."""
    day = (today(wb) + timedelta(days=view.protocol["duration_days"])).isoformat()
    return min(day, view.protocol.get("ends_on", day))


def withdraw(wb: Workbench, actor: Actor, ref: str, reason: str = "") -> RequestView:
    """Take a request back that waits for a decision, as a researcher of its study.

    Raises `governance.wrong_state` once it is decided, `store.no_document`.
    """
    with acting(wb, actor, "request.withdraw", subject=ref):
        view = show_request(wb, actor, ref)
        to = lifecycle.check_transition("request", view.state, "withdraw", actor.role, reason)
        facts = {"study": view.study, "subject": view.id, "before": view.digest, "reason": reason or None}
        seen = State("request", view.id, view.digest, view.study, view.state, view.expires_on, view.changed_at)
        with wb.store.write(event(actor, "request.withdraw", **facts)) as write:
            documents.check_unchanged(write, seen, "request", view.id)
            documents.move_state(write, "request", view.id, to)
    return show_request(wb, actor, ref)


def revoke_approval(wb: Workbench, actor: Actor, ref: str, reason: str, proof: Proof | None = None) -> RequestView:
    """Take an approval back of which nothing was made yet; no key is destroyed, and the study goes on.

    `proof` says how the officer authenticated for it (`governance.proofs.authentication`, whose errors are raised).
    Raises `services.revoke_the_extract` where an extract was made of it, `governance.wrong_state`,
    `governance.reason_needed`, `store.no_document`.
    """
    with acting(wb, actor, "extract.revoke", subject=ref):
        view = show_request(wb, actor, ref)
        if view.state == "run":
            raise Refused("services.revoke_the_extract", request=view.id)
        to = lifecycle.check_transition("request", view.state, "revoke", actor.role, reason)
        approval = view.approval.digest if view.approval else None
        decided = {"request": view.digest, "approval": approval, "reason": reason}
        proved = proofs.authentication(wb.settings.openid, actor, "request.revoke", decided, proof)
        facts = {"study": view.study, "subject": view.id, "before": approval, "reason": reason, "payload": proved}
        seen = State("request", view.id, view.digest, view.study, view.state, view.expires_on, view.changed_at)
        with wb.store.write(event(actor, "request.revoke", **facts)) as write:
            documents.check_unchanged(write, seen, "request", view.id)
            documents.move_state(write, "request", view.id, to)
    return show_request(wb, actor, ref)


def _decide(
    wb: Workbench, actor: Actor, view: RequestView, document: dict[str, Any], state: str, expires_on: str | None,
    proved: dict[str, Any],
) -> None:  # fmt: skip
    seen = State("request", view.id, view.digest, view.study, view.state, view.expires_on, view.changed_at)
    facts: dict[str, Any] = {
        "study": view.study,
        "subject": view.id,
        "before": view.digest,
        "reason": document["reason"],
        "payload": {"decision": document["decision"], **proved, "expires_on": expires_on},
    }
    with wb.store.write(event(actor, "request.decide", **facts)) as write:
        documents.check_unchanged(write, seen, "request", view.id)
        approval_id = f"app-{short(digest_document(document))}"
        write.event.after = documents.put(write, "approval", approval_id, document, study=view.study)
        documents.set_state(write, State("request", view.id, view.digest, view.study, state, expires_on, ""))


def list_requests(wb: Workbench, actor: Actor) -> list[RequestView]:
    """Return the requests of the studies that the actor may know of, the latest change first."""
    with acting(wb, actor, "request.read"):
        expire(wb)
        mine = {study.id for study in studies.list_studies(wb, actor)}
        with wb.store.read() as connection:
            states = [s for s in documents.states_of(connection, "request") if s.study in mine]
        return [_view(wb, state) for state in states]


def show_request(wb: Workbench, actor: Actor, ref: str) -> RequestView:
    """Return one request by id or digest; raises `store.no_document` where it is absent or not the actor's to see."""
    for view in list_requests(wb, actor):
        if ref in (view.id, view.digest):
            return view
    raise Refused("store.no_document", ref=ref)


def proved(wb: Workbench, view: RequestView) -> dict[str, Any]:
    """Return what the log keeps of the decision on a request (`governance.proofs.told`); nothing where none is."""
    if view.approval is None:
        return {}
    with wb.store.read() as connection:
        kept = audit.payloads_of(connection, ("request.decide",), view.approval.digest)
    return kept[-1] if kept else {}


def _view(wb: Workbench, state: State) -> RequestView:
    with wb.store.read() as connection:
        document = _found(documents.find(connection, state.digest))
        named = dict(documents.parents(connection, document.digest))
        answers = [child for _, child in documents.children(connection, document.digest) if child.kind == "approval"]
    body, protocol = document.body, named["protocol"].body
    return RequestView(
        id=document.id,
        digest=document.digest,
        study=body["study"],
        state=state.state,
        document=body,
        protocol=protocol,
        columns=protocols.delivered_columns(body["tables"], protocol["tables"]),
        cohort=study_numbers.reference(wb, body["study"], named["cohort"]),
        outcomes=tuple(
            study_numbers.reference(wb, body["study"], named[f"outcomes.{place}"])
            for place in range(len(body["outcomes"]))
        ),
        requester=body["requester"],
        made_at=document.made_at,
        approval=answers[-1] if answers else None,
        expires_on=state.expires_on,
        changed_at=state.changed_at,
    )


def _found(document: Document | None) -> Document:
    assert document is not None
    return document
