"""The provider's own call that a session ended there: whom it signs out at once, and every token that signs nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.homes import copy_home
from tests.ui.provider import LOGOUT, Provider, served_with
from tests.ui.served import App
from tests.ui.test_openid import sign_in
from tests.ui.walking import Answer, Walker
from workbench.kernel.settings import load_settings
from workbench.services import auditing, people
from workbench.services.context import open_workbench

PEOPLE = {"researcher": "sub-1", "ethics": "sub-2"}
END = "/connexion/fin"


@pytest.fixture(scope="module")
def served(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Provider]]:
    with served_with(copy_home(finished_demo, tmp_path_factory.mktemp("backchannel")), PEOPLE) as both:
        yield both


@pytest.fixture
def provider(served: tuple[App, Provider]) -> Iterator[Provider]:
    yield served[1]
    served[1].lies.clear()


def come(served: tuple[App, Provider], name: str = "researcher") -> tuple[Walker, str]:
    """Sign somebody in; return their browser and the provider's name for its session."""
    walker = Walker(served[0].url)
    sign_in(walker, name)
    claims = jwt.decode(served[1].tokens[-1], served[1].key, algorithms=["RS256"]).claims
    return walker, str(claims["sid"])


def is_in(walker: Walker) -> bool:
    return walker.ask("/").status == 200


def call(served: tuple[App, Provider], token: str) -> Answer:
    """Post a logout token as a provider does: from another machine, without a cookie."""
    return Walker(served[0].url).ask(END, {"logout_token": token})


def said(app: App) -> list[tuple[str, str, str | None, str | None]]:
    wb = open_workbench(load_settings(app.home, {}))
    try:
        log = auditing.log(wb, people.actor_named(wb, "ethics"), limit=400)
        return [(e.verb, e.outcome, e.subject, (e.payload or {}).get("check")) for e in log]
    finally:
        wb.close()


def test_one_session_of_a_person_ends_and_the_others_go_on(served: tuple[App, Provider], provider: Provider) -> None:
    (one, sid), (other, _), (officer, _) = come(served), come(served), come(served, "ethics")
    answer = call(served, provider.logout_token("researcher", sid))
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert [is_in(one), is_in(other), is_in(officer)] == [False, True, True]
    assert ("session.close", "done", "researcher", None) in said(served[0])


def test_all_sessions_of_a_person_end_and_nobody_elses(served: tuple[App, Provider], provider: Provider) -> None:
    (one, _), (other, _), (officer, _) = come(served), come(served), come(served, "ethics")
    assert call(served, provider.logout_token("researcher")).status == 200
    assert [is_in(one), is_in(other), is_in(officer)] == [False, False, True]
    assert call(served, provider.logout_token("researcher")).status == 200, "nobody left is no error"


def test_a_session_is_named_by_its_sid_alone(served: tuple[App, Provider], provider: Provider) -> None:
    (one, sid), (other, _) = come(served), come(served)
    assert call(served, provider.logout_token(None, "sid-of-nobody")).status == 200
    assert [is_in(one), is_in(other)] == [True, True]
    assert call(served, provider.logout_token("ethics", sid)).status == 200, "another's name for this session"
    assert is_in(one)
    assert call(served, provider.logout_token(None, sid)).status == 200
    assert [is_in(one), is_in(other)] == [False, True]


def test_a_token_counts_once(served: tuple[App, Provider], provider: Provider) -> None:
    token = provider.logout_token("researcher")
    assert call(served, token).status == 200
    one, _ = come(served)
    assert call(served, token).status == 400
    assert is_in(one)
    assert ("session.close", "denied", None, "jti") in said(served[0])


WRONG: dict[str, dict[str, Any]] = {
    "a nonce": {"nonce": "n"},
    "another audience": {"aud": "another-client"},
    "us and another": {"aud": ["workbench", "another-client"]},
    "another issuer": {"iss": "https://evil.example"},
    "no event": {"events": None},
    "another event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "an event that is no object": {"events": {LOGOUT: True}},
    "events as a list": {"events": [LOGOUT]},
    "no token id": {"jti": None},
    "nobody": {"sub": None},
    "over": {"exp": 1_000_000_000},
    "without an end": {"exp": None},
    "old": {"iat": 1_000_000_000, "exp": 4_000_000_000},
    "of tomorrow": {"iat": 4_000_000_000, "exp": 4_000_000_100},
    "a subject that is a list": {"sub": ["sub-1"]},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_that_says_something_wrong_signs_nobody_out(
    served: tuple[App, Provider], provider: Provider, what: str
) -> None:
    one, _ = come(served)
    answer = call(served, provider.logout_token("researcher", **WRONG[what]))
    assert (answer.status, answer.text) == (400, '{"error":"invalid_request"}')
    assert is_in(one)


@pytest.mark.parametrize(
    "lie", [{"alg": "none"}, {"alg": "HS256"}, {"key": RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})}]
)
def test_a_forged_token_signs_nobody_out_and_does_not_fill_the_log(
    served: tuple[App, Provider], provider: Provider, lie: dict[str, Any]
) -> None:
    one, _ = come(served)
    before = [line for line in said(served[0]) if line[0] == "session.close"]
    provider.lies.update(lie)
    assert call(served, provider.logout_token("researcher")).status == 400
    provider.lies.clear()
    assert is_in(one)
    assert [line for line in said(served[0]) if line[0] == "session.close"] == before


def test_an_id_token_a_form_without_one_and_a_huge_one_sign_nobody_out(
    served: tuple[App, Provider], provider: Provider
) -> None:
    one, _ = come(served)
    assert call(served, provider.tokens[-1]).status == 400
    for form in ({}, {"logout_token": ""}, {"logout_token": "x" * 100_000}, {"id_token": "x"}):
        assert Walker(served[0].url).ask(END, form).status == 400
    assert Walker(served[0].url).ask(END).status == 405
    assert is_in(one)
