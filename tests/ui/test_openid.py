"""Signing in by the hospital's provider: who gets in, and every way by which nobody may."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from joserfc.jwk import ECKey, RSAKey
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import workbench
from tests.homes import copy_home
from tests.ui.provider import CLIENT, FACTOR, PASSWORD, SECRET, Provider, environment, providing, served_with
from tests.ui.served import App, free_port, serving
from tests.ui.walking import Answer, Walker
from workbench.kernel.settings import load_settings
from workbench.services import auditing, extracts, findings, people
from workbench.services.context import open_workbench

PEOPLE = {"researcher": "sub-1", "ethics": "sub-2", "stranger": "sub-3"}


@pytest.fixture(scope="module")
def served(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Provider]]:
    with served_with(copy_home(finished_demo, tmp_path_factory.mktemp("openid")), PEOPLE) as both:
        yield both


@pytest.fixture
def provider(served: tuple[App, Provider]) -> Iterator[Provider]:
    served[1].lies.clear()
    yield served[1]
    served[1].lies.clear()


@pytest.fixture
def walker(served: tuple[App, Provider]) -> Walker:
    return Walker(served[0].url)


def leave(walker: Walker, after: str = "/", name: str = "researcher", factor: str = FACTOR) -> str:
    """Go to the provider and authenticate there; return the address by which it sends the browser back."""
    away = walker.ask(f"/connexion/depart?lang=en&next={after}")
    assert away.status == 303, away.text
    assert "Hospital sign-in" in walker.ask(away.to).text
    back = walker.ask(away.to, {"name": name, "password": PASSWORD, "factor": factor})
    assert back.status == 303, back.text
    return back.to


def sign_in(walker: Walker, name: str = "researcher") -> Answer:
    return walker.ask(leave(walker, name=name))


def is_in(walker: Walker) -> bool:
    return walker.ask("/").status == 200


def refused(walker: Walker, answer: Answer, code: str) -> None:
    assert answer.status in {403, 503}
    assert f"<code>{code}</code>" in answer.text
    assert not is_in(walker)


def entries(app: App) -> list[tuple[str, str, str, str | None, str | None]]:
    wb = open_workbench(load_settings(app.home, {}))
    try:
        log = auditing.log(wb, people.actor_named(wb, "ethics"), limit=8)
    finally:
        wb.close()
    return [(entry.verb, entry.actor, entry.outcome, entry.reason, entry.subject) for entry in log]


def test_a_person_of_the_home_gets_in(served: tuple[App, Provider], provider: Provider, walker: Walker) -> None:
    assert walker.ask("/modeles?lang=en").to == f"{walker.app}/connexion?lang=en&next=%2Fmodeles%3Flang%3Den"
    answer = walker.ask(leave(walker, "/modeles%3Flang%3Den"))
    assert answer.status == 200
    assert '<meta http-equiv="refresh" content="0;url=/modeles?lang=en">' in answer.text
    assert is_in(walker)
    asked = provider.asked[-1]
    assert (asked["scope"], asked["acr_values"], asked["max_age"]) == ("openid profile", "2 card", "28800")
    assert "prompt" not in asked
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43
    assert ("session.open", "researcher", "done", None, "researcher") in entries(served[0])


def test_cookies_are_the_browsers_alone_and_tokens_stay_away(
    served: tuple[App, Provider], provider: Provider, walker: Walker
) -> None:
    away = walker.ask("/connexion/depart")
    assert "httponly" in away.cookies[0].lower()
    assert "samesite=lax" in away.cookies[0].lower()
    answer = sign_in(walker)
    cookie = next(line for line in answer.cookies if line.startswith("workbench_session_")).lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    token = provider.tokens[-1]
    held = "".join([answer.text, *answer.cookies, *walker.addresses, (served[0].home.parent / "serve.log").read_text()])
    assert token not in held
    assert SECRET not in held
    stored = b"".join(path.read_bytes() for path in served[0].home.rglob("*.sqlite*"))
    assert token.encode() not in stored
    assert SECRET.encode() not in stored


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"nonce": "another"}, "signin.token"),
        ({"nonce": None}, "signin.token"),
        ({"aud": "another-client"}, "signin.token"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "signin.token"),
        ({"aud": [CLIENT, "another"], "azp": None}, "signin.token"),
        ({"iss": "http://localhost:1"}, "signin.token"),
        ({"exp": 1_600_000_000}, "signin.token"),
        ({"exp": None}, "signin.token"),
        ({"iat": time.time() + 3600}, "signin.token"),
        ({"auth_time": None}, "signin.token"),
        ({"auth_time": True}, "signin.token"),
        ({"preferred_username": ["researcher"]}, "signin.token"),
        ({"sub": ""}, "signin.token"),
        ({"acr": "1"}, "signin.too_weak"),
        ({"acr": None}, "signin.too_weak"),
        ({"acr": ["2"]}, "signin.too_weak"),
        ({"auth_time": time.time() - 29_000}, "signin.too_old"),
        ({"auth_time": time.time() + 3600}, "signin.too_old"),
        ({"preferred_username": "Researcher"}, "signin.not_a_user"),
    ],
)
def test_a_token_that_says_something_else_lets_nobody_in(
    provider: Provider, walker: Walker, claims: dict[str, object], code: str
) -> None:
    provider.lies["claims"] = claims
    refused(walker, walker.ask(leave(walker)), code)


@pytest.mark.parametrize(
    "lie",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"key": RSAKey.generate_key(2048, {"kid": "one"})},
        {"key": ECKey.generate_key("P-256", {"kid": "one"})},
    ],
    ids=["unsigned", "the-public-key-as-a-secret", "another-key", "another-kind-of-key"],
)
def test_a_token_counts_by_the_providers_own_key_only(
    provider: Provider, walker: Walker, lie: dict[str, object]
) -> None:
    provider.lies.update(lie)
    refused(walker, walker.ask(leave(walker)), "signin.token")


def test_who_is_no_user_is_told_and_logged(served: tuple[App, Provider], provider: Provider, walker: Walker) -> None:
    answer = walker.ask(leave(walker, name="stranger"))
    refused(walker, answer, "signin.not_a_user")
    assert "The hospital knows you as stranger, but you have no account in this workbench." in answer.text
    assert ("session.open", "workbench", "denied", "signin.not_a_user", "stranger") in entries(served[0])


def test_a_role_claimed_by_a_token_is_nothing(served: tuple[App, Provider], provider: Provider, walker: Walker) -> None:
    provider.lies["claims"] = {"role": "ethics_officer", "roles": ["ethics_officer"], "groups": ["ethics_officer"]}
    assert sign_in(walker).status == 200
    assert walker.ask("/download/audit-log.csv").status == 403


def test_a_password_alone_is_too_weak(walker: Walker, provider: Provider) -> None:
    refused(walker, walker.ask(leave(walker, factor="")), "signin.too_weak")


def test_a_way_back_serves_once_and_in_its_own_browser(walker: Walker, provider: Provider) -> None:
    back = leave(walker)
    thief = Walker(walker.app)
    thief.ask("/connexion/depart")
    refused(thief, thief.ask(back), "signin.late")
    assert walker.ask(back).status == 200
    again = walker.ask(back)
    assert again.status == 403
    assert "signin.late" in again.text
    assert walker.ask("/connexion/retour").status == 403
    assert walker.ask("/connexion/retour?state=x&code=y").status == 403


def test_a_code_of_another_way_is_refused(walker: Walker, provider: Provider) -> None:
    """Somebody puts the code of a stolen address into a way of their own: the verifier is another."""
    stolen = dict(parse_qsl(urlsplit(leave(Walker(walker.app))).query))
    mine = dict(parse_qsl(urlsplit(leave(walker)).query))
    back = f"/connexion/retour?code={stolen['code']}&state={mine['state']}&iss={provider.url}"
    refused(walker, walker.ask(back), "signin.code_refused")


def test_an_answer_of_another_issuer_is_refused(walker: Walker, provider: Provider) -> None:
    provider.lies["answering"] = "http://localhost:1"
    refused(walker, walker.ask(leave(walker)), "signin.token")


def test_stopping_at_the_provider_is_said(walker: Walker, provider: Provider) -> None:
    away = walker.ask("/connexion/depart?lang=fr")
    answer = walker.ask(walker.ask(away.to, {"stop": "1"}).to)
    refused(walker, answer, "signin.provider_says_no")
    assert "ne vous a pas authentifié" in answer.text


@pytest.mark.parametrize("there", ["https://evil.example/", "//evil.example", "/%5Cevil.example", "/connexion/preuve"])
def test_signing_in_leads_nowhere_else(walker: Walker, provider: Provider, there: str) -> None:
    answer = walker.ask(leave(walker, there))
    assert re.findall(r'content="0;url=([^"]*)"', answer.text) == ["/"]


def test_a_session_ends_with_its_authentication(provider: Provider, walker: Walker) -> None:
    provider.lies["claims"] = {"auth_time": int(time.time()) - 28_800 + 3}
    assert sign_in(walker).status == 200
    assert is_in(walker)
    time.sleep(3.5)
    assert not is_in(walker)


def test_signing_out_ends_both_sessions(walker: Walker, provider: Provider) -> None:
    sign_in(walker)
    other = Walker(walker.app, {host: dict(jar) for host, jar in walker.jar.items()})
    assert walker.ask("/connexion", {"leave": "1"}, sec_fetch_site="cross-site").status == 403
    answer = walker.ask("/connexion", {"leave": "1"})
    end = re.findall(r'content="0;url=([^"]*)"', answer.text)[0].replace("&amp;", "&")
    assert end.startswith(f"{provider.url}/logout?")
    assert "token" not in end
    assert walker.ask(end).to == f"{walker.app}/connexion"
    assert not is_in(other)
    assert walker.ask(walker.ask("/connexion/depart").to).status == 200, "the provider asks who it is"


def test_nobody_chooses_a_person_where_a_provider_says_who(walker: Walker, provider: Provider) -> None:
    assert "Camille Moreau" not in walker.ask("/connexion").text
    assert walker.ask("/connexion", {"person": "researcher", "next": "/"}).status == 403
    assert not is_in(walker)


def test_a_letter_is_the_stewards_to_take(served: tuple[App, Provider], provider: Provider, walker: Walker) -> None:
    wb = open_workbench(load_settings(served[0].home, {}))
    try:
        scientist, officer = people.actor_named(wb, "datascientist"), people.actor_named(wb, "ethics")
        extract = extracts.list_extracts(wb, scientist)[0].id
        person = extracts.open_tables(wb, scientist, extract)[1]["cohort"].get_column("person_id").to_list()[7]
        found = findings.report(wb, scientist, extract, person, "Hémoglobine à 5 g/dl <b>.")
        findings.decide(wb, officer, found.id, "accept", "The clinician must know.")
        steward = people.first_steward(wb)
    finally:
        wb.close()
    taken = f"/download/lettre/{found.id}?lang=fr"
    assert walker.ask(taken).status == 401
    for name in ("researcher", "ethics"):
        sign_in(walker, name)
        assert "governance.not_allowed" in walker.ask(taken).text
        walker.jar.clear()
    provider.people[steward.name] = "sub-9"
    sign_in(walker, steward.name)
    assert walker.ask(taken, sec_fetch_site="cross-site").status == 403
    letter = walker.ask(taken)
    assert letter.status == 200
    assert letter.headers["content-disposition"] == f"attachment; filename*=UTF-8''{found.id}.html"
    assert "Hémoglobine à 5 g/dl &lt;b&gt;." in letter.text
    assert re.search(r"person_id dans les données de l’hôpital[ \u00a0]: <strong>\d+</strong>", letter.text)
    assert f"<strong>{person}</strong>" not in letter.text, "a name in the hospital, not the pseudonym"
    assert ("finding.deliver", steward.name, "done", None, found.id) in entries(served[0])


OWN = "workbench.hospital.example"


@pytest.fixture(scope="module")
def proxied(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Provider]]:
    """An app as it stands behind a proxy that ends TLS: asked for by its declared name, on the loopback address."""
    home = copy_home(finished_demo, tmp_path_factory.mktemp("proxied"))
    with (
        providing(f"https://{OWN}", PEOPLE) as provider,
        serving(home, **environment(provider, f"https://{OWN}", home.parent / "secret")) as url,
    ):
        yield App(url, home), provider


def test_the_declared_name_is_answered_and_no_other(proxied: tuple[App, Provider]) -> None:
    app, provider = proxied
    said = (app.home.parent / "serve.log").read_text()
    assert f"https://{OWN}" in said
    assert SECRET not in said
    walker = Walker(app.url)
    answer = walker.ask("/connexion/depart", host=OWN)
    assert answer.status == 303
    assert parse_qs(urlsplit(answer.to).query)["redirect_uri"] == [provider.back]
    assert answer.cookies[0].startswith("__Host-workbench_way_")
    assert "secure" in answer.cookies[0].lower()
    page = walker.ask("/connexion", host=f"{OWN}:443")
    assert f"wss://{OWN}:443" in page.headers["content-security-policy"]
    for name in ("hospital.example", f"{OWN}.evil", f"{OWN}:8443", "evil"):
        assert walker.ask("/connexion", host=name).status == 421
    said = walker.ask("/", host="evil", accept_language="en-GB,en;q=0.9").text
    assert "This app answers on its own address only." in said
    assert "evil" not in said


def test_behind_a_proxy_a_person_gets_in_and_the_pages_open(proxied: tuple[App, Provider]) -> None:
    walker = Walker(proxied[0].url)
    there = walker.ask("/connexion/depart", host=OWN).to
    back = urlsplit(walker.ask(there, {"name": "ethics", "password": PASSWORD, "factor": FACTOR}).to)
    assert back.netloc == OWN
    answer = walker.ask(f"{back.path}?{back.query}", host=OWN)
    assert answer.status == 200
    cookie = next(line for line in answer.cookies if line.startswith("__Host-workbench_session_"))
    assert "; secure" in cookie.lower()
    assert walker.ask("/", host=OWN).status == 200
    for origin in (f"https://{OWN}", f"https://{OWN}:443"):
        with stream(walker.app, cookie, origin):
            pass
    with pytest.raises(InvalidStatus), stream(walker.app, cookie, "https://evil.example"):
        pass


def stream(app: str, cookie: str, origin: str) -> connect:
    """Open the app's stream as a page of some origin would through the proxy."""
    wire = socket.create_connection((urlsplit(app).hostname, urlsplit(app).port))
    sent = {"cookie": cookie.partition(";")[0]}
    return connect(f"ws://{OWN}/_stcore/stream", sock=wire, origin=origin, additional_headers=sent)


def test_a_secret_that_others_can_read_serves_nobody(finished_demo: Path, tmp_path: Path) -> None:
    home = copy_home(finished_demo, tmp_path)
    with providing("http://127.0.0.1:9", PEOPLE) as provider:
        settings = environment(provider, "http://127.0.0.1:9", tmp_path / "secret")
        for name, mode in (("secret", 0o640), ("secret", 0o604), ("absent", 0)):
            (tmp_path / "secret").chmod(mode or 0o600)
            told = {**settings, "WORKBENCH_OIDC_SECRET_FILE": str(tmp_path / name)}
            done = workbench(
                "serve", "--home", str(home), "--port", str(free_port()), cwd=tmp_path, check=False, **told
            )
            assert done.returncode == 1
            assert "signin.secret_file" in done.stderr
            assert str(tmp_path) not in done.stderr
