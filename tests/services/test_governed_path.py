"""The governed path as its three people walk it: what each may do, and what is refused, logged and kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from workbench.governance.actors import Actor, Role
from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput, Refused, Unavailable, UserError
from workbench.services import (
    auditing,
    closing,
    cohorts,
    demo,
    diagnosing,
    extracts,
    jobs,
    key_deeds,
    learning,
    outputs,
    people,
    releases,
    requests,
    studies,
    study_keys,
    tracing,
    why,
)
from workbench.services.context import Workbench, open_workbench
from workbench.services.holding import reading
from workbench.services.people import Person
from workbench.store.tables import audit as audit_table


def denied(wb: Workbench) -> list[tuple[str, str, str | None]]:
    with wb.store.read() as connection:
        from workbench.governance import audit

        return [(e.actor, e.verb, e.reason) for e in audit.entries(connection) if e.outcome == "denied"]


def asked(**changes: Any) -> dict[str, Any]:
    """The demonstration's request, changed so that it is another one."""
    return {**demo.REQUEST, "why_not_aggregate": "une autre raison", **changes}


def file(wb: Workbench, actor: Actor, **changes: Any) -> requests.RequestView:
    return requests.file_request(wb, actor, demo.STUDY, asked(**changes))


VERBS: dict[str, Callable[[Workbench, Actor], object]] = {
    "release.load": lambda wb, who: releases.load_omop(wb, who, Path("nowhere"), name="x", synthetic=True),
    "study.create": lambda wb, who: studies.create_study(wb, who, demo.PROTOCOL),
    "study.close": lambda wb, who: studies.close_study(wb, who, "no-such", "r"),
    "study.abandon": lambda wb, who: studies.abandon_study(wb, who, "no-such", "r"),
    "request.withdraw": lambda wb, who: requests.withdraw(wb, who, "req-x"),
    "key.read": lambda wb, who: study_keys.show_keys(wb, who, "no-such"),
    "key.rotate": lambda wb, who: study_keys.rotate_keys(wb, who, "no-such", digest="x", reason="r"),
    "key.destroy": lambda wb, who: study_keys.destroy_key(wb, who, "no-such", "data", digest="x", reason="r"),
    "study.open": lambda wb, who: studies.open_study(wb, who, demo.STUDY, protocol_digest="x", reason="r"),
    "request.create": lambda wb, who: requests.file_request(wb, who, demo.STUDY, asked()),
    "request.decide": lambda wb, who: requests.decide(wb, who, "req-x", "approved", protocol_digest="x", reason="r"),
    "extract.run": lambda wb, who: extracts.run_extract(wb, who, "req-x"),
    "extract.open": lambda wb, who: extracts.open_tables(wb, who, "ext-x"),
    "extract.revoke": lambda wb, who: extracts.revoke(wb, who, "ext-x", "r"),
    "features.build": lambda wb, who: learning.build_features(wb, who, "ext-x"),
    "model.train": lambda wb, who: learning.train(wb, who, "fea-x"),
    "output.check": lambda wb, who: outputs.check_output(wb, who, "ext-x", "t.csv", b"a\n1\n"),
    "output.request": lambda wb, who: outputs.request_output(wb, who, "ext-x", "t.csv", b"a\n1\n", context="x"),
    "output.decide": lambda wb, who: outputs.decide(wb, who, "out-x", "released", file_digest="x", reason="r"),
    "output.download": lambda wb, who: outputs.download(wb, who, "out-x"),
    "audit.read": auditing.log,
    "cohort.generate": lambda wb, who: cohorts.generate(wb, who, {}),
    "cohort.diagnose": lambda wb, who: diagnosing.diagnose_cohort(wb, who, "coh-x"),
    "cohort.why": lambda wb, who: why.why_in_extract(wb, who, "ext-x", 1),
    "user.close": lambda wb, who: closing.close_account(wb, who, "nobody", "r"),
    "user.manage": lambda wb, who: people.add_person(wb, who, Person("new", "New", Role.RESEARCHER, None)),
}
STUDY = {
    "output.check",
    "output.request",
    "output.download",
    "extract.open",
    "cohort.generate",
    "cohort.diagnose",
    "cohort.why",
}
MAY = {
    "researcher": {*STUDY, "study.create", "study.abandon", "request.create", "request.withdraw", "extract.run"},
    "datascientist": {*STUDY, "features.build", "model.train"},
    "ethics": {
        "user.close",
        "output.decide",
        "study.open",
        "study.close",
        "request.decide",
        "extract.revoke",
        "audit.read",
        "key.read",
        "key.rotate",
        "key.destroy",
    },
    "steward": {"release.load", "user.close", "user.manage"},
}


@pytest.mark.parametrize("person", MAY)
def test_each_person_does_what_is_theirs_and_every_refusal_is_logged(wb: Workbench, person: str) -> None:
    actor = people.acting_as(wb, None) if person == "steward" else people.actor_named(wb, person)
    refused: set[str] = set()
    for verb, call in VERBS.items():
        try:
            call(wb, actor)
        except UserError as error:
            if error.code == "governance.not_allowed":
                refused.add(verb)
    assert refused == set(VERBS) - MAY[person]
    assert {
        verb for who, verb, reason in denied(wb) if who == actor.name and reason == "governance.not_allowed"
    } == refused


def test_who_files_does_not_decide(wb: Workbench, researcher: Actor) -> None:
    request = file(wb, researcher)
    same_person = Actor(researcher.name, Role.ETHICS_OFFICER, researcher.display)
    with pytest.raises(Refused, match="self_approval"):
        requests.decide(
            wb, same_person, request.id, "approved", protocol_digest=request.document["protocol"], reason="r"
        )
    assert (researcher.name, "request.decide", "governance.self_approval") in denied(wb)


def test_a_decision_names_the_protocol_that_was_read(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    request = file(wb, researcher)
    with pytest.raises(Refused, match="protocol_changed"):
        requests.decide(wb, officer, request.id, "approved", protocol_digest="0" * 64, reason="r")
    with pytest.raises(Refused, match="reason_needed"):
        requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason=" ")
    assert requests.show_request(wb, officer, request.id).state == "checked"


@pytest.mark.parametrize("decision", ["refused", "sent_back"])
def test_what_was_not_approved_does_not_run(wb: Workbench, researcher: Actor, officer: Actor, decision: Any) -> None:
    request = file(wb, researcher)
    digest = request.document["protocol"]
    view = requests.decide(wb, officer, request.id, decision, protocol_digest=digest, reason="trop large")
    assert view.approval is not None
    assert view.approval.body["reason"] == "trop large"
    with pytest.raises(Refused, match="wrong_state"):
        extracts.run_extract(wb, researcher, request.id)
    assert len(list(wb.settings.extracts.iterdir())) == 1


def test_an_approval_that_ran_out_delivers_nothing(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = file(wb, researcher)
    digest = request.document["protocol"]
    requests.decide(wb, officer, request.id, "approved", protocol_digest=digest, reason="r")
    monkeypatch.setattr(clock, "today", lambda: date(2099, 1, 1))
    with pytest.raises(Refused, match="expired"):
        extracts.run_extract(wb, researcher, request.id)


def test_an_extract_closes_after_its_day(wb: Workbench, scientist: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    view = extracts.list_extracts(wb, scientist)[0]
    assert view.state == "open"
    monkeypatch.setattr(clock, "today", lambda: date(2099, 1, 1))
    with pytest.raises(Refused, match="extract_closed"):
        extracts.open_tables(wb, scientist, view.id)
    assert extracts.show_extract(wb, scientist, view.id).state == "expired"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tables": {"person": ["age_at_index", "race_concept_id"]}}, "governance.beyond_protocol"),
        ({"tables": {"note": ["note_text"]}}, "governance.never_delivered"),
        ({"tables": {"person": ["person_source_value"]}}, "governance.never_delivered"),
        ({"period": {"from_day": -9999, "to_day": 0}}, "governance.period_beyond_protocol"),
        ({"why_not_aggregate": "  "}, "governance.why_not_aggregate"),
        ({"cohort": "osteoarthritis"}, "governance.cohort_not_approved"),
        ({"cohort": "nothing_like_it"}, "services.no_cohort_version"),
        ({"surprise": 1}, "services.request_members"),
    ],
)
def test_a_request_beyond_its_protocol_is_not_kept(
    wb: Workbench, researcher: Actor, changes: dict[str, Any], code: str
) -> None:
    before = len(requests.list_requests(wb, researcher))
    with pytest.raises((Refused, InvalidInput)) as error:
        file(wb, researcher, **changes)
    assert error.value.code == code
    assert len(requests.list_requests(wb, researcher)) == before


def test_a_study_is_seen_by_its_members_and_the_officer_only(wb: Workbench, steward: Actor, officer: Actor) -> None:
    people.add_person(wb, steward, Person("outsider", "Dr Dehors", Role.RESEARCHER, None))
    outsider = people.actor_named(wb, "outsider")
    extract = extracts.list_extracts(wb, officer)[0]
    assert studies.list_studies(wb, outsider) == []
    assert requests.list_requests(wb, outsider) == []
    assert extracts.list_extracts(wb, outsider) == []
    assert learning.list_models(wb, outsider) == []
    for ref in (extract.id, extract.digest, demo.STUDY):
        with pytest.raises(Refused, match="no_document"):
            tracing.trace(wb, outsider, ref)
    with pytest.raises(Refused, match="no_document"):
        extracts.open_tables(wb, outsider, extract.id)


def test_nobody_but_a_member_makes_a_study_theirs(wb: Workbench, researcher: Actor) -> None:
    with pytest.raises(Refused, match="not_a_member"):
        studies.create_study(
            wb, researcher, {**demo.PROTOCOL, "study": "other", "members": [{"user": "x", "role": "researcher"}]}
        )


def test_an_open_study_is_not_rewritten(wb: Workbench, researcher: Actor) -> None:
    with pytest.raises(Refused, match="study_exists"):
        studies.create_study(wb, researcher, {**demo.PROTOCOL, "purpose": "autre chose"})


def test_a_draft_study_gives_no_rows(wb: Workbench, researcher: Actor) -> None:
    studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "draft-study"})
    with pytest.raises(Refused, match="study_not_open"):
        requests.file_request(wb, researcher, "draft-study", asked())


def test_revoking_closes_everything_made_and_destroys_the_key(wb: Workbench, scientist: Actor, officer: Actor) -> None:
    view = extracts.list_extracts(wb, scientist)[0]
    _, tables, _ = extracts.open_tables(wb, scientist, view.id)
    assert tables["person"].height > 0
    request = next(r for r in requests.list_requests(wb, officer) if r.digest == view.manifest["request"])
    extracts.revoke(wb, officer, view.id, "opposition du promoteur")
    told = {entry.subject: entry.reason for entry in auditing.log(wb, officer) if entry.verb.endswith(".revoke")}
    assert told == dict.fromkeys((view.id, request.id), "opposition du promoteur"), "each has its entry"
    with pytest.raises(Refused, match="extract_closed"):
        extracts.open_tables(wb, scientist, view.id)
    with pytest.raises(Unavailable, match="secret_destroyed"):
        wb.keys.study_secret(view.study, "data")
    assert wb.keys.study_secret(view.study, "pseudonym")


def test_a_revocation_that_died_half_way_is_finished_at_the_next_opening(
    wb: Workbench, officer: Actor, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = extracts.list_extracts(wb, scientist)[0]
    monkeypatch.setattr(key_deeds, "carry_out", lambda *_: None)
    extracts.revoke(wb, officer, view.id, "opposition du promoteur")
    assert wb.keys.study_secret(view.study, "data")
    monkeypatch.undo()
    again = open_workbench(wb.settings)
    assert again.keys.is_destroyed(view.study, "data")


def test_the_environment_cannot_name_another_person(wb: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ethics")
    assert people.acting_as(wb, None).role is Role.DATA_STEWARD


def test_a_release_that_was_touched_is_not_read(wb: Workbench, researcher: Actor) -> None:
    with reading():
        release = releases.current_release(wb)
    path = release.table("person")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    fresh = open_workbench(wb.settings)
    definitions = {"gi_bleed": _definition("gi_bleed")}
    with pytest.raises(Unavailable, match=release.id):
        cohorts.generate(fresh, researcher, definitions)


def test_a_file_exchanged_together_with_its_manifest_is_found(wb: Workbench, steward: Actor) -> None:
    with reading():
        release = releases.current_release(wb)
    path = release.folder / "manifest.json"
    person, death = (next(t for t in release.manifest["tables"] if t["name"] == name) for name in ("person", "death"))
    text = path.read_text(encoding="utf-8")
    assert releases.verify_release(wb, steward, release.id) == ()
    shutil.copy(release.table("death"), release.table("person"))
    for name in ("sha256", "bytes"):
        old, new = (json.dumps(table["files"][0][name]) for table in (person, death))
        text = text.replace(f'"{name}": {old}', f'"{name}": {new}')
    path.write_text(text, encoding="utf-8")
    assert {problem.code for problem in releases.verify_release(wb, steward, release.id)} == {"manifest_edited"}


def _definition(name: str) -> Any:
    from workbench.cohorts.circe import read_definition
    from workbench.cohorts.shipped import shipped

    return read_definition(shipped()[name])


def test_lost_cohort_rows_are_made_again_and_held_against_their_digest(wb: Workbench, researcher: Actor) -> None:
    shutil.rmtree(wb.settings.cache)
    request = requests.list_requests(wb, researcher)[0]
    assert cohorts.rows_of(wb, request.cohort.digest).num_rows == 2630


def test_numbers_are_governed_wherever_a_cohort_is_seen(wb: Workbench, researcher: Actor) -> None:
    for view in cohorts.list_cohorts(wb, researcher):
        steps = [number for step in view.attrition for number in (step.persons, step.events, step.without)]
        for number in (view.persons, view.events, *steps):
            assert number is None or number.value is None or (number.value >= 11 and number.value % 5 == 0)


def test_a_cut_log_is_found_even_after_others_wrote_on(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    with wb.store.bookkeeping() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        last = connection.execute(audit_table.select().order_by(audit_table.c.seq.desc()).limit(1)).one()
        connection.exec_driver_sql(f"DELETE FROM payloads WHERE seq > {last.seq - 3}")
        connection.execute(delete(audit_table).where(audit_table.c.seq > last.seq - 3))
    file(wb, researcher)
    verdict = auditing.verify_log(wb, officer)
    assert not verdict.sound
    assert verdict.problem in {"cut", "rebuilt"}


def test_the_log_is_exported_without_formulas_and_without_identifiers(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    request = file(wb, researcher)
    digest = request.document["protocol"]
    requests.decide(wb, officer, request.id, "refused", protocol_digest=digest, reason="=HYPERLINK(1)")
    rows = auditing.export_log(wb, officer)
    text = auditing.as_csv(rows)
    assert "'=HYPERLINK(1)" in text
    assert json.loads(json.dumps(rows))[-1]["verb"] == "audit.export"


def test_trace_walks_both_ways(wb: Workbench, officer: Actor, steward: Actor) -> None:
    model = learning.list_models(wb, officer)[0]
    thread = tracing.trace(wb, officer, model.digest[:12])
    made_after = {"model", "meds", "output", "release_decision", "finding"}
    assert {link.kind for link in thread.back} == set(tracing.ORDER) - made_after
    with reading():
        release = tracing.trace(wb, steward, releases.current_release(wb).id)
    assert model.digest in {link.digest for link in release.forward}


def test_a_worker_process_does_the_work_and_its_job_says_so(wb: Workbench, researcher: Actor, scientist: Actor) -> None:
    from workbench.cohorts.shipped import shipped

    text = shipped()["gi_bleed"].read_text(encoding="utf-8")
    job_id = jobs.submit(wb, researcher, "cohort.generate", {"definitions": {"gi_bleed": text}})
    row = _wait(wb, researcher, job_id)
    assert (row.state, row.error) == ("done", None)
    with pytest.raises(Refused, match="no_document"):
        jobs.job(wb, scientist, job_id)


def test_a_worker_is_held_to_the_policy_too(wb: Workbench, officer: Actor) -> None:
    job_id = jobs.submit(wb, officer, "extract.run", {"request": "req-x"})
    row = _wait(wb, officer, job_id)
    assert (row.state, row.error) == ("failed", "governance.not_allowed")


def _wait(wb: Workbench, actor: Actor, job_id: int) -> Any:
    import time

    for _ in range(600):
        row = jobs.job(wb, actor, job_id)
        if row.state not in {"queued", "running"}:
            return row
        time.sleep(0.1)
    pytest.fail("the worker did not end")
