"""A change of an open study's protocol that waits for the officer: what differs, member by member."""

from __future__ import annotations

import json

from workbench.services.studies import StudyView
from workbench.ui.parts.markup import Html, heading, join, paragraph, table, tag
from workbench.ui.parts.words import moment, person
from workbench.ui.state import t


def proposed(view: StudyView) -> Html:
    """Return what a study's researchers propose in place of its protocol, and what accepting it ends; nothing where
    nobody does."""
    if view.proposed is None:
        return Html("")
    change = view.proposed
    said = t("change_by", who=person(change.proposed_by), when=moment(change.proposed_at))
    rows = [(tag("code", member), _brief(before), _brief(after)) for member, (before, after) in change.changes.items()]
    heads = [t("change_member"), t("change_before"), t("change_after")]
    return join(
        [
            heading(t("change_heading")),
            paragraph(said),
            table(heads, rows, t("change_caption")),
            paragraph(t("change_voids"), "wb-note"),
        ]
    )


def _brief(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
