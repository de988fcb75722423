"""The form by which a table is made here, so that it can leave: chosen groups and numbers, nothing to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.airlock.verdicts import overall
from workbench.kernel.errors import InvalidInput, UserError
from workbench.services import outputs
from workbench.services.extracts import ExtractView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.output import checks_table, sheet_table
from workbench.ui.parts.words import column_name, named
from workbench.ui.state import parameters, t, workbench

PERSONS = ("person", "cohort")
"""Tables with one row a person: every other can be grouped by their columns."""

STATISTICS: dict[str, dict[str, Any]] = {
    "mean": {"role": "mean"},
    "sd": {"role": "sd"},
    "p25": {"role": "percentile", "p": 25},
    "p50": {"role": "percentile", "p": 50},
    "p75": {"role": "percentile", "p": 75},
    "sum": {"role": "sum"},
}
SEXES = ("8507", "8532")
_HAS = "has:"


@dataclass(frozen=True)
class _Columns:
    """The columns of an extract's tables that have persons: table → column → type."""

    tables: dict[str, dict[str, str]]

    @classmethod
    def of(cls, view: ExtractView) -> _Columns:
        named_types = {
            entry["name"]: {column["name"]: column["type"] for column in entry["schema"]}
            for entry in view.manifest["tables"]
        }
        return cls({name: columns for name, columns in named_types.items() if "person_id" in columns})

    def usable(self, source: str) -> dict[str, str]:
        """Return the columns that rows of a table can be grouped by or computed with."""
        found: dict[str, str] = {}
        for table in (*PERSONS, source):
            found |= {name: kind for name, kind in self.tables.get(table, {}).items() if name != "person_id"}
        return found

    def numbers(self, source: str) -> list[str]:
        return [name for name, kind in self.usable(source).items()
                if kind in {"integer", "number"} and not name.endswith("_id")]  # fmt: skip


def draw_table_form(actor: Actor, opened: list[ExtractView]) -> None:
    """Draw the form; making a table keeps nothing, filing does."""
    show(paragraph(t("table_intro"), "wb-quiet"))
    ids = [view.id for view in opened]
    extract = st.selectbox(t("output_extract"), ids, key="outputs_table_extract")
    columns = _Columns.of(next(view for view in opened if view.id == extract))
    sources = sorted(columns.tables, key=lambda name: (name not in PERSONS, name))
    source = st.selectbox(
        t("table_rows"), sources, index=sources.index("person") if "person" in sources else 0,
        format_func=lambda name: named("table", name), help=t("table_rows_help"), key="outputs_table_source",
    )  # fmt: skip
    try:
        made = {**_groups(columns, source), **_counts(source), **_values(columns, source)}
    except UserError as error:
        panel(error)
        return
    totals = st.checkbox(t("table_totals"), value=True, key="outputs_table_totals")
    name = st.text_input(t("table_name"), value=t("table_name_default"), max_chars=80, key="outputs_table_name")
    context = st.text_area(t("output_context"), help=t("output_form_context_help"), key="outputs_table_context")
    first, second, _ = st.columns([1, 1, 3])
    with first:
        tried = st.button(t("table_make"), width="stretch", key="outputs_table_make")
    with second:
        filed = st.button(t("output_send"), type="primary", width="stretch", key="outputs_table_file")
    if tried or filed:
        declaration = {"table": source, "columns": made}
        try:
            _make(actor, extract, f"{name.removesuffix('.csv')}.csv", declaration, totals, context if filed else None)
        except UserError as error:
            panel(error)


def _groups(columns: _Columns, source: str) -> dict[str, dict[str, Any]]:
    usable = columns.usable(source)
    others = [f"{_HAS}{table}" for table in columns.tables if table not in {*PERSONS, source}]
    chosen = st.multiselect(
        t("table_groups"), [*usable, *others], default=[name for name in ("gender_concept_id",) if name in usable],
        format_func=_group_name, help=t("table_groups_help"), key=f"outputs_table_groups_{source}",
    )  # fmt: skip
    return {_group_name(name): _group(name, name in columns.numbers(source)) for name in chosen}


def _group_name(name: str) -> str:
    if name.startswith(_HAS):
        return t("table_has", rows=named("table", name.removeprefix(_HAS)))
    return column_name(name)


def _group(name: str, is_number: bool) -> dict[str, Any]:
    group: dict[str, Any] = {"role": "group", "total": t("table_all")}
    if name.startswith(_HAS):
        return {**group, "any": {"table": name.removeprefix(_HAS)}, "labels": {"true": t("yes"), "false": t("no")}}
    group["of"] = name
    if is_number:
        cuts = _cuts(st.text_input(
            t("table_cuts", column=column_name(name)), placeholder="18 65", help=t("table_cuts_help"),
            key=f"outputs_table_cuts_{name}",
        ))  # fmt: skip
        return {**group, "cuts": cuts} if cuts else group
    if name == "gender_concept_id":
        return {**group, "labels": {sex: t(f"sex_{sex}") for sex in SEXES}}
    return group


def _cuts(text: str) -> list[float]:
    try:
        return sorted({float(part.replace(",", ".")) for part in text.replace(";", " ").split()})
    except ValueError:
        raise InvalidInput("ui.cuts_unreadable") from None


def _counts(source: str) -> dict[str, dict[str, Any]]:
    first, second, third = st.columns(3)
    found: dict[str, dict[str, Any]] = {}
    with first:
        if st.checkbox(t("table_persons"), value=True, key="outputs_table_persons"):
            found[t("table_persons")] = {"role": "count"}
    with second:
        if st.checkbox(t("table_share"), key="outputs_table_share") and found:
            found[t("table_share")] = {"role": "percent", "of": t("table_persons")}
    with third:
        if source not in PERSONS and st.checkbox(t("table_lines"), key="outputs_table_lines"):
            found[t("table_lines")] = {"role": "count", "unit": "rows"}
    return found


def _values(columns: _Columns, source: str) -> dict[str, dict[str, Any]]:
    numbers = columns.numbers(source)
    if not numbers:
        return {}
    first, second = st.columns(2)
    with first:
        chosen = st.multiselect(
            t("table_values"), numbers, format_func=column_name, key=f"outputs_table_values_{source}"
        )
    with second:
        wanted = st.multiselect(
            t("table_statistics"), list(STATISTICS), default=["mean", "sd"],
            format_func=lambda code: t(f"table_{code}"), disabled=not chosen, key="outputs_table_statistics",
        )  # fmt: skip
    return {
        t("table_statistic_of", statistic=t(f"table_{code}"), column=column_name(of)): {**STATISTICS[code], "of": of}
        for of in chosen
        for code in wanted
    }


def _make(
    actor: Actor, extract: str, name: str, declaration: dict[str, Any], totals: bool, context: str | None
) -> None:
    made = outputs.compose_table(workbench(), actor, extract, name, declaration, totals=totals)
    if context is not None:
        view = outputs.request_output(
            workbench(), actor, extract, name, made.content.raw, context=context, declaration=made.declaration
        )
        st.toast(t("output_form_filed"))
        st.query_params.from_dict(parameters(id=view.id))
        st.rerun()
    assert made.content.sheet is not None
    found = overall(made.checks)
    show(sheet_table(made.content.sheet), paragraph(t("table_hidden"), "wb-quiet"))
    if found == "passed":
        show(paragraph(t("table_sound", count=len(made.checks)), "wb-note"))
    else:
        show(paragraph(t(f"output_verdict_{found}"), "wb-note"), checks_table(made.checks))
