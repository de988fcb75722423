"""The data page: what a release holds and how good it is, for who reads it and for who checks it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import RESEARCHER, App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import people, releases
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser

PERSONS = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n"


def test_a_researcher_looks_at_the_data(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    visit.go("Données")
    page = visit.page
    years = page.get_by_role("table", name=re.compile("Arrondis à 5")).first
    expect(years.get_by_role("row", name=re.compile("condition_occurrence"))).to_be_visible()
    expect(years).to_contain_text("< 11")
    who = page.get_by_role("table", name=re.compile("Âge au début"))
    expect(who.get_by_role("columnheader", name="femmes")).to_be_visible()
    visit.shot("donnees")
    page.get_by_role("tab", name="Qualité").click()
    expect(page.locator("p", has_text="DataQualityDashboard 2.8")).to_be_visible()
    expect(page.get_by_role("heading", name="rompu")).to_be_visible()
    expect(page.get_by_role("table").filter(has_text="référence trouvée").first).to_be_visible()
    visit.shot("donnees_qualite")
    page.get_by_role("tab", name="Provenance").click()
    page.get_by_text("Fiche pour un catalogue").click()
    expect(page.get_by_text("healthdcatap:numberOfUniqueIndividuals")).to_be_visible()
    visit.shot("donnees_provenance")
    expect(page.get_by_role("button", name="Contrôler maintenant")).to_have_count(0)


def test_a_steward_checks_a_release(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a release that was loaded before there were any checks."""
    source = tmp_path / "source"
    source.mkdir()
    rows = "".join(f"{person},{8507 + 25 * (person % 2)},{1950 + person},0,0\n" for person in range(1, 61))
    (source / "person.csv").write_text(PERSONS + rows + "x,8507,1950,0,0\n", encoding="utf-8")
    monkeypatch.setattr(releases, "check_quality", lambda *_: None)
    wb = open_workbench(load_settings(tmp_path / "home", {}), create=True)
    releases.load_omop(wb, people.first_steward(wb), str(source), name="petit", synthetic=True)
    with (source / "person.csv").open("a", encoding="utf-8") as file:
        file.write("61,8507,1950,0,0\n")
    releases.load_omop(wb, people.first_steward(wb), str(source), name="petit", synthetic=True)
    wb.close()
    with serving(tmp_path / "home") as url, visiting(App(url, tmp_path / "home"), browser) as visit:
        visit.open("/donnees?lang=fr")
        expect(visit.page.get_by_text("n’a pas encore été contrôlée")).to_be_visible()
        visit.page.get_by_role("button", name="Contrôler maintenant").click()
        expect(visit.page.get_by_text("La version a été contrôlée.")).to_be_visible(timeout=60_000)
        expect(visit.page.get_by_role("tab", name="Qualité")).to_be_visible()
        visit.shot("donnees_controlees")
        visit.page.get_by_role("tab", name="Provenance").click()
        expect(visit.page.get_by_role("table", name=re.compile("Lignes mises de côté"))).to_contain_text(
            "person.person_id"
        )
        expect(visit.page.get_by_role("heading", name="À savoir sur ce chargement")).to_be_visible()
        expect(visit.page.get_by_role("table", name=re.compile("Lignes par table"))).to_contain_text("61")
        expect(visit.page.get_by_text("telle que la source la donne")).to_have_count(0)
        visit.shot("donnees_chargement")
