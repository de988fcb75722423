"""What every page keeps to: own pages only, people apart, two languages, clear errors, nothing telling in addresses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, RESEARCHER, SCIENTIST, App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import people, studies
from workbench.services.context import open_workbench
from workbench.services.demo import PROTOCOL

pytestmark = pytest.mark.browser

PAGES = {
    RESEARCHER: {
        "/": "Home",
        "/etudes": "Studies",
        "/donnees": "Data",
        "/cohortes": "Cohorts",
        "/demandes": "Requests and extracts",
        "/modeles": "Models",
        "/sorties": "Outputs",
        "/decouvertes": "Findings",
    },
    OFFICER: {
        "/": "Home",
        "/donnees": "Data",
        "/examen": "Review queue",
        "/oppositions": "Oppositions",
        "/modeles": "Models",
        "/sorties": "Outputs",
        "/decouvertes": "Findings",
        "/journal": "Log",
    },
}


@pytest.mark.parametrize("who", PAGES)
def test_every_page_in_english(visit: Visit, who: str) -> None:
    visit.sign_in(who, lang="en")
    for path, title in PAGES[who].items():
        visit.open(f"{path}?lang=en")
        expect(visit.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        assert visit.page.evaluate("document.documentElement.lang") == "en"
        assert visit.page.get_by_role("alert").count() == 0
        visit.shot(f"en{path.replace('/', '_')}_{'officer' if who == OFFICER else 'researcher'}")


def test_the_language_is_switched_in_place(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    visit.open("/cohortes?lang=fr")
    assert visit.page.evaluate("document.documentElement.lang") == "fr"
    visit.page.get_by_role("link", name="English").click()
    expect(visit.page.get_by_role("heading", level=1, name="Cohorts")).to_be_visible()
    assert "lang=en" in visit.page.url
    visit.page.get_by_test_id("stSidebar").get_by_role("link", name="Models").click()
    expect(visit.page.get_by_role("heading", level=1, name="Models")).to_be_visible()
    assert "lang=en" in visit.page.url


def test_a_page_that_is_not_theirs_says_so(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    expect(visit.page.get_by_test_id("stSidebar").get_by_role("link", name="Journal")).to_have_count(0)
    visit.open("/journal?lang=fr")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("ui.not_your_page")
    expect(visit.page.get_by_role("link", name="Revenir à l’accueil")).to_be_visible()
    assert visit.page.get_by_role("button", name="Vérifier le journal").count() == 0
    visit.shot("pas_la_sienne")


def test_a_reference_that_is_not_there_says_so(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    for path in ("/donnees", "/cohortes", "/demandes", "/modeles", "/sorties", "/decouvertes"):
        visit.open(f"{path}?lang=fr&id=mod-000000000000")
        expect(visit.page.get_by_role("alert")).to_contain_text("store.no_document")


def test_two_people_in_two_browsers_see_only_their_own(app: App, browser: Browser) -> None:
    with visiting(app, browser) as one, visiting(app, browser) as other:
        one.sign_in(SCIENTIST)
        other.sign_in(OFFICER)
        one.page.reload()
        one.ready()
        expect(one.page.locator(".wb-who")).to_contain_text(SCIENTIST)
        expect(one.page.locator(".wb-who")).not_to_contain_text(OFFICER)
        other.open("/journal?lang=fr")
        expect(other.page.locator(".wb-who")).to_contain_text(OFFICER)
        one.open("/journal?lang=fr")
        expect(one.page.get_by_role("alert")).to_contain_text("ui.not_your_page")


def test_a_deep_link_survives_signing_in_and_changing_person(visit: Visit) -> None:
    visit.sign_in(RESEARCHER, after="/modeles")
    expect(visit.page.get_by_role("heading", level=1, name="Modèles")).to_be_visible()
    visit.page.get_by_role("link", name="Changer de personne").click()
    visit.page.get_by_role("button", name=OFFICER).click()
    visit.ready()
    expect(visit.page.locator(".wb-who")).to_contain_text(OFFICER)


def test_a_bad_cohort_file_is_answered_and_a_good_one_generated(visit: Visit, tmp_path: Path) -> None:
    visit.sign_in(RESEARCHER)
    visit.open("/cohortes?lang=fr&new=1")
    bad = tmp_path / "casse.json"
    bad.write_text('{"ConceptSets": [}', encoding="utf-8")
    upload = visit.page.locator("input[type=file]")
    upload.set_input_files(bad)
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("Que faire")
    expect(alert).to_contain_text("cohort.")
    assert "Traceback" not in visit.page.inner_text("body")
    visit.shot("fichier_casse")
    good = tmp_path / "sinusite.json"
    shipped = json.loads((Path(__file__).parents[2] / "cohorts/recurrent_viral_sinusitis.json").read_text("utf-8"))
    good.write_text(json.dumps(shipped), encoding="utf-8")
    visit.open("/cohortes?lang=fr&new=1")
    visit.page.locator("input[type=file]").set_input_files(good)
    expect(visit.page.get_by_role("img", name="Chronologie de sinusite")).to_be_visible()
    visit.page.get_by_role("button", name="Calculer la cohorte").click()
    expect(visit.page.get_by_text("La cohorte est calculée.")).to_be_visible(timeout=60_000)
    expect(visit.page.get_by_role("heading", name="sinusite")).to_be_visible()
    expect(visit.page).to_have_url(re.compile("id=coh-"))
    visit.shot("cohorte_nouvelle")


def test_a_home_without_data_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    wb = open_workbench(load_settings(tmp_path / "home", {}), create=True)
    people.first_steward(wb)
    wb.close()
    with serving(tmp_path / "home") as url, visiting(App(url, tmp_path / "home"), browser) as visit:
        visit.open("/?lang=fr")
        expect(visit.page.get_by_text("Aucune donnée n’est encore chargée.")).to_be_visible()
        expect(visit.page.get_by_text("workbench load omop")).to_be_visible()
        expect(visit.page.get_by_test_id("stSidebar").get_by_role("link")).to_have_count(5)
        visit.shot("sans_donnees")


def test_a_draft_study_is_opened_on_its_digest(browser: Browser, demo_copy: Path) -> None:
    wb = open_workbench(load_settings(demo_copy, {}))
    draft = {**PROTOCOL, "study": "second", "title": "Seconde étude"}
    studies.create_study(wb, people.actor_named(wb, "researcher"), draft)
    wb.close()
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.page.get_by_role("link", name="Ouvrir l’étude « Seconde étude » ?").click()
        expect(visit.page.get_by_role("heading", level=3, name="Seconde étude")).to_be_visible()
        visit.shot("etude_a_ouvrir")
        visit.page.get_by_role("textbox", name="Motif").fill("Finalité claire, colonnes minimales.")
        visit.page.get_by_label(re.compile("Retapez")).fill(visit.page.locator(".wb-retype").inner_text())
        visit.page.get_by_role("button", name="Ouvrir l’étude").click()
        expect(visit.page.locator(".wb-facts .wb-badge").first).to_have_text("ouverte")
        visit.shot("etude_ouverte")
