"""The gate: nobody in without signing in, no other host, safe headers on every answer, files on audited routes only."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.ui.served import App, serving
from workbench.kernel.errors import Unavailable
from workbench.kernel.settings import load_settings
from workbench.services import auditing, people
from workbench.services.context import open_workbench
from workbench.ui import peer, server, signin

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Answer:
    """A response, its headers by lower-case name."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Client:
    """A caller that keeps its cookie and follows nothing."""

    url: str
    cookie: str = ""

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        """Send one request."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**({"cookie": self.cookie} if self.cookie else {}), **sent})
        response = connection.getresponse()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read().decode("utf-8", "replace"),
        )
        connection.close()
        given = answer.headers.get("set-cookie", "")
        self.cookie = given.split(";")[0] if given.startswith("workbench_session") else self.cookie
        return answer

    def sign_in(self, person: str, after: str = "/", **headers: str) -> Answer:
        """Send the sign-in form."""
        return self.ask("/connexion", "POST", urlencode({"person": person, "next": after}), **FORM, **headers)


@pytest.fixture
def client(app: App) -> Client:
    return Client(app.url)


def test_every_answer_has_the_safe_headers(client: Client) -> None:
    client.sign_in("ethics")
    for path in ("/", "/connexion", "/workbench/assets/style.css", "/_stcore/health", "/nowhere", "/download/none"):
        headers = client.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'; script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_is_mended(client: Client) -> None:
    client.sign_in("researcher")
    for lang in ("fr", "en"):
        html = client.ask(f"/cohortes?lang={lang}").text
        assert f'<html lang="{lang}">' in html
        assert "<script>" not in html
        assert "Streamlit</title>" not in html
        assert "://" not in html


def test_nobody_comes_in_unsigned(client: Client) -> None:
    answer = client.ask("/journal?lang=en&id=mod-1")
    assert answer.status == 303
    assert answer.headers["location"] == "/connexion?lang=en&next=%2Fjournal%3Flang%3Den%26id%3Dmod-1"
    for path in ("/download/audit-head.json", "/media/anything", "/_stcore/upload_file/one/two"):
        assert client.ask(path).status == 401
    with pytest.raises(InvalidStatus), connect(client.url.replace("http", "ws") + "/_stcore/stream"):
        pass


def test_another_host_is_refused(client: Client) -> None:
    assert client.ask("/connexion", host="workbench.example:80").status == 421


@pytest.mark.parametrize(
    ("path", "wishes", "said"),
    [
        ("/download/none?lang=en", "fr", "Nobody is signed in here"),
        ("/download/none?lang=fr", "en", "Personne n’est connecté ici"),
        ("/download/none", "de, en-GB;q=0.8, fr;q=0.7", "Nobody is signed in here"),
        ("/download/none", "en;q=0.3, fr-CA", "Personne n’est connecté ici"),
        ("/download/none", "en;q=0, de", "Personne n’est connecté ici"),
        ("/download/none", "", "Personne n’est connecté ici"),
    ],
)
def test_who_is_not_let_in_reads_why_in_their_language(client: Client, path: str, wishes: str, said: str) -> None:
    answer = client.ask(path, accept_language=wishes)
    assert answer.status == 401
    assert said in answer.text
    assert f'<html lang="{"en" if "Nobody" in said else "fr"}">' in answer.text
    assert "ui.sign_in_first" in answer.text


def test_every_refusal_is_a_page(client: Client) -> None:
    assert "ui.other_host" in client.ask("/", host="workbench.example").text
    assert "ui.not_from_here" in client.sign_in("researcher", sec_fetch_site="cross-site").text
    client.sign_in("researcher")
    assert "ui.no_such_file" in client.ask("/download/none").text
    assert "ui.not_from_here" in client.ask("/download/register.html", sec_fetch_site="cross-site").text


def test_a_page_elsewhere_cannot_open_the_apps_stream(client: Client) -> None:
    client.sign_in("researcher")
    address = client.url.replace("http", "ws") + "/_stcore/stream"
    with connect(address, additional_headers={"cookie": client.cookie}, origin=client.url):
        pass
    for origin in ("http://evil.example", "http://localhost:1", "null"):
        with (
            pytest.raises(InvalidStatus),
            connect(address, additional_headers={"cookie": client.cookie}, origin=origin),
        ):
            pass


def test_the_cookie_is_strict_and_unreadable_for_scripts(client: Client) -> None:
    answer = client.sign_in("researcher", "/modeles")
    assert answer.headers["location"] == "/modeles"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"workbench_session_{urlsplit(client.url).port}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "researcher" not in cookie


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_elsewhere_signs_nobody_in(client: Client, site: str) -> None:
    assert client.sign_in("researcher", sec_fetch_site=site).status == 403
    assert client.sign_in("researcher", origin="http://elsewhere.example").status == 403
    assert not client.cookie


def test_only_the_demo_people_can_be_chosen(client: Client, app: App) -> None:
    wb = open_workbench(load_settings(app.home, {}))
    steward = next(person for person in people.people(wb) if person.role == "data_steward")
    wb.close()
    assert client.sign_in(steward.name).status == 403
    assert client.sign_in("nobody").status == 403


def test_changing_person_ends_the_first_session(client: Client) -> None:
    client.sign_in("researcher")
    first = Client(client.url, client.cookie)
    assert first.ask("/").status == 200
    client.sign_in("ethics")
    assert first.ask("/").status == 303
    assert client.ask("/").status == 200


def test_signing_out_ends_the_session(client: Client) -> None:
    client.sign_in("researcher")
    signed = Client(client.url, client.cookie)
    assert "Camille Moreau." in signed.ask("/connexion?lang=fr").text
    answer = client.ask("/connexion?lang=en", "POST", "leave=1", **FORM)
    assert answer.headers["location"] == "/connexion?lang=en"
    assert signed.ask("/").status == 303


@pytest.mark.parametrize("path", ["//evil", "https://evil", "/\\evil", "/connexion?next=/connexion", "evil", "", None])
def test_signing_in_leads_nowhere_else(path: str | None) -> None:
    assert signin.safe_path(path) == "/"


def test_an_unknown_page_is_said_to_be_unknown(client: Client) -> None:
    client.sign_in("researcher")
    answer = client.ask("/nowhere?lang=en")
    assert answer.status == 404
    assert "There is no such page." in answer.text


def test_the_register_is_the_officers_to_make_in_both_languages(client: Client) -> None:
    client.sign_in("researcher")
    assert client.ask("/download/register.html").status == 403
    client.sign_in("ethics")
    assert "Registre des études" in client.ask("/download/register.html").text
    assert "Register of studies" in client.ask("/download/register.en.html").text
    assert json.loads(client.ask("/download/register.json").text)["format"] == "workbench/register/1"


def test_the_head_is_the_officers_and_its_download_is_logged(client: Client, app: App) -> None:
    client.sign_in("researcher")
    assert client.ask("/download/audit-head.json").status == 403
    client.sign_in("ethics")
    assert client.ask("/download/audit-log.csv").text.startswith("seq,time,actor")
    assert client.ask("/download/audit-log.csv", sec_fetch_site="cross-site").status == 403
    answer = client.ask("/download/audit-head.json")
    assert answer.status == 200
    assert "attachment" in answer.headers["content-disposition"]
    wb = open_workbench(load_settings(app.home, {}))
    entries = auditing.log(wb, people.actor_named(wb, "ethics"), limit=12)
    wb.close()
    assert {"head", "log"} <= {
        entry.subject for entry in entries if (entry.verb, entry.actor) == ("audit.export", "ethics")
    }


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unavailable) as caught:
            server.serve(load_settings(tmp_path / "none", {}), taken.getsockname()[1])
    assert caught.value.code == "services.port_taken"
    assert not (tmp_path / "none").exists()


def test_the_other_end_of_a_connection_is_known_by_its_user() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as mine:
            assert peer.is_same_user(mine.getsockname())
    if peer.TABLE.exists():
        assert not peer.is_same_user(("127.0.0.1", 1))
        assert not peer.is_same_user(("elsewhere", 50_000))
        assert not peer.is_same_user(None)


def test_a_home_of_its_own_takes_the_systems_user(tmp_path: Path) -> None:
    wb = open_workbench(load_settings(tmp_path / "home", {}), create=True)
    name = people.first_steward(wb).name
    wb.close()
    with serving(tmp_path / "home") as url:
        client = Client(url)
        assert client.ask("/").status == 200
        assert client.cookie
        assert Client(url).ask("/", x_forwarded_for="198.51.100.7").status == 200, "what a caller says of itself"
        assert client.ask("/connexion").headers["location"] == "/"
        assert client.sign_in(name).status == 403
