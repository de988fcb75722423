"""A study's protocol, as whoever decides on it and whoever wrote it read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench.extracts.risk_words import kept_names
from workbench.governance.actors import Actor
from workbench.governance.legal_bases import field_label, legal_basis
from workbench.governance.protocols import kept_rare
from workbench.governance.sensitive import sensitive_classes
from workbench.services.studies import StudyView
from workbench.ui.parts.markup import facts, heading, show, table, whole_digest
from workbench.ui.parts.sides import dates_approved, limits_approved
from workbench.ui.parts.words import column_name, day, named, number, period, person, role_name, state_badge
from workbench.ui.state import lang, t


def draw_protocol(actor: Actor, view: StudyView) -> None:
    """Draw a study's protocol as it is valid now."""
    protocol = view.protocol
    refreshed = sorted(protocol.get("refresh_on", ()))
    st.subheader(view.title, anchor=False)
    basis = legal_basis(protocol["legal_basis"]["code"])
    lines = [
        (t("study_state"), state_badge("study", view.state)),
        (t("study_purpose"), protocol["purpose"]),
        (t("study_sponsor"), protocol["sponsor"]),
        (t("study_investigator"), protocol["investigator"]),
        (t("study_legal_basis"), t("basis_to_confirm", basis=basis.name[lang()])),
        (
            t("study_members"),
            ", ".join(f"{person(m['user'])} ({role_name(m['role'])})" for m in protocol["members"]),
        ),
        (t("study_cohorts"), ", ".join(protocol["cohorts"])),
        (t("request_period"), period(protocol["period"])),
        (t("dates_heading"), dates_approved(protocol)),
        (t("study_duration"), t("days", count=number(protocol["duration_days"]))),
        (t("study_retention"), t("days", count=number(protocol["retention_days"]))),
        (t("study_sensitive"), ", ".join(_classes(protocol)) or t("none")),
        *([(t("study_keep_rare"), _kept(protocol))] if "keep_rare" in protocol else []),
        (t("study_destinations"), ", ".join(protocol["destinations"]) or t("study_no_destination")),
        *([(t("study_ends_on"), day(view.ends_on))] if view.ends_on else []),
        *([(t("study_refresh_on"), ", ".join(map(day, refreshed)))] if refreshed else []),
        (t("study_protocol"), whole_digest(view.digest)),
    ]
    asked = [(_label(name), value) for name, value in protocol["legal_basis"]["fields"].items()]
    rows = [
        (named("table", name), ", ".join(column_name(column) for column in columns))
        for name, columns in protocol["tables"].items()
    ]
    show(facts(lines), heading(t("study_basis_fields")), facts(asked))
    show(heading(t("columns_heading")), table([t("domain"), t("columns")], rows, t("study_tables_caption")))
    show(limits_approved(actor, protocol))


def _classes(protocol: Mapping[str, Any]) -> list[str]:
    return [sensitive_classes()[code].name[lang()] for code in protocol["sensitive_classes"]]


def _kept(protocol: Mapping[str, Any]) -> str:
    return f"{kept_names(kept_rare(protocol), lang())} – {protocol['keep_rare']['why']}"


def _label(field: str) -> str:
    words = field_label(field, lang())
    return words[:1].upper() + words[1:]
