"""An open extract in its study's workspace: how each of its two forms is opened, MEDS made, and taken where allowed."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.kernel.errors import InvalidInput
from workbench.services import meds, studies
from workbench.services.extracts import ExtractView
from workbench.services.meds import MedsView
from workbench.ui.parts import work
from workbench.ui.parts.errors import answering
from workbench.ui.parts.markup import facts, heading, join, paragraph, show, tag, whole_digest
from workbench.ui.parts.words import moment, named, number, person
from workbench.ui.state import t, workbench

MADE, TAKEN = "meds_job", "meds_take_job"
OPEN_OWN = """from workbench.notebook import open_home
from workbench.services import extracts

wb, actor = open_home()
view, tables, _ = extracts.open_tables(wb, actor, "{id}")"""
OPEN_MEDS = """from workbench.notebook import open_home
from workbench.services import meds

wb, actor = open_home()
tables = meds.open_meds(wb, actor, "{id}")
tables["data"]"""


def draw_forms(actor: Actor, view: ExtractView) -> None:
    """Draw both forms of an open extract for who may open it; nothing for anybody else."""
    if view.state != "open" or not can(actor, "extract.open"):
        return
    show(heading(t("forms_heading")))
    with st.container():  # what is said once must not move the tabs below: they would open at the first again
        work.watch(MADE, actor, "meds_made")
        work.watch(TAKEN, actor, "meds_taken")
    own, other = st.tabs([t("form_own"), t("form_meds")])
    with own:
        show(paragraph(t("form_own_text"), "wb-quiet"))
        st.code(OPEN_OWN.format(id=view.id), language="python")
    with other:
        show(paragraph(t("form_meds_text"), "wb-quiet"))
        _meds(actor, view)


def _meds(actor: Actor, view: ExtractView) -> None:
    made = next((each for each in meds.list_meds(workbench(), actor) if each.extract == view.id), None)
    if made is None:
        busy = work.is_under_way(MADE, actor)
        if st.button(t("meds_make"), type="primary", disabled=busy, key=f"meds_make_{view.id}"):
            work.start(MADE, actor, "extract.meds", {"extract": view.id})
        return
    rows = {entry["name"]: entry["rows"] for entry in made.manifest["tables"]}
    splits = made.manifest["splits"]
    lines = [
        (t("request_id"), join([tag("code", made.id), " ", whole_digest(made.digest)])),
        (t("extract_made"), t("made_by_at", who=person(made.made_by), when=moment(made.made_at))),
        (t("meds_holds"), t("meds_holds_text", rows=number(rows["data"]), codes=number(rows["codes"]))),
        (t("meds_splits"), ", ".join(f"{named('split', name)} {number(splits[name])}" for name in splits)),
    ]
    if made.manifest["left_out"]:
        lines.append((t("meds_left_out"), ", ".join(named("table", name) for name in made.manifest["left_out"])))
    show(facts(lines))
    st.code(OPEN_MEDS.format(id=made.id), language="python")
    _take(actor, view, made)


def _take(actor: Actor, view: ExtractView, made: MedsView) -> None:
    """Draw the way out, where the protocol names a folder; else say that there is none."""
    named_places = studies.show_study(workbench(), actor, view.study).protocol["destinations"]
    places = [place for place in named_places if place.startswith("/")]
    if not places:
        show(paragraph(t("meds_stays"), "wb-quiet"))
        return
    with st.form(f"meds_take_{made.id}", border=True):
        show(paragraph(t("meds_take_text")))
        place = st.selectbox(t("meds_place"), places, key=f"meds_place_{made.id}")
        name = st.text_input(t("meds_folder"), value=made.id, max_chars=80, key=f"meds_folder_{made.id}")
        sent = st.form_submit_button(t("meds_take"), disabled=work.is_under_way(TAKEN, actor))
    if sent and place:
        with answering():
            if not name.strip() or "/" in name:
                raise InvalidInput("ui.folder_name")
            out = Path(place, name.strip())
            meds.may_take(workbench(), actor, made.id, out)
            work.start(TAKEN, actor, "extract.take", {"meds": made.id, "out": str(out)})
