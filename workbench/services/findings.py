"""Significant findings: a governed way back to the treating clinician, on which the researcher never learns who it is.

Who works on an extract reports a pseudonym and what was found → the ethics officer accepts it or not, without knowing
who it is → a data steward, who works on no study, delivers a letter that names the person to the clinician. Pseudonym
and text are kept sealed with the study's pseudonym secret, so that a revocation does not cut the way back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from workbench.governance import lifecycle, policy
from workbench.governance.actors import Actor
from workbench.governance.pseudonyms import pseudonymize
from workbench.governance.sealed import seal_bytes, unseal_bytes
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.schemas import validate
from workbench.services import cohorts, extracts, people, studies
from workbench.services.context import Workbench, acting, event
from workbench.store import documents
from workbench.store.documents import Document, State

FINDING: Final = "finding"
FORMAT: Final = "workbench/finding/1"
LONGEST: Final = 5000
"""Letters of a text."""

Decision = Literal["accept", "refuse"]


@dataclass(frozen=True)
class FindingView:
    """A finding as people see it: where it stands, never the person nor what was found."""

    id: str
    digest: str
    study: str
    extract: str
    state: str
    reporter: str
    made_at: str


@dataclass(frozen=True)
class Letter:
    """What the treating clinician gets: the person's `person_id` in the hospital's data and what was found."""

    finding: str
    person: int
    study: str
    text: str


def report(wb: Workbench, actor: Actor, extract_ref: str, person: int, text: str) -> FindingView:
    """Report what was found about a person of an open extract, by pseudonym, for the clinician who treats them.

    Raises `InvalidInput`: `finding.text` for a text that is empty or too long, `finding.nobody` where the extract has
    no such person; both name nobody. `Refused` as `extracts.open_tables`.
    """
    with acting(wb, actor, "finding.report", subject=extract_ref):
        said = text.strip()
        if not 0 < len(said) <= LONGEST:
            raise InvalidInput("finding.text", longest=LONGEST)
        view, tables, _ = extracts.open_tables(wb, actor, extract_ref)
        if person not in tables["cohort"].get_column("person_id"):
            raise InvalidInput("finding.nobody", extract=view.id)
        mark = view.manifest["key_commitment"]
        content = json.dumps({"person": person, "text": said}).encode()
        document = {
            "format": FORMAT, "study": view.study, "extract": view.digest, "key_commitment": mark,
            "sealed": seal_bytes(content, wb.keys.pseudonym_secret_of(view.study, mark), _label(view.digest)).hex(),
            "reporter": actor.name,
        }  # fmt: skip
        validate(document, FINDING)
        found = f"fin-{short(digest_document(document))}"
        facts = {"study": view.study, "subject": found, "before": view.digest}
        with wb.store.write(event(actor, "finding.report", **facts)) as write:
            digest = write.event.after = documents.put(write, FINDING, found, document, study=view.study)
            documents.set_state(write, State(FINDING, found, digest, view.study, "reported", None, ""))
    return show_finding(wb, actor, found)


def list_findings(wb: Workbench, actor: Actor) -> list[FindingView]:
    """Return the findings that the actor may know of, the latest change first: of their studies, or all for a steward,
    who delivers them."""
    with acting(wb, actor, "finding.read"):
        mine = {study.id for study in studies.list_studies(wb, actor)} if policy.can(actor, "study.read") else None
        with wb.store.read() as connection:
            states = [s for s in documents.states_of(connection, FINDING) if mine is None or s.study in mine]
            found = [(state, documents.find(connection, state.digest)) for state in states]
            homes = {d.body["extract"]: documents.find(connection, d.body["extract"]) for _, d in found if d}
    return [_view(state, document, homes[document.body["extract"]]) for state, document in found if document]


def show_finding(wb: Workbench, actor: Actor, ref: str) -> FindingView:
    """Return one finding by id or digest; raises `store.no_document` where it is absent or not the actor's to see."""
    for view in list_findings(wb, actor):
        if ref in (view.id, view.digest):
            return view
    raise Refused("store.no_document", ref=ref)


def read_text(wb: Workbench, actor: Actor, ref: str) -> str:
    """Return what was found, for who decides; the reading is logged. The pseudonym is not told."""
    with acting(wb, actor, "finding.open", subject=ref):
        view = show_finding(wb, actor, ref)
        text = str(_content(wb, _document(wb, view))["text"])
        with wb.store.write(event(actor, "finding.open", study=view.study, subject=view.id, before=view.digest)):
            pass
    return text


def decide(wb: Workbench, actor: Actor, ref: str, decision: Decision, reason: str) -> FindingView:
    """Accept a finding, or refuse to disturb somebody with it, as somebody other than who reported it.

    Raises `Refused`: what `people.check_independent` raises, `governance.wrong_state`, `governance.reason_needed`.
    """
    with acting(wb, actor, "finding.decide", subject=ref):
        view = show_finding(wb, actor, ref)
        people.check_independent(wb, actor, view.reporter, studies.show_study(wb, actor, view.study).protocol)
        state = lifecycle.check_transition(FINDING, view.state, decision, actor.role, reason)
        facts: dict[str, Any] = {"study": view.study, "subject": view.id, "before": view.digest, "reason": reason}
        with wb.store.write(event(actor, "finding.decide", **facts, payload={"decision": decision})) as write:
            _check_stands(write, view)
            documents.move_state(write, FINDING, view.id, state)
    return show_finding(wb, actor, ref)


def deliver(wb: Workbench, actor: Actor, ref: str) -> Letter:
    """Return the letter of an accepted finding, to be handed to the clinician; the log tells of it, never for whom.

    A letter may be made again. It names the person, so nobody of the study gets it, nor who reported it, whatever their
    role is by now. Raises `Refused`: what `people.check_independent` raises, `governance.wrong_state`, `finding.gone`
    where the person is no longer in the data (erased, or no longer in the cohort); `Unavailable` where the study's
    pseudonym secret was destroyed.
    """
    with acting(wb, actor, "finding.deliver", subject=ref):
        view = show_finding(wb, actor, ref)
        state = lifecycle.check_transition(FINDING, view.state, "deliver", actor.role)
        document = _document(wb, view)
        content = _content(wb, document)
        with wb.store.read() as connection:
            extract = documents.find(connection, document.body["extract"])
            protocol = documents.find(connection, extract.body["protocol"]) if extract else None
        assert extract is not None
        assert protocol is not None
        people.check_independent(wb, actor, view.reporter, protocol.body)
        ids = cohorts.rows_of(wb, extract.body["cohort"])["subject_id"].to_numpy()
        secret = wb.keys.pseudonym_secret_of(view.study, document.body["key_commitment"])
        made = pseudonymize(secret, "person", ids)
        persons = made.ids[made.values == content["person"]]
        if not len(persons):
            raise Refused("finding.gone", finding=view.id)
        facts = {"study": view.study, "subject": view.id, "before": view.digest}
        with wb.store.write(event(actor, "finding.deliver", **facts)) as write:
            _check_stands(write, view)
            documents.move_state(write, FINDING, view.id, state)
    return Letter(view.id, int(persons[0]), view.study, str(content["text"]))


def _label(extract: str) -> str:
    return f"finding/{extract}"


def _document(wb: Workbench, view: FindingView) -> Document:
    with wb.store.read() as connection:
        document = documents.find(connection, view.digest)
    assert document is not None
    return document


def _content(wb: Workbench, document: Document) -> dict[str, Any]:
    secret = wb.keys.pseudonym_secret_of(document.body["study"], document.body["key_commitment"])
    sealed = bytes.fromhex(document.body["sealed"])
    return dict(json.loads(unseal_bytes(sealed, secret, _label(document.body["extract"]))))


def _check_stands(write: Any, view: FindingView) -> None:
    state = documents.state(write.connection, FINDING, view.id)
    if state is None or state.state != view.state:
        raise Refused("store.changed_meanwhile", id=view.id)


def _view(state: State, document: Document, extract: Document | None) -> FindingView:
    return FindingView(
        id=state.id,
        digest=state.digest,
        study=document.body["study"],
        extract=extract.id if extract else document.body["extract"],
        state=state.state,
        reporter=document.body["reporter"],
        made_at=document.made_at,
    )
