"""Why one person of an extract is in its cohort: asked by pseudonym, answered in days from the index."""

from __future__ import annotations

import streamlit as st

from workbench.cohorts.why_words import Explanation
from workbench.governance.actors import Actor
from workbench.kernel.errors import InvalidInput
from workbench.services.extracts import ExtractView
from workbench.services.why import why_in_extract
from workbench.ui.parts.errors import answering
from workbench.ui.parts.markup import bullets, join, paragraph, show, tag
from workbench.ui.state import lang, t, workbench


def why_person(actor: Actor, view: ExtractView) -> None:
    """Draw the question and, once it is asked, its answer."""
    show(paragraph(t("why_intro"), "wb-quiet"))
    key = f"why_{view.id}"
    with st.form(key, border=False):
        given = st.text_input(t("why_pseudonym"), key=f"{key}_pseudonym", max_chars=16)
        asked = st.form_submit_button(t("why_ask"))
    if not asked:
        return
    with answering():
        if not given.strip().isdigit():
            raise InvalidInput("ui.why_number")
        _answer(why_in_extract(workbench(), actor, view.id, int(given)))


def _answer(found: Explanation) -> None:
    pieces = [paragraph(line) for line in found.lines(lang()) if not line.startswith("  ")]
    for entry in found.entries:
        for title, rule in entry.judged(lang()):
            pieces += [paragraph(title, "wb-label"), bullets(each.text(lang()) for each in rule.criteria)]
    show(tag("section", join(pieces), aria_label=t("why_heading")))
