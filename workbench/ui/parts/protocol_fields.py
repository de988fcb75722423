"""The fields of a protocol that say which data: cohorts, tables, columns, concepts, periods, sensitive classes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.cohorts.shipped import HOSPITAL, shipped
from workbench.governance.actors import Actor
from workbench.governance.deliverable import deliverable, main_concept
from workbench.governance.protocols import FOLLOW_UP
from workbench.governance.sensitive import sensitive_classes
from workbench.services import cohorts
from workbench.ui.parts.concept_field import Item, pick_items
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.protocol_answers import Answers
from workbench.ui.parts.words import column_name, named
from workbench.ui.state import pick, t, workbench

Document = dict[str, Any]


def data_fields(actor: Actor, written: Document, release: str, key: str, answers: Answers) -> Document:
    """Draw the fields; return their members of the protocol as they stand now."""
    found: Document = {"cohorts": _cohorts(actor, written, key, answers)}
    found["tables"] = _tables(written, key, answers)
    found["concepts"] = _concepts(actor, written, found["tables"], release, key)
    answers.draw("concepts")
    for name, usual in _usual(written).items():
        bounds = _bounds(name, written.get(name, usual), key)
        if name in written or not _is_protocol(written) or bounds != usual:
            found[name] = bounds
        answers.draw(name)
    found["sensitive_classes"] = st.multiselect(
        t("study_sensitive"), list(sensitive_classes()), default=written.get("sensitive_classes", []),
        format_func=lambda code: pick(sensitive_classes()[code].name), placeholder=t("none"),
        help=t("protocol_sensitive_help"), key=f"{key}_sensitive",
    )  # fmt: skip
    answers.draw("sensitive_classes")
    return found


def _is_protocol(written: Document) -> bool:
    """Answer whether a protocol, or a draft that goes on from one, is written; else nothing was yet."""
    return "format" in written


def _usual(written: Document) -> dict[str, dict[str, int | None]]:
    """Return the periods where none is named: proposals to who begins, what it means where a protocol names none."""
    later: dict[str, int | None] = FOLLOW_UP if _is_protocol(written) else {"from_day": 0, "to_day": 365}
    return {"period": {"from_day": -365, "to_day": 0}, "outcome_period": later}


def _cohorts(actor: Actor, written: Document, key: str, answers: Answers) -> list[str]:
    made = [view.name for view in cohorts.list_cohorts(workbench(), actor)]
    now = written.get("cohorts", [])
    known = list(dict.fromkeys([*now, *made, *shipped(), *shipped(HOSPITAL)]))
    chosen = st.multiselect(
        t("study_cohorts"), known, default=now, placeholder=t("choose"), help=t("protocol_cohorts_help"),
        accept_new_options=True, key=f"{key}_cohorts",
    )  # fmt: skip
    answers.draw("cohorts")
    return chosen


def _tables(written: Document, key: str, answers: Answers) -> dict[str, list[str]]:
    """Ask for tables, and for the columns of each; one without a column is kept, and told of when it is handed in."""
    now: dict[str, list[str]] = written.get("tables", {})
    names = [name for name in deliverable() if name not in {"cohort", "outcome"}]
    chosen = st.multiselect(
        t("protocol_tables"), names, default=list(now), format_func=lambda name: named("table", name),
        placeholder=t("choose"), help=t("protocol_tables_help"), key=f"{key}_tables",
    )  # fmt: skip
    answers.draw("tables")
    tables: dict[str, list[str]] = {}
    for name in chosen:
        columns = [column for column in deliverable()[name] if column != "person_id"]
        tables[name] = st.multiselect(
            t("protocol_columns", table=named("table", name)), columns,
            default=[column for column in now.get(name, []) if column in columns], format_func=column_name,
            placeholder=t("form_no_column"), key=f"{key}_columns_{name}",
        )  # fmt: skip
        answers.draw(f"tables.{name}")
    return tables


def _concepts(
    actor: Actor, written: Document, tables: dict[str, list[str]], release: str, key: str
) -> dict[str, list[Item]]:
    """Ask to which concepts tables are limited, one table at a time; a table that is taken out loses its limit."""
    able = [name for name, columns in tables.items() if main_concept(name) in columns]
    kept = {name: items for name, items in written.get("concepts", {}).items() if name in tables}
    if not able:
        return kept
    with st.expander(t("protocol_concepts"), expanded=bool(kept)):
        show(paragraph(t("protocol_concepts_text"), "wb-quiet"))
        name = st.selectbox(
            t("form_narrow_table"), able, format_func=lambda each: named("table", each), key=f"{key}_narrow"
        )
        items = pick_items(actor, release, kept.get(name, []), f"{key}_concepts_{name}")
    return {each: items if each == name else kept[each] for each in (*kept, *([name] if name not in kept else []))
            if each != name or items}  # fmt: skip


def _bounds(name: str, now: dict[str, int | None], key: str) -> dict[str, int | None]:
    show(paragraph(t(f"protocol_{name}"), "wb-label"))
    bounds: dict[str, int | None] = {}
    for column, end in zip(st.columns(2), ("from_day", "to_day"), strict=True):
        with column:
            bounds[end] = st.number_input(
                t(f"form_{end}"), value=now[end], step=1, placeholder=t(f"protocol_open_{end}"),
                key=f"{key}_{name}_{end}", min_value=-36500, max_value=36500,
            )  # fmt: skip
    return bounds
