"""An approved protocol that changes: proposed, accepted by an officer on its digest, and what was approved is void."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import workbench
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.text import LANGS
from workbench.services import amendments, auditing, demo, evidence, extracts, requests, studies, tracing
from workbench.services.context import Workbench

LONGER = {**demo.PROTOCOL, "duration_days": demo.PROTOCOL["duration_days"] + 30}


def ask(wb: Workbench, actor: Actor, why: str) -> requests.RequestView:
    return requests.file_request(wb, actor, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": why})


def decide(wb: Workbench, officer: Actor, request: requests.RequestView) -> requests.RequestView:
    digest = request.document["protocol"]
    return requests.decide(wb, officer, request.id, "approved", protocol_digest=digest, reason="r")


def states(wb: Workbench, officer: Actor) -> dict[str, str]:
    return {each.id: each.state for each in requests.list_requests(wb, officer)}


def test_accepting_a_change_voids_what_was_approved_and_nothing_before(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor
) -> None:
    made = extracts.list_extracts(wb, officer)[0]
    waiting, approved = ask(wb, researcher, "une autre"), decide(wb, officer, ask(wb, researcher, "encore une"))
    refused = ask(wb, researcher, "refusée")
    digest = refused.document["protocol"]
    requests.decide(wb, officer, refused.id, "refused", protocol_digest=digest, reason="r")
    former = studies.show_study(wb, officer, demo.STUDY)
    proposed = studies.amend_study(wb, researcher, LONGER).proposed
    assert proposed is not None
    assert proposed.proposed_by == researcher.name
    assert proposed.changes == {"duration_days": (demo.PROTOCOL["duration_days"], LONGER["duration_days"])}
    assert studies.show_study(wb, officer, demo.STUDY).digest == former.digest, "valid until an officer decides"
    assert extracts.open_tables(wb, scientist, made.id)[1]["person"].height > 0
    view = studies.open_study(wb, officer, demo.STUDY, protocol_digest=proposed.digest, reason="longer follow-up")
    assert (view.digest, view.state, view.proposed) == (proposed.digest, "open", None)
    now = states(wb, officer)
    assert now[refused.id] == "refused"
    assert {now[each] for each in now if each != refused.id} == {"voided"}
    with pytest.raises(Refused, match="extract_closed"):
        extracts.open_tables(wb, scientist, made.id)
    with pytest.raises(Refused):
        extracts.run_extract(wb, researcher, approved.id)
    with pytest.raises(Refused):
        decide(wb, officer, waiting)
    with wb.store.read() as connection:
        entries = audit.entries(connection)
    voided = [entry for entry in entries if entry.verb == "request.void"]
    assert {entry.subject for entry in voided} == set(now) - {refused.id}
    assert {(entry.actor, entry.reason) for entry in voided} == {("workbench", "study.amend")}
    accepted = next(entry for entry in reversed(entries) if entry.verb == "study.accept")
    assert (accepted.before, accepted.after, accepted.actor) == (former.digest, view.digest, officer.name)
    again = decide(wb, officer, ask(wb, researcher, "une autre"))
    assert (again.state, again.document["protocol"]) == ("approved", view.digest)
    assert auditing.verify_log(wb, officer).sound


def test_the_thread_of_a_study_goes_through_all_its_protocols(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    extract = extracts.list_extracts(wb, officer)[0]
    valid = studies.show_study(wb, officer, demo.STUDY).digest
    proposed = studies.amend_study(wb, researcher, LONGER).proposed
    assert proposed is not None
    assert tracing.trace(wb, officer, demo.STUDY).start.digest == valid, "a proposal stands for nothing yet"
    studies.open_study(wb, officer, demo.STUDY, protocol_digest=proposed.digest, reason="r")
    thread = tracing.trace(wb, officer, demo.STUDY)
    assert thread.start.digest == proposed.digest
    assert extract.digest in {link.digest for link in thread.forward}
    kept = {each["digest"] for each in evidence.collect(wb, officer, demo.STUDY)["documents"]}
    assert {valid, proposed.digest, extract.digest} <= kept


def test_what_changes_is_told_member_by_member(wb: Workbench, researcher: Actor) -> None:
    tables = {name: columns for name, columns in demo.PROTOCOL["tables"].items() if name != "measurement"}
    proposed = studies.amend_study(wb, researcher, {**demo.PROTOCOL, "tables": tables}).proposed
    assert proposed is not None
    assert proposed.changes == {"tables.measurement": (demo.PROTOCOL["tables"]["measurement"], None)}


def refusals() -> dict[str, tuple[dict[str, Any], str]]:
    return {
        "the same": ({}, "same_protocol"),
        "without its author": ({"members": [{"user": "datascientist", "role": "data_scientist"}]}, "not_a_member"),
        "of no study": ({"study": "no-such"}, "no_document"),
        "with a column that never leaves": ({"tables": {"person": ["person_source_value"]}}, "never_delivered"),
    }


@pytest.mark.parametrize("name", refusals())
def test_a_change_is_checked_as_a_protocol_is(wb: Workbench, researcher: Actor, name: str) -> None:
    changes, code = refusals()[name]
    with pytest.raises((InvalidInput, Refused), match=code):
        studies.amend_study(wb, researcher, {**demo.PROTOCOL, **changes})


def test_a_change_is_taken_back_and_replaced_and_no_other_digest_is_accepted(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor
) -> None:
    with pytest.raises(Refused, match="not_allowed"):
        studies.amend_study(wb, scientist, LONGER)
    first = studies.amend_study(wb, researcher, LONGER).proposed
    second = studies.amend_study(wb, researcher, {**LONGER, "title": "Autre titre"}).proposed
    assert first is not None
    assert second is not None
    for digest in (first.digest, "0" * 64):
        with pytest.raises(Refused, match="protocol_changed"):
            studies.open_study(wb, officer, demo.STUDY, protocol_digest=digest, reason="r")
    with pytest.raises(Refused, match="reason_needed"):
        studies.open_study(wb, officer, demo.STUDY, protocol_digest=second.digest, reason=" ")
    with pytest.raises(Refused, match="reason_needed"):
        studies.abandon_study(wb, researcher, demo.STUDY, "")
    view = studies.abandon_study(wb, researcher, demo.STUDY, "no longer needed")
    assert (view.state, view.proposed) == ("open", None)
    with pytest.raises(Refused, match="protocol_changed"):
        studies.open_study(wb, officer, demo.STUDY, protocol_digest=second.digest, reason="r")
    assert set(states(wb, officer).values()) == {"run"}


def test_the_command_line(demo_copy: Path) -> None:
    def run(who: str, *arguments: str) -> str:
        return workbench(*arguments, "--home", str(demo_copy), "--as", who, cwd=demo_copy.parent).stdout

    (demo_copy.parent / "p.json").write_text(json.dumps(LONGER), encoding="utf-8")
    run("researcher", "study", "amend", "p.json")
    said = run("ethics", "study", "show", demo.STUDY)
    digest = json.loads(run("ethics", "study", "show", demo.STUDY, "--json"))["proposed"]["digest"]
    assert digest in said
    assert str(LONGER["duration_days"]) in said
    run("ethics", "study", "open", demo.STUDY, "--protocol", digest, "--reason", "longer")
    assert "expired" in run("ethics", "extract", "list")


def test_a_change_of_concepts_alone_is_told_by_their_names(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    limited = {**demo.PROTOCOL, "concepts": {"drug_exposure": [{"domain": "Drug"}]}}
    first = studies.amend_study(wb, researcher, limited).proposed
    assert first is not None
    assert first.changes == {"concepts.drug_exposure": (None, [{"domain": "Drug"}])}
    studies.open_study(wb, officer, demo.STUDY, protocol_digest=first.digest, reason="only drugs")
    items = [{"concept": 1125315}, {"concept": 1127433, "excluded": True, "descendants": False}]
    narrower = {**demo.PROTOCOL, "concepts": {"drug_exposure": items}}
    view = studies.amend_study(wb, researcher, narrower)
    assert view.proposed is not None
    assert view.proposed.changes == {"concepts.drug_exposure": ([{"domain": "Drug"}], items)}
    english, french = (amendments.in_words(wb, officer, view.protocol, view.proposed, lang) for lang in LANGS[::-1])
    names = "Acetaminophen (1125315)", "Acetaminophen 325 MG Oral Tablet (1127433)"
    assert english == {
        "concepts.drug_exposure": (
            "every concept of the domain Drug", f"{names[0]} and what is below it; but not {names[1]} alone"
        )
    }  # fmt: skip
    assert french["concepts.drug_exposure"] == (
        "tous les concepts du domaine Drug", f"{names[0]} et ce qui est au-dessous ; mais pas {names[1]} seul"
    )  # fmt: skip
    wider = studies.amend_study(wb, researcher, dict(demo.PROTOCOL)).proposed
    assert wider is not None
    told = amendments.in_words(wb, officer, view.protocol, wider, "fr")
    assert told == {"concepts.drug_exposure": ("tous les concepts du domaine Drug", "tous les concepts")}
