"""The review of rights: who holds what, what is unused, confirmed by its digest, owed once a year."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import workbench
from workbench.governance.actors import Actor, Role
from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.settings import load_settings
from workbench.services import account_review, auditing, catalogue, catalogue_checks, closing, demo, doctor, people
from workbench.services.account_review import show_review
from workbench.services.context import Workbench
from workbench.services.people import Person


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(days=days))


def test_who_holds_what_and_since_when_it_was_not_used(
    wb: Workbench, officer: Actor, steward: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add_person(wb, steward, Person("new", "New", Role.RESEARCHER, None))
    view = {each.name: each for each in show_review(wb, officer).accounts}
    assert view["new"].unused and view["new"].acted is None
    mine = view["researcher"]
    assert (mine.unused, mine.acted, [at.study for at in mine.studies]) == (False, clock.today(), [demo.STUDY])
    assert not mine.studies[0].unused
    closing.close_account(wb, steward, "new", "left")
    assert {each.name: each for each in show_review(wb, officer).accounts}["new"].closed
    later(monkeypatch, account_review.UNUSED_DAYS + 1)
    view = {each.name: each for each in show_review(wb, officer).accounts}
    assert view["researcher"].unused
    assert view["researcher"].studies[0].unused
    assert not view["new"].unused, "a closed account is not unused: nobody can use it"


def test_a_review_is_confirmed_by_what_was_read(
    wb: Workbench, officer: Actor, researcher: Actor, steward: Actor
) -> None:
    for other in (researcher, steward):
        with pytest.raises(Refused, match="not_allowed"):
            show_review(wb, other)
    read = show_review(wb, officer)
    auditing.verify_log(wb, officer)  # used meanwhile: still what was read
    with pytest.raises(Refused, match="reason_needed"):
        account_review.confirm_review(wb, officer, digest=read.digest, reason=" ")
    people.add_person(wb, steward, Person("new", "New", Role.RESEARCHER, None))
    with pytest.raises(Refused, match="review_changed"):
        account_review.confirm_review(wb, officer, digest=read.digest, reason="r")
    now = show_review(wb, officer)
    done = account_review.confirm_review(wb, officer, digest=now.digest, reason="new comes next week")
    assert (done.digest, done.due.last) == (now.digest, clock.today())
    last = next(each for each in auditing.log(wb, officer) if (each.verb, each.outcome) == ("user.review", "done"))
    assert (last.after, last.subject, last.reason) == (now.digest, now.id, "new comes next week")
    assert (last.payload or {})["unused"] == sum(each.unused for each in now.accounts)


def test_it_is_owed_once_a_year_or_as_the_settings_say(
    wb: Workbench, officer: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    due = account_review.review_due(wb)
    assert (due.last, due.overdue) == (None, False)
    later(monkeypatch, 366)
    assert account_review.review_due(wb).overdue
    assert not next(each for each in doctor.diagnose(wb.settings) if each.code == "review_due").fine
    account_review.confirm_review(wb, officer, digest=show_review(wb, officer).digest, reason="all is right")
    assert not account_review.review_due(wb).overdue
    wb.settings = replace(wb.settings, review_days=30)
    later(monkeypatch, 31)
    assert account_review.review_due(wb).overdue
    for bad in ("0", "29", "400", "-1", "a year"):
        with pytest.raises(InvalidInput, match="review_days"):
            load_settings(tmp_path, {"WORKBENCH_REVIEW_DAYS": bad})


def test_a_catalogue_record_is_checked_once_a_year(
    wb: Workbench, officer: Actor, steward: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (release,) = catalogue_checks.checks_due(wb)
    with pytest.raises(Refused, match="not_allowed"):
        catalogue_checks.check_record(wb, officer, release)
    later(monkeypatch, 366)
    due = catalogue_checks.checks_due(wb)[release]
    assert (due.last, due.overdue) == (None, True)
    found = next(each for each in doctor.diagnose(wb.settings) if each.code == "catalogue_due")
    assert (found.fine, found.facts["releases"]) == (False, release)
    done = catalogue_checks.check_record(wb, steward, release)
    assert done.missing == catalogue.DEMANDED
    assert (done.due.last, done.due.overdue) == (clock.today(), False)
    last = next(each for each in auditing.log(wb, officer) if each.verb == "release.catalogue" and each.payload)
    assert (last.subject, (last.payload or {})["record"]) == (release, done.digest)
    later(monkeypatch, 366)
    assert catalogue_checks.checks_due(wb)[release].overdue


def test_the_command_line(demo_copy: Path) -> None:
    def user(*arguments: str, check: bool = True) -> tuple[int, str]:
        home = ("--home", str(demo_copy), "--as", "ethics")
        done = workbench("user", "review", *arguments, *home, cwd=demo_copy.parent, check=check)
        return done.returncode, done.stdout + done.stderr

    shown = json.loads(user("--json")[1])
    assert shown["digest"] in user()[1]
    assert user("--confirm", shown["digest"], check=False)[0] == 1
    assert json.loads(user("--confirm", shown["digest"], "--reason", "r", "--json")[1])["state"] == "confirmed"
