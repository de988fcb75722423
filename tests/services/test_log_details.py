"""Details of accesses are erased after their period and nothing else is; and who saw what is told."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from workbench.governance import log_periods
from workbench.governance.actors import Actor
from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import auditing, extracts, log_details
from workbench.services.context import Workbench

MINUTE = timedelta(minutes=1)


def pass_days(patch: pytest.MonkeyPatch, days: int) -> None:
    """Let time pass."""
    moment = clock.now() + timedelta(days=days)
    patch.setattr(clock, "now", lambda: moment)


def details(wb: Workbench, officer: Actor) -> dict[str, int]:
    """How many entries of each verb still have their payload."""
    found: dict[str, int] = {}
    for entry in auditing.log(wb, officer):
        found[entry.verb] = found.get(entry.verb, 0) + (entry.payload is not None)
    return found


@pytest.fixture
def opened(wb: Workbench, scientist: Actor) -> str:
    """An extract that the scientist opened once more."""
    (view,) = extracts.list_extracts(wb, scientist)
    extracts.open_tables(wb, scientist, view.id)
    return view.id


def test_accesses_lose_their_details_and_decisions_keep_theirs(
    wb: Workbench, officer: Actor, opened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = details(wb, officer)
    entries = {entry.seq: entry for entry in auditing.log(wb, officer)}
    pass_days(monkeypatch, 400)
    done = log_details.forget(wb, officer, "The year is over.")
    assert done.erased >= sum(before.get(verb, 0) for verb in log_periods.ACCESS_VERBS) > 0
    after = details(wb, officer)
    assert after["extract.open"] == 0
    assert {
        verb: count for verb, count in after.items() if verb in {"extract.run", "request.decide", "release.load"}
    } == {verb: count for verb, count in before.items() if verb in {"extract.run", "request.decide", "release.load"}}
    kept = {entry.seq: entry for entry in auditing.log(wb, officer) if entry.seq in entries}
    assert [(e.actor, e.time, e.subject) for e in kept.values()] == [
        (e.actor, e.time, e.subject) for e in entries.values()
    ]
    assert auditing.verify_log(wb, officer).sound
    with pytest.raises(Refused, match="still has its details"):
        log_details.forget(wb, officer, "Again.")


def test_nothing_of_the_details_is_left_in_the_files(
    wb: Workbench, officer: Actor, opened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wb.store.read() as connection:
        from sqlalchemy import select

        from workbench.store.tables import audit, payloads

        salts = (
            connection.execute(
                select(payloads.c.salt).join(audit, audit.c.seq == payloads.c.seq).where(audit.c.verb == "extract.open")
            )
            .scalars()
            .all()
        )
    assert salts
    pass_days(monkeypatch, 400)
    log_details.forget(wb, officer, "The year is over.")
    files = b"".join(path.read_bytes() for path in wb.store.path.parent.glob(f"{wb.store.path.name}*"))
    assert not [salt for salt in salts if salt.encode() in files]


def test_what_is_younger_than_the_period_stays(
    wb: Workbench, officer: Actor, opened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_days(monkeypatch, 300)
    with pytest.raises(Refused, match="365 days old"):
        log_details.forget(wb, officer, "Too soon.")
    assert log_details.forget(wb, officer, "Half a year is declared.", 183).erased > 0


@pytest.mark.parametrize("days", [0, -1, 182, 1096])
def test_a_period_that_no_rule_gives_is_refused(wb: Workbench, officer: Actor, days: int) -> None:
    with pytest.raises(InvalidInput, match="183 to 1095"):
        log_details.forget(wb, officer, "Why not?", days)


def test_only_the_officer_and_only_with_a_reason(wb: Workbench, officer: Actor, researcher: Actor) -> None:
    with pytest.raises(Refused):
        log_details.forget(wb, researcher, "Mine.")
    with pytest.raises(Refused, match="reason"):
        log_details.forget(wb, officer, " ")


def test_details_that_somebody_else_erased_are_missed(
    wb: Workbench, officer: Actor, opened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_days(monkeypatch, 400)
    log_details.forget(wb, officer, "The year is over.")
    extracts.list_extracts(wb, officer)
    young = auditing.export_log(wb, officer)[-1]["seq"]  # this very export: an access of today
    with sqlite3.connect(wb.store.path) as connection:
        connection.execute("DELETE FROM payloads WHERE seq = ?", (young,))
    verdict = auditing.verdict_of(wb)
    assert (verdict.sound, verdict.problem, verdict.first_bad) == (False, "payload_missing", young)


def test_who_saw_what(wb: Workbench, officer: Actor, scientist: Actor, opened: str) -> None:
    (mine,) = [each for each in log_details.who_saw(wb, officer, opened) if each.actor == scientist.name]
    assert (mine.verb, mine.subject) == ("extract.open", opened)
    assert mine.times >= 1
    assert mine.first <= mine.last
    assert mine in log_details.who_saw(wb, officer)
    with pytest.raises(Refused):
        log_details.who_saw(wb, scientist)
