"""The end of a study and its keys, as its officer acts on them: each act names what it destroys and says why."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.governance.proofs import Proof
from workbench.kernel.errors import UserError
from workbench.services import studies, study_keys
from workbench.services.studies import StudyView
from workbench.services.study_keys import KeyView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.markup import badge, bullets, heading, join, paragraph, show, table, tag
from workbench.ui.parts.proving import carry_out
from workbench.ui.parts.words import day, number, state_name
from workbench.ui.state import href, t, workbench

DIGITS = 8
_TONES = {"whole": "good", "missing": "bad", "damaged": "bad", "destroyed": "bad"}


def kept(view: StudyView) -> None:
    """Say what remains of a study that ended, and until when."""
    if view.kept_until:
        show(paragraph(t("study_kept_text", day=day(view.kept_until)), "wb-note"))
    if view.state == "purged":
        show(paragraph(t("study_purged_text"), "wb-note"))


def close(actor: Actor, view: StudyView) -> None:
    """Draw the form that closes an open study, for its officer."""
    if view.state != "open" or not can(actor, "study.close"):
        return
    show(heading(t("close_heading")))
    with st.form(f"close_{view.id}", border=True):
        show(paragraph(t("close_text", days=number(view.protocol["retention_days"]))))
        reason = st.text_area(t("decide_reason"), height=68, key=f"close_reason_{view.id}")
        if st.form_submit_button(t("close_send")):
            _do(actor, lambda _: studies.close_study(workbench(), actor, view.id, reason), t("close_done"))


def abandon(actor: Actor, view: StudyView) -> None:
    """Draw what gives a draft up, for its researchers."""
    if view.state != "draft" or not can(actor, "study.abandon"):
        return
    with st.popover(t("abandon"), type="tertiary"), st.form(f"abandon_{view.id}", border=False):
        reason = st.text_area(t("decide_reason"), height=68, key=f"abandon_reason_{view.id}")
        if st.form_submit_button(t("abandon_send")):
            _do(actor, lambda _: studies.abandon_study(workbench(), actor, view.id, reason), t("key_done"))


def keys(actor: Actor, view: StudyView) -> None:
    """Draw a study's two secrets, and the form that renews or destroys them, for its officer."""
    if view.state == "draft" or not can(actor, "key.read"):
        return
    found = {each.secret: each for each in study_keys.show_keys(workbench(), actor, view.id)}
    rows = [
        (
            t(f"secret_{each.secret}"),
            badge(state_name("key", each.state), _TONES.get(each.state, "plain")),
            number(each.renewals),
            ", ".join(each.closes) or "–",
            join([tag("code", each.digest[:DIGITS], "wb-retype"), tag("code", each.digest[DIGITS:16], "wb-rest")]),
        )
        for each in found.values()
    ]
    names = ("secret", "renewed", "closes", "digest")
    heads = [t(f"keys_{name}") for name in names]
    show(heading(t("keys_heading")))
    show(table([heads[0], t("study_state"), *heads[1:]], rows, t("keys_caption"), {2}))
    show(bullets([t(f"key_{each.secret}_{each.state}") for each in found.values()]))
    if found["pseudonym"].state not in {"none", "destroyed"}:
        _act(actor, view, found["data"], found["pseudonym"])


def _act(actor: Actor, view: StudyView, data: KeyView, pseudonym: KeyView) -> None:
    acts: dict[str, tuple[KeyView, Callable[[str, str, Proof | None], object]]] = {}
    wb, id_ = workbench(), view.id
    if data.state == "whole" and view.state == "open":
        acts["rotate"] = (
            data, lambda named, why, proof: study_keys.rotate_keys(
                wb, actor, id_, digest=named, reason=why, proof=proof
            ),
        )  # fmt: skip
    if data.state not in {"none", "destroyed"}:
        acts["destroy_data"] = (
            data, lambda named, why, proof: study_keys.destroy_key(
                wb, actor, id_, "data", digest=named, reason=why, proof=proof
            ),
        )  # fmt: skip
    acts["destroy_pseudonym"] = (
        pseudonym, lambda named, why, proof: study_keys.destroy_key(
            wb, actor, id_, "pseudonym", digest=named, reason=why, proof=proof
        ),
    )  # fmt: skip
    act = st.radio(
        t("key_act"), list(acts), index=None, format_func=lambda name: t(f"key_{name}"), key=f"key_act_{view.id}"
    )
    if act is None:
        return
    meant, do = acts[act]
    with st.form(f"key_{act}_{view.id}", border=True):
        reason = st.text_area(t("decide_reason"), height=68, key=f"key_reason_{view.id}")
        label = t("key_digits", count=DIGITS, secret=t(f"secret_{meant.secret}"))
        digits = st.text_input(label, max_chars=DIGITS, autocomplete="off", key=f"key_digits_{view.id}")
        if st.form_submit_button(t("key_send")):
            if digits.strip().lower() != meant.digest[:DIGITS]:
                panel(UserError("ui.key_digits_differ", count=DIGITS))
                return
            _do(actor, lambda proof: do(meant.digest, reason, proof), t("key_done"), href("examen", id=view.id))


def _do(actor: Actor, act: Callable[[Proof | None], object], said: str, then: str = "/") -> None:
    if carry_out(actor, act, then):
        st.toast(said)
        st.rerun()
