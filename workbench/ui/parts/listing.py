"""A list on the left, the chosen thing on the right; the choice is in the address, so that it can be sent and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from workbench.ui.parts.markup import Html, join, paragraph, show, tag, whole_ids
from workbench.ui.state import parameter, parameters

NEW = "new"
PAGES = "wb_pages"
"""Where a session keeps its pages by key, for links that do not load the app again."""


@dataclass(frozen=True)
class Entry:
    """One line of a list: what it leads to, its name, a quiet line below it, perhaps a badge, perhaps a group above."""

    id: str
    name: str
    note: str
    badge: Html | None = None
    group: str = ""


def chooser(page: str, entries: Sequence[Entry], new: str | None = None, mark: str = "1") -> str | None:
    """Draw a list as links to `page` and return what the address chooses: an id, `new`, else the first entry's id.

    `mark` is what the address of the new one says: where it names something, that is found again."""
    chosen = parameter("id") or (NEW if new and parameter("new") else entries[0].id if entries else None)
    if new:
        _link(page, f"+ {new}", NEW, chosen == NEW, new=mark)
    group = ""
    for entry in entries:
        if entry.group != group:
            group = entry.group
            show(paragraph(group, "wb-group"))
        _link(page, entry.name, entry.id, entry.id == chosen, id=entry.id)
        show(
            tag("div", join([entry.badge or "", tag("span", whole_ids(entry.note), "wb-quiet")], " "), "wb-entry-note")
        )
    return chosen


def _link(page: str, label: str, name: str, here: bool, **named: str) -> None:
    with st.container(key=f"{'chosen' if here else 'entry'}_{page}_{name}"):
        st.page_link(st.session_state[PAGES][page], label=label, query_params=parameters(**named), width="stretch")
