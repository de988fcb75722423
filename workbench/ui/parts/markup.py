"""Pieces of HTML drawn on a page, with the app's own style (`assets/style.css`)."""

from __future__ import annotations

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
]


def show(*pieces: str) -> None:
    """Draw pieces of markup on the page; nothing where there are none."""
    drawn = "".join(pieces)
    if drawn:
        st.html(drawn)
