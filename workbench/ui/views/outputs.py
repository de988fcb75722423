"""Sorties: results on their way out of a workspace, for who files them and for who decides."""

from __future__ import annotations

import json

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.airlock.verdicts import overall
from workbench.governance.policy import can
from workbench.kernel.errors import Refused, UserError
from workbench.services import extracts, outputs
from workbench.services.extracts import ExtractView
from workbench.services.outputs import OutputView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.listing import NEW, Entry, chooser
from workbench.ui.parts.markup import Html, facts, heading, join, link, paragraph, show, tag, whole_digest
from workbench.ui.parts.output import checks_table, draw_file
from workbench.ui.parts.output_decision import draw_decision
from workbench.ui.parts.output_form import draw_form
from workbench.ui.parts.shell import empty, my_studies
from workbench.ui.parts.table_form import draw_table_form
from workbench.ui.parts.words import moment, person, state_badge
from workbench.ui.state import href, parameters, t, workbench

WAITING = frozenset({"checked", "to_review"})
KEPT = WAITING | {"released"}


def draw(actor: Actor) -> None:
    """Draw the page."""
    mine = {study.id for study in my_studies(actor)}
    found = [view for view in outputs.list_outputs(workbench(), actor) if view.study in mine]
    may_file = can(actor, "output.request")
    opened = [e for e in extracts.list_extracts(workbench(), actor) if e.study in mine and e.state == "open"]
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("outputs", _entries(found), t("outputs_new") if may_file and opened else None)
    with right:
        if chosen == NEW:
            _new(actor, opened)
        elif chosen is None:
            empty(t("outputs_none"), t("outputs_none_then" if may_file else "outputs_none_officer"))
        else:
            _output(actor, _found(found, chosen))


def _new(actor: Actor, opened: list[ExtractView]) -> None:
    st.subheader(t("outputs_new"), anchor=False)
    table, file = st.tabs([t("outputs_new_table"), t("outputs_new_file")])
    with table:
        draw_table_form(actor, opened)
    with file:
        draw_form(actor, opened)


def _entries(found: list[OutputView]) -> list[Entry]:
    def entry(view: OutputView, group: str) -> Entry:
        note = f"{view.id} · {person(view.requester)}"
        return Entry(view.id, view.name, note, state_badge("output", view.state), t(group))

    waiting = [entry(view, "outputs_waiting") for view in found if view.state in WAITING]
    return waiting + [entry(view, "outputs_past") for view in found if view.state not in WAITING]


def _found(found: list[OutputView], chosen: str) -> OutputView:
    for view in found:
        if chosen in {view.id, view.digest}:
            return view
    raise Refused("store.no_document", ref=chosen)


def _output(actor: Actor, view: OutputView) -> None:
    st.subheader(view.name, anchor=False)
    verdict = overall(view.checks)
    show(paragraph(join([state_badge("output", view.state), " ", t(f"output_next_{view.state}")])))
    if view.state == "released" and can(actor, "output.download"):
        show(paragraph(link(t("output_download", name=view.name), href(f"download/sortie/{view.id}")), "wb-note"))
    show(
        _facts(actor, view),
        heading(t("output_checks")),
        paragraph(t(f"output_verdict_{verdict}")),
        checks_table(view.checks),
    )
    if view.document["declaration"]:
        with st.expander(t("output_declaration")):
            show(tag("pre", json.dumps(view.document["declaration"], ensure_ascii=False, indent=1), "wb-cell"))
    if view.decision is not None:
        body = view.decision.body
        said = t(
            "decided", decision=t(f"output_decision_{body['decision']}"), who=person(body["reviewer"]),
            when=moment(view.decision.made_at),
        )  # fmt: skip
        show(heading(t("decision")), paragraph(said), paragraph(tag("q", body["reason"])))
    if view.state in KEPT:
        show(heading(t("output_file")))
        try:
            draw_file(view, outputs.preview(workbench(), actor, view.id))
        except UserError as error:
            panel(error)
    if can(actor, "output.decide") and view.state in KEPT:
        draw_decision(actor, view)
    if view.state in WAITING and view.requester == actor.name:
        _withdraw(actor, view)


def _extract(actor: Actor, view: OutputView) -> Html:
    if can(actor, "extract.open"):
        return link(view.extract, href("demandes", id=view.extract))
    return tag("code", view.extract)


def _facts(actor: Actor, view: OutputView) -> Html:
    declared = view.document["declaration"]
    lines = [
        (t("output_context"), view.document["context"]),
        (t("output_filed"), t("made_by_at", who=person(view.requester), when=moment(view.made_at))),
        (t("output_extract"), _extract(actor, view)),
        (t("output_declared"), t("output_declared_yes" if declared else "output_declared_no")),
        (t("output_digest"), whole_digest(view.file_digest)),
    ]
    return facts(lines)


def _withdraw(actor: Actor, view: OutputView) -> None:
    if st.button(t("output_withdraw"), key=f"outputs_withdraw_{view.id}"):
        try:
            outputs.withdraw(workbench(), actor, view.id)
        except UserError as error:
            panel(error)
            return
        st.query_params.from_dict(parameters(id=view.id))
        st.rerun()
