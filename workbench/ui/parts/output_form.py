"""The form by which a result is tried and filed."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.airlock.content import KINDS
from workbench.governance.airlock.verdicts import overall
from workbench.kernel.errors import InvalidInput, UserError
from workbench.services import outputs
from workbench.services.extracts import ExtractView
from workbench.ui.parts.errors import panel
from workbench.ui.parts.extract import choose_extract
from workbench.ui.parts.markup import paragraph, show
from workbench.ui.parts.output import checks_table
from workbench.ui.state import parameters, t, workbench

EXAMPLE = """{
 "table": "person",
 "columns": {
  "sex": {"role": "group", "of": "gender_concept_id", "labels": {"8507": "men", "8532": "women"}},
  "n": {"role": "count"}
 }
}"""


def draw_form(actor: Actor, opened: list[ExtractView]) -> None:
    """Draw the form; trying keeps nothing, filing does."""
    show(paragraph(t("output_form_intro"), "wb-quiet"))
    with st.form("outputs_file", border=False):
        extract = choose_extract(actor, opened, "outputs_extract")
        file = st.file_uploader(t("output_form_file"), type=[kind[1:] for kind in KINDS], key="outputs_upload")
        declaration = st.text_area(
            t("output_form_declaration"), help=t("output_form_declaration_help"), placeholder=EXAMPLE, height=200,
            key="outputs_declaration",
        )  # fmt: skip
        context = st.text_area(t("output_context"), help=t("output_form_context_help"), key="outputs_context")
        first, second, _ = st.columns([1, 1, 3])
        with first:
            tried = st.form_submit_button(t("output_try"), width="stretch")
        with second:
            filed = st.form_submit_button(t("output_send"), type="primary", width="stretch")
    if not (tried or filed):
        return
    if file is None:
        panel(UserError("ui.no_file_chosen"))
        return
    try:
        asked = _declaration(declaration)
        if filed:
            _file(actor, extract, file.name, file.getvalue(), context, asked)
        else:
            _try(actor, extract, file.name, file.getvalue(), asked)
    except UserError as error:
        panel(error)


def _declaration(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("ui.declaration_unreadable")
    return value


def _try(actor: Actor, extract: str, name: str, raw: bytes, asked: dict[str, Any] | None) -> None:
    _, checks = outputs.check_output(workbench(), actor, extract, name, raw, asked)
    show(paragraph(t(f"output_verdict_{overall(checks)}"), "wb-note"), checks_table(checks))


def _file(actor: Actor, extract: str, name: str, raw: bytes, context: str, asked: dict[str, Any] | None) -> None:
    view = outputs.request_output(workbench(), actor, extract, name, raw, context=context, declaration=asked)
    st.toast(t("output_form_filed"))
    st.query_params.from_dict(parameters(id=view.id))
    st.rerun()
