"""Comptes: who may act here, in which role and in which studies; and taking an account away."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.kernel.errors import UserError
from workbench.services import closing, people
from workbench.services.people import Person
from workbench.ui.parts.errors import answering
from workbench.ui.parts.markup import Html, badge, heading, paragraph, show, table, tag
from workbench.ui.parts.shell import my_studies
from workbench.ui.parts.words import role_name
from workbench.ui.state import t, workbench


def draw(actor: Actor) -> None:
    """Draw the page."""
    found = people.people(workbench())
    protocols = [study.protocol for study in my_studies(actor) if study.state in {"draft", "open"}]
    rows: list[tuple[object, ...]] = [
        _row(person, protocols) for person in sorted(found, key=lambda person: (person.closed, person.display))
    ]
    heads = [t(f"accounts_{name}") for name in ("person", "name", "role", "studies", "state")]
    if not can(actor, "study.read"):  # who keeps accounts knows of no study
        heads, rows = [*heads[:3], heads[4]], [(*row[:3], row[4]) for row in rows]
    show(table(heads, rows, t("accounts_caption")))
    _close(actor, [person for person in found if not person.closed])


def _row(person: Person, protocols: list[dict[str, Any]]) -> tuple[object, ...]:
    named = [each["title"] for each in protocols if any(m["user"] == person.name for m in each["members"])]
    return (
        tag("strong", person.display),
        tag("code", person.name),
        role_name(person.role.value),
        "; ".join(named) if named and not person.closed else "–",
        _state(person),
    )


def _state(person: Person) -> Html:
    return badge(t("accounts_closed"), "plain") if person.closed else badge(t("accounts_open"), "good")


def _close(actor: Actor, opened: list[Person]) -> None:
    show(heading(t("accounts_close")))
    names = {person.name: f"{person.display} ({person.name})" for person in opened}
    with st.form("accounts_close", border=True):
        show(paragraph(t("accounts_close_text")))
        name = st.selectbox(
            t("accounts_which"), list(names), index=None, placeholder=t("choose"), format_func=names.__getitem__,
            key="accounts_which",
        )  # fmt: skip
        reason = st.text_area(t("decide_reason"), height=68, key="accounts_reason")
        sent = st.form_submit_button(t("accounts_send"))
    if not sent:
        return
    with answering():
        if name is None:
            raise UserError("ui.no_account_chosen")
        closing.close_account(workbench(), actor, name, reason)
        st.toast(t("accounts_done", name=names[name]))
        st.rerun()
