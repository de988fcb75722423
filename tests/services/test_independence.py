"""Who decides is somebody else: another account, another person behind it, and nobody who works in the study."""

from __future__ import annotations

import pytest

from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import Refused
from workbench.services import demo, extracts, findings, outputs, people, requests, studies
from workbench.services.context import Workbench
from workbench.services.people import Person

ASKED = {**demo.REQUEST, "why_not_aggregate": "une autre raison"}


def account(wb: Workbench, steward: Actor, name: str, role: Role, os_user: str | None) -> Actor:
    people.add_person(wb, steward, Person(name, name, role, os_user))
    return people.actor_named(wb, name)


def test_one_user_behind_two_accounts_does_not_decide_on_the_own_request(wb: Workbench, steward: Actor) -> None:
    one = account(wb, steward, "claire", Role.RESEARCHER, "c.martin")
    protocol = {**demo.PROTOCOL, "study": "mine", "members": [{"user": "claire", "role": "researcher"}]}
    draft = studies.create_study(wb, one, protocol)
    account(wb, steward, "claire", Role.RESEARCHER, None)
    other = account(wb, steward, "c2", Role.ETHICS_OFFICER, "c.martin")
    with pytest.raises(Refused, match="same_person"):
        studies.open_study(wb, other, "mine", protocol_digest=draft.digest, reason="r")
    third = account(wb, steward, "c3", Role.ETHICS_OFFICER, "somebody.else")
    assert studies.open_study(wb, third, "mine", protocol_digest=draft.digest, reason="r").state == "open"
    request = requests.file_request(wb, one, "mine", ASKED)
    with pytest.raises(Refused, match="same_person"):
        requests.decide(wb, other, request.id, "approved", protocol_digest=draft.digest, reason="r")


def test_who_works_in_a_study_does_not_decide_on_it_in_another_role(
    wb: Workbench, steward: Actor, researcher: Actor, scientist: Actor
) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, ASKED)
    extract = extracts.list_extracts(wb, researcher)[0]
    output = outputs.request_output(
        wb, researcher, extract.id, "t.csv", b"measure,value\nAUROC,0.63\n", context="One number of the model."
    )
    person = int(extracts.open_tables(wb, researcher, extract.id)[1]["person"].get_column("person_id")[0])
    finding = findings.report(wb, researcher, extract.id, person, "A value that somebody must know of.")
    now = account(wb, steward, scientist.name, Role.ETHICS_OFFICER, None)
    with pytest.raises(Refused, match="own_study"):
        requests.decide(wb, now, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    with pytest.raises(Refused, match="own_study"):
        outputs.decide(wb, now, output.id, "released", file_digest=output.file_digest, reason="r")
    with pytest.raises(Refused, match="own_study"):
        findings.decide(wb, now, finding.id, "accept", "r")
    protocol = {**demo.PROTOCOL, "study": "mine"}
    draft = studies.create_study(wb, researcher, protocol)
    with pytest.raises(Refused, match="own_study"):
        studies.open_study(wb, now, "mine", protocol_digest=draft.digest, reason="r")
