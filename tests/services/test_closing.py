"""Taking an account away: what ends, what stays in the log, and whom a home cannot lose."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command

from tests.conftest import workbench
from workbench.governance import audit
from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import Refused
from workbench.services import auditing, closing, demo, extracts, people, requests, studies
from workbench.services.context import Workbench
from workbench.services.people import Person
from workbench.store import jobs, migrate
from workbench.store.store import Store


def test_a_closed_account_acts_no_more_and_the_log_keeps_who_it_was(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor
) -> None:
    before = auditing.verify_log(wb, officer).entries
    job = jobs.queue(wb.store, scientist.name, "extract.meds", {})
    closed = closing.close_account(wb, officer, scientist.name, "Left the hospital.")
    assert closed.closed
    assert closed.display == scientist.display
    for act in (
        lambda: people.actor_named(wb, scientist.name),
        lambda: people.sign_in(wb, scientist.name),
        lambda: closing.close_account(wb, officer, scientist.name, "again"),
        lambda: people.add_person(wb, people.first_steward(wb), Person(scientist.name, "X", Role.ETHICS_OFFICER, None)),
    ):
        with pytest.raises(Refused, match="account_closed"):
            act()
    with wb.store.read() as connection:
        entries = [each for each in audit.entries(connection) if each.seq > before]
    said = [(e.verb, e.study, e.subject, e.outcome, e.reason) for e in entries if e.outcome == "done"]
    assert ("study.leave", demo.STUDY, scientist.name, "done", "Left the hospital.") in said
    assert ("user.close", None, scientist.name, "done", "Left the hospital.") in said
    done = next(e for e in entries if (e.verb, e.outcome) == ("user.close", "done"))
    assert done.payload == {"role": "data_scientist", "os_user": None, "studies": [demo.STUDY]}
    found = jobs.job(wb.store, job)
    assert found is not None
    assert found.cancel
    assert auditing.verify_log(wb, officer).sound
    assert requests.list_requests(wb, researcher)
    assert extracts.list_extracts(wb, researcher)


def test_it_wants_a_reason_an_account_and_leaves_nobody_without_an_officer(wb: Workbench, officer: Actor) -> None:
    steward = people.first_steward(wb)
    for name, reason, code in (
        ("datascientist", "  ", "reason_needed"),
        ("nobody", "r", "unknown_user"),
        (officer.name, "r", "last_of_role"),
        (steward.name, "r", "last_of_role"),
    ):
        with pytest.raises(Refused, match=code):
            closing.close_account(wb, officer, name, reason)
    assert not [person for person in people.people(wb) if person.closed]
    people.add_person(wb, steward, Person("second", "Deuxième", Role.ETHICS_OFFICER, None))
    closing.close_account(wb, officer, officer.name, "Retired.")
    second = people.actor_named(wb, "second")
    with pytest.raises(Refused, match="last_of_role"):
        closing.close_account(wb, second, "second", "r")
    with pytest.raises(Refused, match="last_of_role"):
        closing.close_account(wb, steward, "second", "r")


def test_who_left_is_refused_in_the_middle_of_something(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who close the last two officers at once: the second is told, whatever it read before."""
    people.add_person(wb, people.first_steward(wb), Person("second", "Deuxième", Role.ETHICS_OFFICER, None))
    stale = people.open_account(wb, officer.name)
    closing.close_account(wb, officer, officer.name, "r")
    monkeypatch.setattr(closing, "open_account", lambda _wb, _name: stale)
    with pytest.raises(Refused, match="account_closed"):
        closing.close_account(wb, people.actor_named(wb, "second"), officer.name, "r")
    assert studies.list_studies(wb, researcher)


def test_the_operating_systems_user_is_free_for_another_account(wb: Workbench, officer: Actor) -> None:
    steward = people.first_steward(wb)
    people.add_person(wb, steward, Person("colleague", "C", Role.RESEARCHER, "somebody"))
    closing.close_account(wb, officer, "colleague", "r")
    assert people.add_person(wb, steward, Person("next", "N", Role.RESEARCHER, "somebody")).os_user == "somebody"


def test_the_command_line(demo_copy: Path) -> None:
    def run(*words: str, check: bool = True) -> tuple[int, str]:
        done = workbench("user", *words, "--home", str(demo_copy), cwd=demo_copy.parent, check=check)
        return done.returncode, done.stdout + done.stderr

    assert "has ended" not in run("list", "--as", "ethics")[1]
    assert run("close", "datascientist", "--reason", "Left.", "--as", "researcher", check=False)[0] == 1
    assert "is closed" in run("close", "datascientist", "--reason", "Left.", "--as", "ethics")[1]
    assert "closed" in run("list", "--as", "ethics")[1]
    code, said = run("list", "--as", "datascientist", check=False)
    assert code == 1
    assert "services.account_closed" in said


def test_a_store_of_the_version_before_keeps_its_accounts_open(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    path.touch()
    command.upgrade(migrate._config(path), "0001")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO users VALUES ('ann', 'Ann', 'researcher', 'ann')")
    store = Store.open(f"sqlite:///{path}", create=False)
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, os_user, closed_at FROM users").all()
    store.close()
    assert [tuple(row) for row in rows] == [("ann", "ann", None)]
