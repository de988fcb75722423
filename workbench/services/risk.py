"""What an extract lets somebody learn about a person: what can be said of a request before it is made, and the risk
measured once it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.extracts.risk_words import coarsened, column_names, kept_names, sentences
from workbench.governance.actors import Actor
from workbench.governance.date_forms import SHIFTED, Dates, dates_of, delivered_dates
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.protocols import RARE, kept_rare
from workbench.governance.quasi_identifiers import quasi_identifiers
from workbench.kernel.text import Lang, say
from workbench.services import diagnosing, extracts, study_numbers
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
    if extract is None:
        return before_delivery(request, lang, table)
    return [*sentences(extract.manifest["risk"], lang, table), *coarsened(extract.manifest, lang, table)]


def before_delivery(view: RequestView, lang: Lang, table: Named = str) -> list[str]:
    """Return sentences on a request's risk: how many persons, what singles them out, what does not leave.

    `table` names a table as the reader knows it.
    """
    delivered = {name: columns.delivered for name, columns in view.columns.items()}
    dates = delivered_dates(view.document, view.protocol)
    known, histories = _known(delivered, dates), _histories(delivered)
    links = [name for name, columns in delivered.items() if _has(name, columns, "key.")]
    persons = view.cohort.persons
    said = [say("extract.ahead_persons", lang, persons=persons.text_fr if lang == "fr" else persons.text_en)]
    said += [say("extract.ahead_known", lang, columns=column_names(known, lang))] if known else []
    said += [say("extract.ahead_histories", lang, tables=", ".join(map(table, histories)))] if histories else []
    said += [say("extract.ahead_shifted" if dates.form == SHIFTED else "extract.ahead_dates", lang)]
    said += [say("extract.ahead_index_year", lang)] if dates.index_year else []
    said += _rare(view.protocol, lang)
    said += [say("extract.ahead_links", lang, tables=", ".join(map(table, links)))] if links else []
    places = ", ".join(view.protocol["destinations"])
    said += [say("extract.ahead_destinations" if places else "extract.ahead_stays", lang, places=places)]
    return said


@dataclass(frozen=True)
class Meter:
    """What a request that is being written would let out, of what the protocol allows; no person is counted for it.

    `known` are the columns that people close may know, `histories` the tables of events, `days` the length of the
    period (None: open), `items` the concepts and domains asked for of the tables that the protocol limits to some, each
    with all that the protocol allows; `narrowed` the other tables, which the request alone limits. `groups` by age band
    and sex of the cohort, of which `shown` have a number that may be shown: both None where its diagnostics were not
    made.
    """

    known: tuple[str, ...]
    known_allowed: tuple[str, ...]
    histories: tuple[str, ...]
    histories_allowed: tuple[str, ...]
    days: int | None
    days_allowed: int | None
    items: int
    items_allowed: int
    narrowed: tuple[str, ...]
    shown: int | None
    groups: int | None


def meter(wb: Workbench, actor: Actor, protocol: Mapping[str, Any], asked: Mapping[str, Any]) -> Meter:
    """Return the meter of a request's `tables`, `concepts`, `period`, `index_year` and `cohort` (an id, None while none
    is chosen).

    The only numbers of persons in it are the governed ones of the cohort's diagnostics, which its members read anyway,
    without who objects to the study.
    """
    found = diagnosing.diagnostics_of(wb, actor, asked["cohort"]) if asked["cohort"] else None
    people = [row.persons.value is not None for row in found.people] if found else None
    left = study_numbers.groups_shown(wb, protocol["study"], asked["cohort"]) if found else None
    return Meter(
        _known(asked["tables"], delivered_dates(asked, protocol)), _known(protocol["tables"], dates_of(protocol)),
        _histories(asked["tables"]), _histories(protocol["tables"]),
        _length(asked["period"]), _length(protocol["period"]),
        *_items(asked, protocol),
        left if left is not None or people is None else sum(people), None if people is None else len(people),
    )  # fmt: skip


def _rare(protocol: Mapping[str, Any], lang: Lang) -> list[str]:
    kept, said = kept_rare(protocol), [] if len(kept_rare(protocol)) == len(RARE) else [say("extract.ahead_rare", lang)]
    if kept:
        facts = {"values": kept_names(kept, lang), "why": protocol["keep_rare"]["why"]}
        said.append(say("extract.ahead_kept", lang, **facts))
    return said


def _known(delivered: Mapping[str, Sequence[str]], dates: Dates) -> tuple[str, ...]:
    return tuple(
        quasi.name
        for quasi in quasi_identifiers()
        if _leaves(quasi.table, quasi.column, delivered) or (dates.index_year and quasi.column == "index_year")
    )


def _histories(delivered: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(name for name, columns in delivered.items() if name != "person" and _has(name, columns, "concept"))


def _items(asked: Mapping[str, Any], protocol: Mapping[str, Any]) -> tuple[int, int, tuple[str, ...]]:
    """Return how many items are asked for of those that the protocol takes in, and the tables that it leaves whole."""
    mine, allowed = asked.get("concepts", {}), protocol.get("concepts", {})
    given = sum(_taken_in(mine.get(table, allowed[table])) for table in asked["tables"] if table in allowed)
    return given, sum(map(_taken_in, allowed.values())), tuple(table for table in mine if table not in allowed)


def _taken_in(items: Sequence[Mapping[str, Any]]) -> int:
    return sum(not item.get("excluded", False) for item in items)


def _length(period: Mapping[str, int | None]) -> int | None:
    low, high = period["from_day"], period["to_day"]
    return None if low is None or high is None else high - low + 1


def _leaves(table: str, column: str, delivered: Mapping[str, Sequence[str]]) -> bool:
    return column in {delivered_name(table, each) for each in delivered.get(table, ()) if each in deliverable()[table]}


def _has(table: str, columns: Sequence[str], kind: str) -> bool:
    kinds = deliverable().get(table, {})
    return any(kinds.get(column, "").startswith(kind) for column in columns)
