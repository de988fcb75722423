"""Accueil: what waits for me, my studies, the data, the last work."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import streamlit as st

from workbench.governance.actors import Actor, Role
from workbench.governance.disclosure import shown as as_shown
from workbench.governance.legal_bases import legal_basis
from workbench.governance.policy import can
from workbench.kernel import clock
from workbench.services import account_review, alerts, extracts, findings, jobs, learning, outputs, releases, requests
from workbench.services.releases import ReleaseView
from workbench.services.studies import StudyView
from workbench.ui.parts import release as parts
from workbench.ui.parts import study_end
from workbench.ui.parts.extract import cohort_of
from workbench.ui.parts.markup import (
    Html,
    bullets,
    digest,
    facts,
    figures,
    heading,
    join,
    link,
    paragraph,
    show,
    table,
    tag,
)
from workbench.ui.parts.shell import empty, my_studies
from workbench.ui.parts.words import cell, counted, day, moment, named, number, person, shown, state_badge
from workbench.ui.state import href, lang, t, workbench


def draw(actor: Actor) -> None:
    """Draw the page."""
    mine = my_studies(actor)
    show(heading(t("home_waiting")), _waiting(actor, mine))
    left, right = st.columns([3, 2], gap="large")
    with left:
        if can(actor, "request.decide"):
            _deadlines(actor, mine)
        if can(actor, "study.read"):
            st.subheader(t("home_studies"), anchor=False)
            _studies(actor, mine)
        _work(actor)
    with right:
        st.subheader(t("home_data"), anchor=False)
        _data(actor)


def _waiting(actor: Actor, mine: list[StudyView]) -> Html:
    lines = {
        Role.RESEARCHER: _for_researcher,
        Role.DATA_SCIENTIST: _for_scientist,
        Role.ETHICS_OFFICER: _for_officer,
        Role.DATA_STEWARD: lambda actor, _mine: _findings(actor, "accepted"),
    }.get(actor.role, lambda _actor, _mine: [])(actor, mine)
    return bullets(lines) if lines else paragraph(t("home_nothing_waits"), "wb-quiet")


def _for_researcher(actor: Actor, mine: list[StudyView]) -> list[Html]:
    wanted = {study.id for study in mine}
    found = [request for request in requests.list_requests(workbench(), actor) if request.study in wanted]
    lines = [
        link(
            t(f"home_request_{request.state}", request=request.id, cohort=request.cohort.title),
            href("demandes", id=request.id),
        )
        for request in found
        if request.state in {"approved", "sent_back"}
    ]
    lines += [tag("span", t("home_study_draft", study=study.title)) for study in mine if study.state == "draft"]
    lines += _outputs(actor, mine)
    asked = {request.study for request in found}
    lines += [
        link(t("home_no_request", study=study.title), href("demandes", new="1"))
        for study in mine
        if study.state == "open" and study.id not in asked
    ]
    return lines


def _for_scientist(actor: Actor, mine: list[StudyView]) -> list[Html]:
    wanted = {study.id for study in mine}
    learned = {model.extract for model in learning.list_models(workbench(), actor)}
    found = [
        extract
        for extract in extracts.list_extracts(workbench(), actor)
        if extract.state == "open" and extract.study in wanted and extract.id not in learned
    ]
    names = cohort_of(actor, found)
    return _outputs(actor, mine) + [
        link(t("home_extract_open", extract=each.id, cohort=names[each.id]), href("demandes", id=each.id))
        for each in found
    ]


def _outputs(actor: Actor, mine: list[StudyView]) -> list[Html]:
    """What waits of one's own outputs: one to take away, one to mend; for the officer, those to decide on."""
    wanted = {study.id for study in mine}
    states = {"checked", "to_review"} if can(actor, "output.decide") else {"released", "sent_back"}
    return [
        link(
            t(f"home_output_{view.state}", output=view.id, name=view.name, who=person(view.requester)),
            href("sorties", id=view.id),
        )
        for view in outputs.list_outputs(workbench(), actor)
        if view.study in wanted and view.state in states and (view.requester == actor.name or "checked" in states)
    ]


def _findings(actor: Actor, state: str) -> list[Html]:
    """What waits of significant findings: one to decide on, or a letter to hand over."""
    return [
        link(t(f"home_finding_{state}", finding=view.id, who=person(view.reporter)), href("decouvertes", id=view.id))
        for view in findings.list_findings(workbench(), actor)
        if view.state == state
    ]


def _review_of_rights() -> list[Html]:
    """The review of rights, once it is overdue."""
    due = account_review.review_due(workbench())
    return [link(t("home_review", day=day(due.next.isoformat())), href("comptes"))] if due.overdue else []


def _for_officer(actor: Actor, mine: list[StudyView]) -> list[Html]:
    wanted = {study.id for study in mine}
    lines = [
        link(
            t("home_review_change" if study.proposed else "home_review_study", study=study.title),
            href("examen", id=study.id),
        )
        for study in mine
        if study.state == "draft" or study.proposed
    ]
    return (
        _alerts(actor)
        + _review_of_rights()
        + lines
        + _outputs(actor, mine)
        + _findings(actor, "reported")
        + [
            link(
                t(
                    "home_review_request",
                    request=request.id,
                    who=person(request.requester),
                    cohort=request.cohort.title,
                ),
                href("examen", id=request.id),
            )
            for request in requests.list_requests(workbench(), actor)
            if request.state == "checked" and request.study in wanted
        ]
    )


def _alerts(actor: Actor) -> list[Html]:
    """What was noticed lately in people's questions: nobody answers an alert, so each is told for a week."""
    since = clock.written(clock.now() - timedelta(days=7))
    lately = [each for each in alerts.list_alerts(workbench(), actor) if each.time >= since]
    if not lately:
        return []
    said = t("home_alerts_one") if len(lately) == 1 else t("home_alerts", count=number(len(lately)))
    return [link(said, href("journal", tab="alerts"))]


def _deadlines(actor: Actor, mine: list[StudyView]) -> None:
    """What expires: open extracts, and approvals that nothing was made of."""
    st.subheader(t("home_deadlines"), anchor=False)
    wanted = {study.id for study in mine}
    asked = [each for each in requests.list_requests(workbench(), actor) if each.study in wanted]
    by_digest = {each.digest: each for each in asked}
    due = [(each.expires_on or "", "approval", each) for each in asked if each.state == "approved"]
    due += [
        (each.expires_on or "", "extract", by_digest[each.manifest["request"]])
        for each in extracts.list_extracts(workbench(), actor)
        if each.state == "open" and each.manifest["request"] in by_digest
    ]
    if not due:
        show(paragraph(t("home_deadlines_none"), "wb-quiet"))
        return
    rows = [
        (day(when), link(t(f"deadline_{kind}", cohort=each.cohort.title), href("examen", id=each.id)),
         person(each.requester))
        for when, kind, each in sorted(due, key=lambda line: (line[0], line[2].id))
    ]  # fmt: skip
    show(table([t("deadline_day"), t("deadline_what"), t("deadline_for")], rows, t("home_deadlines_caption")))


def _studies(actor: Actor, mine: list[StudyView]) -> None:
    if not mine:
        then = "home_no_study_then" if can(actor, "study.create") else "home_no_study_wait"
        empty(t("home_no_study"), t(then))
    for study in mine:
        protocol = study.protocol
        basis = legal_basis(protocol["legal_basis"]["code"]).name[lang()]
        members = ", ".join(person(member["user"]) for member in protocol["members"])
        lines = [
            (t("study_purpose"), protocol["purpose"]),
            (t("study_legal_basis"), basis),
            (t("study_investigator"), protocol["investigator"]),
            (t("study_members"), members),
            (t("study_domains"), ", ".join(named("table", name) for name in protocol["tables"])),
            (t("study_duration"), t("days", count=number(protocol["duration_days"]))),
            (t("study_protocol"), digest(study.digest)),
        ]
        title = join([tag("strong", study.title), " ", state_badge("study", study.state)])
        show(tag("section", join([paragraph(title, "wb-card-title"), facts(lines)]), "wb-card"))
        study_end.kept(study)
        study_end.abandon(actor, study)


def _data(actor: Actor) -> None:
    found = releases.list_releases(workbench(), actor)
    now = next((release for release in found if release.current), None)
    if now is None:
        empty(t("home_no_release"), t("home_no_release_then"))
        return
    if now.synthetic:
        show(paragraph(t("home_synthetic"), "wb-note"))
    summary = now.quality.get("summary", {})
    numbers = [
        (t("home_persons"), shown(as_shown(now.rows.get("person") or 0))),
        (t("home_records"), number(sum(record["rows"] or 0 for record in now.quality.get("records", [])))),
        (t("home_checks"), f"{summary.get('passed', 0)} / {summary.get('passed', 0) + summary.get('failed', 0)}"),
    ]
    show(figures(numbers), _records(now))
    _quality(now)
    lines = [
        (t("release"), join([now.name, " ", tag("code", now.id)])),
        (t("release_loaded"), moment(now.loaded_at)),
        (t("release_digest"), digest(now.digest)),
        (t("release_rule"), parts.period_rule(now)),
        (t("release_eras"), parts.eras(now)),
    ]
    show(facts(lines))


def _records(now: ReleaseView) -> Html:
    rows = [
        (named("table", record["table"]), counted(record["rows"]), cell(as_shown(record["persons"] or 0)))
        for record in sorted(now.quality.get("records", []), key=lambda record: -(record["rows"] or 0))
        if record["rows"] != 0
    ]
    return table([t("domain"), t("records"), t("persons")], rows, t("home_records_caption"), {1, 2})


def _quality(now: ReleaseView) -> None:
    failed = [check for check in now.quality.get("checks", []) if check["status"] == "failed"]
    if not failed:
        show(paragraph(t("home_quality_good"), "wb-quiet"))
        return
    kinds = Counter(check["check"] for check in failed)
    found = [(named("check", kind), str(count)) for kind, count in kinds.most_common()]
    show(table([t("home_quality_found"), t("columns")], found, t("home_quality_text"), {1}))
    rows = [
        (
            tag("code", f"{check['table']}.{check['column']}"),
            named("check", check["check"]),
            counted(check["failed"]),
            counted(check["rows"]),
        )
        for check in sorted(failed, key=lambda check: -(check["failed"] or 0) / (check["rows"] or 1))
    ]
    headings = [t("column"), t("check"), t("check_failed"), t("check_rows")]
    with st.expander(t("home_quality_each")):
        show(table(headings, rows, t("home_quality_caption", count=len(rows)), {2, 3}))


def _work(actor: Actor) -> None:
    rows = [
        (
            str(row.id),
            named("verb", row.verb.replace(".", "_")),
            state_badge("job", row.state),
            moment(row.heartbeat) if row.heartbeat else "–",
        )
        for row in jobs.list_jobs(workbench(), actor)[:6]
    ]
    if rows:
        show(
            heading(t("home_work")),
            table([t("job"), t("job_what"), t("job_state"), t("job_when")], rows, t("home_work_caption")),
        )
