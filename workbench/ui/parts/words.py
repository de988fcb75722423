"""Names and values as people read them: moments, numbers, states, tables of the data model."""

from __future__ import annotations

import re
from datetime import date

import streamlit as st

from workbench.governance.disclosure import Shown
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel import clock
from workbench.kernel.text import Lang, catalogue, say
from workbench.services import people
from workbench.ui.parts.markup import Html, badge
from workbench.ui.state import lang, t, workbench

MONTHS: dict[Lang, tuple[str, ...]] = {
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
           "décembre"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December"),
}  # fmt: skip
TONES = {
    "open": "good", "approved": "good", "run": "good", "done": "good", "released": "good", "to_review": "wait",
    "reported": "wait", "accepted": "good", "delivered": "good",
    "draft": "wait", "filed": "wait", "checked": "wait", "sent_back": "wait", "queued": "wait", "running": "wait",
    "refused": "bad", "revoked": "bad", "failed": "bad", "denied": "bad", "aborted": "bad",
    "recalled": "bad",
}  # fmt: skip


_COLUMN_FAMILIES = {
    "_start_date": "start", "_end_date": "end", "_date": "day", "_type_concept_id": "type",
    "_source_concept_id": "source",
}  # fmt: skip
"""What the columns of many tables have in common: how their names end, and the words for them."""


def day(iso: str | None) -> str:
    """Return a date, or the French legal day of a moment, in words; a dash where there is none."""
    if not iso:
        return "–"
    when = date.fromisoformat(iso) if len(iso) == len("2026-11-22") else clock.day_of(iso)
    first = "1er" if when.day == 1 and lang() == "fr" else str(when.day)
    return f"{first} {MONTHS[lang()][when.month - 1]} {when.year}"


def moment(iso: str) -> str:
    """Return a moment (ISO 8601, UTC) as a day and a time, in French legal time."""
    return t("moment", day=day(iso), time=clock.read(iso).astimezone(clock.LEGAL_TIME).strftime("%H:%M"))


def number(value: float) -> str:
    """Return a whole number with its thousands set apart."""
    grouped = f"{value:,.0f}"
    return grouped.replace(",", "\u202f") if lang() == "fr" else grouped


def decimal(value: float | None, places: int = 2) -> str:
    """Return a number with its decimals, or a dash where there is none."""
    if value is None:
        return "–"
    written = f"{value:.{places}f}"
    return written.replace(".", ",") if lang() == "fr" else written


def shown(value: Shown | None) -> str:
    """Return a governed number in the page's language, or a dash where there is none."""
    if value is None:
        return "–"
    return value.text_fr if lang() == "fr" else value.text_en


def counted(value: int | None) -> str:
    """Return a number that was governed already, or that it is hidden (None)."""
    return t("hidden") if value is None else number(value)


def cell(value: Shown | None) -> str:
    """Return a governed number as a table shows it: its caption says that numbers are rounded."""
    if value is None:
        return "–"
    if value.withheld:
        return shown(value)
    return t("hidden") if value.value is None else number(value.value)


@st.cache_data(ttl=30, show_spinner=False)
def _displays() -> dict[str, str]:
    return {person.name: person.display for person in people.people(workbench())}


def person(name: str) -> str:
    """Return an account's name as people know it."""
    return _displays().get(name, name)


def state_name(kind: str, state: str) -> str:
    """Return a state in words, agreeing with what it is the state of (study, request, extract, job)."""
    own = f"ui.state_{kind}_{state}"
    known = catalogue(lang())["text"]
    return say(own if own in known else f"governance.state_{state}", lang())


def state_badge(kind: str, state: str) -> Html:
    """Return a state as a badge."""
    return badge(state_name(kind, state), TONES.get(state, "plain"))


def named(family: str, code: str) -> str:
    """Return the words for a code of a family, else the code itself: data may hold what the words do not."""
    words = catalogue(lang())["text"]
    return str(words.get(f"ui.{family}_{code}", code))


def column_name(column: str) -> str:
    """Return what a column of an extract holds, in words; within one table no two columns have the same."""
    words = catalogue(lang())["text"]
    for ending, family in _COLUMN_FAMILIES.items():
        if column.endswith(ending) and f"ui.column_{column}" not in words:
            return t(f"column_any_{family}")
    return named("column", column)


def rule_name(code: str) -> str:
    """Return what a transformation did, in words; a class of concepts may follow its code after a colon."""
    name, _, detail = code.partition(":")
    words = catalogue(lang())["text"].get(f"extract.rule_{name}", name)
    known = sensitive_classes()
    about = known[detail].name[lang()] if detail in known else detail
    return f"{words} ({about})" if detail else str(words)


def log_reason(reason: str | None) -> str:
    """Return a reason of the log in words: of a refusal the log keeps the code, without the names that it was about."""
    refused = catalogue(lang())["error"].get(reason or "")
    return re.sub(r"\{\w+\}", "…", refused["what"]) if refused else reason or ""


def withheld_reason(code: str) -> str:
    """Return why a column is not delivered, in words."""
    known = catalogue(lang())["text"]
    return str(known.get(f"ui.withheld_{code}") or known.get(f"governance.never_{code}") or code)


def role_name(role: str) -> str:
    """Return a role in words."""
    return say(f"governance.role_{role}", lang()) if f"governance.role_{role}" in catalogue(lang())["text"] else role


def period(bounds: dict[str, int | None] | None) -> str:
    """Return a period in days from the index, its open ends in words."""
    if bounds is None:
        return "–"
    low, high = bounds["from_day"], bounds["to_day"]
    first = t("period_open_start") if low is None else _signed(low)
    last = t("period_open_end") if high is None else _signed(high)
    return t("period", first=first, last=last)


def _signed(value: int) -> str:
    return f"{'−' if value < 0 else ''}{number(abs(value))}"
