"""Two people of a hospital in two browsers, signed in by its provider: each sees what is theirs, one approves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.homes import copy_home
from tests.ui.provider import FACTOR, PASSWORD, Provider, served_with
from tests.ui.served import PATIENCE_MS, App, Visit
from workbench.governance.actors import Role
from workbench.kernel.settings import load_settings
from workbench.services import auditing, extracts, outputs, people, requests
from workbench.services.context import open_workbench
from workbench.services.demo import REQUEST, STUDY
from workbench.services.people import Person

pytestmark = pytest.mark.browser

TABLE = b"sex,n\nmen,1290\nwomen,1340\n"
SEX = {"role": "group", "of": "gender_concept_id", "labels": {"8507": "men", "8532": "women"}}
DECLARATION = {"table": "person", "columns": {"sex": SEX, "n": {"role": "count"}}}
PEOPLE = {"researcher": "sub-1", "ethics": "sub-2", "moreau2": "sub-3"}


@pytest.fixture(scope="module")
def served(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Provider]]:
    home = copy_home(finished_demo, tmp_path_factory.mktemp("openid"))
    waiting, approved = _prepare(home)
    with served_with(home, PEOPLE, waiting=waiting, approved=approved) as both:
        yield both


def _prepare(home: Path) -> tuple[str, str]:
    """Give the home a second researcher, a request that waits, and a table that its study may take away."""
    wb = open_workbench(load_settings(home, {}))
    try:
        people.add_person(wb, people.first_steward(wb), Person("moreau2", "Paul Moreau", Role.RESEARCHER, None))
        small = {**REQUEST, "tables": {"person": ["age_at_index"]}, "outcomes": []}
        waiting = requests.file_request(wb, people.actor_named(wb, "researcher"), STUDY, small).id
        scientist, officer = people.actor_named(wb, "datascientist"), people.actor_named(wb, "ethics")
        extract = extracts.list_extracts(wb, scientist)[0].id
        table = outputs.request_output(
            wb,
            scientist,
            extract,
            "table1.csv",
            TABLE,
            context="Tableau 1 : effectifs par sexe.",
            declaration=DECLARATION,
        )
        outputs.decide(wb, officer, table.id, "released", file_digest=table.file_digest, reason="Groupes nombreux.")
        return waiting, table.id
    finally:
        wb.close()


@pytest.fixture
def browsers(browser: Browser) -> Iterator[list[BrowserContext]]:
    opened: list[BrowserContext] = []
    yield opened
    for context in opened:
        context.close()


def come(served: tuple[App, Provider], browser: Browser, browsers: list[BrowserContext], name: str) -> Visit:
    """Open a browser of one's own and sign in by the provider."""
    context = browser.new_context(viewport={"width": 1280, "height": 2600}, locale="fr-FR")
    browsers.append(context)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    visit = Visit(served[0], context, page)
    page.on("request", lambda request: visit.addresses.append(request.url))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.goto(f"{served[0].url}/?lang=fr")
    visit.shot("openid_entrer")
    page.get_by_role("link", name="Se connecter").click()
    authenticate(page, name)
    visit.ready()
    return visit


def authenticate(page: Page, name: str) -> None:
    """Fill in the provider's form."""
    expect(page.get_by_role("heading", name="Hospital sign-in")).to_be_visible()
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill(FACTOR)
    page.get_by_role("button", name="Enter").click()


def approve(visit: Visit) -> None:
    """Fill in the decision and press the button."""
    visit.page.get_by_text("Approuver", exact=True).click()
    visit.page.get_by_role("textbox", name="Motif").fill("Une colonne, population nombreuse.")
    visit.page.get_by_label(re.compile("Retapez")).fill(visit.page.locator(".wb-retype").inner_text())
    visit.page.get_by_role("button", name="Enregistrer la décision").click()


def status(visit: Visit, path: str) -> int:
    return visit.page.request.get(visit.app.url + path).status


def test_two_people_of_a_hospital(
    served: tuple[App, Provider], browser: Browser, browsers: list[BrowserContext]
) -> None:
    app, provider = served
    researcher = come(served, browser, browsers, "researcher")
    officer = come(served, browser, browsers, "ethics")
    stranger = come(served, browser, browsers, "moreau2")
    expect(researcher.page.locator(".wb-who")).to_contain_text("Camille Moreau")
    expect(officer.page.locator(".wb-who")).to_contain_text("Hélène Roy")
    _keep_apart(app, researcher, officer, stranger)

    officer.open(f"/examen?lang=fr&id={app.waiting}")
    approve(officer)
    authenticate(officer.page, "researcher")
    expect(officer.page.get_by_text("n’est pas celle qui décide")).to_be_visible()
    officer.shot("openid_autre_personne")
    assert _state(app) == ("checked", None)

    officer.open(f"/examen?lang=fr&id={app.waiting}")
    approve(officer)
    authenticate(officer.page, "ethics")
    expect(officer.page.locator("[aria-current=step]")).to_have_text("approuvée")
    expect(officer.page.locator(".wb-who")).to_contain_text("Hélène Roy")
    officer.shot("openid_approuvee")
    assert _state(app) == ("approved", "2")

    researcher.open(f"/demandes?lang=fr&id={app.waiting}")
    expect(researcher.page.locator("[aria-current=step]")).to_have_text("approuvée")
    officer.page.get_by_role("textbox", name="Motif").fill("La question a changé.")
    officer.shot("openid_retirer")
    officer.page.get_by_role("button", name="Retirer l’approbation").click()
    authenticate(officer.page, "ethics")
    expect(officer.page.get_by_text("révoquée", exact=True).first).to_be_visible()
    assert _state(app, "request.revoke") == ("revoked", "2")
    _leave(app, researcher)
    for visit in (researcher, officer, stranger):
        assert visit.complaints == []
        assert [each for each in visit.addresses if not each.startswith(_own(visit, provider))] == []
        assert not [each for each in visit.addresses if any(token in each for token in provider.tokens)]


def _keep_apart(app: App, researcher: Visit, officer: Visit, stranger: Visit) -> None:
    """Neither pages nor direct addresses give one what is another's."""
    stranger.open(f"/demandes?lang=fr&id={app.waiting}")
    expect(stranger.page.get_by_text("Vous n’êtes membre d’aucune étude.")).to_be_visible()
    expect(stranger.page.get_by_text(app.waiting)).to_have_count(0)
    for path in ("audit-log.csv", "audit-log.json", "audit-head.json", "evidence.zip", "register.json"):
        assert status(researcher, f"/download/{path}") == 403
        assert status(stranger, f"/download/{path}") == 403
    assert status(officer, "/download/audit-log.csv") == 200
    taken = f"/download/sortie/{app.approved}"
    assert [status(visit, taken) for visit in (researcher, stranger, officer)] == [200, 403, 403]
    nobody = officer.page.context.browser
    assert nobody is not None
    context = nobody.new_context()
    assert context.request.get(app.url + taken).status == 401
    context.close()
    researcher.open(f"/examen?lang=fr&id={app.waiting}")
    expect(researcher.page.get_by_text("ui.not_your_page")).to_be_visible()
    mine = {cookie.get("value") for cookie in researcher.context.cookies(app.url)}
    assert not mine & {cookie.get("value") for cookie in officer.context.cookies(app.url)}


def _state(app: App, verb: str = "request.decide") -> tuple[str, str | None]:
    """The request's state, and at which level its decision was proved."""
    wb = open_workbench(load_settings(app.home, {}))
    try:
        officer = people.actor_named(wb, "ethics")
        log = [e for e in auditing.log(wb, officer) if (e.verb, e.subject, e.outcome) == (verb, app.waiting, "done")]
        return requests.show_request(wb, officer, app.waiting).state, (log[0].payload or {})["acr"] if log else None
    finally:
        wb.close()


def _leave(app: App, visit: Visit) -> None:
    visit.page.get_by_role("link", name="Sortir").click()
    visit.page.get_by_role("button", name="Sortir").click()
    expect(visit.page.get_by_role("link", name="Se connecter")).to_be_visible()
    visit.page.goto(f"{app.url}/modeles")
    expect(visit.page.get_by_role("link", name="Se connecter")).to_be_visible()


def _own(visit: Visit, provider: Provider) -> tuple[str, ...]:
    return visit.app.url, visit.app.url.replace("http", "ws", 1), provider.url, "data:", f"blob:{visit.app.url}/"
