"""A request seen whole: what is asked, what the protocol approves, what is delivered, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.governance import date_forms
from workbench.governance.actors import Actor
from workbench.governance.legal_bases import field_label
from workbench.governance.protocols import Columns
from workbench.governance.votes import OPINIONS
from workbench.kernel.text import say
from workbench.services import concept_limits
from workbench.services.cohorts import CohortRef
from workbench.services.concept_limits import Limits
from workbench.services.requests import RequestView
from workbench.ui.parts.markup import Html, badge, facts, heading, join, paragraph, table, tag, whole_ids
from workbench.ui.parts.words import column_name, day, moment, named, number, period, person, shown, withheld_reason
from workbench.ui.state import lang, pick, t, workbench

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


def limits_asked(actor: Actor, view: RequestView) -> Html:
    """Return the concepts to which requested tables are limited, in words; nothing where none is."""
    asked, allowed = view.document.get("concepts", {}), view.protocol.get("concepts", {})
    allowed = {table: items for table, items in allowed.items() if table in view.columns}
    return _limits(actor, view.protocol["release"], asked, allowed, {})


def limits_approved(actor: Actor, protocol: Mapping[str, Any]) -> Html:
    """Return the same of a protocol, of which nothing was requested yet."""
    said = concept_limits.in_words(workbench(), actor, protocol["release"], protocol.get("concepts", {}), lang())
    rows = [(named("table", name), text) for name, text in said.items()]
    if not rows:
        return Html("")
    return table([t("domain"), t("limits_approved")], rows, t("limits_caption"))


def limits_delivered(actor: Actor, manifest: Mapping[str, Any]) -> Html:
    """Return the same of an extract's manifest, with the number of concepts that are in both."""
    proofs = manifest.get("concepts", {})
    asked, allowed = (
        {table: each[side] for table, each in proofs.items() if each[side] is not None}
        for side in ("requested", "approved")
    )
    return _limits(
        actor, manifest["release"], asked, allowed, {name: each["resolved"] for name, each in proofs.items()}
    )


def dates_asked(view: RequestView) -> Html:
    """Return the form of the dates and the index year, requested, approved and what would leave."""
    return _dates(date_forms.proof(view.document, view.protocol))


def dates_delivered(manifest: Mapping[str, Any]) -> Html:
    """Return the same of an extract's manifest, with the bands of years that it delivers."""
    said = manifest.get("dates", {})
    bands = ", ".join(f"{band['from']}–{band['to']}" for band in said.get("bands", ()))
    return join([_dates(said), paragraph(t("dates_bands", bands=bands)) if bands else ""])


def dates_approved(protocol: Mapping[str, Any]) -> str:
    """Return in words what a protocol approves."""
    (_, _, form, _), (_, _, year, _) = date_forms.in_words(date_forms.proof({}, protocol), lang())
    return t("dates_both", form=form, year=year)


def _dates(said: Mapping[str, Any]) -> Html:
    heads = [t("dates_what"), t("requested"), t("approved"), t("delivered")]
    return join([heading(t("dates_heading")), table(heads, date_forms.in_words(said, lang()), t("dates_caption"))])


def _limits(actor: Actor, release: str, asked: Limits, allowed: Limits, resolved: Mapping[str, int]) -> Html:
    both = [concept_limits.in_words(workbench(), actor, release, each, lang()) for each in (asked, allowed)]
    rows: list[tuple[object, ...]] = [
        (named("table", name), *(side.get(name, say("governance.limit_every", lang())) for side in both),
         *([number(resolved[name])] if resolved else []))
        for name in sorted({*asked, *allowed})
    ]  # fmt: skip
    if not rows:
        return Html("")
    heads = [t("domain"), t("limits_requested"), t("limits_approved"), *([t("limits_both")] if resolved else [])]
    return join([heading(t("limits_heading")), table(heads, rows, t("limits_caption"))])


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
