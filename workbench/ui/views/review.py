"""File d'examen: what waits for a decision, asked, approved and delivered side by side, and the decision itself."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from workbench.governance import proofs
from workbench.governance.actors import Actor
from workbench.governance.policy import can, can_review
from workbench.governance.proofs import Proof
from workbench.kernel.errors import Refused, UserError
from workbench.services import extracts, requests, risk, studies
from workbench.services.extracts import ExtractView
from workbench.services.requests import Decision, RequestView
from workbench.services.studies import StudyView
from workbench.ui.parts import study_end
from workbench.ui.parts.errors import panel
from workbench.ui.parts.listing import Entry, chooser
from workbench.ui.parts.markup import (
    Html,
    bullets,
    heading,
    join,
    link,
    paragraph,
    show,
    tag,
)
from workbench.ui.parts.protocol import draw_protocol
from workbench.ui.parts.proving import carry_out
from workbench.ui.parts.risk import draw_risk
from workbench.ui.parts.shell import my_studies
from workbench.ui.parts.sides import (
    columns_asked,
    dates_asked,
    limits_approved,
    limits_asked,
    opinions,
    request_facts,
    steps,
)
from workbench.ui.parts.study_change import proposed
from workbench.ui.parts.thread import evidence_link
from workbench.ui.parts.words import day, moment, named, person, state_badge
from workbench.ui.state import href, lang, parameters, t, workbench

DIGITS = 8
DECISIONS: tuple[Decision, ...] = ("approved", "sent_back", "refused")


def draw(actor: Actor) -> None:
    """Draw the page."""
    mine = my_studies(actor)
    known = {study.id for study in mine}
    drafts = [study for study in mine if _waits(study)]
    asked = [view for view in requests.list_requests(workbench(), actor) if view.study in known]
    waiting = [view for view in asked if view.state == "checked"]
    past = [view for view in asked if view.state != "checked"]
    others = [study for study in mine if not _waits(study)]
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("review", [*_entries(drafts, waiting, past), *_studies(others)])
        ways = [link(t(f"register_{kind}"), f"/download/register.{file}") for kind, file in _register()]
        show(paragraph(join([t("register_take"), " ", join(ways, " · ")]), "wb-quiet"))
    with right:
        _chosen(actor, chosen, mine, asked, bool(drafts or waiting))


def _waits(study: StudyView) -> bool:
    """Say whether a study's protocol, or a change of it, waits for a decision."""
    return study.state == "draft" or study.proposed is not None


def _entries(drafts: list[StudyView], waiting: list[RequestView], past: list[RequestView]) -> list[Entry]:
    found = [Entry(view.id, view.title, _note(view), None, t("review_studies")) for view in drafts]
    found += [
        Entry(view.id, view.cohort.title, f"{view.id} · {person(view.requester)}", None, t("review_waiting"))
        for view in waiting
    ]
    return found + [
        Entry(view.id, view.cohort.title, view.id, state_badge("request", view.state), t("review_past"))
        for view in past
    ]


def _note(view: StudyView) -> str:
    if view.proposed:
        return t("review_change_note", who=person(view.proposed.proposed_by))
    return t("review_study_note", who=person(view.owner))


def _register() -> tuple[tuple[str, str], ...]:
    return ("page", "html" if lang() == "fr" else "en.html"), ("json", "json")


def _studies(others: list[StudyView]) -> list[Entry]:
    return [
        Entry(view.id, view.title, view.id, state_badge("study", view.state), t("review_known_studies"))
        for view in others
    ]


def _chosen(actor: Actor, chosen: str | None, mine: list[StudyView], asked: list[RequestView], waits: bool) -> None:
    if not waits:
        show(paragraph(t("review_none"), "wb-note"))
    if chosen is None:
        return
    for study in mine:
        if chosen in {study.id, study.digest}:
            _study(actor, study)
            return
    for view in asked:
        if chosen in {view.id, view.digest}:
            _request(actor, view)
            return
    raise Refused("store.no_document", ref=chosen)


def _request(actor: Actor, view: RequestView) -> None:
    st.subheader(t("request_heading", request=view.id), anchor=False)
    show(steps(view.state), request_facts(view))
    show(heading(t("columns_heading")), columns_asked(view.columns), limits_asked(actor, view), dates_asked(view))
    show(heading(t("risk_heading")))
    extract = risk.made_from(workbench(), actor, view)
    if extract:
        draw_risk(extract.manifest)
    else:
        show(bullets(risk.before_delivery(view, lang(), lambda name: named("table", name))))
    show(opinions(view))
    if view.approval is not None:
        body = view.approval.body
        said = t(
            "decided",
            decision=t(f"decision_{body['decision']}"),
            who=person(body["reviewer"]),
            when=moment(view.approval.made_at),
        )
        show(heading(t("decision")), paragraph(said), paragraph(tag("q", body["reason"])), bullets(body["conditions"]))
        proved = proofs.told(requests.proved(workbench(), view), lang())
        show(paragraph(proved, "wb-quiet") if proved else "")
    if view.state == "checked":
        _decide_request(actor, view)
    if extract:
        _delivered(actor, view, extracts.show_extract(workbench(), actor, extract.id))
    elif view.state == "approved":
        show(heading(t("extract_delivered")), paragraph(t("extract_delivered_none", day=day(view.expires_on))))
    if view.state == "approved" and can(actor, "extract.revoke"):
        _take_back(actor, view)


def _take_back(actor: Actor, view: RequestView) -> None:
    """Draw the form that takes back an approval of which nothing was made."""
    show(heading(t("take_back_heading")))
    with st.form(f"take_back_{view.id}", border=True):
        show(paragraph(t("take_back_text")))
        reason = st.text_area(t("decide_reason"), height=68, key=f"take_back_reason_{view.id}")
        if not st.form_submit_button(t("take_back_heading")):
            return

    def act(proof: Proof | None) -> None:
        requests.revoke_approval(workbench(), actor, view.id, reason, proof)

    if carry_out(actor, act, href("examen", id=view.id)):
        st.toast(t("take_back_done"))
        st.rerun()


def _delivered(actor: Actor, view: RequestView, extract: ExtractView) -> None:
    """Say where the extract stands, with the ways to its proofs, and draw the form that revokes it."""
    where = [
        state_badge("extract", extract.state),
        tag("code", extract.id),
        t("extract_until", day=day(extract.expires_on)),
    ]
    ways = [evidence_link(extract.digest), link(t("lineage_see"), href("journal", id=extract.id))]
    show(heading(t("extract_delivered")), paragraph(join(where, " ")), paragraph(join(ways, " · ")))
    if extract.state != "open" or not can(actor, "extract.revoke"):
        return
    show(heading(t("revoke_heading")))
    with st.form(f"revoke_{extract.id}", border=True):
        show(paragraph(t("revoke_text", study=view.protocol["title"])))
        reason = st.text_area(t("decide_reason"), height=68, key=f"revoke_reason_{extract.id}")
        sure = st.checkbox(t("revoke_sure"), key=f"revoke_sure_{extract.id}")
        if not st.form_submit_button(t("revoke_send")):
            return

    def act(proof: Proof | None) -> None:
        if not sure:
            raise UserError("ui.revoke_not_sure")
        extracts.revoke(workbench(), actor, extract.id, reason, proof)

    if carry_out(actor, act, href("examen", id=view.id)):
        st.toast(t("revoke_done"))
        st.rerun()


def _decide_request(actor: Actor, view: RequestView) -> None:
    show(heading(t("decide_heading")))
    if not can_review(view.requester, actor.name):
        panel(Refused("governance.self_approval", name=actor.display))
        return
    show(_protocol_line(view.document["protocol"]))
    with st.form(f"review_form_{view.id}", border=True):
        decision = st.radio(
            t("decision"),
            DECISIONS,
            index=None,
            format_func=lambda name: t(f"decide_{name}"),
            horizontal=True,
            key="review_decision",
        )
        reason = st.text_area(t("decide_reason"), help=t("decide_reason_help"), key="review_reason")
        votes = st.text_area(t("decide_votes"), height=68, key="review_votes")
        conditions = st.text_area(t("decide_conditions"), height=68, key="review_conditions")
        digits = st.text_input(
            t("decide_digits", count=DIGITS), max_chars=DIGITS, autocomplete="off", key="review_digits"
        )
        if st.form_submit_button(t("decide_send"), type="primary"):
            made, voted = _lines(conditions), _lines(votes)

            def decide(digest: str, proof: Proof | None) -> None:
                answer = decision or "sent_back"
                requests.decide(
                    workbench(), actor, view.id, answer, protocol_digest=digest, reason=reason, conditions=made,
                    votes=voted, proof=proof,
                )  # fmt: skip

            _send(actor, digits, view.document["protocol"], decision is not None, decide, view.id)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _send(
    actor: Actor, digits: str, digest: str, chosen: bool, decide: Callable[[str, Proof | None], object], then: str
) -> None:
    """Decide on the digest whose first digits were retyped; what does not fit is said and nothing is decided."""
    if not chosen:
        panel(UserError("ui.no_decision"))
        return
    if digits.strip().lower() != digest[:DIGITS]:
        panel(UserError("ui.digits_differ", count=DIGITS))
        return
    if carry_out(actor, lambda proof: decide(digest, proof), href("examen", id=then)):
        st.toast(t("decide_done"))
        st.query_params.from_dict(parameters(id=then))
        st.rerun()


def _protocol_line(value: str) -> Html:
    shown = join([tag("code", value[:DIGITS], "wb-retype"), tag("code", value[DIGITS:], "wb-rest")])
    return paragraph(join([t("decide_protocol"), " ", shown]))


def _study(actor: Actor, view: StudyView) -> None:
    protocol = view.protocol
    draw_protocol(actor, view)
    show(proposed(actor, view))
    if view.proposed:
        if view.proposed.protocol.get("concepts") != protocol.get("concepts"):
            show(limits_approved(actor, view.proposed.protocol))
        _open_study(actor, view, t("change_heading_accept"), view.proposed.digest, view.proposed.proposed_by)
    elif view.state == "draft":
        _open_study(actor, view, t("open_heading"), view.digest, view.owner)
    study_end.kept(view)
    study_end.keys(actor, view)
    study_end.close(actor, view)


def _open_study(actor: Actor, view: StudyView, title: str, protocol: str, author: str) -> None:
    """Draw the form that opens a study on a protocol's digest: its draft's, or that of a change of an open one."""
    show(heading(title))
    if not can_review(author, actor.name):
        panel(Refused("governance.self_approval", name=actor.display))
        return
    show(_protocol_line(protocol))
    with st.form(f"review_study_{view.id}", border=True):
        reason = st.text_area(t("decide_reason"), help=t("decide_reason_help"), key="review_study_reason")
        digits = st.text_input(
            t("decide_digits", count=DIGITS), max_chars=DIGITS, autocomplete="off", key="review_study_digits"
        )
        if st.form_submit_button(title, type="primary"):
            _send(
                actor, digits, protocol, True,
                lambda digest, proof: studies.open_study(
                    workbench(), actor, view.id, protocol_digest=digest, reason=reason, proof=proof
                ),
                view.id,
            )  # fmt: skip
