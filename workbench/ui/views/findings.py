"""Découvertes: what was found about a person, on its way back to who treats them."""

from __future__ import annotations

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can, can_review
from workbench.kernel.errors import InvalidInput, Refused, UserError
from workbench.services import extracts, findings
from workbench.services.extracts import ExtractView
from workbench.services.findings import Decision, FindingView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.extract import choose_extract
from workbench.ui.parts.listing import NEW, Entry, chooser
from workbench.ui.parts.markup import facts, heading, join, link, paragraph, show, tag
from workbench.ui.parts.shell import empty, my_studies, study_title
from workbench.ui.parts.words import moment, person, state_badge
from workbench.ui.state import href, parameters, t, workbench

WAITING = frozenset({"reported", "accepted"})
DECISIONS: tuple[Decision, ...] = ("accept", "refuse")


def draw(actor: Actor) -> None:
    """Draw the page."""
    found = findings.list_findings(workbench(), actor)
    opened = _open_extracts(actor) if can(actor, "finding.report") else []
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("findings", _entries(found), t("findings_new") if opened else None)
    with right:
        if chosen == NEW and opened:
            _report(actor, opened)
        elif chosen is None or chosen == NEW:
            empty(t("findings_none"), t("findings_none_then" if can(actor, "finding.report") else "findings_none_wait"))
        else:
            _finding(actor, _found(found, chosen))


def _open_extracts(actor: Actor) -> list[ExtractView]:
    mine = {study.id for study in my_studies(actor)}
    return [e for e in extracts.list_extracts(workbench(), actor) if e.study in mine and e.state == "open"]


def _entries(found: list[FindingView]) -> list[Entry]:
    def entry(view: FindingView, group: str) -> Entry:
        note = person(view.reporter)
        return Entry(view.id, view.id, note, state_badge("finding", view.state), group)

    waiting = [entry(view, t("findings_waiting")) for view in found if view.state in WAITING]
    return waiting + [entry(view, t("findings_past")) for view in found if view.state not in WAITING]


def _found(found: list[FindingView], chosen: str) -> FindingView:
    for view in found:
        if chosen in {view.id, view.digest}:
            return view
    raise Refused("store.no_document", ref=chosen)


def _report(actor: Actor, opened: list[ExtractView]) -> None:
    st.subheader(t("findings_new"), anchor=False)
    show(paragraph(t("finding_form_intro"), "wb-quiet"))
    with st.form("findings_report", border=False):
        extract = choose_extract(actor, opened, "findings_extract")
        pseudonym = st.text_input(t("finding_person"), help=t("finding_person_help"), key="findings_person")
        text = st.text_area(
            t("finding_text"), help=t("finding_text_help"), max_chars=findings.LONGEST, key="findings_text"
        )
        sent = st.form_submit_button(t("finding_send"), type="primary")
    if not sent:
        return
    try:
        view = findings.report(workbench(), actor, extract, _number(pseudonym), text)
    except UserError as error:
        panel(error)
        return
    _go_on(view, t("finding_sent"))


def _number(text: str) -> int:
    if not text.strip().isdecimal() or len(text.strip()) > 18:
        raise InvalidInput("ui.why_number")
    return int(text)


def _finding(actor: Actor, view: FindingView) -> None:
    st.subheader(t("finding_heading", finding=view.id), anchor=False)
    show(paragraph(join([state_badge("finding", view.state), " ", t(f"finding_next_{view.state}")])))
    lines = [
        (t("study"), study_title(actor, view.study)),
        (t("output_extract"), tag("code", view.extract)),
        (t("finding_reported"), t("made_by_at", who=person(view.reporter), when=moment(view.made_at))),
    ]
    show(facts(lines))
    if can(actor, "finding.open"):
        _read(actor, view)
    if can(actor, "finding.decide") and view.state == "reported":
        _decide(actor, view)
    if can(actor, "finding.deliver") and view.state in {"accepted", "delivered"}:
        show(heading(t("finding_letter")), paragraph(t("finding_letter_text")))
        show(paragraph(link(t("finding_letter_take"), href(f"download/lettre/{view.id}")), "wb-note"))


def _read(actor: Actor, view: FindingView) -> None:
    """Show what was found once the officer asks for it: each reading is an entry of the log."""
    show(heading(t("finding_text")))
    slot = f"findings_read_{view.id}"
    if st.button(t("finding_read"), key=f"{slot}_button"):
        try:
            st.session_state[slot] = findings.read_text(workbench(), actor, view.id)
        except UserError as error:
            panel(error)
            return
    if slot in st.session_state:
        show(tag("pre", st.session_state[slot], "wb-cell"))


def _decide(actor: Actor, view: FindingView) -> None:
    show(heading(t("decide_heading")))
    if not can_review(view.reporter, actor.name):
        panel(Refused("governance.self_approval", name=actor.display))
        return
    with st.form(f"findings_form_{view.id}", border=True):
        decision = st.radio(
            t("decision"), DECISIONS, index=None, format_func=lambda name: t(f"finding_decide_{name}"),
            horizontal=True, key=f"findings_decision_{view.id}",
        )  # fmt: skip
        reason = st.text_area(t("decide_reason"), height=68, key=f"findings_reason_{view.id}")
        if not st.form_submit_button(t("decide_send"), type="primary"):
            return
    if decision is None:
        panel(UserError("ui.no_finding_decision"))
        return
    try:
        _go_on(findings.decide(workbench(), actor, view.id, decision, reason), t("decide_done"))
    except UserError as error:
        panel(error)


def _go_on(view: FindingView, said: str) -> None:
    st.toast(said)
    st.query_params.from_dict(parameters(id=view.id))
    st.rerun()
