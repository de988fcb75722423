"""What the officer reads at once: alerts, what expires, the extract delivered; and revoking it, in a real browser."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, SCIENTIST, App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import auditing, extracts, people, requests
from workbench.services.alerts import ALERT
from workbench.services.context import open_workbench
from workbench.services.expiry import SYSTEM
from workbench.store.chain import Event

pytestmark = pytest.mark.browser

WIDE = """() => [...document.querySelectorAll('.stMain .wb-scroll, .stMain .wb-facts, .stMain [data-baseweb=select] *')]
    .filter(e => e.checkVisibility() && e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 2)
    .map(e => e.className + ': ' + e.innerText.slice(0, 60))"""


def test_the_officer_reads_what_expires_and_revokes_it(browser: Browser, demo_copy: Path) -> None:
    wb = open_workbench(load_settings(demo_copy, {}))
    officer = people.actor_named(wb, "ethics")
    extract = extracts.list_extracts(wb, officer)[0]
    facts = {"pattern": "machine", "questions": 212, "hours": 1}
    with wb.store.write(Event(SYSTEM, SYSTEM, ALERT, subject="researcher", payload=facts)):
        pass
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.page.get_by_role("link", name=re.compile("Une alerte depuis sept jours")).click()
        expect(visit.page.get_by_text("212 questions en 1 h : plus qu’on n’en pose à la main")).to_be_visible()
        visit.open("/?lang=fr")
        due = visit.page.get_by_role("table", name=re.compile("la première échéance d’abord"))
        expect(due.get_by_role("row")).to_have_count(2)
        visit.shot("officier_accueil")
        due.get_by_role("link", name="extrait de nsaid_new_users").click()
        expect(visit.page.get_by_role("heading", name="L’extrait délivré")).to_be_visible()
        with visit.page.expect_download() as download:
            visit.page.get_by_role("link", name="Dossier de preuve (ZIP)").click()
        assert "verify.py" in zipfile.ZipFile(download.value.path()).namelist()
        _revokes(visit)
    state = extracts.show_extract(wb, officer, extract.id).state
    request = next(r for r in requests.list_requests(wb, officer) if r.digest == extract.manifest["request"])
    assert (state, request.state) == ("revoked", "revoked")
    said = [e for e in auditing.log(wb, officer) if (e.verb, e.outcome) == ("extract.revoke", "done")]
    assert said[0].reason == "Fin de l’accord."
    wb.close()


def _revokes(visit: Visit) -> None:
    send = visit.page.get_by_role("button", name="Révoquer les extraits")
    send.click()
    expect(visit.page.get_by_role("alert")).to_contain_text("ui.revoke_not_sure")
    visit.page.get_by_text("Je révoque tous les extraits de cette étude.").click()
    send.click()
    expect(visit.page.get_by_role("alert")).to_contain_text("governance.reason_needed")
    visit.page.get_by_role("textbox", name="Motif").fill("Fin de l’accord.")
    visit.shot("officier_revoque")
    send.click()
    expect(visit.page.get_by_text("révoqué", exact=True).first).to_be_visible()
    expect(send).to_have_count(0)


PAGES = {
    OFFICER: (
        "/",
        "/examen",
        "/examen?id=nsaid-gi-bleed",
        "/oppositions?new=1",
        "/journal",
        "/sorties",
        "/decouvertes",
    ),
    SCIENTIST: ("/", "/demandes", "/sorties?new=1", "/decouvertes?new=1", "/modeles"),
}


@pytest.mark.parametrize("who", PAGES)
def test_nothing_is_wider_than_its_place_and_no_key_stands_for_a_word(visit: Visit, who: str) -> None:
    """At 1280 pixels, in French: no table has to be pushed aside, no chosen column is cut, no sign stands alone."""
    visit.sign_in(who)
    for path in PAGES[who]:
        visit.open(f"{path}{'&' if '?' in path else '?'}lang=fr")
        expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
        visit.ready()
        assert visit.page.evaluate(WIDE) == [], path
        text = visit.page.locator("[data-testid=stMain]").evaluate("e => e.innerText")
        assert not re.search(r"« | »| [:;?!](?=\s|$)", text.replace("\u00a0", "_").replace("\u202f", "_")), path
        assert not re.search(r"\b(ui|governance|extract)\.[a-z_]+\b|\bNone\b|\{[a-z_]+\}", text), path
