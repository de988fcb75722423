"""Journal: who did what, whether the log is whole, and the thread through any document."""

from __future__ import annotations

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.audit import Entry
from workbench.governance.verifying import Verdict
from workbench.kernel.errors import UserError
from workbench.kernel.text import say
from workbench.services import alerts, auditing, extracts, log_details, tracing
from workbench.ui.parts.errors import panel
from workbench.ui.parts.extract import cohort_of
from workbench.ui.parts.markup import (
    Html,
    badge,
    bullets,
    digest,
    facts,
    heading,
    join,
    link,
    paragraph,
    show,
    table,
    tag,
)
from workbench.ui.parts.thread import evidence_link, thread
from workbench.ui.parts.words import TONES, log_reason, named, number, person, role_name
from workbench.ui.state import href, lang, parameter, t, workbench

ON_A_PAGE = 25
ANY = ""
ABOUT_PEOPLE = frozenset({"session.open", "session.close", "alert.raise", "study.leave", "user.manage", "user.close"})
"""Acts whose subject is an account, shown as the person's name."""


def draw(actor: Actor) -> None:
    """Draw the page."""
    _verify(actor)
    entries, seen, raised, lineage = st.tabs(
        [t("log_entries"), t("log_seen"), t("log_alerts"), t("log_lineage")],
        default=t("log_lineage") if parameter("id") else t("log_alerts") if parameter("tab") == "alerts" else None,
    )
    with entries:
        _entries(actor)
    with seen:
        _seen(actor)
    with raised:
        _alerts(actor)
    with lineage:
        _lineage(actor)


def _verify(actor: Actor) -> None:
    with st.container(border=True):
        words, button = st.columns([4, 1], vertical_alignment="center")
        with words:
            show(paragraph(t("log_verify_text")))
        with button:
            pressed = st.button(t("log_verify"), type="primary", key="log_verify", width="stretch")
        if pressed:
            with st.spinner(t("log_verifying")):
                st.session_state["log_verdict"] = auditing.verify_log(workbench(), actor)
        verdict: Verdict | None = st.session_state.get("log_verdict")
        if verdict is not None:
            show(_verdict(verdict))
        ways = [
            (t("log_head"), "audit-head.json"),
            (t("log_csv"), "audit-log.csv"),
            (t("log_json"), "audit-log.json"),
        ]
        links = join([link(name, f"/download/{file}?lang={lang()}") for name, file in ways], " · ")
        show(paragraph(join([t("log_take"), " ", links]), "wb-quiet"))


def _verdict(verdict: Verdict) -> Html:
    if verdict.sound:
        said = t("log_sound", entries=number(verdict.entries))
        return tag(
            "div",
            join([tag("strong", said), " ", t("log_head_is"), " ", digest(verdict.head)]),
            "wb-verdict wb-sound",
            role="status",
        )
    problem = say(f"audit.{verdict.problem}", lang())
    said = t("log_unsound", seq=verdict.first_bad, problem=problem)
    return tag("div", join([tag("strong", said), " ", t("log_unsound_do")]), "wb-verdict wb-unsound", role="alert")


def _entries(actor: Actor) -> None:
    every = auditing.log(workbench(), actor)
    text, verb, who, outcome = st.columns([3, 2, 2, 2])
    with text:
        wanted = st.text_input(t("log_search"), placeholder=t("log_search_hint"), live=True, key="log_search")
    with verb:
        verbs = _choice(
            t("log_verb"), {entry.verb for entry in every}, "log_verb", lambda v: named("verb", v.replace(".", "_"))
        )
    with who:
        persons = _choice(t("log_person"), {entry.actor for entry in every}, "log_person", person)
    with outcome:
        outcomes = _choice(
            t("log_outcome"), {entry.outcome for entry in every}, "log_outcome", lambda o: named("outcome", o)
        )
    found = [
        entry
        for entry in every
        if verbs in {ANY, entry.verb} and persons in {ANY, entry.actor} and outcomes in {ANY, entry.outcome}
        and _matches(entry, wanted or "")
    ]  # fmt: skip
    if not found:
        show(paragraph(t("log_nothing"), "wb-quiet"))
        return
    pages = -(-len(found) // ON_A_PAGE)
    page = st.pagination(pages, key="log_page") if pages > 1 else 1
    part = found[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    show(_table(part, len(found)))


def _choice(label: str, values: set[str], key: str, words: object) -> str:
    say_it = words if callable(words) else str
    return (
        st.selectbox(
            label,
            [ANY, *sorted(values)],
            format_func=lambda value: str(say_it(value)) if value else t("log_any"),
            key=key,
        )
        or ANY
    )


def _matches(entry: Entry, wanted: str) -> bool:
    act = named("verb", entry.verb.replace(".", "_"))
    found = (
        entry.seq, entry.time, entry.actor, person(entry.actor), entry.role, entry.study, entry.verb, act,
        entry.subject, entry.before, entry.after, entry.outcome, entry.reason, entry.hash,
    )  # fmt: skip
    text = " ".join(str(part) for part in found if part).casefold()
    return all(word in text for word in wanted.casefold().split())


def _table(entries: list[Entry], count: int) -> Html:
    headings = [
        t("log_seq"),
        t("log_when"),
        t("log_person"),
        t("log_verb"),
        t("log_subject"),
        t("log_outcome"),
        t("log_reason"),
    ]
    rows = [
        (
            str(entry.seq),
            entry.time[:19].replace("T", " "),
            join([person(entry.actor), " ", tag("span", role_name(entry.role), "wb-quiet")]),
            named("verb", entry.verb.replace(".", "_")),
            _subject(entry),
            badge(named("outcome", entry.outcome), TONES.get(entry.outcome, "plain")),
            log_reason(entry.reason),
        )
        for entry in entries
    ]
    return table(headings, rows, t("log_caption", shown=len(entries), count=number(count)), {0}, "wb-log wb-acts")


def _subject(entry: Entry) -> Html:
    name = entry.subject or entry.study or "–"
    if entry.verb in ABOUT_PEOPLE:
        return tag("span", person(name))
    if not entry.after:
        return tag("code", name)
    made = link(tag("code", name), href("journal", id=entry.after[:12]))
    return made if entry.after[:12] in name else join([made, " ", digest(entry.after)])


def _seen(actor: Actor) -> None:
    show(paragraph(t("log_seen_text")))
    found = log_details.who_saw(workbench(), actor)
    if not found:
        show(paragraph(t("log_nobody_saw"), "wb-quiet"))
        return
    rows = [
        (
            join([person(each.actor), " ", tag("span", role_name(each.role), "wb-quiet")]),
            named("verb", each.verb.replace(".", "_")),
            tag("code", each.subject or each.study or "–"),
            number(each.times),
            each.first[:19].replace("T", " "),
            each.last[:19].replace("T", " "),
        )
        for each in found
    ]
    headings = [t("log_person"), t("log_verb"), t("log_subject"), t("log_times"), t("log_first"), t("log_last")]
    show(table(headings, rows, t("log_seen_caption"), {3}, "wb-log"))


def _alerts(actor: Actor) -> None:
    show(paragraph(t("log_alerts_text")))
    found = alerts.list_alerts(workbench(), actor)
    if not found:
        show(paragraph(t("log_no_alerts"), "wb-quiet"))
        return
    headings = [t("log_seq"), t("log_when"), t("log_person"), t("log_alert")]
    rows = [
        (
            str(each.seq),
            each.time[:19].replace("T", " "),
            person(each.person),
            say(f"audit.alert_{each.pattern}", lang(), questions=number(each.questions), hours=each.hours),
        )
        for each in found
    ]
    show(table(headings, rows, t("log_alerts_caption"), {0}, "wb-log"))


def _lineage(actor: Actor) -> None:
    show(paragraph(t("lineage_text"), "wb-quiet"))
    ref = st.text_input(
        t("lineage_ref"), value=parameter("id") or "", placeholder="mod-… / ext-… / req-… / 3f2a91c0…", key="log_ref"
    )
    if not ref:
        _starts(actor)
        return
    try:
        found = tracing.trace(workbench(), actor, ref.strip())
    except UserError as error:
        panel(error)
        return
    show(
        paragraph(join([evidence_link(found.start.digest), " · ", tag("span", t("lineage_evidence_text"), "wb-quiet")]))
    )
    show(heading(t("lineage_back"), 3))
    show(thread(found.back) if found.back else paragraph(t("lineage_first"), "wb-quiet"))
    show(heading(t("lineage_here"), 3), thread([found.start], found.start.digest))
    show(heading(t("lineage_forward"), 3))
    show(thread(found.forward) if found.forward else paragraph(t("lineage_last"), "wb-quiet"))
    if found.start.names:
        show(
            heading(t("lineage_names"), 3),
            facts([(_named(name), digest(value)) for name, value in found.start.names.items()]),
        )


def _named(place: str) -> str:
    """Return the words for the place at which a document names another; of several they are counted from 1."""
    name, _, number_ = place.partition(".")
    words = named("names", name)
    return f"{words} {int(number_) + 1}" if number_.isdecimal() else words


def _starts(actor: Actor) -> None:
    """Offer what a thread is mostly asked of: the extracts that were delivered."""
    found = extracts.list_extracts(workbench(), actor)
    if not found:
        show(paragraph(t("lineage_nothing"), "wb-quiet"))
        return
    names = cohort_of(actor, found)
    ways = [
        link(t("extract_choice", cohort=names[each.id], extract=each.id), href("journal", id=each.id)) for each in found
    ]
    show(paragraph(t("lineage_start")), bullets(ways))
