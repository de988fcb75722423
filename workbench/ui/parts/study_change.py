"""A change of an open study's protocol that waits for the officer: what differs, member by member."""

from __future__ import annotations

from typing import Final

from workbench.governance.actors import Actor
from workbench.services import amendments
from workbench.services.studies import StudyView
from workbench.ui.parts.markup import Html, heading, join, paragraph, table, tag
from workbench.ui.parts.words import moment, named, person
from workbench.ui.state import lang, t, workbench

WORDS: Final = {
    "title": "protocol_title", "purpose": "study_purpose", "sponsor": "study_sponsor",
    "investigator": "study_investigator", "legal_basis": "study_legal_basis", "members": "study_members",
    "cohorts": "study_cohorts", "tables": "columns_heading", "concepts": "change_concepts",
    "period": "request_period", "outcome_period": "change_outcome_period", "dates": "dates_heading",
    "index_year": "protocol_index_year", "keep_rare": "study_keep_rare", "sensitive_classes": "study_sensitive",
    "duration_days": "study_duration", "retention_days": "study_retention", "ends_on": "study_ends_on",
    "refresh_on": "study_refresh_on", "destinations": "study_destinations",
}  # fmt: skip
"""Member of a protocol → what pages call it."""


def proposed(actor: Actor, view: StudyView) -> Html:
    """Return what a study's researchers propose in place of its protocol, and what accepting it ends; nothing where
    nobody does."""
    if view.proposed is None:
        return Html("")
    change = view.proposed
    said = t("change_by", who=person(change.proposed_by), when=moment(change.proposed_at))
    told = amendments.in_words(workbench(), actor, view.protocol, change, lang())
    rows = [(_member(member), before, after) for member, (before, after) in told.items()]
    heads = [t("change_member"), t("change_before"), t("change_after")]
    return join(
        [
            heading(t("change_heading")),
            paragraph(said),
            table(heads, rows, t("change_caption")),
            paragraph(t("change_voids"), "wb-note"),
        ]
    )


def _member(member: str) -> Html:
    """Return a member of the protocol in words, with the table's name where it has one, and as the papers call it."""
    above, _, table_name = member.partition(".")
    known = t(WORDS[above]) if above in WORDS else ""
    if above in {"tables", amendments.CONCEPTS} and table_name:
        known = f"{known} ({named('table', table_name)})"
    return join([*([known, " "] if known else []), tag("code", member)])
