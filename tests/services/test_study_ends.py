"""How a study ends: closed, abandoned, past its last day, and what its retention leaves when it is over."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import workbench
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.audit import Entry
from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import auditing, demo, doctor, expiry, extracts, key_deeds, objections, requests, studies
from workbench.services.context import Workbench, open_workbench
from workbench.store import documents
from workbench.store.chain import Event
from workbench.store.store import Store, Write

RETENTION = timedelta(days=demo.PROTOCOL["retention_days"])


def log(wb: Workbench, *verbs: str) -> list[Entry]:
    with wb.store.read() as connection:
        return [entry for entry in audit.entries(connection) if entry.verb in verbs]


def on(patch: pytest.MonkeyPatch, day: date) -> None:
    """Set the clock."""
    patch.setattr(clock, "now", lambda: datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


def ask(wb: Workbench, actor: Actor, why: str = "une autre raison") -> requests.RequestView:
    return requests.file_request(wb, actor, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": why})


def test_a_closed_study_closes_all_it_has_and_keeps_what_finds_its_persons(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    extract = extracts.list_extracts(wb, researcher)[0]
    waiting, approved = ask(wb, researcher), ask(wb, researcher, "encore une")
    digest = waiting.document["protocol"]
    requests.decide(wb, officer, approved.id, "approved", protocol_digest=digest, reason="r")
    with pytest.raises(Refused, match="reason_needed"):
        studies.close_study(wb, officer, demo.STUDY, " ")
    view = studies.close_study(wb, officer, demo.STUDY, "published")
    assert (view.state, view.kept_until) == ("closed", (clock.today() + RETENTION).isoformat())
    with pytest.raises(Refused, match="extract_closed"):
        extracts.open_tables(wb, researcher, extract.id)
    assert {each.state for each in requests.list_requests(wb, officer)} == {"expired"}
    with pytest.raises(Refused):
        requests.decide(wb, officer, waiting.id, "approved", protocol_digest=digest, reason="r")
    with pytest.raises(Refused, match="wrong_state"):
        studies.close_study(wb, officer, demo.STUDY, "again")
    assert {wb.keys.condition(demo.STUDY, which) for which in ("data", "pseudonym")} == {"whole"}
    (closing,) = (entry for entry in log(wb, "study.close") if entry.outcome == "done")
    closed = (closing.payload or {})["closed"]
    assert set(closed) == {extract.id, *(each.id for each in requests.list_requests(wb, officer))}
    ended = log(wb, "extract.expire", "request.expire")
    assert {entry.subject: entry.reason for entry in ended} == dict.fromkeys(closed, "study.close")
    assert auditing.verify_log(wb, officer).sound


def test_the_end_of_retention_destroys_both_secrets_and_proves_it(
    wb: Workbench, officer: Actor, researcher: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = extracts.list_extracts(wb, researcher)[0]
    last = date.fromisoformat(studies.close_study(wb, officer, demo.STUDY, "published").kept_until or "")
    on(monkeypatch, last)
    assert studies.show_study(wb, officer, demo.STUDY).state == "closed"
    assert wb.keys.condition(demo.STUDY, "pseudonym") == "whole"
    on(monkeypatch, last + timedelta(days=1))
    with monkeypatch.context() as patch:  # a process that died between the decision and the deed
        patch.setattr(key_deeds, "go_on", lambda _wb: None)
        assert studies.show_study(wb, officer, demo.STUDY).state == "purged"
        assert wb.keys.condition(demo.STUDY, "pseudonym") == "whole"
    again = open_workbench(wb.settings)
    assert again.keys.is_gone(demo.STUDY, "data")
    assert again.keys.is_gone(demo.STUDY, "pseudonym")
    assert not list((wb.settings.extracts / extract.id).rglob("*.parquet"))
    assert (wb.settings.extracts / extract.id / "manifest.json").is_file()
    decided, done = log(again, "study.purge")
    assert (decided.outcome, done.outcome, done.actor) == ("intent", "done", "workbench")
    proof = done.payload or {}
    assert set(proof["secrets"]) == {"data", "pseudonym"}
    assert proof["files"] > len(extract.manifest["tables"])
    studies.list_studies(again, officer)
    open_workbench(wb.settings)
    assert len(log(again, "study.purge")) == 2
    late = {"disk", "review_due", "catalogue_due"}  # so many years later
    assert [each.code for each in doctor.diagnose(wb.settings) if not each.fine and each.code not in late] == []
    (made,) = objections.add(again, officer, [1], demo.STUDY).concerned[:1]
    assert made.id == extract.id, "nobody can tell any more, so it is named"


def test_a_clock_that_was_set_back_brings_nothing_back(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(wb, researcher)
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    extract, now = extracts.list_extracts(wb, scientist)[0], clock.today()
    on(monkeypatch, now + timedelta(days=400))
    ended = extract.expires_on
    assert ended is not None
    assert ended < clock.today().isoformat()
    auditing.export_log(wb, officer)  # anything that is written: nobody looked at the extract on that day
    on(monkeypatch, now)
    with pytest.raises(Refused, match="extract_closed"):
        extracts.open_tables(wb, scientist, extract.id)
    with pytest.raises(Refused, match="wrong_state"):
        extracts.run_extract(wb, researcher, request.id)
    later = ask(wb, researcher, "plus tard")
    view = requests.decide(wb, officer, later.id, "approved", protocol_digest=later.document["protocol"], reason="r")
    assert view.expires_on == (now + timedelta(days=400 + demo.PROTOCOL["duration_days"])).isoformat()
    on(monkeypatch, now - timedelta(days=4000))
    assert extracts.show_extract(wb, scientist, extract.id).state == "expired"


def test_a_study_ends_on_the_day_that_its_protocol_names(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = clock.today() + timedelta(days=30)
    protocol = {**demo.PROTOCOL, "study": "short", "ends_on": last.isoformat()}
    with pytest.raises(InvalidInput, match="not_a_day"):
        studies.create_study(wb, researcher, {**protocol, "ends_on": "2027-02-30"})
    draft = studies.create_study(wb, researcher, protocol)
    opened = studies.open_study(wb, officer, "short", protocol_digest=draft.digest, reason="r")
    assert opened.ends_on == last.isoformat()
    request = requests.file_request(wb, researcher, "short", demo.REQUEST)
    view = requests.decide(wb, officer, request.id, "approved", protocol_digest=draft.digest, reason="r")
    assert view.expires_on == last.isoformat(), "no approval outlives its study"
    on(monkeypatch, last + timedelta(days=3))
    ended = studies.show_study(wb, officer, "short")
    assert (ended.state, ended.kept_until) == ("expired", (last + RETENTION).isoformat())
    assert requests.show_request(wb, officer, request.id).state == "expired"
    assert studies.show_study(wb, officer, demo.STUDY).state == "open"


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        (datetime(2031, 7, 15, 21, 59, tzinfo=UTC), "open"),
        (datetime(2031, 7, 15, 22, 1, tzinfo=UTC), "expired"),  # summer: two hours ahead
        (datetime(2032, 1, 15, 22, 59, tzinfo=UTC), "open"),
        (datetime(2032, 1, 15, 23, 1, tzinfo=UTC), "expired"),
    ],
)
def test_a_last_day_ends_at_midnight_in_france(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch, moment: datetime, state: str
) -> None:
    protocol = {**demo.PROTOCOL, "study": "short", "ends_on": f"{moment:%Y-%m-15}"}
    draft = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, "short", protocol_digest=draft.digest, reason="r")
    monkeypatch.setattr(clock, "now", lambda: moment)
    assert studies.show_study(wb, officer, "short").state == state
    monkeypatch.setattr(clock, "now", lambda: moment - timedelta(days=30))  # the log remembers the day, not the hour
    assert studies.show_study(wb, officer, "short").state == state


def test_a_draft_is_given_up_and_a_waiting_request_taken_back(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "draft-study"})
    with pytest.raises(Refused, match="reason_needed"):
        studies.abandon_study(wb, researcher, "draft-study", "")
    assert studies.abandon_study(wb, researcher, "draft-study", "no budget").state == "closed"
    with pytest.raises(Refused, match="wrong_state"):
        studies.abandon_study(wb, researcher, demo.STUDY, "it is open")
    request = ask(wb, researcher)
    assert requests.withdraw(wb, researcher, request.id).state == "withdrawn"
    digest = request.document["protocol"]
    with pytest.raises(Refused, match="wrong_state"):
        requests.decide(wb, officer, request.id, "approved", protocol_digest=digest, reason="r")
    with pytest.raises(Refused, match="wrong_state"):
        requests.withdraw(wb, researcher, request.id)
    assert [entry.actor for entry in log(wb, "study.abandon", "request.withdraw") if entry.outcome == "done"] == [
        "researcher", "researcher",
    ]  # fmt: skip


def test_the_command_line(demo_copy: Path) -> None:
    def run(who: str, *arguments: str) -> str:
        return workbench(*arguments, "--home", str(demo_copy), "--as", who, cwd=demo_copy.parent).stdout

    asked = {**demo.REQUEST, "why_not_aggregate": "une autre"}
    (demo_copy.parent / "r.json").write_text(json.dumps(asked), encoding="utf-8")
    request = json.loads(run("researcher", "extract", "request", demo.STUDY, "r.json", "--json"))
    assert "withdrawn" in run("researcher", "extract", "withdraw", request["id"])
    protocol = {**demo.PROTOCOL, "study": "other"}
    (demo_copy.parent / "p.json").write_text(json.dumps(protocol), encoding="utf-8")
    run("researcher", "study", "create", "p.json")
    assert "closed" in run("researcher", "study", "abandon", "other", "--reason", "no budget")
    said = run("ethics", "study", "close", demo.STUDY, "--reason", "published")
    assert "closed" in said
    assert (clock.today() + RETENTION).isoformat() in said


def test_what_was_revoked_while_it_expired_did_not_expire(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = extracts.list_extracts(wb, researcher)[0]
    assert extract.expires_on is not None
    writing = type(wb.store).write

    def revoked_first(store: Store, event: Event) -> AbstractContextManager[Write]:
        if event.verb in {"extract.expire", "request.expire"}:
            monkeypatch.setattr(Store, "write", writing)
            with store.write(Event("ethics", "ethics_officer", "extract.revoke", subject=extract.id)) as write:
                documents.move_state(write, "extract", extract.id, "revoked")
        return writing(store, event)

    on(monkeypatch, date.fromisoformat(extract.expires_on) + timedelta(days=1))
    monkeypatch.setattr(Store, "write", revoked_first)
    expiry.expire(wb)
    with wb.store.read() as connection:
        now = documents.state(connection, "extract", extract.id)
    assert now is not None
    assert now.state == "revoked"
    assert log(wb, "extract.expire") == [], "no entry for what did not happen"
    assert auditing.verify_log(wb, officer).sound
