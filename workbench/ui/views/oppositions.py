"""Oppositions: who objects to what, since when, what was made before with their rows and waits for a decision.

What identifies a person is typed, used once, and gone: the field's key changes with each sending, so that neither the
session nor the page keeps it; it is never in an address, and errors name the line, not what stands there.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.errors import InvalidInput, Refused, UserError
from workbench.services import erasures, extracts, objections
from workbench.services.erased_releases import Made
from workbench.services.erasures import OrderView
from workbench.services.objections import ObjectionView, persons_of
from workbench.ui.parts import work
from workbench.ui.parts.errors import panel
from workbench.ui.parts.listing import NEW, Entry, chooser
from workbench.ui.parts.markup import facts, heading, link, paragraph, show, table, tag
from workbench.ui.parts.shell import empty, my_studies, study_title
from workbench.ui.parts.words import day, moment, named, number, person, state_badge
from workbench.ui.state import href, lang, parameters, t, workbench

SLOT = "oppositions_job"
EVERY = ""
_ROUND = "oppositions_round"
_ERROR = "oppositions_error"
_UNKNOWN = "oppositions_unknown"


def draw(actor: Actor) -> None:
    """Draw the page."""
    work.watch(SLOT, actor, "oppositions_erased")
    held = objections.list_objections(workbench(), actor)
    orders = erasures.list_orders(workbench(), actor)
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("oppositions", _entries(actor, held, orders), t("oppositions_new"))
    with right:
        _chosen(actor, chosen, held, orders)


def _entries(actor: Actor, held: Sequence[ObjectionView], orders: Sequence[OrderView]) -> list[Entry]:
    found = [
        Entry(
            each.id, _scope(actor, each), f"{each.id} · {day(each.made_at)}",
            state_badge("objection", each.state),
            t("oppositions_study"),
        )
        for each in held
    ]  # fmt: skip
    return found + [
        Entry(
            each.id, t("oppositions_warehouse"), f"{each.id} · {day(each.made_at)}",
            state_badge("opposition", each.state), t("oppositions_erasures"),
        )
        for each in orders
    ]  # fmt: skip


def _scope(actor: Actor, view: ObjectionView) -> str:
    if view.sensitive is not None:
        return t("oppositions_not_naming", name=sensitive_classes()[view.sensitive].name[lang()])
    return t("oppositions_every_study") if view.study is None else study_title(actor, view.study)


def _chosen(
    actor: Actor, chosen: str | None, held: Sequence[ObjectionView], orders: Sequence[OrderView]
) -> None:  # fmt: skip
    if chosen == NEW:
        _form(actor)
        return
    if chosen is None:
        empty(t("oppositions_none"), t("oppositions_none_then"))
        return
    for each in held:
        if chosen in {each.id, each.digest}:
            _objection(actor, each)
            return
    for order in orders:
        if chosen in {order.id, order.digest}:
            _order(actor, order)
            return
    raise Refused("store.no_document", ref=chosen)


def _objection(actor: Actor, view: ObjectionView) -> None:
    st.subheader(t("opposition_heading", opposition=view.id), anchor=False)
    show(facts([(t("opposition_scope"), _scope(actor, view)), *_common("objection", view)]))
    _strangers(view.id)
    _made_before(actor, view.concerned, t("oppositions_left_out"))
    if view.state == objections.ACTIVE:
        _withdraw(actor, view)


def _order(actor: Actor, view: OrderView) -> None:
    st.subheader(t("opposition_heading", opposition=view.id), anchor=False)
    show(facts([(t("opposition_scope"), t("oppositions_warehouse")), *_common("opposition", view)]))
    _strangers(view.id)
    if view.state == "pending":
        show(paragraph(t("oppositions_pending"), "wb-note"))
    if view.releases:
        rows = [(tag("code", before), tag("code", after)) for before, after in view.releases]
        show(table([t("oppositions_before"), t("oppositions_after")], rows, t("oppositions_releases")))
    _made_before(actor, view.concerned, t("oppositions_left_in"))


def _strangers(opposition: str) -> None:
    """Say to who just recorded an opposition how many of the numbers are nobody's: a slip of the pen must not lose it.

    Not masked, as on the command line: these are numbers without a person, and the slip is nearly always a single one.
    """
    recorded, count = st.session_state.get(_UNKNOWN, ("", 0))
    if recorded == opposition and count:
        show(tag("p", t("oppositions_unknown", count=number(count)), "wb-note", role="status"))


def _common(kind: str, view: ObjectionView | OrderView) -> list[tuple[str, object]]:
    return [
        (t("opposition_state"), state_badge(kind, view.state)),
        (t("opposition_persons"), number(view.persons)),
        (t("opposition_recorded"), t("made_by_at", who=person(view.made_by), when=moment(view.made_at))),
    ]


def _made_before(actor: Actor, concerned: Sequence[Made], said: str) -> None:
    show(heading(t("oppositions_due"), 3))
    if not concerned:
        show(paragraph(t("oppositions_nothing_due"), "wb-quiet"))
        return
    states = _states(actor)
    rows = [
        (
            named("kind", made.kind),
            link(tag("code", made.id), href("journal", id=made.id)) if can(actor, "audit.read") else made.id,
            study_title(actor, made.study) if made.study else "–",
            state_badge("extract", states[made.id]) if made.id in states else "–",
            t("oppositions_closed") if states.get(made.id, "open") != "open" else t(f"due_{made.kind}"),
        )
        for made in concerned
    ]
    headings = [t("oppositions_kind"), t("log_subject"), t("study"), t("opposition_state"), t("oppositions_work")]
    show(table(headings, rows, said))


def _states(actor: Actor) -> dict[str, str]:
    """Return where each extract stands, for who may read about them."""
    if not can(actor, "extract.read"):
        return {}
    return {view.id: view.state for view in extracts.list_extracts(workbench(), actor)}


def _withdraw(actor: Actor, view: ObjectionView) -> None:
    with st.form(f"oppositions_end_{view.id}", border=True):
        show(paragraph(t("oppositions_end_text")))
        reason = st.text_area(t("decide_reason"), height=68, key="oppositions_end_reason")
        if st.form_submit_button(t("oppositions_end")):
            try:
                objections.withdraw(workbench(), actor, view.id, reason)
            except UserError as error:
                panel(error)
                return
            _then(view.id, t("oppositions_ended"))


def _form(actor: Actor) -> None:
    st.subheader(t("oppositions_new"), anchor=False)
    show(paragraph(t("oppositions_intro")))
    code = st.session_state.pop(_ERROR, None)
    if code is not None:
        panel(InvalidInput(code[0], **code[1]))
    scopes = {"study": t("oppositions_scope_study"), "warehouse": t("oppositions_scope_warehouse")}
    scope = st.radio(t("opposition_scope"), list(scopes), format_func=scopes.__getitem__, key="oppositions_scope")
    turn: int = st.session_state.setdefault(_ROUND, 0)
    field = f"oppositions_persons_{turn}"
    with st.form(f"oppositions_form_{turn}", border=True):
        study, sure = EVERY, True
        if scope == "study":
            titles = {EVERY: t("oppositions_every_study"), **{each.id: each.title for each in my_studies(actor)}}
            study = st.selectbox(t("study"), list(titles), format_func=titles.__getitem__, key="oppositions_study")
        st.text_area(t("oppositions_persons"), height=90, key=field)
        show(paragraph(t("oppositions_persons_help"), "wb-quiet"))
        if scope == "warehouse":
            sure = st.checkbox(t("oppositions_sure"), key=f"oppositions_sure_{turn}")
        if st.form_submit_button(t("oppositions_record"), type="primary"):
            _record(actor, field, scope, study or None, sure)


def _record(actor: Actor, field: str, scope: str, study: str | None, sure: bool) -> None:
    """Use what was typed once; whatever comes of it, the field is another one afterwards."""
    typed: str = st.session_state.pop(field, "")
    st.session_state[_ROUND] += 1
    try:
        _check_sure(sure)
        named_persons = persons_of(typed)
        strangers = objections.unknown(workbench(), actor, named_persons)
        if scope == "warehouse":
            made = erasures.order(workbench(), actor, named_persons)
        else:
            made = objections.add(workbench(), actor, named_persons, study).id
    except UserError as error:
        st.session_state[_ERROR] = (error.code, error.facts)
        st.rerun()
    finally:
        del typed
    st.session_state[_UNKNOWN] = (made, strangers)
    if scope == "warehouse":
        st.query_params.from_dict(parameters(id=made))
        work.start(SLOT, actor, "optout.carry_out", {})
    _then(made, t("oppositions_recorded"))


def _check_sure(sure: bool) -> None:
    if not sure:
        raise UserError("ui.not_sure")


def _then(opposition: str, said: str) -> None:
    st.toast(said)
    st.query_params.from_dict(parameters(id=opposition))
    st.rerun()
