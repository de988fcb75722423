"""The form of a request: everything that can be chosen in it is within the study's protocol."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.date_forms import DAYS, dates_of
from workbench.kernel.errors import UserError
from workbench.kernel.text import say
from workbench.services import cohorts, requests, risk
from workbench.services.studies import StudyView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.request_concepts import concepts_asked
from workbench.ui.parts.risk import meter
from workbench.ui.parts.words import column_name, named, period
from workbench.ui.state import lang, parameters, t, workbench


def draw_form(actor: Actor, open_studies: list[StudyView]) -> None:
    """Draw the form and file what it holds."""
    st.subheader(t("requests_new"), anchor=False)
    show(paragraph(t("form_intro"), "wb-quiet"))
    titles = {study.id: study.title for study in open_studies}
    study = open_studies[0]
    if len(titles) > 1:
        chosen = st.selectbox(t("study"), list(titles), format_func=titles.__getitem__, key="requests_study")
        study = next(view for view in open_studies if view.id == chosen)
    known = {view.name: view for view in reversed(cohorts.list_cohorts(workbench(), actor))}
    asked = _asked(actor, study, {name: view.title for name, view in known.items()})
    chosen_cohort = known[asked["cohort"]].id if asked["cohort"] else None
    show(paragraph(t("meter_heading"), "wb-label"))
    show(meter(risk.meter(workbench(), actor, study.protocol, {**asked, "cohort": chosen_cohort})))
    with st.form("requests_form", border=False):
        why = st.text_area(t("form_why"), help=t("form_why_help"), key="requests_why")
        if st.form_submit_button(t("form_file"), type="primary"):
            _file(actor, study.id, {**asked, "why_not_aggregate": why})


def _asked(actor: Actor, study: StudyView, titled: dict[str, str]) -> dict[str, Any]:
    """Ask for all but the reason, outside the form: so the meter below follows each choice."""
    protocol = study.protocol
    names = [name for name in protocol["cohorts"] if name in titled]
    cohort = st.selectbox(
        t("form_cohort"),
        names,
        index=None,
        placeholder=t("choose"),
        format_func=titled.__getitem__,
        key="requests_cohort",
    )
    outcomes = st.multiselect(
        t("form_outcomes"), names, placeholder=t("choose"), format_func=titled.__getitem__, key="requests_outcomes"
    )
    tables = _tables(protocol)
    limits = concepts_asked(actor, study, tables)
    bounds = _bounds("period", protocol["period"])
    outcome_bounds = _bounds("outcome_period", protocol.get("outcome_period", {"from_day": 0, "to_day": None}))
    return {
        "cohort": cohort,
        "outcomes": outcomes,
        "tables": tables,
        **({"concepts": limits} if limits else {}),
        "period": bounds,
        "outcome_period": outcome_bounds,
        **_dates(protocol),
    }


def _dates(protocol: dict[str, Any]) -> dict[str, Any]:
    """Ask for more of the calendar than days, where the protocol approves it; nothing of it is asked for unchosen."""
    approved, asked = dates_of(protocol), dict[str, Any]()
    if approved.form != DAYS:
        forms = (DAYS, approved.form)
        chosen = st.radio(
            t("form_dates"), forms, format_func=lambda form: say(f"governance.dates_{form}", lang()),
            help=t("form_dates_help"), key="requests_dates",
        )  # fmt: skip
        asked |= {"dates": chosen} if chosen != DAYS else {}
    if approved.index_year and st.checkbox(t("form_index_year"), key="requests_index_year"):
        asked["index_year"] = True
    return asked


def _tables(protocol: dict[str, Any]) -> dict[str, list[str]]:
    show(paragraph(t("form_tables"), "wb-label"))
    chosen = {
        name: st.multiselect(
            named("table", name),
            columns,
            default=columns,
            format_func=column_name,
            placeholder=t("form_no_column"),
            key=f"requests_table_{name}",
        )
        for name, columns in protocol["tables"].items()
    }
    return {name: columns for name, columns in chosen.items() if columns}


def _bounds(name: str, allowed: dict[str, int | None]) -> dict[str, int | None]:
    show(paragraph(t(f"form_{name}", allowed=period(allowed)), "wb-label"))
    first, last = st.columns(2)
    low, high = allowed["from_day"], allowed["to_day"]
    with first:
        start = st.number_input(t("form_from_day"), low, high, value=low, step=1, key=f"requests_{name}_from")
    with last:
        end = st.number_input(t("form_to_day"), low, high, value=high, step=1, key=f"requests_{name}_to")
    return {"from_day": _whole(start), "to_day": _whole(end)}


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _file(actor: Actor, study: str, asked: dict[str, Any]) -> None:
    if not asked["cohort"]:
        panel(UserError("ui.no_cohort_chosen"))
        return
    if not asked["tables"]:
        panel(UserError("ui.no_column_chosen"))
        return
    for table, items in asked.get("concepts", {}).items():
        if not items:
            panel(UserError("ui.no_concept_chosen", table=named("table", table)))
            return
    try:
        view = requests.file_request(workbench(), actor, study, asked)
    except UserError as error:
        panel(error)
        return
    st.toast(t("form_filed"))
    st.query_params.from_dict(parameters(id=view.id))
    st.rerun()
