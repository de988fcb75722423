"""The concepts to which a request limits its tables: of those that the protocol approves, or of all where it sets no
limit."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.deliverable import main_concept
from workbench.services import concept_limits
from workbench.services.studies import StudyView
from workbench.ui.parts.concept_field import Item, pick_items
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.words import named
from workbench.ui.state import lang, t, workbench


def concepts_asked(actor: Actor, study: StudyView, tables: dict[str, list[str]]) -> dict[str, list[Item]]:
    """Draw the field of each requested table; return table → items where less is asked for than the protocol approves.

    An empty list is a table of which nothing is left: that is no request.
    """
    able = [name for name, columns in tables.items() if main_concept(name) in columns]
    approved = {name: items for name, items in study.protocol.get("concepts", {}).items() if name in able}
    asked = {**_of_approved(actor, study, approved), **_of_all(actor, study, [n for n in able if n not in approved])}
    return dict(sorted(asked.items()))


def _of_approved(actor: Actor, study: StudyView, approved: dict[str, Any]) -> dict[str, list[Item]]:
    if not approved:
        return {}
    show(paragraph(t("form_concepts"), "wb-label"))
    words = concept_limits.items_in_words(workbench(), actor, study.protocol["release"], approved, lang())
    asked: dict[str, list[Item]] = {}
    for name, items in approved.items():
        offered = [place for place, item in enumerate(items) if not item.get("excluded", False)]
        out = [words[name][place] for place in range(len(items)) if place not in offered]
        chosen = st.multiselect(
            t("form_concepts_of", table=named("table", name)),
            offered,
            default=offered,
            format_func=words[name].__getitem__,
            placeholder=t("form_no_concept"),
            help=t("form_concepts_out", out=" ; ".join(out)) if out else None,
            key=f"requests_concepts_{study.id}_{name}",
        )
        if len(chosen) < len(offered):
            asked[name] = [items[place] for place in sorted(chosen)]
    return asked


def _of_all(actor: Actor, study: StudyView, names: list[str]) -> dict[str, list[Item]]:
    """Of tables that the protocol does not limit: closed at first, since nothing need be said there."""
    if not names:
        return {}
    kept: dict[str, list[Item]] = st.session_state.setdefault(f"requests_narrowed_{study.id}", {})
    with st.expander(t("form_narrow"), expanded=bool(kept)):
        show(paragraph(t("form_narrow_text"), "wb-quiet"))
        name = st.selectbox(
            t("form_narrow_table"), names, format_func=lambda each: named("table", each),
            key=f"requests_narrow_{study.id}",
        )  # fmt: skip
        now = pick_items(actor, study.protocol["release"], kept.get(name, []), f"requests_{study.id}_{name}")
        if now != kept.get(name, []):
            kept[name] = now
            if not now:
                del kept[name]
            st.rerun()
    return {name: items for name, items in kept.items() if name in names}
