"""The diagnostics of a cohort: when, where, in whom, by which codes, for which rules not, and what nearly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.kernel.text import say
from workbench.services.cohorts import CohortView
from workbench.services.diagnosing import SEXES, DiagnosticsView, Row, diagnostics_of
from workbench.ui.parts import work
from workbench.ui.parts.funnel import bar
from workbench.ui.parts.markup import Html, bullets, heading, join, paragraph, show, table, tag
from workbench.ui.parts.words import cell, named
from workbench.ui.state import lang, t, workbench

SLOT = "diagnose_job"
ENOUGH = 0.9
"""Months are drawn where so many of them may be shown; else years."""


def diagnostics(actor: Actor, view: CohortView) -> None:
    """Draw the diagnostics of a cohort version, or the way to make them."""
    work.watch(SLOT, actor, "diagnose_done")
    found = diagnostics_of(workbench(), actor, view.id)
    if found is None:
        show(paragraph(t("diagnose_none"), "wb-quiet"))
        busy = work.is_under_way(SLOT, actor)
        if can(actor, "cohort.diagnose") and st.button(t("diagnose_go"), disabled=busy, key=f"diagnose_{view.id}"):
            work.start(SLOT, actor, "cohort.diagnose", {"cohort": view.id})
        return
    show(paragraph(t("diagnose_read"), "wb-quiet"))
    _in_time(found)
    show(heading(t("diagnose_people")), _people(found.people), heading(t("diagnose_sites")), _sites(found))
    show(heading(t("diagnose_codes")), _codes(found.codes))
    if found.rules:
        show(heading(t("diagnose_reasons")), _reasons(found))
    show(heading(t("diagnose_orphans")), _orphans(found.orphans), *_questions(found))


def _in_time(found: DiagnosticsView) -> None:
    """A bar a month, or a year where most months are hidden; hidden and empty ones have none."""
    visible = sum(row.persons.value is not None for row in found.months)
    by_month = visible > 0 and visible >= ENOUGH * len(found.months)
    rows = found.months if by_month else found.years
    show(heading(t("diagnose_months" if by_month else "diagnose_years")))
    if not rows:
        show(paragraph(t("diagnose_nothing"), "wb-quiet"))
        return
    moments = [_moment(row) for row in rows]
    values = [row.persons.value for row in rows]
    st.echarts_chart(_bars(moments, values), height=240, alt=_said(moments, values), key="diagnose_time")
    show(paragraph(_said(moments, values), "wb-quiet"))


def _moment(row: Row) -> str:
    month = row.what["month"]
    return f"{row.what['year']}-{month:02d}" if month else str(row.what["year"])


def _bars(moments: Sequence[str], values: Sequence[int | None]) -> dict[str, Any]:
    return {
        "grid": {"left": 48, "right": 8, "top": 12, "bottom": 28},
        "xAxis": {"type": "category", "data": list(moments)},
        "yAxis": {"type": "value", "name": t("persons_column"), "minInterval": 1},
        "tooltip": {"trigger": "axis"},
        "series": [{"type": "bar", "data": list(values), "itemStyle": {"color": "#0b5a6b"}, "barCategoryGap": "20%"}],
        "animation": False,
    }


def _said(moments: Sequence[str], values: Sequence[int | None]) -> str:
    """The chart in words: its span, its highest bar, how many bars are hidden or empty."""
    told = [(value, moment) for value, moment in zip(values, moments, strict=True) if value is not None]
    value, moment = max(told)
    hidden = len(values) - len(told)
    return t("diagnose_said", first=moments[0], last=moments[-1], most=value, when=moment, hidden=hidden)


def _people(rows: Sequence[Row]) -> Html:
    """Ages downwards, a bar for each sex."""
    known = {(row.what["low"], row.what["sex"]): row for row in rows}
    widest = max((row.persons.value or 0 for row in rows), default=0) or 1
    lines = [
        (_band(low), *(bar(known[low, sex].persons, widest) for sex in SEXES))
        for low in sorted({row.what["low"] for row in rows})
    ]
    heads = [t("age_column"), *(_sex(sex) for sex in SEXES)]
    return table(heads, lines, t("diagnose_people_caption"), css="wb-people-table")


def _sex(concept_id: int) -> str:
    words = say(f"cohort.say_gender_{concept_id}", lang())
    return words[:1].upper() + words[1:]


def _band(low: int) -> str:
    return t("age_last", low=low) if low == 90 else t("age_band", low=low, high=low + 9)


def _sites(found: DiagnosticsView) -> Html:
    if not found.sites:
        return paragraph(t("diagnose_no_site"), "wb-quiet")
    widest = max(row.persons.value or 0 for row in found.sites)
    lines = [
        (row.what["name"] or row.what["id"] or t("not_recorded"), bar(row.persons, widest), cell(row.events))
        for row in found.sites
    ]
    return table([t("site_column"), t("funnel_persons"), t("funnel_events")], lines, t("diagnose_listed"), numeric={2})


def _codes(rows: Sequence[Row]) -> Html:
    lines = [
        (named("table", row.what["table"]), _concept(row.what["concept"]), _concept(row.what["source"]),
         cell(row.persons), cell(row.events))
        for row in rows
    ]  # fmt: skip
    heads = [t("domain"), t("concept_column"), t("source_column"), t("funnel_persons"), t("funnel_events")]
    return table(heads, lines, t("diagnose_listed"), numeric={3, 4}) if lines else _nothing()


def _concept(found: Mapping[str, Any] | None) -> Html:
    if found is None:
        return tag("span", t("not_recorded"), "wb-quiet")
    return join([tag("code", f"{found['vocabulary']} {found['code']}"), " ", found["name"]])


def _reasons(found: DiagnosticsView) -> Html:
    names = [name or t("live_rule", number=at + 1) for at, name in enumerate(found.rules)]
    lines = [
        (t("meets_all") if not row.what["failed"] else bullets(names[at] for at in row.what["failed"]),
         cell(row.persons), cell(row.events))
        for row in found.reasons
    ]  # fmt: skip
    heads = [t("failed_column"), t("funnel_persons"), t("funnel_events")]
    return table(heads, lines, t("diagnose_reasons_caption"), numeric={1, 2}) if lines else _nothing()


def _orphans(orphans: Mapping[str, Sequence[Row]]) -> Html:
    if not orphans:
        return paragraph(t("diagnose_no_orphan"), "wb-quiet")
    heads = [t("concept_column"), t("domain"), t("relation_column"), t("funnel_persons"), t("funnel_events")]
    pieces: list[Html] = [paragraph(t("diagnose_orphans_read"), "wb-quiet")]
    for name, rows in orphans.items():
        lines = [
            (_concept(row.what["concept"]), named("table", row.what["table"]), t(f"relation_{row.what['relation']}"),
             cell(row.persons), cell(row.events))
            for row in rows
        ]  # fmt: skip
        pieces += [heading(name, 3), table(heads, lines, t("diagnose_listed"), numeric={3, 4})]
    return join(pieces)


def _questions(found: DiagnosticsView) -> list[Html]:
    """What `check` asks on this release's vocabulary."""
    pieces: list[Html] = []
    for level, key in (("question", "cohorts_questions"), ("hint", "cohorts_hints")):
        texts = [str(each["text"][lang()]) for each in found.questions if each["level"] == level]
        pieces += [paragraph(t(key)), bullets(texts)] if texts else []
    return pieces


def _nothing() -> Html:
    return paragraph(t("diagnose_nothing"), "wb-quiet")
