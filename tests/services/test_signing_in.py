"""The provider as this app speaks to it, and the proof of a decision: the right person, just now, on that decision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc.jwk import ECKey

from tests.conftest import workbench
from tests.ui import provider as pretend
from tests.ui.provider import FACTOR, PASSWORD, environment, providing
from tests.ui.walking import Walker
from workbench.governance import proofs
from workbench.governance.actors import Actor
from workbench.governance.proofs import Proof
from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.kernel.settings import load_settings
from workbench.services import (
    auditing,
    doctor,
    evidence,
    evidence_page,
    extracts,
    people,
    requests,
    signing_in,
    studies,
    study_keys,
)
from workbench.services import provider as speaking
from workbench.services.context import Workbench, open_workbench
from workbench.services.demo import REQUEST, STUDY
from workbench.services.provider import Provider

APP = "http://127.0.0.1:1"
PEOPLE = {"researcher": "sub-1", "ethics": "sub-2"}
REASON = "Minimal."


@dataclass
class Hospital:
    """A home whose people sign in by a provider, the provider, and a request that waits for a decision."""

    wb: Workbench
    pretend: pretend.Provider
    provider: Provider
    officer: Actor
    request: str
    protocol: str

    def decide(self, proof: Proof | None = None, reason: str = REASON) -> requests.RequestView:
        """Approve the request."""
        return requests.decide(
            self.wb, self.officer, self.request, "approved", protocol_digest=self.protocol, reason=reason, proof=proof
        )

    def about(self) -> str:
        """Return what has to be proved, as the refusal names it."""
        with pytest.raises(Unavailable) as asked:
            self.decide()
        assert asked.value.code == "signin.proof_needed"
        return str(asked.value.facts["about"])

    def prove(self, about: str, name: str = "ethics", factor: str = FACTOR) -> Proof:
        """Go to the provider for a decision and come back."""
        flow, address = signing_in.begin(self.provider, "fr", about, PEOPLE["ethics"])
        back = Walker(APP).ask(address, {"name": name, "password": PASSWORD, "factor": factor}).to
        return signing_in.prove(self.wb, self.provider, flow, dict(parse_qsl(urlsplit(back).query)), self.officer)

    def refuses(self, code: str, **given: Any) -> None:
        """Check that this way back proves nothing, that it is in the log, and that nothing was decided."""
        with pytest.raises(Refused) as refused:
            self.decide(self.prove(self.about(), **given))
        assert refused.value.code == code
        last = auditing.log(self.wb, self.officer, limit=1)[0]
        assert (last.verb, last.actor, last.outcome, last.reason) == ("session.prove", "ethics", "denied", code)
        assert requests.show_request(self.wb, self.officer, self.request).state == "checked"


@pytest.fixture
def hospital(demo_copy: Path) -> Iterator[Hospital]:
    with providing(APP, PEOPLE) as running:
        settings = load_settings(demo_copy, environment(running, APP, demo_copy.parent / "secret"))
        assert settings.openid is not None
        wb = open_workbench(settings)
        try:
            small = {**REQUEST, "tables": {"person": ["age_at_index"]}, "outcomes": []}
            asked = requests.file_request(wb, people.actor_named(wb, "researcher"), STUDY, small)
            officer = people.actor_named(wb, "ethics")
            protocol = studies.show_study(wb, officer, STUDY).digest
            yield Hospital(wb, running, Provider(settings.openid), officer, asked.id, protocol)
        finally:
            wb.close()


def test_a_decision_is_recorded_with_when_and_how_one_authenticated(hospital: Hospital) -> None:
    assert hospital.decide(hospital.prove(hospital.about())).state == "approved"
    last = next(each for each in auditing.log(hospital.wb, hospital.officer) if each.verb == "request.decide")
    assert last.payload is not None
    assert (last.payload["acr"], last.payload["issuer"]) == ("2", hospital.pretend.url)
    assert last.payload["auth_time"] <= last.time
    assert "nonce" not in str(last.payload)


def test_the_provider_is_asked_for_a_new_authentication_bound_to_the_decision(hospital: Hospital) -> None:
    about = hospital.about()
    assert about == hospital.about()
    flow, address = signing_in.begin(hospital.provider, "fr", about, "sub-2")
    asked = dict(parse_qsl(urlsplit(address).query))
    assert (asked["prompt"], asked["max_age"], asked["acr_values"]) == ("login", "0", "2 card")
    assert asked["nonce"] == flow.nonce != signing_in.begin(hospital.provider, "fr", about, "sub-2")[0].nonce
    assert len(asked["nonce"]) == 64


def test_another_person_who_comes_back_proves_nothing(hospital: Hospital) -> None:
    hospital.refuses("signin.other_person", name="researcher")


def test_the_same_name_of_another_person_proves_nothing(hospital: Hospital) -> None:
    hospital.pretend.lies["claims"] = {"sub": "sub-9"}
    hospital.refuses("signin.other_person")


def test_a_password_alone_proves_nothing(hospital: Hospital) -> None:
    hospital.refuses("signin.too_weak", factor="")


def test_an_authentication_before_the_click_proves_nothing(hospital: Hospital) -> None:
    hospital.pretend.lies["claims"] = {"auth_time": int(time.time()) - 2}
    hospital.refuses("signin.too_old")


def test_revoking_is_proved_as_destroying_a_key_is(hospital: Hospital) -> None:
    wb, officer, proof = hospital.wb, hospital.officer, hospital.prove(hospital.about())
    hospital.decide(proof)
    extract = extracts.list_extracts(wb, officer)[0]
    for verb, act in {
        "request.revoke": lambda given: requests.revoke_approval(wb, officer, hospital.request, "r", given),
        "extract.revoke": lambda given: extracts.revoke(wb, officer, extract.id, "r", given),
    }.items():
        with pytest.raises(Unavailable, match="proof_needed") as asked:
            act(None)
        with pytest.raises(Refused, match="other_decision"):
            act(proof)
        assert wb.keys.condition(STUDY, "data") == "whole"
        act(hospital.prove(str(asked.value.facts["about"])))
        last = next(each for each in auditing.log(wb, officer) if (each.verb, each.outcome) == (verb, "done"))
        assert last.payload and (last.payload["acr"], last.payload["issuer"]) == ("2", hospital.pretend.url)
    assert wb.keys.is_gone(STUDY, "data")


def test_the_log_tells_no_authentication_that_the_provider_did_not_vouch_for(hospital: Hospital) -> None:
    study_keys.rotate_master(hospital.wb, hospital.officer, reason="Somebody left.")
    told = [each.payload for each in auditing.log(hospital.wb, hospital.officer) if each.verb == "key.rotate"]
    assert len(told) == 2
    assert all("auth_time" not in (payload or {}) for payload in told)


def test_a_proof_holds_for_its_decision_alone(hospital: Hospital) -> None:
    proof = hospital.prove(hospital.about())
    with pytest.raises(Refused) as refused:
        hospital.decide(proof, reason="Something else.")
    assert refused.value.code == "signin.other_decision"
    researcher = people.actor_named(hospital.wb, "researcher")
    stolen = Proof(researcher.name, proof.about, proof.asked, proof.auth_time, proof.acr)
    with pytest.raises(Refused) as refused:
        hospital.decide(stolen)
    assert refused.value.code == "signin.other_person"


def test_a_protocol_that_changed_meanwhile_voids_the_proof(hospital: Hospital) -> None:
    proof = hospital.prove(hospital.about())
    with pytest.raises(Refused) as refused:
        requests.decide(
            hospital.wb, hospital.officer, hospital.request, "approved", protocol_digest="0" * 64, reason=REASON,
            proof=proof,
        )  # fmt: skip
    assert refused.value.code == "services.protocol_changed"


def test_a_proof_is_soon_too_old(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    proof, now = hospital.prove(hospital.about()), clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(minutes=11))
    with pytest.raises(Refused) as refused:
        hospital.decide(proof)
    assert refused.value.code == "signin.too_old"


def test_what_else_is_wrong_is_said_before_anybody_is_sent_away(hospital: Hospital) -> None:
    with pytest.raises(Refused) as refused:
        hospital.decide(reason=" ")
    assert refused.value.code == "governance.reason_needed"


def test_the_command_line_cannot_prove(hospital: Hospital) -> None:
    home = hospital.wb.settings.home
    told = environment(hospital.pretend, APP, home.parent / "secret")
    given = ("extract", "approve", hospital.request, "--protocol", hospital.protocol, "--reason", "x")
    done = workbench(*given, "--as", "ethics", "--home", str(home), cwd=home.parent, check=False, **told)
    assert done.returncode == 1
    assert "Decide in the app" in done.stderr
    assert requests.show_request(hospital.wb, hospital.officer, hospital.request).state == "checked"


def test_the_pack_and_the_command_line_say_how_the_decision_was_proved(hospital: Hospital) -> None:
    wb, officer = hospital.wb, hospital.officer
    decided = hospital.decide(hospital.prove(hospital.about()))
    sentence = proofs.told(requests.proved(wb, decided), "en")
    assert sentence is not None
    assert f"at level 2, by {hospital.pretend.url}." in sentence
    home = wb.settings.home
    told = environment(hospital.pretend, APP, home.parent / "secret")
    given = ("extract", "review", decided.id, "--as", "ethics", "--home", str(home))
    assert sentence in workbench(*given, cwd=home.parent, **told).stdout
    extract = extracts.run_extract(wb, people.actor_named(wb, "researcher"), decided.id)
    assert sentence in evidence_page.page(evidence.collect(wb, officer, extract.id), "en")


def test_the_doctor_looks_at_the_secret_and_the_provider(hospital: Hospital) -> None:
    def found() -> dict[str, bool]:
        return {each.code: each.fine for each in doctor.diagnose(settings) if each.code.startswith("signin_")}

    settings = hospital.wb.settings
    assert settings.openid is not None
    assert found() == {"signin_secret": True, "signin_provider": True, "signin_keys": True}
    settings.openid.secret_file.chmod(0o644)
    hospital.pretend.lies["issuer"] = "http://localhost:1"
    assert found() == {"signin_secret": False, "signin_provider": False}


def test_without_a_provider_the_log_keeps_the_moment(demo_copy: Path) -> None:
    wb = open_workbench(load_settings(demo_copy, {}))
    try:
        officer = people.actor_named(wb, "ethics")
        found = next(each for each in auditing.log(wb, officer) if each.verb == "request.decide")
    finally:
        wb.close()
    assert found.payload is not None
    assert "auth_time" in found.payload
    assert "acr" not in found.payload


def test_keys_that_changed_are_asked_for_again(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.prove(hospital.about())
    hospital.pretend.key = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
    with pytest.raises(Refused):
        hospital.prove(hospital.about())
    monkeypatch.setattr(speaking, "AGAIN_SECONDS", -1.0)
    assert hospital.prove(hospital.about()).acr == "2"


def test_a_provider_that_calls_itself_otherwise_is_not_spoken_to(hospital: Hospital) -> None:
    hospital.pretend.lies["issuer"] = "http://localhost:1"
    with pytest.raises(Unavailable) as refused:
        hospital.provider.discovery()
    assert refused.value.code == "signin.not_a_provider"
    assert refused.value.facts["member"] == "issuer"


def test_a_provider_that_does_not_answer_is_said(hospital: Hospital) -> None:
    settings = load_settings(None, environment(hospital.pretend, APP, hospital.wb.settings.home.parent / "secret"))
    assert settings.openid is not None
    gone = Provider(replace(settings.openid, issuer="http://localhost:9"))
    with pytest.raises(Unavailable) as refused:
        signing_in.begin(gone, "fr")
    assert refused.value.code == "signin.unreachable"


WHOLE = {
    "WORKBENCH_OIDC_ISSUER": "https://id.example/realms/chu", "WORKBENCH_OIDC_CLIENT_ID": "workbench",
    "WORKBENCH_OIDC_SECRET_FILE": "secret", "WORKBENCH_OIDC_ACR": "2 3",
    "WORKBENCH_PUBLIC_URL": "https://workbench.example",
}  # fmt: skip


def test_settings_are_read_whole() -> None:
    openid = load_settings(None, WHOLE).openid
    assert openid is not None
    assert openid.acr == ("2", "3")
    assert (openid.claim, openid.max_age) == ("preferred_username", 28_800)
    assert openid.hosts == {"workbench.example", "workbench.example:443"}
    assert load_settings(None, {}).openid is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        *(({name: ""}, "kernel.openid_incomplete") for name in WHOLE),
        ({"WORKBENCH_OIDC_SECRET": "in the clear"}, "kernel.openid_unknown"),
        ({"WORKBENCH_OIDC_MAXAGE": "60"}, "kernel.openid_unknown"),
        ({"WORKBENCH_OIDC_MAX_AGE": "0"}, "kernel.openid_age"),
        ({"WORKBENCH_OIDC_MAX_AGE": "a day"}, "kernel.openid_age"),
        ({"WORKBENCH_OIDC_ISSUER": "http://id.example"}, "kernel.openid_address"),
        ({"WORKBENCH_OIDC_ISSUER": "https://user:pass@id.example"}, "kernel.openid_address"),
        ({"WORKBENCH_OIDC_ISSUER": "https://id.example/?a=b"}, "kernel.openid_address"),
        ({"WORKBENCH_PUBLIC_URL": "http://workbench.example"}, "kernel.openid_address"),
        ({"WORKBENCH_PUBLIC_URL": "https://workbench.example/app"}, "kernel.openid_address"),
        ({"WORKBENCH_PUBLIC_URL": "https://workbench.example:99999"}, "kernel.openid_address"),
    ],
)
def test_settings_that_are_not_whole_are_refused(change: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_settings(None, {**WHOLE, **change})
    assert refused.value.code == code
    assert "in the clear" not in str(refused.value)


def test_a_demonstration_is_not_made_for_a_provider(tmp_path: Path) -> None:
    done = workbench("demo", "--no-serve", "--home", str(tmp_path / "home"), cwd=tmp_path, check=False, **WHOLE)
    assert done.returncode == 2
    assert "cli.demo_has_its_people" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_command_says_which_setting_lacks(tmp_path: Path) -> None:
    told = {"WORKBENCH_OIDC_ISSUER": WHOLE["WORKBENCH_OIDC_ISSUER"]}
    done = workbench("doctor", cwd=tmp_path, check=False, **told)
    assert done.returncode == 2
    assert "WORKBENCH_OIDC_CLIENT_ID" in done.stderr
