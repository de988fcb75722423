"""A set of concepts, put together on a page: searched by name, code or number, or a whole domain; each taken out again.

Its items are those of the members `concepts` of protocols and requests.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.services import concept_limits, concepts
from workbench.ui.parts.errors import answering
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.words import shown
from workbench.ui.state import lang, t, workbench

Item = dict[str, Any]
FOUND = 12


def pick_items(actor: Actor, release: str, items: list[Item], key: str) -> list[Item]:
    """Draw a set of concepts of a release (by digest) that can be added to and taken from; return it as it is now.

    `items` is the set as it was kept, `key` tells this field from others of the page.
    """
    words = concept_limits.items_in_words(workbench(), actor, release, {"": items}, lang())[""] if items else []
    kept = [each for place, each in enumerate(items) if not _taken_out(words[place], bool(each.get("excluded")), key)]
    added = [item for item in (_searched(actor, key), _domain(actor, release, key)) if item]
    return [*kept, *(item for item in added if item not in kept)]


def _taken_out(words: str, excluded: bool, key: str) -> bool:
    said, out = st.columns([5, 1])
    with said:
        show(paragraph(t("concepts_but_not", item=words) if excluded else words))
    with out:
        return st.button(t("concepts_remove"), key=f"{key}_out_{words}", type="tertiary", help=words)


def _searched(actor: Actor, key: str) -> Item | None:
    text = st.text_input(t("concepts_search"), key=f"{key}_text", help=t("concepts_search_help"), max_chars=200)
    if not text.strip():
        return None
    found = None
    with answering(), st.spinner(t("concepts_searching")):
        found = concepts.search(workbench(), actor, text, lang=lang(), limit=FOUND)
    if found is None:
        return None
    if not found.concepts:
        show(paragraph(t("concepts_none_found"), "wb-note"))
        return None
    lines = {
        each.id: t("concepts_line", label=each.label, id=each.id, domain=each.domain, records=shown(each.records))
        for each in found.concepts
    }
    chosen = st.selectbox(t("concepts_found", count=found.total), list(lines), format_func=lines.__getitem__,
                          key=f"{key}_found_{text}")  # fmt: skip
    below, out, add = st.columns([2, 2, 1], vertical_alignment="bottom")
    with below:
        descendants = st.checkbox(t("concepts_below"), value=True, key=f"{key}_below")
    with out:
        excluded = st.checkbox(t("concepts_exclude"), key=f"{key}_exclude")
    with add:
        if not st.button(t("concepts_add"), key=f"{key}_add"):
            return None
    item: Item = {"concept": chosen}
    return {**item, **({} if descendants else {"descendants": False}), **({"excluded": True} if excluded else {})}


def _domain(actor: Actor, release: str, key: str) -> Item | None:
    known = concept_limits.domains(workbench(), actor, release)
    if not known:
        return None
    field, add = st.columns([2, 1], vertical_alignment="bottom")
    with field:
        chosen = st.selectbox(t("concepts_domain"), known, index=None, placeholder=t("choose"), key=f"{key}_domain")
    with add:
        pressed = st.button(t("concepts_add_domain"), key=f"{key}_add_domain", disabled=chosen is None)
    return {"domain": chosen} if pressed and chosen else None
