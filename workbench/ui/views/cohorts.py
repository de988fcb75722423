"""Cohortes: what was generated, each with its sentence, its governed numbers and its attrition; and a new one."""

from __future__ import annotations

import json
from pathlib import PurePath

import streamlit as st

from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused, UserError
from workbench.services import cohorts, reading, releases
from workbench.services.cohorts import CohortView
from workbench.ui.parts import work
from workbench.ui.parts.diagnostics import diagnostics
from workbench.ui.parts.errors import answering
from workbench.ui.parts.funnel import funnel
from workbench.ui.parts.listing import Entry, chooser
from workbench.ui.parts.live import live_counts
from workbench.ui.parts.markup import bullets, facts, figures, heading, join, paragraph, show, tag, whole_digest
from workbench.ui.parts.release import period_rule
from workbench.ui.parts.shell import empty
from workbench.ui.parts.timeline import timeline
from workbench.ui.parts.words import moment, person, shown
from workbench.ui.state import lang, parameter, parameters, pick, t, workbench

SLOT, MADE = "cohorts_job", "cohorts_made"


def draw(actor: Actor) -> None:
    """Draw the page."""
    done = work.watch(SLOT, actor, "cohorts_done")
    views = cohorts.list_cohorts(workbench(), actor)
    if done:
        _show_made(views)
    now = next((r.id for r in releases.list_releases(workbench(), actor) if r.current), None)
    entries = [_entry(view, now) for view in sorted(views, key=lambda view: (view.release != now, view.name))]
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("cohorts", entries, t("cohorts_new"))
    with right:
        if chosen == "new" or (not views and parameter("id") is None):
            if not views:
                empty(t("cohorts_none"), t("cohorts_none_then"))
            _new(actor)
        else:
            _detail(actor, views, chosen, now)


def _show_made(views: list[CohortView]) -> None:
    """Turn the page to the cohort that was just generated."""
    made = next((view for view in views if view.name == st.session_state.get(MADE)), None)
    if made:
        st.query_params.from_dict(parameters(id=made.id))


def _generate(actor: Actor, name: str, text: str) -> None:
    st.session_state[MADE] = name
    work.start(SLOT, actor, "cohort.generate", {"definitions": {name: text}})


def _entry(view: CohortView, now: str | None) -> Entry:
    note = t("cohort_entry", persons=shown(view.persons))
    return Entry(view.id, view.title, note if view.release == now else t("cohort_entry_old", release=view.release))


def _counted_by(actor: Actor, view: CohortView) -> str:
    """Say by which rule persons are observed in the release that was counted on."""
    release = releases.show_release(workbench(), actor, view.release)
    return t("cohort_counted_by", rule=period_rule(release))


def _detail(actor: Actor, views: list[CohortView], chosen: str | None, now: str | None) -> None:
    view = next((view for view in views if chosen in {view.id, view.digest}), None)
    if view is None:
        raise Refused("store.no_document", ref=chosen)
    st.subheader(view.title, anchor=False)
    if view.release != now:
        show(paragraph(t("cohort_stale", release=view.release), "wb-note"))
    show(paragraph(pick(view.sentence), "wb-sentence"))
    timeline(json.dumps(view.definition), view.title)
    show(figures([(t("cohort_persons"), shown(view.persons)), (t("cohort_events"), shown(view.events))]))
    result, found, provenance = st.tabs([t("tab_result"), t("tab_diagnostics"), t("cohort_provenance")])
    with result:
        show(paragraph(_counted_by(actor, view), "wb-quiet"))
        _attrition(view)
    with found:
        diagnostics(actor, view)
    with provenance:
        _provenance(view)


def _attrition(view: CohortView) -> None:
    show(heading(t("attrition")))
    if view.attrition:
        show(funnel(view.attrition), paragraph(t("attrition_text"), "wb-quiet"))
    else:
        show(paragraph(t("attrition_none"), "wb-quiet"))


def _provenance(view: CohortView) -> None:
    lines = [
        (t("cohort_name"), tag("code", view.name)),
        (t("cohort_version"), join([tag("code", view.id), " ", whole_digest(view.digest)])),
        (t("cohort_definition"), whole_digest(view.definition_digest)),
        (t("release"), tag("code", view.release)),
        (t("cohort_made"), t("made_by_at", who=person(view.owner), when=moment(view.made_at))),
    ]
    show(facts(lines))
    with st.expander(t("cohort_json")):
        st.code(json.dumps(view.definition, ensure_ascii=False, indent=1), language="json", height=400)


def _new(actor: Actor) -> None:
    st.subheader(t("cohorts_new"), anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        show(paragraph(t("cohorts_from_shipped"), "wb-quiet"))
        known = reading.shipped_definitions()
        name = st.selectbox(
            t("cohorts_shipped"), sorted(known), index=None, placeholder=t("choose"), key="cohorts_shipped"
        )
    with right:
        show(paragraph(t("cohorts_from_file"), "wb-quiet"))
        given = st.file_uploader(t("cohorts_file"), type="json", key="cohorts_file", max_upload_size=5)
    with answering():
        if given is not None:
            _preview(actor, PurePath(given.name).stem, _text(given.name, given.getvalue()))
        elif name:
            _preview(actor, name, known[name].read_text(encoding="utf-8"))


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("ui.not_text", file=name) from None


def _preview(actor: Actor, name: str, text: str) -> None:
    """Show what a definition says before it is run: its sentence, its timeline, what a careful reader would ask."""
    definition = reading.read_definition(text, name=name)
    show(paragraph(reading.describe(definition, lang()), "wb-sentence"))
    timeline(text, name)
    asked = reading.check(definition)
    for level in ("question", "hint"):
        texts = [question.text(lang()) for question in asked if question.level == level]
        if texts:
            show(paragraph(t("cohorts_questions" if level == "question" else "cohorts_hints")), bullets(texts))
    chosen = live_counts(actor, definition)
    if st.button(t("cohorts_generate"), type="primary", disabled=work.is_under_way(SLOT, actor), key="cohorts_go"):
        _generate(actor, name, reading.text_of(chosen))
