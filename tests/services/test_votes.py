"""Votes of committees and conditions: part of the decision's document, read beside the protocol's own opinions."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import workbench
from workbench.governance.actors import Actor
from workbench.governance.votes import read_vote
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.schemas import validate
from workbench.services import demo, extracts, requests
from workbench.services.context import Workbench


def test_votes_are_read_whatever_the_committee_is_called() -> None:
    assert read_vote("CSE:favourable:2026-10-01") == {"committee": "CSE", "vote": "favourable", "day": "2026-10-01"}
    assert read_vote("CPP : Ouest II: with_conditions : 2026-10-01")["committee"] == "CPP : Ouest II"
    for said, vote in (("favorable", "favourable"), ("Favorable avec réserves", "with_conditions")):
        assert read_vote(f"CSE : {said} : 2026-10-01") == {"committee": "CSE", "vote": vote, "day": "2026-10-01"}
    for text in ("", "CSE", "CSE:favourable", ":favourable:2026-10-01", "CSE:yes:2026-10-01", "CSE:favourable:"):
        with pytest.raises(InvalidInput, match="vote_form"):
            read_vote(text)
    with pytest.raises(InvalidInput, match="not_a_day"):
        read_vote("CSE:favourable:2026-13-01")


def test_a_decision_keeps_votes_and_conditions_under_its_digest(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    named = {"protocol_digest": request.document["protocol"], "reason": "r"}
    with pytest.raises(InvalidInput, match="vote_form"):
        requests.decide(wb, officer, request.id, "approved", votes=["CSE:maybe:2026-10-01"], **named)
    assert requests.show_request(wb, officer, request.id).state == "checked"
    votes = ["CSE:favourable:2026-10-01", "CPP:with_conditions:2026-10-02"]
    view = requests.decide(wb, officer, request.id, "approved", votes=votes, conditions=["In two years."], **named)
    assert view.approval is not None
    body = view.approval.body
    assert [(each["committee"], each["vote"]) for each in body["votes"]] == [
        ("CSE", "favourable"), ("CPP", "with_conditions"),
    ]  # fmt: skip
    assert body["conditions"] == ["In two years."]
    assert view.approval.digest == digest_document(body)
    validate(body, "approval")


def test_a_vote_of_a_day_to_come_is_none(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    named = {"protocol_digest": request.document["protocol"], "reason": "r"}
    later = (clock.today() + timedelta(days=1)).isoformat()
    with pytest.raises(InvalidInput, match="vote_later"):
        requests.decide(wb, officer, request.id, "approved", votes=[f"CSE:favourable:{later}"], **named)
    today = f"CSE:favourable:{clock.today().isoformat()}"
    assert requests.decide(wb, officer, request.id, "approved", votes=[today], **named).state == "approved"


def test_an_approval_is_taken_back_before_anything_was_made_of_it(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    with pytest.raises(Refused, match="wrong_state"):
        requests.revoke_approval(wb, officer, request.id, "too early")
    named = {"protocol_digest": request.document["protocol"], "reason": "r"}
    requests.decide(wb, officer, request.id, "approved", **named)
    with pytest.raises(Refused, match="reason_needed"):
        requests.revoke_approval(wb, officer, request.id, " ")
    with pytest.raises(Refused, match="not_allowed"):
        requests.revoke_approval(wb, researcher, request.id, "mine")
    assert requests.revoke_approval(wb, officer, request.id, "by mistake").state == "revoked"
    with pytest.raises(Refused, match="wrong_state"):
        extracts.run_extract(wb, researcher, request.id)
    (made,) = extracts.list_extracts(wb, researcher)
    assert extracts.open_tables(wb, researcher, made.id)[1], "what else the study has stays"
    with pytest.raises(Refused, match="revoke_the_extract"):
        requests.revoke_approval(wb, officer, made.manifest["request"], "r")


def test_the_command_line(demo_copy: Path) -> None:
    def run(who: str, *arguments: str) -> str:
        return workbench(*arguments, "--home", str(demo_copy), "--as", who, cwd=demo_copy.parent).stdout

    (demo_copy.parent / "r.json").write_text(json.dumps({**demo.REQUEST, "why_not_aggregate": "x"}), encoding="utf-8")
    request = json.loads(run("researcher", "extract", "request", demo.STUDY, "r.json", "--json"))
    protocol = request["document"]["protocol"]
    run(
        "ethics", "extract", "approve", request["id"], "--protocol", protocol, "--reason", "Minimal.",
        "--vote", "CSE:favourable:2026-10-01", "--vote", "CPP:with_conditions:2026-10-02",
        "--condition", "In two years.",
    )  # fmt: skip
    said = run("ethics", "extract", "review", request["id"])
    assert "Vote of CPP, 2026-10-02: favourable with conditions" in said
    assert "the program enforces none): In two years." in said
