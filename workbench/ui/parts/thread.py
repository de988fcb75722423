"""The thread, drawn: from the data release down to the models, one line a document."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from workbench.services.tracing import Link
from workbench.ui.parts.markup import Html, join, link, tag, whole_digest
from workbench.ui.parts.words import moment, named, person
from workbench.ui.state import lang, t


def thread(links: Iterable[Link], start: str | None = None) -> Html:
    """Return the thread as an ordered list, the document that was asked for marked."""
    return tag(
        "ol", join(_line(link, link.digest == start) for link in links), "wb-thread", aria_label=t("thread_label")
    )


def evidence_link(value: str) -> Html:
    """Return the link that takes the evidence pack of a document, by its digest."""
    return link(t("evidence_take"), f"/download/evidence.zip?{urlencode({'id': value, 'lang': lang()})}")


def _line(link: Link, here: bool) -> Html:
    name = tag("strong", link.title) if link.title and link.title != link.id else ""
    made = t("thread_made", who=person(link.made_by), when=moment(link.made_at))
    said = [
        tag("span", named("kind", link.kind), "wb-kind"),
        tag("span", join([name, tag("code", link.id)], " ")),
        tag("span", join([whole_digest(link.digest), " ", tag("span", made)]), "wb-quiet"),
    ]
    return tag("li", join(said), "wb-here" if here else "", aria_current="true" if here else "")
