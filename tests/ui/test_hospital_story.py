"""The stories of the browser on the synthetic hospital: a cohort read, a request filed, models compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import workbench
from tests.ui.served import OFFICER, RESEARCHER, SCIENTIST, App, Visit, serving, visiting

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.xdist_group("hospital_app")]


@pytest.fixture(scope="module")
def hospital_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app, served on a home with the synthetic hospital."""
    home: Path = tmp_path_factory.mktemp("hospital_app") / "home"
    workbench("demo", "--hospital", "--no-serve", "--home", str(home), cwd=home.parent)
    with serving(home) as url:
        yield App(url, home)


@pytest.fixture
def hospital_visit(hospital_app: App, browser: Browser) -> Iterator[Visit]:
    """One person's browser."""
    with visiting(hospital_app, browser) as visit:
        yield visit


def test_researcher_reads_a_cohort_and_files_a_request(hospital_visit: Visit) -> None:
    visit = hospital_visit
    visit.sign_in(RESEARCHER)
    expect(visit.page.get_by_text("CHU de synthèse").first).to_be_visible()
    visit.go("Cohortes")
    visit.choose("hospital_metformin_new_users")
    expect(visit.page.locator(".wb-sentence")).to_contain_text("Metformine")
    visit.shot("hopital_cohorte")
    visit.go("Demandes et extraits")
    visit.page.get_by_role("link", name="+ Nouvelle demande").click()
    visit.page.get_by_role("combobox", name="Cohorte").click()
    visit.page.get_by_role("option", name="hospital_gliflozin_new_users").click()
    visit.page.get_by_role("textbox", name="Pourquoi pas un agrégat ?").fill("Les doses se lisent par personne.")
    visit.page.get_by_role("button", name="Déposer la demande").click()
    expect(visit.page.get_by_role("heading", name=re.compile("Demande req-"))).to_be_visible()


def test_scientist_compares_the_models(hospital_visit: Visit) -> None:
    hospital_visit.sign_in(SCIENTIST)
    hospital_visit.go("Modèles")
    expect(hospital_visit.page.get_by_role("img", name=re.compile("AUROC de chaque modèle"))).to_be_visible()
    hospital_visit.shot("hopital_modeles")


def test_no_page_shows_what_is_planted(hospital_visit: Visit) -> None:
    hospital_visit.sign_in(OFFICER)
    for path in ("/", "/cohortes", "/demandes", "/modeles"):
        hospital_visit.open(path)
        assert "truths" not in hospital_visit.page.content()
