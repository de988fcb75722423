"""The fields of a protocol that say how fine the data leave: dates, the index year, values that few persons have."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.extracts.risk_words import kept_names
from workbench.governance.date_forms import DAYS, SHIFTED, dates_of
from workbench.governance.protocols import RARE, kept_rare
from workbench.kernel.text import say
from workbench.ui.parts.protocol_answers import Answers
from workbench.ui.state import lang, t

Document = dict[str, Any]


def detail_fields(written: Document, key: str, answers: Answers) -> Document:
    """Draw the fields; return their members of the protocol: what is finer than usual, and nothing where it is not."""
    now = dates_of(written)
    form = st.selectbox(
        t("protocol_dates"), (DAYS, SHIFTED), index=(DAYS, SHIFTED).index(now.form),
        format_func=lambda each: say(f"governance.dates_{each}", lang()), help=t("protocol_dates_help"),
        key=f"{key}_dates",
    )  # fmt: skip
    found: Document = {"dates": form}
    years = st.checkbox(
        t("protocol_index_year"), now.index_year, help=t("protocol_index_year_help"), key=f"{key}_index_year"
    )
    if years:
        found["index_year"] = True
    return found | _rare(written, key, answers)


def _rare(written: Document, key: str, answers: Answers) -> Document:
    """Ask what leaves as it is however few persons have it; it takes a reason, which the ethics officer reads."""
    values = st.multiselect(
        t("study_keep_rare"), RARE, default=list(kept_rare(written)), placeholder=t("protocol_rare_none"),
        format_func=lambda kind: kept_names([kind], lang()), help=t("protocol_rare_help"), key=f"{key}_rare",
    )  # fmt: skip
    if not values:
        return {}
    why = st.text_input(t("protocol_rare_why"), written.get("keep_rare", {}).get("why", ""), key=f"{key}_rare_why")
    answers.draw("keep_rare")
    return {"keep_rare": {"values": sorted(values), "why": (why or "").strip()}}
