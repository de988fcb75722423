"""Études: those of mine, the protocol of each, and the form by which one is written or changed."""

from __future__ import annotations

import re
import secrets

import streamlit as st

from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.services import drafts
from workbench.services.drafts import Draft
from workbench.services.studies import StudyView
from workbench.ui.parts import study_end
from workbench.ui.parts.listing import NEW, Entry, chooser
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.protocol import draw_protocol
from workbench.ui.parts.protocol_form import draw_form
from workbench.ui.parts.shell import my_studies
from workbench.ui.parts.study_change import proposed
from workbench.ui.parts.words import state_badge
from workbench.ui.state import parameter, t, workbench

FRESH = "studies_fresh"
"""Where a session keeps the mark of a draft in which nothing was written yet."""
MARK = re.compile(r"[0-9a-f]{12}")


def draw(actor: Actor) -> None:
    """Draw the page."""
    mine = my_studies(actor)
    written = {draft.key: draft for draft in drafts.list_drafts(workbench(), actor)}
    new = [draft for key, draft in written.items() if key.startswith("new.")]
    left, right = st.columns([1, 3], gap="large")
    with left:
        mark = _fresh(written)
        chosen = chooser("studies", _entries(new, mine), t("studies_new"), mark)
    with right:
        if chosen in {NEW, None}:
            named = parameter("new") or ""
            _new(actor, named if MARK.fullmatch(named) else mark, written)
        elif chosen in written:
            draw_form(actor, written[chosen], None)
        else:
            _study(actor, next((view for view in mine if chosen in {view.id, view.digest}), None), chosen, written)


def _entries(new: list[Draft], mine: list[StudyView]) -> list[Entry]:
    found = [
        Entry(each.key, each.content.get("title") or t("studies_untitled"), t("studies_not_handed_in"), None,
              t("studies_written"))
        for each in new
    ]  # fmt: skip
    return found + [
        Entry(view.id, view.title, view.id, state_badge("study", view.state), t("home_studies")) for view in mine
    ]


def _fresh(written: dict[str, Draft]) -> str:
    """Return the mark of a draft in which nothing was written yet; the same until something is."""
    if f"new.{st.session_state.get(FRESH)}" in written or FRESH not in st.session_state:
        st.session_state[FRESH] = secrets.token_hex(6)
    return str(st.session_state[FRESH])


def _new(actor: Actor, mark: str, written: dict[str, Draft]) -> None:
    """Draw the form of the draft that the address names: empty, or as it was left."""
    key = f"new.{mark}"
    st.subheader(t("studies_new"), anchor=False)
    draw_form(actor, written.get(key, Draft(key, {})), None)


def _study(actor: Actor, view: StudyView | None, chosen: str | None, written: dict[str, Draft]) -> None:
    if view is None:
        raise Refused("store.no_document", ref=chosen)
    key = f"study.{view.id}"
    if view.state not in {"draft", "open"}:
        draw_protocol(actor, view)
        return
    show(proposed(actor, view))
    shown, change = st.tabs([t("studies_protocol"), t("studies_change")])
    with shown:
        if view.state == "draft":
            show(paragraph(t("requests_none_draft"), "wb-note"))
        draw_protocol(actor, view)
        study_end.abandon(actor, view)
    with change:
        text = view.proposed.protocol if view.proposed else view.protocol
        draw_form(actor, written.get(key, Draft(key, text)), view)
