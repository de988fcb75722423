"""Pieces of HTML drawn on a page, with the app's own style (`assets/style.css`)."""

from __future__ import annotations

import re

import streamlit as st

from workbench.kernel.html import (
    Html,
    badge,
    bullets,
    digest,
    esc,
    facts,
    figures,
    heading,
    join,
    link,
    paragraph,
    table,
    tag,
    whole_digest,
)

_ID = re.compile(r"\b[a-z]{3}-[0-9a-f]{12}\b")

__all__ = [
    "Html",
    "badge",
    "bullets",
    "digest",
    "esc",
    "facts",
    "figures",
    "heading",
    "join",
    "link",
    "paragraph",
    "show",
    "table",
    "tag",
    "whole_digest",
    "whole_ids",
]


def whole_ids(text: str) -> Html:
    """Return text whose ids stay on one line: a browser breaks them at their hyphen."""
    return Html(_ID.sub(r'<span class="wb-id">\g<0></span>', esc(text)))


def show(*pieces: str) -> None:
    """Draw pieces of markup on the page; nothing where there are none."""
    drawn = "".join(pieces)
    if drawn:
        st.html(drawn)
