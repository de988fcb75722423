"""What an extract lets somebody learn about a person: what can be said of a request before it is made, and the risk
measured once it is."""

from __future__ import annotations

from collections.abc import Callable

from workbench.extracts.risk_words import column_names, sentences
from workbench.governance.actors import Actor
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.quasi_identifiers import quasi_identifiers
from workbench.kernel.text import Lang, say
from workbench.services import extracts
from workbench.services.context import Workbench
from workbench.services.extracts import ExtractView
from workbench.services.requests import RequestView

Named = Callable[[str], str]


def made_from(wb: Workbench, actor: Actor, request: RequestView) -> ExtractView | None:
    """Return the extract that was made of a request, None where there is none that the actor may know of."""
    if request.state in {"filed", "checked", "sent_back", "refused", "approved"}:
        return None
    return next((e for e in extracts.list_extracts(wb, actor) if e.manifest["request"] == request.digest), None)


def risk_of(wb: Workbench, actor: Actor, request: RequestView, lang: Lang, table: Named = str) -> list[str]:
    """Return the risk of a request in sentences: measured where its extract was made, else what can be said before."""
    extract = made_from(wb, actor, request)
    return sentences(extract.manifest["risk"], lang, table) if extract else before_delivery(request, lang, table)


def before_delivery(view: RequestView, lang: Lang, table: Named = str) -> list[str]:
    """Return sentences on a request's risk: how many persons, what singles them out, what does not leave.

    `table` names a table as the reader knows it.
    """
    delivered = {name: columns.delivered for name, columns in view.columns.items()}
    known = [quasi.name for quasi in quasi_identifiers() if _leaves(quasi.table, quasi.column, delivered)]
    histories = [name for name, columns in delivered.items() if name != "person" and _has(name, columns, "concept")]
    links = [name for name, columns in delivered.items() if _has(name, columns, "key.")]
    persons = view.cohort.persons
    said = [say("extract.ahead_persons", lang, persons=persons.text_fr if lang == "fr" else persons.text_en)]
    said += [say("extract.ahead_known", lang, columns=column_names(known, lang))] if known else []
    said += [say("extract.ahead_histories", lang, tables=", ".join(map(table, histories)))] if histories else []
    said += [say("extract.ahead_dates", lang)]
    said += [say("extract.ahead_links", lang, tables=", ".join(map(table, links)))] if links else []
    places = ", ".join(view.protocol["destinations"])
    said += [say("extract.ahead_destinations" if places else "extract.ahead_stays", lang, places=places)]
    return said


def _leaves(table: str, column: str, delivered: dict[str, tuple[str, ...]]) -> bool:
    return column in {delivered_name(table, each) for each in delivered.get(table, ()) if each in deliverable()[table]}


def _has(table: str, columns: tuple[str, ...], kind: str) -> bool:
    kinds = deliverable().get(table, {})
    return any(kinds.get(column, "").startswith(kind) for column in columns)
