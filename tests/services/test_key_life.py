"""Keys of a study and what hangs on them: missing, renewed, destroyed; each said, logged, finished after a crash."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from tests.conftest import workbench
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.keys import KeyRing, derive
from workbench.governance.pseudonyms import pseudonymize
from workbench.governance.sealed import read_sealed
from workbench.kernel.errors import Refused, Unavailable, UserError
from workbench.services import (
    auditing,
    cohorts,
    demo,
    doctor,
    extracts,
    key_deeds,
    learning,
    objections,
    requests,
    study_keys,
)
from workbench.services.context import Workbench, open_workbench
from workbench.services.extracts import ExtractView


def digest_of(wb: Workbench, officer: Actor, which: str = "data") -> str:
    return next(view.digest for view in study_keys.show_keys(wb, officer, demo.STUDY) if view.secret == which)


def rotate(wb: Workbench, officer: Actor) -> study_keys.KeyView:
    return study_keys.rotate_keys(wb, officer, demo.STUDY, digest=digest_of(wb, officer), reason="yearly renewal")


def outcomes(wb: Workbench, verb: str) -> list[str]:
    with wb.store.read() as connection:
        return [entry.outcome for entry in audit.entries(connection) if entry.verb == verb]


def moved(wb: Workbench, step: str) -> set[tuple[str | None, str | None]]:
    """What an officer moved by a step, each with the reason of its own entry."""
    verbs = {f"extract.{step}", f"request.{step}"}
    with wb.store.read() as connection:
        entries = [entry for entry in audit.entries(connection) if entry.verb in verbs]
    assert {(entry.actor, entry.outcome) for entry in entries} == {("ethics", "done")}
    return {(entry.subject, entry.reason) for entry in entries}


def persons(wb: Workbench, who: Actor, view: ExtractView) -> set[int]:
    return set(extracts.open_tables(wb, who, view.id)[1]["cohort"]["person_id"].to_list())


def someone(wb: Workbench, who: Actor, view: ExtractView) -> int:
    """The real id of somebody in an extract."""
    ids = cohorts.rows_of(wb, view.manifest["cohort"])["subject_id"].to_numpy()
    made = pseudonymize(wb.keys.study_secret(view.study, "pseudonym"), "person", ids)
    known = persons(wb, who, view)
    return next(int(real) for real, own in zip(made.ids, made.values, strict=True) if int(own) in known)


def test_renewed_keys_close_what_was_made_and_it_is_made_again_under_other_pseudonyms(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor
) -> None:
    first = extracts.list_extracts(wb, researcher)[-1]
    before, person = persons(wb, researcher, first), someone(wb, researcher, first)
    old = wb.keys.study_secrets(demo.STUDY)
    view = rotate(wb, officer)
    assert (view.state, view.renewals, view.closes) == ("none", 1, ())
    assert extracts.show_extract(wb, officer, first.id).state == "renewed"
    with pytest.raises(Refused, match="extract_closed"):
        extracts.open_tables(wb, researcher, first.id)
    with pytest.raises(Refused, match="extract_closed"):
        learning.train(wb, scientist, learning.list_features(wb, scientist)[0].id)

    request = next(each for each in requests.list_requests(wb, researcher) if each.digest == first.manifest["request"])
    assert request.state == "approved", "the same columns, approved: no second review"
    second = extracts.run_extract(wb, researcher, request.id)
    after = persons(wb, researcher, second)
    assert second.id != first.id
    assert abs(len(after) - len(before)) < 20, "other keyed cuts leave out others"
    assert wb.keys.study_secret(demo.STUDY, "data") != old.data
    assert not before & after, "no pseudonym lasts beyond a renewal"
    assert second.manifest["key_commitment"] != first.manifest["key_commitment"]

    assert wb.keys.pseudonym_secret_of(demo.STUDY, first.manifest["key_commitment"]) == old.pseudonym
    found = {made.id for made in objections.add(wb, officer, [person], demo.STUDY).concerned}
    assert {first.id, second.id} <= found
    assert outcomes(wb, "key.rotate") == ["intent", "done"]
    assert moved(wb, "renew") == {(first.id, "yearly renewal"), (request.id, "yearly renewal")}
    assert auditing.verify_log(wb, officer).sound


def test_a_renewal_while_an_extract_is_made_stops_it(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    built = extracts.build_extract

    def meanwhile(**given: object) -> object:
        manifest = built(**given)  # type: ignore[arg-type]
        rotate(wb, officer)
        return manifest

    monkeypatch.setattr(extracts, "build_extract", meanwhile)
    with pytest.raises(Refused, match="changed_meanwhile"):
        extracts.run_extract(wb, researcher, request.id)


def test_a_process_that_died_after_deciding_is_finished_at_the_next_opening(
    wb: Workbench, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = wb.keys.master_mark()
    with monkeypatch.context() as patch:
        patch.setattr(key_deeds, "carry_out", lambda *_: None)
        rotate(wb, officer)
        study_keys.rotate_master(wb, officer, reason="somebody left")
        assert wb.keys.renewals(demo.STUDY) == 0
        assert wb.keys.master_mark() == mark
    again = open_workbench(wb.settings)
    assert again.keys.renewals(demo.STUDY) == 1
    assert again.keys.master_mark() != mark
    assert outcomes(again, "key.rotate") == ["intent", "intent", "done", "done"]
    now = again.keys.master_mark()
    assert open_workbench(wb.settings).keys.master_mark() == now, "once"


def test_the_master_key_is_renewed_while_everything_stays_open(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    view = extracts.list_extracts(wb, researcher)[-1]
    person = someone(wb, researcher, view)
    objection = objections.add(wb, officer, [person], demo.STUDY)
    without = persons(wb, researcher, view)
    made = study_keys.rotate_master(wb, officer, reason="somebody left")
    assert made.digest == wb.keys.master_mark() != made.former
    again = open_workbench(wb.settings)
    assert persons(again, researcher, view) == without, "who objected is still known"
    assert objections.add(again, officer, [person], demo.STUDY).id == objection.id
    assert auditing.verify_log(again, officer).sound


def test_the_master_key_goes_into_the_vault_or_nothing_is_decided(
    wb: Workbench, officer: Actor, tmp_path: Path
) -> None:
    program = tmp_path / "vault-read"
    program.write_text(f"#!/bin/sh\necho 'k1 {'A' * 42}E'\n")
    program.chmod(0o700)
    wb.close()
    wb = open_workbench(replace(wb.settings, key_command=(str(program),)))

    def told() -> set[str]:
        return {each.code for each in doctor.diagnose(wb.settings) if each.code.startswith("master_")}

    assert told() == {"master_not_in_vault"}
    made = study_keys.rotate_master(wb, officer, reason="into the vault")
    assert made.digest != made.former
    assert told() == {"master_vault"}
    assert outcomes(wb, "key.rotate") == ["intent", "done"]
    with pytest.raises(Unavailable, match="vault_same_key"):
        study_keys.rotate_master(wb, officer, reason="again")
    assert outcomes(wb, "key.rotate") == ["intent", "done"], "nothing was decided"
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(Unavailable, match="vault_failed"):
        open_workbench(wb.settings)
    assert {"cannot_open"} <= {each.code for each in doctor.diagnose(wb.settings)}
    with pytest.raises(Unavailable, match="vault_unset"):
        open_workbench(replace(wb.settings, key_command=()))


def test_a_missing_key_is_said_and_can_be_given_up(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    view = extracts.list_extracts(wb, researcher)[-1]
    (wb.settings.keys / "studies" / f"{demo.STUDY}.data.key").unlink()
    data, pseudonym = sorted(study_keys.show_keys(wb, officer, demo.STUDY), key=lambda each: each.secret)
    assert (data.state, pseudonym.state) == ("missing", "whole")
    assert study_keys.data_key_state(wb, researcher, demo.STUDY) == "missing"
    with pytest.raises(Unavailable, match="holds no secrets"):
        extracts.open_tables(wb, researcher, view.id)
    with pytest.raises(Unavailable, match="holds no secrets"):
        rotate(wb, officer)
    assert outcomes(wb, "key.rotate") == []
    given_up = study_keys.destroy_key(wb, officer, demo.STUDY, "data", digest=data.digest, reason="lost with a disk")
    assert given_up.state == "destroyed"
    assert extracts.show_extract(wb, officer, view.id).state == "revoked"


def test_what_is_destroyed_is_named_first(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    read = digest_of(wb, officer)
    for digest, reason, code in [
        ("0" * 64, "r", "key_changed"), (digest_of(wb, officer, "pseudonym"), "r", "key_changed"),
        (read, " ", "reason_needed"),
    ]:  # fmt: skip
        with pytest.raises(Refused, match=code):
            study_keys.destroy_key(wb, officer, demo.STUDY, "data", digest=digest, reason=reason)
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    extracts.run_extract(wb, researcher, request.id)
    with pytest.raises(Refused, match="key_changed"):
        study_keys.destroy_key(wb, officer, demo.STUDY, "data", digest=read, reason="one more extract would close")
    assert wb.keys.condition(demo.STUDY, "data") == "whole"


def test_master_key_and_data_folder_recover_nothing_of_a_destroyed_study(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    """With random keys, everything kept before, and an attacker who holds the master key and every file left."""
    shutil.rmtree(wb.settings.keys)
    KeyRing.open(wb.settings.keys, create=True)
    wb = open_workbench(wb.settings)
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    view = extracts.run_extract(wb, researcher, request.id)
    opened = extracts.open_tables(wb, researcher, view.id)[1]["cohort"]["person_id"].to_list()
    secrets = wb.keys.study_secrets(demo.STUDY)
    rotate(wb, officer)
    extracts.run_extract(wb, researcher, request.id)
    shutil.copy(
        wb.settings.keys / "studies" / f"{demo.STUDY}.data.key",
        wb.settings.keys / "studies" / f"{demo.STUDY}.data.key.bak",
    )
    backup = wb.settings.keys.with_name("backup")
    shutil.copytree(wb.settings.keys, backup)
    now = wb.keys.study_secrets(demo.STUDY)
    digest = digest_of(wb, officer, "pseudonym")
    gone = study_keys.destroy_key(wb, officer, demo.STUDY, "pseudonym", digest=digest, reason="end of the study")
    assert gone.state == "destroyed"
    assert (request.id, "end of the study") in moved(wb, "revoke")
    assert outcomes(wb, "key.destroy") == ["intent", "done", "done"]
    wb.close()

    master = (wb.settings.keys / "master.key").read_bytes()
    left = [path for root in (wb.settings.home, wb.settings.keys) for path in root.rglob("*") if path.is_file()]
    blob = b"\0".join(path.read_bytes() for path in left if path.suffix != ".parquet" or "ext-" in str(path))
    for secret in (secrets.data, secrets.pseudonym, now.data, now.pseudonym):
        assert secret not in blob
        assert secret.hex().encode() not in blob
    wrappings = [derive(master, f"wrap/{demo.STUDY}/{which}") for which in ("data", "pseudonym")]
    small = b"\0".join(path.read_bytes() for path in left if wb.settings.keys in path.parents)
    for path in (path for path in left if path.stat().st_size == 40):
        for wrapping in wrappings:
            with pytest.raises(InvalidUnwrap):
                aes_key_unwrap(wrapping, path.read_bytes())
    for at in range(len(small) - 39):
        for wrapping in wrappings:
            with pytest.raises(InvalidUnwrap):
                aes_key_unwrap(wrapping, small[at : at + 40])
    table = view.manifest["tables"][0]
    label = f"{view.study}/{table['name']}/{table['content_digest']}"
    for guess in (master, *wrappings, derive(master, "data"), derive(master, demo.STUDY)):
        with pytest.raises(Unavailable):
            read_sealed(wb.settings.extracts / view.id / table["files"][0]["path"], guess, label)
        everybody = cohorts.rows_of(wb, view.manifest["cohort"])["subject_id"].to_numpy()
        assert not set(pseudonymize(guess, "person", everybody).values.tolist()) & set(opened), "no dictionary"

    shutil.rmtree(wb.settings.keys / "studies")
    shutil.copytree(backup / "studies", wb.settings.keys / "studies")
    again = open_workbench(wb.settings)
    assert all(again.keys.is_gone(demo.STUDY, which) for which in ("data", "pseudonym")), "a restored backup goes too"
    with pytest.raises(UserError):
        again.keys.create_study_secrets(demo.STUDY)


def test_the_command_line(demo_copy: Path) -> None:
    home = ("--home", str(demo_copy), "--as", "ethics")

    def key(*arguments: str, check: bool = True) -> tuple[int, str]:
        done = workbench("key", *arguments, *home, cwd=demo_copy.parent, check=check)
        return done.returncode, done.stdout + done.stderr

    shown = json.loads(key("show", demo.STUDY, "--json")[1])
    assert {view["secret"]: view["state"] for view in shown} == {"data": "whole", "pseudonym": "whole"}
    assert "it opens the study's extracts" in key("show", demo.STUDY)[1]
    data = next(view for view in shown if view["secret"] == "data")
    assert key("rotate", "--reason", "r", check=False)[0] == 2
    assert key("rotate", demo.STUDY, "--master", "--reason", "r", check=False)[0] == 2
    assert json.loads(key("rotate", "--master", "--reason", "r", "--json")[1])["state"] == "renewed"
    made = json.loads(key("rotate", demo.STUDY, "--digest", data["digest"], "--reason", "r", "--json")[1])
    assert (made["id"], made["renewals"], made["state"]) == (f"{demo.STUDY}.data", 1, "none")
    status, said = key("destroy", demo.STUDY, "--secret", "pseudonym", "--digest", "x", "--reason", "r", check=False)
    assert status == 1
    assert "services.key_changed" in said
    digest = next(
        view["digest"] for view in json.loads(key("show", demo.STUDY, "--json")[1]) if view["secret"] == "pseudonym"
    )
    key("destroy", demo.STUDY, "--secret", "pseudonym", "--digest", digest, "--reason", "r")
    assert "no opposition finds anybody" in key("show", demo.STUDY)[1]


def test_a_vault_that_fails_keeps_no_secret_from_being_destroyed(
    wb: Workbench, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise Unavailable("governance.vault_failed", program="/opt/vault", status="1")

    monkeypatch.setattr(wb.keys, "rotate_master", failing)
    with pytest.raises(Unavailable, match="vault_failed"):
        study_keys.rotate_master(wb, officer, reason="yearly")
    view = study_keys.show_key(wb, officer, demo.STUDY, "data")
    with pytest.raises(Unavailable, match="vault_failed"):  # the renewal is still due, and says so
        study_keys.destroy_key(wb, officer, demo.STUDY, "data", digest=view.digest, reason="over")
    assert wb.keys.is_gone(demo.STUDY, "data")
