"""The live panel: the numbers of a definition before anything is generated, and again with each rule switched off."""

from __future__ import annotations

import streamlit as st

from workbench.cohorts.circe import Definition
from workbench.governance.actors import Actor
from workbench.services import reading
from workbench.ui.parts.errors import answering
from workbench.ui.parts.funnel import funnel
from workbench.ui.parts.markup import figures, heading, paragraph, show
from workbench.ui.parts.words import shown
from workbench.ui.state import counter, t


def live_counts(actor: Actor, definition: Definition) -> Definition:
    """Draw the panel and return the definition that it shows: the one given, without the rules switched off."""
    show(heading(t("live_title")))
    names = [name or t("live_rule", number=at + 1) for at, name in enumerate(reading.rule_names(definition))]
    kept = [at for at, name in enumerate(names) if st.checkbox(name, value=True, key=f"live_{definition.digest}_{at}")]
    chosen = definition if len(kept) == len(names) else reading.with_rules(definition, kept)
    with answering(), st.spinner(t("live_counting"), show_time=True):
        steps = counter().count(actor, chosen)
        show(figures([(t("cohort_persons"), shown(steps[-1].persons)), (t("cohort_events"), shown(steps[-1].events))]))
        show(funnel(steps), paragraph(t("live_text"), "wb-quiet"))
    return chosen
