"""Two people in two browsers see nothing of each other, and an address that one of them copies opens nothing for the
other: not a file to take, not Streamlit's own media."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, RESEARCHER, SCIENTIST, App, visiting

FILES = ("audit-head.json", "audit-log.json", "audit-log.csv", "evidence.zip", "register.json", "register.html")
PAGES = ("/", "/donnees", "/cohortes", "/demandes", "/modeles", "/sorties", "/journal")


def test_a_copied_address_of_a_file_opens_nothing_for_another(app: App, browser: Browser) -> None:
    with visiting(app, browser) as officer, visiting(app, browser) as other, visiting(app, browser) as nobody:
        officer.sign_in(OFFICER)
        other.sign_in(SCIENTIST)
        for name in FILES:
            address = f"{app.url}/download/{name}?id={app.approved}"
            mine = officer.page.request.get(address)
            assert mine.status == 200, name
            theirs = other.page.request.get(address)
            assert theirs.status == 403, name
            assert "attachment" not in theirs.headers.get("content-disposition", "")
            assert mine.body() not in theirs.body()
            assert "governance.not_allowed" in theirs.text()
            unsigned = nobody.page.request.get(address)
            assert unsigned.status == 401, name
            assert mine.body() not in unsigned.body()


def test_no_page_leaves_a_media_address_and_a_guessed_one_gives_nothing(app: App, browser: Browser) -> None:
    with visiting(app, browser) as one, visiting(app, browser) as other:
        one.sign_in(OFFICER)
        other.sign_in(RESEARCHER)
        for path in PAGES:
            one.open(f"{path}?lang=fr")
        sources = [address for address in one.addresses if address.startswith(f"{app.url}/media/")]
        assert sources == [], "what pages show is in the page: nothing lies under an address that others could ask"
        for guessed in ("0" * 56 + ".png", "0" * 64 + ".csv"):
            answer = other.page.request.get(f"{app.url}/media/{guessed}")
            assert answer.status >= 400, guessed


def test_a_session_taken_out_of_a_page_is_not_another_persons(app: App, browser: Browser) -> None:
    """What one types stays in one's own browser: the other, on the same page at the same time, sees none of it."""
    with visiting(app, browser) as one, visiting(app, browser) as other:
        one.sign_in(RESEARCHER)
        other.sign_in(OFFICER)
        one.open("/demandes?lang=fr&id=new")
        one.page.locator("textarea").last.fill("un motif que personne d’autre ne lit")
        one.page.keyboard.press("Tab")
        one.ready()
        for path in ("/", "/demandes?lang=fr", "/examen?lang=fr"):
            other.open(path)
            assert "personne d’autre ne lit" not in other.page.inner_text("body")
        expect(one.page.locator(".wb-who")).to_contain_text(RESEARCHER)
        assert not {cookie["value"] for cookie in one.context.cookies()} & {
            cookie["value"] for cookie in other.context.cookies() if "session" in str(cookie["name"])
        }


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("fr", ("Ce fichier n’existe pas.", "Rien n’a été remis.")),
        ("en", ("There is no such file to take.", "Nothing was")),
    ],
)
def test_a_file_that_is_not_there_is_said_in_the_readers_language(
    app: App, browser: Browser, lang: str, said: tuple[str, str]
) -> None:
    with visiting(app, browser) as one:
        one.sign_in(RESEARCHER)
        answer = one.page.request.get(f"{app.url}/download/nothing.zip?lang={lang}")
        assert answer.status == 404
        assert all(part in answer.text() for part in (*said, "ui.no_such_file"))
        strange = one.page.request.get(
            f"{app.url}/download/register.json?lang={lang}", headers={"sec-fetch-site": "cross-site"}
        )
        assert strange.status == 403
        assert "ui.not_from_here" in strange.text()
