"""The measured risk of an extract: three gauges, the columns that cost, the histories, and all of it in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench.extracts.risk_words import (
    GAUGES,
    attribute_name,
    coarsened,
    column_names,
    gauge_name,
    gauge_sentence,
    measured,
    sentences,
    share,
)
from workbench.services.risk import Meter
from workbench.ui.parts.markup import Html, bullets, heading, join, paragraph, show, table, tag
from workbench.ui.parts.words import decimal, named, number
from workbench.ui.state import lang, t

Risk = Mapping[str, Any]


def draw_risk(manifest: Mapping[str, Any]) -> None:
    """Draw an extract's risk report: gauges first, then what makes them, the measures of specialists folded away."""
    risk: Risk = manifest["risk"]
    if not measured(risk):
        show(bullets(sentences(risk, lang())))
        return
    show(gauges(risk))
    show(heading(t("risk_known_heading"), 3), columns(risk))
    show(heading(t("risk_history_heading"), 3), histories(risk))
    with st.expander(t("risk_sentences_heading")):
        show(bullets(sentences(risk, lang(), _table) + coarsened(manifest, lang(), _table)))
    if risk["diversity"]:
        with st.expander(t("risk_detail_heading")):
            show(detail(risk), paragraph(t("risk_detail_read"), "wb-quiet"))


def _table(name: str) -> str:
    return named("table", name)


def meter(told: Meter) -> Html:
    """Return the meter of a request that is being written: what would leave, of what the protocol allows."""
    names = column_names(told.known, lang()) if told.known else t("none")
    tables = ", ".join(named("table", name) for name in told.histories) or t("none")
    lines = [
        (t("meter_known"), _part(len(told.known), len(told.known_allowed)), names),
        (t("meter_histories"), _part(len(told.histories), len(told.histories_allowed)), tables),
    ]
    if told.days is not None and told.days_allowed:
        lines.append((t("meter_days"), _part(told.days, told.days_allowed), ""))
    if told.items_allowed:
        lines.append((t("meter_items"), _part(told.items, told.items_allowed), ""))
    if told.narrowed:
        names = ", ".join(named("table", name) for name in told.narrowed)
        lines.append((t("meter_narrowed"), tag("span", number(len(told.narrowed))), names))
    drawn = table([t("meter_leaves"), t("meter_share"), t("meter_which")], lines, t("meter_caption"), css="wb-risk")
    if told.groups is None or told.shown is None:
        return drawn
    hidden = t("meter_groups", hidden=number(told.groups - told.shown), groups=number(told.groups))
    return join([drawn, paragraph(hidden, "wb-quiet")])


def _part(count: int, of: int) -> Html:
    bar = tag("span", "", "wb-bar", style=f"width:{round(100 * count / of) if of else 0}%")
    said = tag("span", t("meter_of", count=number(count), of=number(of)))
    return tag("span", join([tag("span", bar, "wb-barred", aria_hidden="true"), said]), "wb-measure wb-part")


def gauges(risk: Risk) -> Html:
    """Return the three questions, each with its bar over all persons and its sentence."""
    rows = [
        tag("div", join([
            tag("span", tag("strong", gauge_name(name, lang()))), _bar(risk["gauges"][name], risk["persons"]),
            tag("p", gauge_sentence(risk, name, lang())),
        ]), "wb-gauge")
        for name in GAUGES
    ]  # fmt: skip
    return tag("div", join(rows), "wb-gauges")


def columns(risk: Risk) -> Html:
    """Return what people close may know: the worst column, pair and three, and what each column costs."""
    persons = risk["persons"]
    if not risk["quasi_identifiers"]:
        return paragraph(t("risk_no_columns"), "wb-quiet")
    every = {"columns": [entry["name"] for entry in risk["quasi_identifiers"]], **_whole(risk)}
    known = [entry for entry in risk["worst"] if len(entry["columns"]) < len(every["columns"])]
    worst = [
        (t(f"worst_{len(entry['columns'])}" if entry is not every else "worst_all"),
         column_names(entry["columns"], lang()), number(entry["k"]), _bar(entry["unique"], persons),
         _bar(entry["in_small_groups"], persons))
        for entry in (*known, every)
    ]  # fmt: skip
    costs = sorted(risk["quasi_identifiers"], key=lambda entry: -entry["cost"])
    dear = [(column_names([entry["name"]], lang()), _bar(entry["cost"], persons)) for entry in costs]
    headings = [t("worst"), t("columns"), t("risk_smallest"), t("risk_alone"), t("risk_small")]
    tables = [table(headings, worst, t("worst_caption"), {2}, "wb-worst")]
    if len(costs) > 1:
        tables.append(table([t("column"), t("cost")], dear, t("cost_caption"), css="wb-risk"))
    return join(tables)


def histories(risk: Risk) -> Html:
    """Return how many are alone with what they lived through: intervals, sets of concepts, rare concepts."""
    persons = risk["persons"]
    rows = [(t(f"intervals_{entry['length']}"), _bar(entry["persons"], persons)) for entry in risk["intervals"]]
    rows += [
        (t("concepts_of", table=named("table", name)), _bar(count, persons))
        for name, count in risk["unique_by_concepts"].items()
    ]
    rows.append((t("concepts_of_all"), _bar(risk["unique_by_all_concepts"], persons)))
    rare = risk["rare_concepts"]
    rows.append((t("concepts_rare", count=number(rare["concepts"])), _bar(rare["persons"], persons)))
    return table([t("risk_knows"), t("risk_alone")], rows, t("risk_history_caption"), css="wb-risk")


def detail(risk: Risk) -> Html:
    """Return l-diversity and t-closeness of each outcome and sensitive class."""
    rows = [
        (attribute_name(entry["attribute"], lang()), number(entry["with"]), number(entry["inferred"]),
         number(entry["inferred_with"]), number(entry["l"]), decimal(entry["entropy_l"]), decimal(entry["t"]))
        for entry in risk["diversity"]
    ]  # fmt: skip
    headings = [t("attribute"), t("attribute_with"), t("attribute_inferred"), t("attribute_inferred_with"), "l",
                t("entropy_l"), "t"]  # fmt: skip
    return table(headings, rows, t("risk_detail_caption"), {1, 2, 3, 4, 5, 6})


def _whole(risk: Risk) -> dict[str, int]:
    return {name: risk[name] for name in ("k", "unique", "in_small_groups")}


def _bar(persons: int | None, of: int) -> Html:
    """Return a number of persons as a bar over all of them; a number above 0 is always to be seen."""
    if persons is None:
        return tag("span", t("not_measured"), "wb-quiet")
    width = max(1, round(100 * persons / of)) if persons else 0
    bar = tag("span", "", "wb-bar", style=f"width:{width}%")
    said = tag("span", t("risk_bar", persons=number(persons), share=share(persons, of, lang())))
    return tag("span", join([tag("span", bar, "wb-barred", aria_hidden="true"), said]), "wb-measure wb-persons")
