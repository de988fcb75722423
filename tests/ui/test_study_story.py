"""A study made from nothing in the browser: written by a researcher, opened by the officer, asked of, approved, run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.served import OFFICER, PATIENCE_MS, RESEARCHER, App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import drafts, extracts, people, studies
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser

TITLE = "Sinusites sous AINS"


@pytest.mark.long
def test_from_an_empty_form_to_an_extract(browser: Browser, demo_copy: Path) -> None:
    with serving(demo_copy) as url:
        app = App(url, demo_copy)
        with visiting(app, browser) as visit:
            visit.sign_in(RESEARCHER)
            _writes(visit)
            _is_told_what_lacks(visit)
            _hands_in(visit)
        with visiting(app, browser) as visit:
            visit.sign_in(OFFICER)
            visit.page.get_by_role("link", name=f"Ouvrir l’étude « {TITLE} » ?").click()
            _decides(visit, "Ouvrir l’étude")
        with visiting(app, browser) as visit:
            visit.sign_in(RESEARCHER)
            _asks(visit)
        with visiting(app, browser) as visit:
            visit.sign_in(OFFICER)
            visit.page.get_by_role("link", name=re.compile("Examiner la demande de Camille Moreau")).click()
            visit.page.get_by_text("Approuver", exact=True).click()
            _decides(visit, "Enregistrer la décision")
        with visiting(app, browser) as visit:
            visit.sign_in(RESEARCHER)
            visit.page.get_by_role("link", name=re.compile("demande approuvée, produisez")).click()
            visit.page.get_by_role("button", name="Produire l’extrait").click()
            expect(visit.page.get_by_text("L’extrait est produit et inspecté")).to_be_visible(timeout=60_000)
    wb = open_workbench(load_settings(demo_copy, {}))
    officer, researcher = people.actor_named(wb, "ethics"), people.actor_named(wb, "researcher")
    made = next(each for each in extracts.list_extracts(wb, officer) if each.study == "sinusites-sous-ains")
    assert set(made.manifest["concepts"]) == {"condition_occurrence"}
    assert made.state == "open"
    assert drafts.list_drafts(wb, researcher) == []
    wb.close()


def _fill(page: Page, name: str, text: str) -> None:
    field = page.get_by_role("textbox", name=name, exact=True)
    field.fill(text)
    field.press("Tab")


def _pick(page: Page, field: str, *options: str | re.Pattern[str]) -> None:
    for option in options:
        page.get_by_role("combobox", name=field).click()
        page.get_by_role("option", name=option, exact=isinstance(option, str)).click()
        if len(options) > 1:
            page.keyboard.press("Escape")


def _writes(visit: Visit) -> None:
    """Title, purpose and sponsor first: kept at once, and there again when the page is loaded anew."""
    visit.go("Études")
    visit.page.get_by_role("link", name="+ Nouvelle étude").click()
    expect(visit.page).to_have_url(re.compile("new=[0-9a-f]{12}"))
    visit.ready()
    _fill(visit.page, "Titre", TITLE)
    _fill(visit.page, "Finalité", "Décrire les sinusites sous AINS.")
    _fill(visit.page, "Promoteur", "CHU de démonstration")
    _is_kept(visit, "CHU de démonstration")
    visit.page.reload()
    visit.ready()
    expect(visit.page.get_by_role("textbox", name="Promoteur", exact=True)).to_have_value("CHU de démonstration")
    expect(visit.page.get_by_role("textbox", name="Finalité", exact=True)).to_have_value(re.compile("sinusites sous"))
    visit.shot("etude_brouillon")


def _is_kept(visit: Visit, text: str) -> None:
    """Wait until what was typed last stands in the draft."""
    for _ in range(PATIENCE_MS // 100):
        if any(text in path.read_text("utf-8") for path in visit.app.home.glob("drafts/*/*.json")):
            return
        visit.page.wait_for_timeout(100)
    raise AssertionError("not kept")


def _is_told_what_lacks(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Déposer le protocole").click()
    alerts = visit.page.get_by_role("alert").filter(has_text="ui.field_needed")
    expect(alerts).to_have_count(3)
    for place, field in enumerate(("Base légale", "Cohortes", "Domaines")):
        expect(alerts.nth(place)).to_contain_text(f"« {field} » n’est pas rempli")
    visit.shot("etude_manque")


def _hands_in(visit: Visit) -> None:
    page = visit.page
    _pick(page, "Base légale", re.compile("Étude interne"))
    for field in ("Équipe de soins", "Inscription au registre", "Référence de l’analyse", "Information des patients"):
        text = page.get_by_role("textbox", name=re.compile(field))
        text.fill("REG-9")
        text.press("Tab")
    _pick(page, "Cohortes", "nsaid_new_users", "gi_bleed")
    _pick(page, "Domaines", "Personnes", "Diagnostics")
    _pick(page, "Personnes : colonnes", "âge", "sexe")
    _pick(page, "Diagnostics : colonnes", "diagnostic", "début")
    page.get_by_text("Limiter des tables à certains concepts").click()
    page.get_by_role("textbox", name="Chercher un concept").fill("sinusitis")
    page.get_by_role("textbox", name="Chercher un concept").press("Enter")
    page.get_by_role("button", name="Ajouter", exact=True).click()
    expect(page.get_by_text(re.compile(r"sinusitis \(\d+\) et ce qui est au-dessous", re.IGNORECASE))).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="ui.field_needed")).to_have_count(0)
    visit.shot("etude_remplie")
    page.get_by_role("button", name="Déposer le protocole").click()
    expect(page).to_have_url(re.compile("id=sinusites-sous-ains"))
    expect(page.get_by_role("heading", level=3, name=TITLE)).to_be_visible()
    visit.shot("etude_deposee")


def _decides(visit: Visit, button: str) -> None:
    digits = visit.page.locator(".wb-retype").first.inner_text()
    visit.page.get_by_role("textbox", name="Motif").first.fill("Finalité claire, colonnes minimales.")
    visit.page.get_by_label(re.compile("Retapez")).fill(digits)
    visit.page.get_by_role("button", name=button).click()
    expect(visit.page.get_by_role("button", name=button, exact=True)).to_have_count(0)


def _asks(visit: Visit) -> None:
    visit.open("/demandes?lang=fr&study=sinusites-sous-ains&new=1")
    _pick(visit.page, "Cohorte", "nsaid_new_users")
    visit.page.get_by_role("textbox", name="Pourquoi pas un agrégat ?").fill("L'ordre des épisodes compte.")
    visit.page.get_by_role("button", name="Déposer la demande").click()
    expect(visit.page.get_by_role("heading", name=re.compile("Demande req-"))).to_be_visible()


def test_a_change_is_proposed_in_the_same_form_in_english(browser: Browser, demo_copy: Path) -> None:
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(RESEARCHER, lang="en")
        visit.open("/etudes?lang=en&id=nsaid-gi-bleed")
        visit.page.get_by_role("tab", name="Change the protocol").click()
        days = visit.page.get_by_role("spinbutton", name="Duration of an extract (days)")
        expect(days).to_have_value("365")
        days.fill("395")
        days.press("Tab")
        visit.ready()
        visit.shot("en_study_change")
        visit.page.get_by_role("button", name="Propose this change").click()
        expect(visit.page.get_by_role("heading", name="A change of the protocol is proposed")).to_be_visible()
        visit.shot("en_study_proposed")
    wb = open_workbench(load_settings(demo_copy, {}))
    proposed = studies.show_study(wb, people.actor_named(wb, "ethics"), "nsaid-gi-bleed").proposed
    wb.close()
    assert proposed is not None
    assert proposed.changes == {"duration_days": (365, 395)}
