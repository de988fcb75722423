"""The attrition funnel: a bar a step with its number on it, and the same numbers as a table for who cannot see bars."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.governance.disclosure import Shown
from workbench.governance.disclosure import shown as as_shown
from workbench.services.cohorts import Step
from workbench.ui.parts.markup import Html, join, table, tag
from workbench.ui.parts.words import cell
from workbench.ui.state import pick, t


def funnel(steps: Sequence[Step]) -> Html:
    """Return the funnel of a cohort: persons and events kept, persons lost at each step, persons without this rule."""
    widest = max((step.persons.value or 0 for step in steps), default=0) or 1
    rows = [
        (
            pick(step.label),
            bar(step.persons, widest),
            cell(_lost(steps[place - 1], step)) if place else "–",
            cell(step.events),
            cell(step.without),
        )
        for place, step in enumerate(steps)
    ]
    headings = [t("funnel_step"), t("funnel_persons"), t("funnel_lost"), t("funnel_events"), t("funnel_without")]
    return table(headings, rows, t("funnel_caption"), numeric={2, 3, 4}, css="wb-funnel")


def bar(persons: Shown, widest: int) -> Html:
    """Return a number as a bar, its share of the widest; a hidden one has an outline that says nothing of its size."""
    if persons.value is None:
        track = tag("span", tag("span", "", "wb-bar wb-hidden"), "wb-barred", aria_hidden="true")
        return tag("span", join([track, tag("span", cell(persons))]), "wb-measure")
    width = max(1, round(100 * persons.value / widest))
    track = tag("span", tag("span", "", "wb-bar", style=f"width:{width}%"), "wb-barred", aria_hidden="true")
    return tag("span", join([track, tag("span", cell(persons))]), "wb-measure")


def _lost(before: Step, after: Step) -> Shown:
    """Return what a step lost, from the two shown numbers only: a reader can subtract those, and learns no more."""
    if before.persons.value is None or after.persons.value is None:
        return as_shown(0)
    return as_shown(before.persons.value - after.persons.value)
