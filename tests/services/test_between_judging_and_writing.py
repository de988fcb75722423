"""Two people at once: what was judged is what is written, or nothing is."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.shipped import shipped
from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import auditing, cohorts, demo, extracts, people, requests, studies
from workbench.services.context import Workbench, open_workbench
from workbench.services.doctor import diagnose
from workbench.services.people import Person
from workbench.store import documents


def file(wb: Workbench, actor: Actor, **changes: Any) -> requests.RequestView:
    asked = {**demo.REQUEST, "why_not_aggregate": "une autre raison", **changes}
    return requests.file_request(wb, actor, demo.STUDY, asked)


def definition(name: str, **changes: Any) -> Definition:
    document = json.loads(shipped()[name].read_text(encoding="utf-8"))
    return read_definition(json.dumps({**document, **changes}), name=name)


def test_a_second_decision_does_not_replace_the_first(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = file(wb, researcher)
    digest = request.document["protocol"]
    judged = requests.show_request(wb, officer, request.id)
    requests.decide(wb, officer, request.id, "refused", protocol_digest=digest, reason="trop large")
    monkeypatch.setattr(requests, "show_request", lambda *_: judged)
    with pytest.raises(Refused, match="changed_meanwhile"):
        requests.decide(wb, officer, request.id, "approved", protocol_digest=digest, reason="vite")
    monkeypatch.undo()
    assert requests.show_request(wb, officer, request.id).state == "refused"


def test_an_extract_revoked_while_it_is_made_is_not_delivered(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = file(wb, researcher)
    digest = request.document["protocol"]
    requests.decide(wb, officer, request.id, "approved", protocol_digest=digest, reason="r")
    before = {view.id for view in extracts.list_extracts(wb, officer)}
    build = extracts.build_extract

    def revoked_meanwhile(**facts: Any) -> dict[str, Any]:
        manifest = build(**facts)
        extracts.revoke(wb, officer, next(iter(before)), "opposition")
        return manifest

    monkeypatch.setattr(extracts, "build_extract", revoked_meanwhile)
    with pytest.raises(Refused, match="changed_meanwhile"):
        extracts.run_extract(wb, researcher, request.id)
    assert {view.id for view in extracts.list_extracts(wb, officer)} == before
    assert {path.name for path in wb.settings.extracts.iterdir()} == before


def test_a_draft_is_its_authors_to_replace(wb: Workbench, steward: Actor, researcher: Actor) -> None:
    studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "mine"})
    people.add_person(wb, steward, Person("other", "Autre", Role.RESEARCHER, None))
    other = people.actor_named(wb, "other")
    theirs = {**demo.PROTOCOL, "study": "mine", "members": [{"user": "other", "role": "researcher"}]}
    with pytest.raises(Refused, match="study_exists"):
        studies.create_study(wb, other, theirs)
    assert studies.show_study(wb, researcher, "mine").owner == researcher.name


def test_a_protocol_replaced_after_it_was_read_is_not_opened(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "mine"})
    studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "mine", "purpose": "autre chose"})
    monkeypatch.setattr(studies, "show_study", lambda *_: read)
    with pytest.raises(Refused, match="protocol_changed"):
        studies.open_study(wb, officer, "mine", protocol_digest=read.digest, reason="r")


def test_a_study_is_not_named_like_an_id(wb: Workbench, researcher: Actor) -> None:
    with pytest.raises(InvalidInput, match="study_name"):
        studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "ext-0123456789ab"})


def test_a_name_that_stands_for_two_definitions_means_neither(
    wb: Workbench, researcher: Actor, scientist: Actor
) -> None:
    other = definition("gi_bleed", CensorWindow={"StartDate": "1990-01-01"})
    made = cohorts.generate(wb, scientist, {"gi_bleed": other})[0]
    with pytest.raises(InvalidInput, match="cohort_ambiguous"):
        file(wb, researcher)
    named = file(wb, researcher, outcomes=[made.id])
    assert named.outcomes[0].author == scientist.name


def test_no_view_of_a_request_holds_an_exact_count(wb: Workbench, researcher: Actor) -> None:
    from dataclasses import asdict

    with wb.store.read() as connection:
        exact = {str(d.body["rows"]["persons"]) for d in documents.every(connection, "cohort_version")}
    told = json.dumps([asdict(view) for view in requests.list_requests(wb, researcher)], default=str)
    for number in exact - {"1800", "830", "2630"}:  # these are their own rounded forms
        assert f": {number}" not in told


def test_a_damaged_release_does_not_lock_its_home(wb: Workbench, steward: Actor) -> None:
    manifest = next(wb.settings.releases.glob("rel-*/manifest.json"))
    manifest.write_text("{", encoding="utf-8")
    findings = {finding.code: finding for finding in diagnose(wb.settings)}
    assert not findings["releases_listed"].fine
    assert findings["audit"].fine
    assert auditing.verify_log(wb, steward).sound


def test_a_missing_head_is_a_finding_until_an_officer_says_why(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    with pytest.raises(Refused, match="nothing_to_restart"):
        auditing.restart(wb, officer, "sans raison")
    wb.head_file.unlink()
    file(wb, researcher)
    assert auditing.verify_log(wb, officer).problem == "no_head"
    with pytest.raises(Refused, match="reason_needed"):
        auditing.restart(wb, officer, " ")
    with pytest.raises(Refused, match="not_allowed"):
        auditing.restart(wb, researcher, "moi")
    auditing.restart(wb, officer, "restauré de la sauvegarde")
    assert auditing.verify_log(wb, officer).sound


def test_a_backup_that_was_restored_and_used_is_placed_where_it_went_on(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    database = wb.settings.home / "app.sqlite"
    wb.seal()
    wb.store.close()
    old, entries = database.read_bytes(), len(wb.trail_file.read_bytes()) // 32
    for why in ("une", "deux", "trois"):
        file(wb, researcher, why_not_aggregate=why)
    wb.store.close()
    database.write_bytes(old)
    for left in database.parent.glob("app.sqlite-*"):
        left.unlink()
    again = open_workbench(wb.settings)
    file(again, researcher, why_not_aggregate="autre")
    verdict = auditing.verify_log(again, officer)
    assert (verdict.sound, verdict.problem, verdict.first_bad) == (False, "rebuilt", entries + 1)
    auditing.restart(again, officer, "restored")
    verdict = auditing.verify_log(again, officer)
    assert verdict.sound
    again.seal()
    assert len(again.trail_file.read_bytes()) // 32 == verdict.entries + 1


def test_who_read_what_is_in_the_log_once_an_hour(wb: Workbench, scientist: Actor, officer: Actor) -> None:
    view = extracts.list_extracts(wb, scientist)[0]
    for _ in range(3):
        extracts.show_extract(wb, scientist, view.id)
    read = [e for e in auditing.log(wb, officer) if e.verb == "extract.read" and e.subject == view.id]
    assert [entry.actor for entry in read if entry.actor == scientist.name].count(scientist.name) >= 1
    mine = [entry for entry in read if entry.actor == scientist.name]
    again = extracts.show_extract(wb, scientist, view.id)
    assert again.id == view.id
    after = [e for e in auditing.log(wb, officer) if e.verb == "extract.read" and e.subject == view.id]
    assert [e for e in after if e.actor == scientist.name] == mine


def test_links_copies_and_out_files_do_not_lead_into_a_home(
    demo_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.services import own_data

    tables = next((demo_copy / "releases").glob("rel-*")) / "tables"
    link = tmp_path / "link"
    link.symlink_to(tables)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "person.parquet").symlink_to(tables / "person.parquet")
    for place in (link, inner):
        with pytest.raises(Refused, match="home_files"):
            own_data.own_engine(str(place))
    monkeypatch.setenv("WORKBENCH_HOME", str(demo_copy))
    for put in (os.link, shutil.copyfile):
        folder = tmp_path / f"by_{put.__name__}"
        folder.mkdir()
        put(tables / "person.parquet", folder / "person.parquet")
        with pytest.raises(Refused, match="home_files"):
            own_data.own_engine(str(folder))
    other = tmp_path / "own"
    other.mkdir()
    changed = pq.read_table(tables / "person.parquet").slice(0, 20)
    pq.write_table(changed, other / "person.parquet")
    own_data.own_engine(str(other)).close()
    with pytest.raises(Refused, match="home_files"):
        own_data.check_out(demo_copy / "rows.parquet")
    with pytest.raises(InvalidInput, match="cannot_write"):
        own_data.check_out(demo_copy / "app.sqlite")
