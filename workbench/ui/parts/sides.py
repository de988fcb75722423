"""A request seen whole: what is asked, what the protocol approves, what is delivered, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.governance.legal_bases import field_label
from workbench.governance.protocols import Columns
from workbench.governance.votes import OPINIONS
from workbench.kernel.text import say
from workbench.services.cohorts import CohortRef
from workbench.services.requests import RequestView
from workbench.ui.parts.markup import Html, badge, facts, heading, join, paragraph, table, tag, whole_ids
from workbench.ui.parts.words import column_name, day, moment, named, period, person, shown, withheld_reason
from workbench.ui.state import lang, pick, t

STEPS = ("filed", "checked", "approved", "run", "expired")
"""The way of a request that goes well, as `lifecycle` has it."""


def steps(state: str) -> Html:
    """Return where a request stands on its way; a request that left the way says so instead."""
    if state not in STEPS:
        return tag("p", badge(t(f"state_request_{state}"), "bad" if state in {"refused", "revoked"} else "wait"))
    here = STEPS.index(state)
    lines = [
        tag("li", t(f"step_{name}"), "wb-done" if place < here else "wb-now" if place == here else "",
            aria_current="step" if place == here else "")
        for place, name in enumerate(STEPS)
    ]  # fmt: skip
    return tag("ol", join(lines), "wb-steps", aria_label=t("steps_label"))


def request_facts(view: RequestView) -> Html:
    """Return what a request says, in words."""
    lines = [
        (t("study"), view.protocol["title"]),
        (t("request_by"), t("made_by_at", who=person(view.requester), when=moment(view.made_at))),
        (
            t("request_cohort"),
            join([view.cohort.title, " (", shown(view.cohort.persons), ")"]),
        ),
        (t("request_cohort_says"), cohort_words(view.cohort)),
        (t("request_outcomes"), join([cohort_words(outcome, outcome.title) for outcome in view.outcomes]) or "–"),
        (t("request_period"), _periods(view, "period")),
        (t("request_outcome_period"), _periods(view, "outcome_period")),
        (t("request_why"), tag("q", view.document["why_not_aggregate"])),
    ]
    return facts(lines)


def cohort_words(cohort: CohortRef, title: str = "") -> Html:
    """Return what a cohort version says, which one it is and who made it: a name alone could stand for another."""
    said = pick(cohort.sentence)
    which = t("cohort_which", id=cohort.id, who=person(cohort.author))
    return tag(
        "p", join([*([tag("strong", title), " : "] if title else []), said, " ", tag("small", whole_ids(which))])
    )


def _periods(view: RequestView, name: str) -> str:
    allowed = view.protocol.get(name)
    asked = view.document.get(name, allowed)
    if asked == allowed:
        return period(asked)
    return t("period_of", asked=period(asked), allowed=period(allowed))


def opinions(view: RequestView) -> Html:
    """Return what committees and authorities said, in the protocol and with the decision, side by side; nothing where
    nobody was asked."""
    fields = view.protocol["legal_basis"]["fields"]
    rows: list[tuple[object, ...]] = [
        (field_label(name, lang()), fields[name], t("votes_protocol")) for name in OPINIONS if name in fields
    ]
    votes = view.approval.body.get("votes", ()) if view.approval is not None else ()
    rows += [(each["committee"], say(f"governance.vote_{each['vote']}", lang()), day(each["day"])) for each in votes]
    if not rows:
        return Html("")
    heads = [t("votes_who"), t("votes_said"), t("votes_when")]
    return join([heading(t("votes_heading")), table(heads, rows, t("votes_caption"))])


def columns_asked(columns: Mapping[str, Columns]) -> Html:
    """Return the columns of a request beside the protocol's and those that (would) leave."""
    given = {
        name: (each.requested, each.approved, each.delivered, dict(each.withheld)) for name, each in columns.items()
    }
    return _sides(given)


def columns_delivered(columns: Mapping[str, Mapping[str, Sequence[str]]]) -> Html:
    """Return the same of an extract's manifest."""
    return _sides({name: (c["requested"], c["approved"], c["delivered"], {}) for name, c in columns.items()})


def _sides(columns: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str], Mapping[str, Any]]]) -> Html:
    rows: list[tuple[object, ...]] = []
    for name, (requested, approved, delivered, withheld) in columns.items():
        every = [column for column in dict.fromkeys([*delivered, *requested, *approved]) if column != "person_id"]
        for place, column in enumerate(every):
            rows.append(
                (
                    tag("strong", named("table", name)) if place == 0 else "",
                    column_cell(column),
                    _mark(column in requested),
                    _mark(column in approved),
                    _delivered(column, delivered, withheld),
                )
            )
    asked = sum(1 for requested, *_ in columns.values() for column in requested if column != "person_id")
    lost = sum(1 for requested, _, delivered, _ in columns.values() for column in requested if column not in delivered)
    said = t("sides_all", count=asked) if not lost else t("sides_lost", count=asked, lost=lost)
    headings = [t("domain"), t("column"), t("requested"), t("approved"), t("delivered")]
    return join([paragraph(said), table(headings, rows, t("sides_caption"), css="wb-sides")])


def column_cell(column: str) -> Html:
    """Return a column in words, and as the data name it."""
    return join([column_name(column), " ", tag("code", column, "wb-quiet")])


def _mark(given: bool) -> Html:
    return (
        tag("span", "✓", "wb-yes", role="img", aria_label=t("yes"))
        if given
        else tag("span", "–", "wb-no", role="img", aria_label=t("no"))
    )


def _delivered(column: str, delivered: Sequence[str], withheld: Mapping[str, str]) -> Html:
    if column in withheld:
        return join([_mark(False), " ", tag("span", withheld_reason(withheld[column]), "wb-quiet")])
    return _mark(column in delivered)
