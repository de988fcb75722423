"""The output airlock: the only way by which a result leaves a study's workspace.

Filed with what it was made of → checked by the program → decided by somebody else on the digest of the file → taken
away, exactly these bytes. A check that fails sends the file back at once; none can be overruled, only mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.governance import lifecycle, proofs
from workbench.governance.actors import Actor
from workbench.governance.airlock.content import Content
from workbench.governance.airlock.declaration import read_declaration
from workbench.governance.airlock.differencing import Told, check_differencing
from workbench.governance.airlock.labels import with_labels
from workbench.governance.airlock.verdicts import Check, Verdict, overall
from workbench.governance.proofs import Proof
from workbench.kernel.digest import digest_bytes, digest_document, short
from workbench.kernel.errors import Refused
from workbench.kernel.schemas import validate
from workbench.services import cohorts, extracts, judging, kept_outputs, objections, people, studies
from workbench.services.context import Workbench, acting, event, working
from workbench.services.extracts import ExtractView
from workbench.store import documents, making
from workbench.store.documents import Document, State
from workbench.store.store import Write

FORMAT = "workbench/output/1"
DECISION_FORMAT = "workbench/release_decision/1"
Decision = Literal["released", "refused", "sent_back", "recalled"]
STEP: Mapping[Decision, str] = {
    "released": "release", "refused": "refuse", "sent_back": "send_back", "recalled": "recall",
}  # fmt: skip
_AFTER_CHECKS: Mapping[Verdict, str] = {"passed": "pass_checks", "to_review": "doubt_checks", "failed": "fail_checks"}
TOLD = frozenset({"released", "recalled"})
"""The states of what people outside know: a release that was recalled is not forgotten by who read it."""


@dataclass(frozen=True)
class OutputView:
    """An output as people see it: what it is, what the checks found, where it stands, what was decided last."""

    id: str
    digest: str
    study: str
    extract: str
    state: str
    document: dict[str, Any]
    checks: tuple[Check, ...]
    requester: str
    made_at: str
    decision: Document | None
    changed_at: str

    @property
    def name(self) -> str:
        """The file's name."""
        return str(self.document["file"]["name"])

    @property
    def file_digest(self) -> str:
        """The SHA-256 of the file that would leave: what a reviewer decides on."""
        return str(self.document["file"]["sha256"])


@dataclass(frozen=True)
class ComposedTable:
    """A table made so that it can leave: the file, the whole declaration to file it with, what the checks find."""

    content: Content
    declaration: dict[str, Any]
    checks: tuple[Check, ...]


def check_output(
    wb: Workbench, actor: Actor, extract_ref: str, name: str, raw: bytes,
    declaration: Mapping[str, Any] | None = None,
) -> tuple[Content, tuple[Check, ...]]:  # fmt: skip
    """Try a file's checks, as filing it would; nothing is kept but that the extract was opened.

    Returns the file as it would leave. Raises `InvalidInput` as `governance.airlock.content.prepare` and
    `governance.airlock.declaration.read_declaration` do.
    """
    with acting(wb, actor, "output.check", subject=extract_ref):
        content = judging.prepared(name, raw)
        view, tables, secret = extracts.open_tables(wb, actor, extract_ref)
        judging.check_said(tables, name)
        judged = judging.judge(wb, actor, view, content, declaration, tables, secret)
        return content, judging.compared(judged, _released(wb, view.study))


def compose_table(
    wb: Workbench, actor: Actor, extract_ref: str, name: str, declaration: Mapping[str, Any], *, totals: bool = True
) -> ComposedTable:
    """Make a table from its declaration so that it can leave, and check it as filing it would; nothing is kept but
    that the extract was opened.

    `name` is the file's (CSV). Lines for all of a group with `totals`. Groups of concepts that the declaration gives no
    labels have those of the extract. Raises `InvalidInput` as
    `governance.airlock.compose.compose`, `governance.airlock.declaration.read_declaration` and
    `governance.airlock.content.prepare` do.
    """
    with acting(wb, actor, "output.check", subject=extract_ref):
        view, tables, secret = extracts.open_tables(wb, actor, extract_ref)
        read_declaration(declaration)
        released, declared = _released(wb, view.study), with_labels(declaration, tables)
        content = judging.prepared(name, judging.composed(declared, tables, secret, released, totals=totals))
        judged = judging.judge(wb, actor, view, content, declared, tables, secret)
        return ComposedTable(content, declared, judging.compared(judged, released))


def request_output(
    wb: Workbench, actor: Actor, extract_ref: str, name: str, raw: bytes, *, context: str,
    declaration: Mapping[str, Any] | None = None, model: str | None = None,
) -> OutputView:  # fmt: skip
    """File a result of an open extract, with what it is and why it should leave (`context`), and check it at once.

    The file is kept, sealed, unless a check failed: then it is sent back and only the findings stay. `model` names the
    model that it tells of. Raises as `check_output`, and `kernel.document_invalid` where the context says too little.
    """
    with acting(wb, actor, "output.request", subject=extract_ref):
        content = judging.prepared(name, raw)
        view, tables, secret = extracts.open_tables(wb, actor, extract_ref)
        judging.check_said(tables, name, context)
        with working(wb, actor, "output.request", {"extract": view.digest, "given": digest_bytes(raw)}) as (job, _):
            with wb.store.read() as connection:
                objected = [each.id for each in objections.active(connection, view.study)]
            judged = judging.judge(wb, actor, view, content, declaration, tables, secret)
            checks = judging.compared(judged, _released(wb, view.study))
            named = judging.model_named(wb, actor, view, model) or judged.model
            document = {
                "format": FORMAT, "study": view.study, "extract": view.digest, "model": named, "kind": content.kind,
                "file": {"name": name, "sha256": digest_bytes(content.raw), "bytes": len(content.raw)},
                "given": digest_bytes(raw), "declaration": dict(declaration) if declaration else None,
                "context": context.strip(), "checks": [check.as_json() for check in checks],
                "numbers": kept_outputs.numbers_digest(judged.numbers), "objections": objected,
                "requester": actor.name,
            }  # fmt: skip
            validate(document, "output")
            output_id = f"out-{short(digest_document(document))}"
            with wb.store.read() as connection:
                known = documents.state(connection, "output", output_id)
            if known is None:
                _keep(wb, actor, job, view, output_id, document, content, judged.numbers, secret)
    return show_output(wb, actor, output_id)


def _keep(
    wb: Workbench, actor: Actor, job: Any, view: ExtractView, output_id: str, document: dict[str, Any],
    content: Content, numbers: Sequence[Told], secret: bytes,
) -> None:  # fmt: skip
    checks = [Check.from_json(each) for each in document["checks"]]
    worst = overall(checks)
    reason = ", ".join(dict.fromkeys(check.code for check in checks if check.verdict == worst != "passed"))
    state = lifecycle.check_transition("output", "filed", _AFTER_CHECKS[worst], "workbench", reason)
    facts = {"study": view.study, "before": view.digest, "reason": reason}

    def stands(write: Write) -> None:
        digest = write.event.after or ""
        documents.set_state(write, State("output", output_id, digest, view.study, state, None, ""))

    if worst == "failed":
        with wb.store.write(event(actor, "output.request", subject=output_id, **facts)) as write:
            write.event.after = documents.put(write, "output", output_id, document, study=view.study)
            stands(write)
        return
    root = kept_outputs.root(wb, view.id)
    with making.making(wb.store, job, root, event(actor, "output.request", subject=view.id, **facts)) as made:
        kept_outputs.write(made.folder, content.raw, numbers, secret)
        with made.publish("output", output_id, document) as write:
            job.result_digest = write.event.after
            stands(write)


def list_outputs(wb: Workbench, actor: Actor) -> list[OutputView]:
    """Return the outputs of the studies that the actor may know of, the latest change first."""
    with acting(wb, actor, "output.read"):
        mine = {study.id for study in studies.list_studies(wb, actor)}
        with wb.store.read() as connection:
            states = [state for state in documents.states_of(connection, "output") if state.study in mine]
        return [_view(wb, state) for state in states]


def show_output(wb: Workbench, actor: Actor, ref: str) -> OutputView:
    """Return one output by id or digest; raises `store.no_document` where it is absent or not the actor's to see."""
    with acting(wb, actor, "output.read", subject=ref):
        for view in list_outputs(wb, actor):
            if ref in (view.id, view.digest):
                return view
        raise Refused("store.no_document", ref=ref)


def _view(wb: Workbench, state: State) -> OutputView:
    with wb.store.read() as connection:
        document = documents.find(connection, state.digest)
        assert document is not None
        extract = documents.find(connection, document.body["extract"])
        named = documents.children(connection, document.digest)
    decisions = [child for _, child in named if child.kind == "release_decision"]
    assert extract is not None
    return OutputView(
        id=state.id,
        digest=state.digest,
        study=document.body["study"],
        extract=extract.id,
        state=state.state,
        document=document.body,
        checks=tuple(Check.from_json(each) for each in document.body["checks"]),
        requester=document.body["requester"],
        made_at=document.made_at,
        decision=decisions[-1] if decisions else None,
        changed_at=state.changed_at,
    )


def preview(wb: Workbench, actor: Actor, ref: str) -> bytes:
    """Return the bytes that would leave, for who decides and who filed; who looked is in the log.

    Raises `Unavailable` (`airlock.damaged`) where they are not those that were checked, `Refused`
    (`airlock.not_released`) where the file was sent back by the checks and so not kept.
    """
    with acting(wb, actor, "output.preview", subject=ref):
        view = show_output(wb, actor, ref)
        return kept_outputs.read_released(wb, view) if view.state == "released" else kept_outputs.read(wb, view)


def decide(
    wb: Workbench, actor: Actor, ref: str, decision: Decision, *, file_digest: str, reason: str,
    proof: Proof | None = None,
) -> OutputView:  # fmt: skip
    """Decide on an output as somebody other than who filed it, on exactly the file that was read.

    The actor names the file's digest again, at the moment of deciding; the log keeps when, and by `proof` how the
    actor authenticated for it (`governance.proofs.authentication`, whose errors are raised too). To release, the kept
    file must be the one that was checked, and its numbers are compared once more with what was released since. Raises
    `Refused`: what `people.check_independent` raises, `governance.wrong_state`, `governance.reason_needed`,
    `airlock.other_file`,
    `airlock.meets_released`, `airlock.objected_since`, `services.extract_closed`; `Unavailable` (`airlock.damaged`).
    """
    with acting(wb, actor, "output.decide", subject=ref):
        view = show_output(wb, actor, ref)
        people.check_independent(wb, actor, view.requester, studies.show_study(wb, actor, view.study).protocol)
        state = lifecycle.check_transition("output", view.state, STEP[decision], actor.role, reason)
        if file_digest != view.file_digest:
            raise Refused("airlock.other_file", output=view.id)
        document = {
            "format": DECISION_FORMAT, "output": view.digest, "file": file_digest, "reviewer": actor.name,
            "decision": decision, "reason": reason,
        }  # fmt: skip
        validate(document, "release_decision")
        proved = proofs.authentication(wb.settings.openid, actor, "output.decide", document, proof)
        if decision == "released":
            _release(wb, actor, view, document, proved)
        else:
            with wb.store.write(_event(actor, view, reason, decision, proved)) as write:
                _decided(write, view, document, state)
    return show_output(wb, actor, ref)


def _release(wb: Workbench, actor: Actor, view: OutputView, document: dict[str, Any], proved: dict[str, Any]) -> None:
    """Put the file where it is taken from, if it may leave; without the decision nobody can take it."""
    extract = extracts.show_extract(wb, actor, view.extract)
    if extract.state == "revoked":
        raise Refused("services.extract_closed", extract=view.extract, state="revoked")
    with wb.store.read() as connection:
        objected = objections.active(connection, view.study)
    since = [each for each in objected if each.id not in view.document["objections"]]
    if since and objections.concern(wb, since, cohorts.rows_of(wb, extract.manifest["cohort"])):
        raise Refused("airlock.objected_since", output=view.id)
    content = kept_outputs.read(wb, view)
    before = _released(wb, view.study)
    check = check_differencing(kept_outputs.read_numbers(wb, view.extract, view.id, view.document), before)
    if check.verdict == "failed":
        raise Refused("airlock.meets_released", output=view.id, outputs=check.facts["outputs"])
    with (
        kept_outputs.released(wb, view, content),
        wb.store.write(_event(actor, view, document["reason"], "released", proved)) as write,
    ):
        now = {
            s.id for s in documents.states_of(write.connection, "output") if s.study == view.study and s.state in TOLD
        }
        if now != set(before):
            raise Refused("store.changed_meanwhile", id=view.id)
        objections.check_unchanged(write, view.study, objected)
        _decided(write, view, document, "released")


def _event(actor: Actor, view: OutputView, reason: str, decision: str, proved: dict[str, Any]) -> Any:
    payload = {"decision": decision, **proved, "file": view.file_digest}
    facts: dict[str, Any] = {"study": view.study, "subject": view.id, "before": view.digest, "reason": reason}
    return event(actor, "output.decide", **facts, payload=payload)


def _decided(write: Write, view: OutputView, document: dict[str, Any], state: str) -> None:
    documents.check_unchanged(write, _state(view), "output", view.id)
    decision_id = f"dec-{short(digest_document(document))}"
    write.event.after = documents.put(write, "release_decision", decision_id, document, study=view.study)
    documents.move_state(write, "output", view.id, state)


def _state(view: OutputView) -> State:
    return State("output", view.id, view.digest, view.study, view.state, None, view.changed_at)


def withdraw(wb: Workbench, actor: Actor, ref: str) -> OutputView:
    """Take back an output that waits, as the person who filed it. Raises `Refused` (`airlock.not_yours`,
    `governance.wrong_state`)."""
    with acting(wb, actor, "output.withdraw", subject=ref):
        view = show_output(wb, actor, ref)
        if view.requester != actor.name:
            raise Refused("airlock.not_yours", output=view.id)
        state = lifecycle.check_transition("output", view.state, "withdraw", "requester")
        facts = {"study": view.study, "subject": view.id, "before": view.digest}
        with wb.store.write(event(actor, "output.withdraw", **facts)) as write:
            documents.check_unchanged(write, _state(view), "output", view.id)
            documents.move_state(write, "output", view.id, state)
    return show_output(wb, actor, ref)


def download(wb: Workbench, actor: Actor, ref: str) -> tuple[str, bytes]:
    """Return a released file's name and bytes, exactly those that were decided on; the log says who took them.

    Raises `Refused` (`airlock.not_released`), `Unavailable` (`airlock.damaged`).
    """
    with acting(wb, actor, "output.download", subject=ref):
        view = show_output(wb, actor, ref)
        if view.state != "released":
            raise Refused("airlock.not_released", output=view.id, state=view.state)
        content = kept_outputs.read_released(wb, view)
        facts = {"study": view.study, "subject": view.id, "before": view.digest, "after": view.file_digest}
        with wb.store.write(event(actor, "output.download", **facts)):
            pass
        return view.name, content


def _released(wb: Workbench, study: str) -> dict[str, tuple[Told, ...]]:
    """The numbers of everything that left the study's workspace, by output."""
    with wb.store.read() as connection:
        states = [s for s in documents.states_of(connection, "output") if s.study == study and s.state in TOLD]
        found = [(state.id, documents.find(connection, state.digest)) for state in states]
        homes = {d.body["extract"]: documents.find(connection, d.body["extract"]) for _, d in found if d}
    numbers: dict[str, tuple[Told, ...]] = {}
    for output_id, document in found:
        extract = homes[document.body["extract"]] if document else None
        assert document is not None and extract is not None
        numbers[output_id] = kept_outputs.read_numbers(wb, extract.id, output_id, document.body)
    return numbers
