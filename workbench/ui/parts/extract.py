"""An extract as its manifest tells it: no row of it is shown here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.services import requests, study_keys
from workbench.services.extracts import ExtractView
from workbench.ui.parts.forms import draw_forms
from workbench.ui.parts.markup import (
    Html,
    digest,
    facts,
    figures,
    heading,
    join,
    paragraph,
    show,
    table,
    tag,
    whole_digest,
)
from workbench.ui.parts.risk import draw_risk
from workbench.ui.parts.sides import column_cell, columns_delivered, dates_delivered, limits_delivered
from workbench.ui.parts.why import why_person
from workbench.ui.parts.words import day, moment, named, number, period, person, rule_name, state_badge
from workbench.ui.state import lang, t, workbench


def cohort_of(actor: Actor, views: Iterable[ExtractView]) -> dict[str, str]:
    """Return the name of each extract's cohort by the extract's id: an id alone tells nobody anything."""
    titles = {each.digest: each.cohort.title for each in requests.list_requests(workbench(), actor)}
    return {view.id: titles.get(view.manifest["request"], view.id) for view in views}


def choose_extract(actor: Actor, views: Sequence[ExtractView], key: str) -> str:
    """Draw the choice of one of some extracts, and return its id."""
    names = cohort_of(actor, views)
    return st.selectbox(
        t("output_extract"), list(names), key=key,
        format_func=lambda name: t("extract_choice", cohort=names[name], extract=name),
    )  # fmt: skip


def draw_extract(actor: Actor, view: ExtractView) -> None:
    """Draw an extract: what it is, the risk in plain words, the columns on three sides, rules, dictionary."""
    manifest = view.manifest
    st.subheader(t("extract_heading", extract=view.id), anchor=False)
    show(tag("p", join([state_badge("extract", view.state), " ", t("extract_until", day=day(view.expires_on))])))
    show(paragraph(t("extract_where" if can(actor, "extract.open") else "extract_where_officer"), "wb-quiet"))
    show(*_why_closed(actor, view))
    rows = sum(entry["rows"] for entry in manifest["tables"] if entry["name"] != "concept")
    numbers = [
        (t("extract_persons"), number(manifest["risk"]["persons"])),
        (t("extract_tables"), number(len(manifest["tables"]))),
        (t("extract_rows"), number(rows)),
    ]
    show(figures(numbers))
    draw_forms(actor, view)
    show(heading(t("risk_heading")))
    draw_risk(manifest)
    show(heading(t("columns_heading")), columns_delivered(manifest["columns"]))
    show(limits_delivered(actor, manifest), dates_delivered(manifest))
    show(heading(t("transforms_heading")), _transforms(manifest))
    with st.expander(t("dictionary_heading")):
        show(_dictionary(manifest))
    with st.expander(t("files_heading")):
        show(_files(manifest))
    if can(actor, "cohort.why") and view.state == "open":
        with st.expander(t("why_heading")):
            why_person(actor, view)
    show(heading(t("provenance")), _provenance(view))


def _why_closed(actor: Actor, view: ExtractView) -> list[Html]:
    """Return why an extract cannot be opened, where it cannot: its state, or the key that opens it."""
    if view.state in {"renewed", "revoked", "expired"}:
        return [paragraph(t(f"extract_closed_{view.state}"), "wb-note")]
    key = study_keys.data_key_state(workbench(), actor, view.study)
    return [] if key == "whole" else [paragraph(t(f"key_data_{key}"), "wb-note")]


def _transforms(manifest: dict[str, Any]) -> Html:
    rows = [
        (
            t("all_tables") if entry["table"] == "*" else named("table", entry["table"]),
            t("all_columns") if entry["column"] == "*" else column_cell(entry["column"]),
            rule_name(entry["rule"]),
        )
        for entry in manifest["transforms"]
    ]
    return table([t("domain"), t("column"), t("rule")], rows, t("transforms_caption"))


def _dictionary(manifest: dict[str, Any]) -> Html:
    rows = [
        (named("table", entry["table"]), column_cell(entry["column"]), entry[f"meaning_{lang()}"])
        for entry in manifest["dictionary"]
    ]
    return table([t("domain"), t("column"), t("meaning")], rows, t("dictionary_caption"))


def _files(manifest: dict[str, Any]) -> Html:
    rows = [
        (tag("code", entry["name"]), number(entry["rows"]), digest(entry["content_digest"]))
        for entry in manifest["tables"]
    ]
    return table([t("table"), t("rows"), t("content_digest")], rows, t("files_caption"), {1})


def _provenance(view: ExtractView) -> Html:
    manifest = view.manifest
    lines = [
        (t("extract_id"), join([tag("code", view.id), " ", whole_digest(view.digest)])),
        (t("extract_made"), t("made_by_at", who=person(view.made_by), when=moment(view.made_at))),
        (
            t("request_period"),
            period(manifest["period"].get("period", manifest["period"]) if manifest.get("period") else None),
        ),
    ]
    lines += [
        (t(f"names_{name}"), digest(manifest[name]))
        for name in ("request", "approval", "protocol", "cohort", "release")
    ]
    return facts([*lines, (t("key_commitment"), digest(manifest["key_commitment"]))])
