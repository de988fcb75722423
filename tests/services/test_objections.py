"""Objections to a study: left out from then on, found in what was made before, reversible, and never named."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import workbench
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.pseudonyms import pseudonymize
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import cohorts, demo, extracts, objections, requests
from workbench.services.context import Workbench
from workbench.services.extracts import ExtractView
from workbench.store import making

STRANGER = 999_999_999


@pytest.fixture
def first(wb: Workbench, researcher: Actor) -> ExtractView:
    """The demonstration's extract."""
    return extracts.list_extracts(wb, researcher)[-1]


def inside(wb: Workbench, actor: Actor, view: ExtractView) -> tuple[int, int]:
    """Somebody in an extract: the real id and the pseudonym."""
    ids = cohorts.rows_of(wb, view.manifest["cohort"])["subject_id"].to_numpy()
    made = pseudonymize(wb.keys.study_secret(view.study, "pseudonym"), "person", ids)
    _, tables, _ = extracts.open_tables(wb, actor, view.id)
    known = set(tables["cohort"]["person_id"].to_list())
    return next((int(real), int(own)) for real, own in zip(made.ids, made.values, strict=True) if int(own) in known)


def holders(tables: dict[str, pl.DataFrame], pseudonym: int) -> set[str]:
    """The tables with a row of somebody."""
    return {
        name
        for name, rows in tables.items()
        if "person_id" in rows.columns and rows["person_id"].is_in([pseudonym]).any()
    }


@pytest.mark.parametrize("study", [demo.STUDY, None])
def test_left_out_from_then_on_until_withdrawn(
    wb: Workbench, researcher: Actor, officer: Actor, steward: Actor, first: ExtractView, study: str | None
) -> None:
    person, own = inside(wb, researcher, first)
    assert {"cohort", "person"} <= holders(extracts.open_tables(wb, researcher, first.id)[1], own)
    made = objections.add(wb, officer, [person, STRANGER], study)
    assert (made.state, made.persons, made.study) == ("active", 2, study)
    assert first.id in {each.id for each in made.concerned}
    assert {each.kind for each in made.concerned} == {"extract", "features", "model"}
    assert holders(extracts.open_tables(wb, researcher, first.id)[1], own) == set()

    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    second = extracts.run_extract(wb, researcher, request.id)
    before, after = (
        {table["name"]: table["rows"] for table in view.manifest["tables"]}["person"] for view in (first, second)
    )
    assert after == before - 1
    assert holders(extracts.open_tables(wb, researcher, second.id)[1], own) == set()

    with pytest.raises(Refused, match="reason_needed"):
        objections.withdraw(wb, steward, made.id, " ")
    ended = objections.withdraw(wb, steward, made.id, "the patient changed their mind")
    assert ended.state == "withdrawn"
    with pytest.raises(Refused, match="objection_withdrawn"):
        objections.withdraw(wb, officer, made.id, "again")
    assert {"cohort", "person"} <= holders(extracts.open_tables(wb, researcher, first.id)[1], own)
    again = objections.add(wb, officer, [STRANGER, person], study)
    assert (again.id, again.state) == (made.id, "active"), "the same persons are one objection, which holds again"
    assert second.id not in {each.id for each in again.concerned}

    with wb.store.read() as connection:
        log = audit.entries(connection)
    verbs = [entry.verb for entry in log if entry.subject == made.id and entry.outcome == "done"]
    assert verbs == ["optout.add", "optout.withdraw", "optout.add"]
    run = next(entry for entry in log if entry.verb == "extract.run" and entry.after == second.digest)
    assert (run.payload or {})["objections"] == [made.id]
    said = json.dumps([*(entry.payload for entry in log), *(vars(each) for each in log)], default=str)
    assert str(own) not in said


def test_who_is_in_nothing_concerns_nothing(wb: Workbench, officer: Actor, first: ExtractView) -> None:
    made = objections.add(wb, officer, [STRANGER], demo.STUDY)
    assert made.concerned == ()
    assert objections.list_objections(wb, officer) == [made]


def test_an_objection_that_comes_while_an_extract_is_made_stops_it(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    built = extracts.build_extract

    def meanwhile(**given: object) -> object:
        objections.add(wb, officer, [STRANGER], demo.STUDY)
        return built(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(extracts, "build_extract", meanwhile)
    with pytest.raises(Refused, match="changed_meanwhile"):
        extracts.run_extract(wb, researcher, request.id)
    assert len(list(wb.settings.extracts.glob("ext-*"))) == 1
    assert making.recover(wb.store, wb.settings.jobs) == []


def test_what_is_refused(wb: Workbench, officer: Actor, researcher: Actor) -> None:
    with pytest.raises(Refused, match="not_allowed"):
        objections.add(wb, researcher, [1], demo.STUDY)
    with pytest.raises(Refused, match="no_document"):
        objections.add(wb, officer, [1], "no-such-study")
    with pytest.raises(InvalidInput, match="nobody"):
        objections.add(wb, officer, [], demo.STUDY)
    assert objections.list_objections(wb, officer) == []


def test_the_command_line(demo_copy: Path) -> None:
    (demo_copy.parent / "persons.txt").write_text(f"{STRANGER}\n", encoding="utf-8")
    home = ("--home", str(demo_copy), "--as", "ethics")

    def optout(*arguments: str, check: bool = True) -> tuple[int, str]:
        done = workbench("optout", *arguments, *home, cwd=demo_copy.parent, check=check)
        return done.returncode, done.stdout + done.stderr

    made = json.loads(optout("add", "persons.txt", "--scope", "study", "--study", demo.STUDY, "--json")[1])
    assert (made["scope"], made["state"], made["persons"], made["concerned"]) == ("study", "active", 1, [])
    assert made["id"] in optout("list")[1]
    ended = json.loads(optout("withdraw", made["id"], "--reason", "r", "--json")[1])
    assert ended["state"] == "withdrawn"
    listed = json.loads(optout("list", "--json")[1])
    assert [(each["id"], each["scope"], each["state"]) for each in listed] == [(made["id"], "study", "withdrawn")]
    status, said = optout("add", "persons.txt", "--scope", "warehouse", "--study", demo.STUDY, check=False)
    assert status == 2
    assert "cli.study_scope" in said
