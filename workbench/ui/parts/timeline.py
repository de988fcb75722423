"""A definition's timeline on a page: an SVG in the page itself, whose description a screen reader reads."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from streamlit.components import v2

from workbench.kernel.text import Lang
from workbench.services import reading
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.state import lang, t


def timeline(text: str, name: str) -> None:
    """Draw the timeline of a definition (its JSON text and its name) in the page's language."""
    _component(text, name, lang())(key="timeline", width="stretch")
    show(paragraph(t("timeline_read"), "wb-quiet"))


@lru_cache(maxsize=256)
def _component(text: str, name: str, language: Lang) -> Any:
    """The picture as a component without a script: `st.html` would drop an SVG."""
    definition = reading.read_definition(text, name=name)
    ident = f"timeline_{definition.digest[:16]}_{language}"
    picture = reading.draw(definition, language, ident=ident)
    return v2.component(ident, html=f'<div style="overflow-x:auto">{picture}</div>')
