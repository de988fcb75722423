"""The form of a protocol: what a study is for, on which legal basis, by whom, on which data and for how long.

What is typed is kept as a draft at each edit. Handed in, it is a draft study that waits for the ethics officer, or, of
a study that is open, a change that does.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Any

import streamlit as st

from workbench.governance.actors import Actor, Role
from workbench.governance.legal_bases import field_label, legal_bases, legal_basis
from workbench.kernel.errors import UserError
from workbench.services import drafts, people, releases, studies
from workbench.services.studies import CURRENT, StudyView
from workbench.ui.parts.markup import heading, link, paragraph, show
from workbench.ui.parts.protocol_answers import END, Answers, lacking, placed
from workbench.ui.parts.protocol_detail import detail_fields
from workbench.ui.parts.protocol_fields import Document, data_fields
from workbench.ui.parts.words import role_name
from workbench.ui.state import href, lang, parameters, pick, t, workbench

FORMAT = "workbench/protocol/1"
KEPT = ("release", "refresh_on")
"""Members without a field: as the protocol that is changed has them."""


def draw_form(actor: Actor, draft: drafts.Draft, study: StudyView | None) -> None:
    """Draw the form of a draft, of a new study (None) or of one that there is, and hand in what it holds."""
    key = draft.key
    answers: Answers = st.session_state.get(f"{key}_answers", Answers())
    if f"{key}_title" not in st.session_state:  # the page was left: its fields are as the draft has them
        st.session_state[f"{key}_start"] = draft.content
        st.session_state.pop(f"{key}_first", None)
    start: Document = st.session_state[f"{key}_start"]  # a field whose start changes would lose what is being typed
    document = {
        "format": FORMAT,
        **{name: start[name] for name in KEPT if name in start},
        **_purpose(actor, start, key, answers, named=study is None),
        **_basis(start, key, answers),
    }
    document["members"] = _members(actor, start, key, answers)
    show(heading(t("protocol_data")))
    now = draft.content.get("concepts", {})
    document |= data_fields(actor, {**start, "concepts": now}, _release(actor, start), key, answers)
    document |= detail_fields(start, key, answers)
    document |= _ends(start, key, answers)
    if study is not None:
        document["study"] = study.id
    if document != draft.content and _is_changed(key, document):
        drafts.save_draft(workbench(), actor, key, document)
        if document["concepts"] != now:
            st.rerun()
    if answers.forget(document):
        st.rerun()
    answers.draw(END)
    show(paragraph(t("protocol_kept"), "wb-quiet"))
    _hand_in(actor, key, document, study)


def _is_changed(key: str, document: Document) -> bool:
    """Answer whether the form holds anything but what it first showed, or ever did."""
    changed = document != st.session_state.setdefault(f"{key}_first", document)
    if changed:
        st.session_state[f"{key}_changed"] = True
    return f"{key}_changed" in st.session_state


def _release(actor: Actor, written: Document) -> str:
    """Return the digest of the release that the study is about: its own, else the current one."""
    if written.get("release", CURRENT) != CURRENT:
        return str(written["release"])
    found = releases.list_releases(workbench(), actor)
    return next((release.digest for release in found if release.current), "")


def _purpose(actor: Actor, written: Document, key: str, answers: Answers, *, named: bool) -> Document:
    show(heading(t("protocol_purpose")), paragraph(t("protocol_feasibility"), "wb-quiet") if named else "")
    found: Document = {"title": st.text_input(t("protocol_title"), written.get("title", ""), key=f"{key}_title")}
    answers.draw("title")
    if named:
        before = written.get("study", "")
        short = st.text_input(
            t("protocol_study"), "" if before == _short(written.get("title", "")) else before, max_chars=63,
            placeholder=_short(found["title"]),
            help=t("protocol_study_help"), key=f"{key}_study",
        )  # fmt: skip
        found["study"] = short.strip() or _short(found["title"])
        answers.draw("study")
    found["purpose"] = st.text_area(
        t("study_purpose"), written.get("purpose", ""), help=t("protocol_purpose_help"), key=f"{key}_purpose"
    )
    answers.draw("purpose")
    for column, name, start in zip(st.columns(2), ("sponsor", "investigator"), ("", actor.display), strict=True):
        with column:
            found[name] = st.text_input(t(f"study_{name}"), written.get(name, start), key=f"{key}_{name}")
            answers.draw(name)
    if named:
        show(paragraph(link(t("protocol_count_now"), href("cohortes", new="1"))))
    return {name: value.strip() for name, value in found.items()}


def _short(title: str) -> str:
    """Return a short name made of a title: lower-case letters and digits, and hyphens between its words."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")


def _basis(written: Document, key: str, answers: Answers) -> Document:
    """Ask for the legal basis and for the fields that it requires; purpose and sponsor are those of the study, where
    the protocol says nothing else."""
    show(heading(t("study_legal_basis")))
    now = written.get("legal_basis", {"code": "", "fields": {}})
    codes = list(legal_bases())
    chosen = st.selectbox(
        t("study_legal_basis"), codes, index=codes.index(now["code"]) if now["code"] in codes else None,
        format_func=lambda code: pick(legal_basis(code).name), placeholder=t("choose"), key=f"{key}_basis",
    )  # fmt: skip
    answers.draw("legal_basis")
    if chosen is None:
        return {"legal_basis": {"code": "", "fields": now["fields"]}}
    basis = legal_basis(chosen)
    show(paragraph(t("protocol_basis_source", source=basis.source, day=basis.valid_from.isoformat()), "wb-quiet"))
    if not basis.rows:
        show(paragraph(t("protocol_no_rows"), "wb-note"))
    said: dict[str, str] = now["fields"] if chosen == now["code"] else {}
    fields = {name: text for name, text in said.items() if name not in basis.requires}  # those without a field here
    for name in basis.requires:
        if name in {"purpose", "sponsor"}:
            own = now["fields"].get(name, "")
            fields[name] = own if own not in ("", written.get(name)) else st.session_state[f"{key}_{name}"].strip()
            continue
        label = field_label(name, lang())
        value = st.text_input(label[:1].upper() + label[1:], now["fields"].get(name, ""), key=f"{key}_basis_{name}")
        fields[name] = (value or "").strip()
        answers.draw(f"legal_basis.{name}")
    return {"legal_basis": {"code": chosen, "fields": fields}}


def _members(actor: Actor, written: Document, key: str, answers: Answers) -> list[dict[str, str]]:
    """Ask who takes part: accounts of researchers and data scientists, each in the role of the account."""
    show(heading(t("study_members")))
    roles = {Role.RESEARCHER, Role.DATA_SCIENTIST}
    accounts = {each.name: each for each in people.people(workbench()) if each.role in roles and not each.closed}
    now = [member["user"] for member in written.get("members", [{"user": actor.name}])]
    before = {member["user"]: member for member in written.get("members", [])}
    others = [name for name in before if name not in accounts]

    def told(name: str) -> str:
        return f"{accounts[name].display} ({role_name(accounts[name].role)})" if name in accounts else name

    chosen = st.multiselect(
        t("study_members"), [*accounts, *others], default=now, format_func=told, placeholder=t("choose"),
        help=t("protocol_members_help"), key=f"{key}_members",
    )  # fmt: skip
    answers.draw("members")
    return [before.get(name) or {"user": name, "role": accounts[name].role.value} for name in chosen]


def _ends(written: Document, key: str, answers: Answers) -> Document:
    show(heading(t("protocol_time")))
    found: Document = {}
    for column, name, start in zip(st.columns(3), ("duration_days", "retention_days"), (365, 1825), strict=False):
        with column:
            found[name] = st.number_input(
                t(f"protocol_{name}"), 1, 7305, written.get(name, start), step=1, key=f"{key}_{name}"
            )
            answers.draw(name)
    last = written.get("ends_on")
    day = st.date_input(
        t("study_ends_on"), date.fromisoformat(last) if last else None, format="DD/MM/YYYY",
        help=t("protocol_ends_help"), key=f"{key}_ends_on",
    )  # fmt: skip
    if isinstance(day, date):
        found["ends_on"] = day.isoformat()
    answers.draw("ends_on")
    places = st.text_area(
        t("study_destinations"), "\n".join(written.get("destinations", [])), height=68,
        help=t("protocol_destinations_help"), placeholder=t("study_no_destination"), key=f"{key}_destinations",
    )  # fmt: skip
    found["destinations"] = list(dict.fromkeys(line.strip() for line in places.splitlines() if line.strip()))
    answers.draw("destinations")
    return found


def _hand_in(actor: Actor, key: str, document: Document, study: StudyView | None) -> None:
    is_open = study is not None and study.state == "open"
    if is_open:
        show(paragraph(t("change_voids"), "wb-note"))
    send, drop = st.columns([1, 1])
    with send:
        sent = st.button(t("protocol_propose" if is_open else "protocol_hand_in"), type="primary", key=f"{key}_send")
    with drop:
        if st.button(t("protocol_drop"), type="tertiary", key=f"{key}_drop"):
            _leave(actor, key, study.id if study else None)
    if not sent:
        return
    errors = lacking(document)
    if not errors:
        try:
            view = _handed(actor, document, is_open=is_open)
        except UserError as error:
            errors = placed(error)
        else:
            st.toast(t("protocol_proposed" if is_open else "protocol_handed_in"))
            _leave(actor, key, view.id)
    st.session_state[f"{key}_answers"] = Answers(errors, document)
    st.rerun()


def _handed(actor: Actor, document: Document, *, is_open: bool) -> StudyView:
    whole: dict[str, Any] = {"release": CURRENT, **document}
    if not whole["concepts"]:
        del whole["concepts"]
    make = studies.amend_study if is_open else studies.create_study
    return make(workbench(), actor, whole)


def _leave(actor: Actor, key: str, study: str | None) -> None:
    """Throw the draft away, with what the page remembers of its fields, and go on to the study."""
    drafts.drop_draft(workbench(), actor, key)
    for name in [name for name in st.session_state if str(name).startswith(f"{key}_")]:
        del st.session_state[name]
    st.query_params.from_dict(parameters(id=study))
    st.rerun()
