"""Significant findings reach the clinician who treats the person; nobody who works on the study learns who it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import workbench
from workbench.governance.actors import Actor, Role
from workbench.governance.pseudonyms import pseudonymize
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.services import auditing, cohorts, extracts, findings
from workbench.services.context import Workbench

TEXT = "Hémoglobine à 5 g/dl sans traitement : à revoir d’urgence."


@pytest.fixture
def person(wb: Workbench, scientist: Actor) -> tuple[str, int, int]:
    """The extract, a person's pseudonym in it, and the id that nobody of the study may learn."""
    (view,) = extracts.list_extracts(wb, scientist)
    ids = cohorts.rows_of(wb, view.manifest["cohort"])["subject_id"].to_numpy()
    made = pseudonymize(wb.keys.study_secret(view.study, "pseudonym"), "person", ids)
    delivered = extracts.open_tables(wb, scientist, view.id)[1]["cohort"].get_column("person_id").to_list()
    pseudonym = delivered[7]
    return view.id, pseudonym, int(made.ids[made.values == pseudonym][0])


def everything(wb: Workbench, officer: Actor) -> str:
    """All that the store and the log hold, as text."""
    wb.store.flush()
    log = json.dumps(auditing.export_log(wb, officer), ensure_ascii=False)
    return log + wb.store.path.read_bytes().decode("latin-1")


def test_it_goes_back_to_who_treats_the_person(
    wb: Workbench, scientist: Actor, officer: Actor, steward: Actor, person: tuple[str, int, int]
) -> None:
    extract, pseudonym, real = person
    found = findings.report(wb, scientist, extract, pseudonym, TEXT)
    assert found.state == "reported"
    assert findings.read_text(wb, officer, found.id) == TEXT
    assert findings.decide(wb, officer, found.id, "accept", "The clinician must know.").state == "accepted"
    letter = findings.deliver(wb, steward, found.id)
    assert (letter.person, letter.text) == (real, TEXT)
    assert findings.show_finding(wb, scientist, found.id).state == "delivered"
    assert findings.deliver(wb, steward, found.id) == letter, "a lost letter is made again"
    verbs = [entry.verb for entry in auditing.log(wb, officer) if entry.subject == found.id]
    assert verbs[:2] == ["finding.deliver", "finding.deliver"]
    assert {"finding.report", "finding.open", "finding.decide"} <= set(verbs)
    held = everything(wb, officer)
    assert str(pseudonym) not in held
    assert "5 g/dl" not in held
    assert auditing.verify_log(wb, officer).sound


def test_each_does_what_is_theirs(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor, steward: Actor, person: tuple[str, int, int]
) -> None:
    found = findings.report(wb, researcher, person[0], person[1], TEXT)
    for who in (researcher, scientist, steward):
        with pytest.raises(Refused):
            findings.read_text(wb, who, found.id)
        with pytest.raises(Refused):
            findings.decide(wb, who, found.id, "accept", "Mine.")
    for who in (officer, steward):
        with pytest.raises(Refused):
            findings.report(wb, who, person[0], person[1], TEXT)
    for who in (researcher, scientist, officer):
        with pytest.raises(Refused):
            findings.deliver(wb, who, found.id)
    with pytest.raises(Refused, match=r"reported|cannot"):
        findings.deliver(wb, steward, found.id)


def test_who_worked_on_the_study_gets_no_letter_as_a_steward(
    wb: Workbench, scientist: Actor, officer: Actor, person: tuple[str, int, int]
) -> None:
    found = findings.report(wb, scientist, person[0], person[1], TEXT)
    findings.decide(wb, officer, found.id, "accept", "The clinician must know.")
    for name in ("datascientist", "researcher"):
        now = Actor(name, Role.DATA_STEWARD, name)  # the role was changed since
        with pytest.raises(Refused, match=r"self_approval|own_study"):
            findings.deliver(wb, now, found.id)


def test_a_refused_one_goes_nowhere(
    wb: Workbench, scientist: Actor, officer: Actor, steward: Actor, person: tuple[str, int, int]
) -> None:
    found = findings.report(wb, scientist, person[0], person[1], TEXT)
    with pytest.raises(Refused, match="reason"):
        findings.decide(wb, officer, found.id, "refuse", " ")
    findings.decide(wb, officer, found.id, "refuse", "Known already.")
    for decision in ("accept", "refuse"):
        with pytest.raises(Refused):
            findings.decide(wb, officer, found.id, decision, "Again.")  # type: ignore[arg-type]
    with pytest.raises(Refused):
        findings.deliver(wb, steward, found.id)


def test_a_revocation_does_not_cut_the_way_back(
    wb: Workbench, scientist: Actor, officer: Actor, steward: Actor, person: tuple[str, int, int]
) -> None:
    found = findings.report(wb, scientist, person[0], person[1], TEXT)
    findings.decide(wb, officer, found.id, "accept", "The clinician must know.")
    extracts.revoke(wb, officer, person[0], "The purpose has changed.")
    assert findings.deliver(wb, steward, found.id).person == person[2]
    with pytest.raises(Refused):
        findings.report(wb, scientist, person[0], person[1], TEXT)
    wb.keys.destroy("nsaid-gi-bleed", "pseudonym")
    with pytest.raises(Unavailable):
        findings.deliver(wb, steward, found.id)


@pytest.mark.parametrize("text", ["", "  ", "x" * 5001])
def test_what_is_no_finding_is_refused_and_names_nobody(
    wb: Workbench, scientist: Actor, person: tuple[str, int, int], text: str
) -> None:
    with pytest.raises(InvalidInput, match="at most 5000"):
        findings.report(wb, scientist, person[0], person[1], text)
    for stranger in (person[2], -1):
        with pytest.raises(InvalidInput, match="Nobody of ext-") as raised:
            findings.report(wb, scientist, person[0], stranger, TEXT)
        assert str(stranger) not in str(raised.value)


def test_the_command_line(wb: Workbench, person: tuple[str, int, int], demo_copy: Path, tmp_path: Path) -> None:
    wb.close()
    home = ("--home", str(demo_copy))
    (tmp_path / "finding.json").write_text(json.dumps({"person": person[1], "text": TEXT}))
    told = workbench("finding", "report", person[0], str(tmp_path / "finding.json"), "--json", "--as", "datascientist",
                     *home, cwd=tmp_path)  # fmt: skip
    found = json.loads(told.stdout)["id"]
    assert str(person[1]) not in told.stdout
    assert TEXT in workbench("finding", "show", found, "--as", "ethics", *home, cwd=tmp_path).stdout
    workbench("finding", "accept", found, "--reason", "Urgent.", "--as", "ethics", *home, cwd=tmp_path)
    out = tmp_path / "letter.json"
    refused = workbench(
        "finding", "deliver", found, "--out", str(out), "--as", "ethics", *home, cwd=tmp_path, check=False
    )
    assert refused.returncode == 1
    assert not out.exists()
    workbench("finding", "deliver", found, "--out", str(out), *home, cwd=tmp_path)
    assert json.loads(out.read_text())["person"] == person[2]
    assert oct(out.stat().st_mode & 0o777) == "0o600"
    assert found in workbench("finding", "list", "--as", "researcher", *home, cwd=tmp_path).stdout
    (tmp_path / "odd.json").write_text('{"person": "12", "text": 3}')
    given = ("finding", "report", person[0], str(tmp_path / "odd.json"), "--as", "researcher")
    odd = workbench(*given, *home, cwd=tmp_path, check=False)
    assert odd.returncode == 2
    assert "odd.json" in odd.stderr
