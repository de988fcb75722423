"""Comptes: who may act here, in which role and in which studies; and taking an account away."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.kernel.errors import UserError
from workbench.services import account_review, closing, people
from workbench.services.account_review import Account
from workbench.services.people import Person
from workbench.ui.parts.errors import answering
from workbench.ui.parts.markup import (
    Html,
    badge,
    heading,
    join,
    paragraph,
    show,
    table,
    tag,
    whole_digest,
)
from workbench.ui.parts.shell import my_studies
from workbench.ui.parts.words import day, role_name
from workbench.ui.state import t, workbench

_SEEN = "accounts_review_seen"


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
    if can(actor, "user.review"):
        _review(actor)


def _row(person: Person, protocols: list[dict[str, Any]]) -> tuple[object, ...]:
    named = [each["title"] for each in protocols if any(m["user"] == person.name for m in each["members"])]
    return (
        tag("strong", person.display),
        tag("code", person.name),
        role_name(person.role.value),
        "; ".join(named) if named and not person.closed else "–",
        _state(person),
    )


def _review(actor: Actor) -> None:
    """Draw who holds which rights and when they were last used, and what confirms that it was read."""
    view = account_review.show_review(workbench(), actor)
    seen: str = st.session_state.get(_SEEN, view.digest)  # what was on the page when the button was pressed
    st.session_state[_SEEN] = view.digest
    last = day(view.due.last.isoformat()) if view.due.last else t("accounts_never")
    said = t(
        f"accounts_review_{'overdue' if view.due.overdue else 'due'}", last=last, next=day(view.due.next.isoformat())
    )
    show(heading(t("accounts_review")), paragraph(t("accounts_review_text")))
    show(paragraph(said, "wb-note" if view.due.overdue else ""))
    heads = [t(f"accounts_{name}") for name in ("person", "role", "signed_in", "acted", "places", "state")]
    show(table(heads, [_reviewed(each) for each in view.accounts], t("accounts_review_caption")))
    with st.form("accounts_review", border=True):
        show(paragraph(join([t("data_digest"), " ", whole_digest(view.digest)])))
        reason = st.text_area(t("accounts_remark"), height=68, key="accounts_remark")
        if not st.form_submit_button(t("accounts_confirm")):
            return
    with answering():
        account_review.confirm_review(workbench(), actor, digest=seen, reason=reason)
        st.toast(t("accounts_confirmed"))
        st.rerun()


def _reviewed(account: Account) -> tuple[object, ...]:
    places = [
        join([f"{at.title} ({role_name(at.role)})", *([" ", badge(t("accounts_unused"), "wait")] if at.unused else [])])
        for at in account.studies
    ]
    days = [day(each.isoformat()) if each else t("accounts_never") for each in (account.signed_in, account.acted)]
    tone = ("closed", "plain") if account.closed else ("unused", "wait") if account.unused else ("open", "good")
    names = join([tag("strong", account.display), " ", tag("code", account.name)])
    return (
        names,
        role_name(account.role),
        *days,
        join(places, "; ") if places else "–",
        badge(t(f"accounts_{tone[0]}"), tone[1]),
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
