"""Demandes et extraits: what was asked of a study's protocol, where it stands, and what was delivered."""

from __future__ import annotations

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.kernel.errors import Refused
from workbench.services import extracts, refreshing, requests
from workbench.services.extracts import ExtractView
from workbench.services.requests import RequestView
from workbench.services.studies import StudyView
from workbench.ui.parts import work
from workbench.ui.parts.extract import draw_extract
from workbench.ui.parts.listing import Entry, chooser
from workbench.ui.parts.markup import facts, heading, join, link, paragraph, show, tag, whole_digest
from workbench.ui.parts.request_form import draw_form
from workbench.ui.parts.shell import empty, my_studies
from workbench.ui.parts.sides import columns_asked, dates_asked, limits_asked, opinions, request_facts, steps
from workbench.ui.parts.words import day, moment, person, state_badge
from workbench.ui.state import href, t, workbench

SLOT = "requests_job"


def draw(actor: Actor) -> None:
    """Draw the page."""
    work.watch(SLOT, actor, "requests_run_done")
    mine = my_studies(actor)
    if not mine:
        empty(t("home_no_study"), t("home_no_study_then" if can(actor, "study.create") else "home_no_study_wait"))
        return
    titles = {study.id: study.title for study in mine}
    asked = [view for view in requests.list_requests(workbench(), actor) if view.study in titles]
    made = [view for view in extracts.list_extracts(workbench(), actor) if view.study in titles]
    open_studies = [study for study in mine if study.state == "open"]
    may_file = can(actor, "request.create") and bool(open_studies)
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("requests", _entries(asked, made), t("requests_new") if may_file else None)
    with right:
        _chosen(actor, chosen, mine, asked, made)


def _entries(asked: list[RequestView], made: list[ExtractView]) -> list[Entry]:
    titles = {view.digest: view.cohort.title for view in asked}
    found = [
        Entry(
            view.id, titles.get(view.manifest["request"], view.id), view.id, state_badge("extract", view.state),
            t("extracts_group"),
        )
        for view in made
    ]  # fmt: skip
    return found + [
        Entry(view.id, titles[view.digest], view.id, state_badge("request", view.state), t("requests_group"))
        for view in asked
    ]


def _chosen(
    actor: Actor, chosen: str | None, mine: list[StudyView], asked: list[RequestView], made: list[ExtractView]
) -> None:
    if chosen == "new":
        draw_form(actor, [study for study in mine if study.state == "open"])
        return
    if chosen is None:
        drafts = [study for study in mine if study.state == "draft"]
        empty(t("requests_none"), t("requests_none_draft" if drafts else "requests_none_then"))
        return
    for request in asked:
        if chosen in {request.id, request.digest}:
            _request(actor, request, made)
            return
    for extract in made:
        if chosen in {extract.id, extract.digest}:
            draw_extract(actor, extract)
            return
    raise Refused("store.no_document", ref=chosen)


def _request(actor: Actor, view: RequestView, made: list[ExtractView]) -> None:
    st.subheader(t("request_heading", request=view.id), anchor=False)
    show(steps(view.state), _next_step(actor, view))
    extract = next((e for e in made if e.manifest["request"] == view.digest), None)
    if extract is not None:
        show(paragraph(link(t("request_open_extract", extract=extract.id), href("demandes", id=extract.id))))
    if view.state == "approved" and can(actor, "extract.run"):
        busy = work.is_under_way(SLOT, actor)
        if st.button(t("request_run"), type="primary", disabled=busy, key=f"requests_run_{view.id}"):
            work.start(SLOT, actor, "extract.run", {"request": view.id})
    if view.state == "run" and "refresh_on" in view.protocol:
        _refreshing(actor, view)
    if (
        view.state == "checked"
        and can(actor, "request.withdraw")
        and st.button(t("withdraw_send"), key=f"requests_withdraw_{view.id}")
    ):
        requests.withdraw(workbench(), actor, view.id)
        st.rerun()
    show(request_facts(view), opinions(view))
    if view.approval is not None:
        _decision(view)
    show(heading(t("columns_heading")), columns_asked(view.columns), limits_asked(actor, view), dates_asked(view))
    show(facts([(t("request_id"), join([tag("code", view.id), " ", whole_digest(view.digest)]))]))


def _refreshing(actor: Actor, view: RequestView) -> None:
    """Offer the refresh that is due; else say when the next is."""
    found = refreshing.refreshes(workbench(), view)
    if found.due is None:
        if found.next:
            show(paragraph(t("request_refresh_next", day=day(found.next)), "wb-quiet"))
        return
    busy = work.is_under_way(SLOT, actor)
    if can(actor, "extract.refresh") and st.button(
        t("request_refresh"), disabled=busy, key=f"requests_refresh_{view.id}"
    ):
        work.start(SLOT, actor, "extract.refresh", {"request": view.id})


def _next_step(actor: Actor, view: RequestView) -> str:
    if view.state == "approved" and not can(actor, "extract.run"):
        return paragraph(t("next_approved_other"), "wb-quiet")
    return paragraph(t(f"next_{view.state}"), "wb-quiet")


def _decision(view: RequestView) -> None:
    assert view.approval is not None
    body = view.approval.body
    lines = [
        (t("decision"), t(f"decision_{body['decision']}")),
        (t("decision_by"), t("made_by_at", who=person(body["reviewer"]), when=moment(view.approval.made_at))),
        (t("decision_reason"), body["reason"]),
    ]
    if body["conditions"]:
        lines.append((t("decision_conditions"), "; ".join(body["conditions"])))
    if view.expires_on:
        lines.append((t("expires_on"), day(view.expires_on)))
    show(heading(t("decision")), facts(lines))
