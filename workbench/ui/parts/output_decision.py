"""The officer's decision on an output, on the digest of the file that was read."""

from __future__ import annotations

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can_review
from workbench.governance.proofs import Proof
from workbench.kernel.errors import Refused, UserError
from workbench.services import outputs
from workbench.services.outputs import Decision, OutputView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.markup import heading, join, paragraph, show, tag
from workbench.ui.parts.proving import carry_out
from workbench.ui.state import href, parameters, t, workbench

DIGITS = 8
WAITING: tuple[Decision, ...] = ("released", "sent_back", "refused")


def draw_decision(actor: Actor, view: OutputView) -> None:
    """Draw the form by which somebody else than who filed decides; a released output can be recalled."""
    released = view.state == "released"
    if released:
        with st.expander(t("output_recall_heading")):
            _form(actor, view, released=True)
        return
    show(heading(t("decide_heading")))
    _form(actor, view, released=False)


def _form(actor: Actor, view: OutputView, *, released: bool) -> None:
    if not can_review(view.requester, actor.name):
        panel(Refused("governance.self_approval", name=actor.display))
        return
    digest = view.file_digest
    shown = join([tag("code", digest[:DIGITS], "wb-retype"), tag("code", digest[DIGITS:], "wb-rest")])
    show(paragraph(join([t("output_decide_file"), " ", shown])))
    with st.form(f"outputs_form_{view.id}", border=True):
        chosen: Decision | None = "recalled"
        if not released:
            chosen = st.radio(
                t("decision"), WAITING, index=None, format_func=lambda name: t(f"output_decide_{name}"),
                horizontal=True, key=f"outputs_decision_{view.id}",
            )  # fmt: skip
        reason = st.text_area(
            t("decide_reason"), help=t("decide_reason_help"), key=f"outputs_reason_{view.id}_{view.state}"
        )
        label = t("output_digits", count=DIGITS)
        digits = st.text_input(
            label, max_chars=DIGITS, autocomplete="off", key=f"outputs_digits_{view.id}_{view.state}"
        )
        if st.form_submit_button(t("output_recall" if released else "decide_send"), type="primary"):
            _send(actor, view, chosen, digits, reason)


def _send(actor: Actor, view: OutputView, chosen: Decision | None, digits: str, reason: str) -> None:
    if chosen is None:
        panel(UserError("ui.no_decision"))
        return
    if digits.strip().lower() != view.file_digest[:DIGITS]:
        panel(UserError("ui.digits_differ", count=DIGITS))
        return
    digest = view.file_digest

    def decide(proof: Proof | None) -> None:
        outputs.decide(workbench(), actor, view.id, chosen, file_digest=digest, reason=reason, proof=proof)

    if carry_out(actor, decide, href("sorties", id=view.id)):
        st.toast(t("decide_done"))
        st.query_params.from_dict(parameters(id=view.id))
        st.rerun()
