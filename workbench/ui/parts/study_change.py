"""A change of an open study's protocol that waits for the officer: what differs, member by member."""

from __future__ import annotations

from workbench.governance.actors import Actor
from workbench.services import amendments
from workbench.services.studies import StudyView
from workbench.ui.parts.markup import Html, heading, join, paragraph, table, tag
from workbench.ui.parts.words import moment, named, person
from workbench.ui.state import lang, t, workbench


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
    """Return a member of the protocol; where it is a table's, with the table's name."""
    above, _, table_name = member.partition(".")
    known = named("table", table_name) if above in {"tables", amendments.CONCEPTS} and table_name else ""
    return join([tag("code", member), *([" ", known] if known else [])])
