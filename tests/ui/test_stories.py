"""One story a role, in a real Chromium: what each person comes for, and the visible result of each gesture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.served import OFFICER, RESEARCHER, SCIENTIST, Visit
from workbench.kernel.settings import load_settings
from workbench.services import extracts, people, requests
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser


def test_researcher_reads_a_cohort_and_files_a_request(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    expect(visit.page.get_by_text("données synthétiques", exact=True)).to_be_visible()
    visit.shot("accueil_chercheur")
    _reads_a_cohort(visit)
    _files_a_request(visit)


def _reads_a_cohort(visit: Visit) -> None:
    visit.go("Cohortes")
    visit.choose("celecoxib_without_prior_gi_bleed")
    expect(visit.page).to_have_url(re.compile("id=coh-"))
    funnel = visit.page.get_by_role("table", name=re.compile("Personnes et événements gardés"))
    expect(funnel.get_by_role("columnheader", name="Sans ce critère")).to_be_visible()
    assert funnel.get_by_role("row").count() >= 4
    expect(visit.page.locator(".wb-sentence")).to_contain_text("Celecoxib")
    visit.shot("cohorte")


def test_researcher_sees_the_count_move_with_a_rule(visit: Visit) -> None:
    """Before anything is generated: governed numbers, and again without a rule."""
    visit.sign_in(RESEARCHER)
    visit.go("Cohortes")
    visit.page.get_by_role("link", name="+ Nouvelle cohorte").click()
    visit.page.get_by_role("combobox", name="Définition").click()
    visit.page.get_by_role("option", name="celecoxib_without_prior_gi_bleed").click()
    figure = visit.page.locator(".wb-figures dd").first
    expect(figure).to_be_visible(timeout=60_000)
    with_rule = figure.inner_text()
    visit.shot("cohorte_comptee")
    visit.page.locator("[data-testid=stCheckbox] label").filter(has_text="No peptic ulcer").click()
    expect(figure).not_to_have_text(with_rule, timeout=60_000)
    visit.shot("cohorte_comptee_sans_regle")


def _files_a_request(visit: Visit) -> None:
    visit.go("Demandes et extraits")
    visit.page.get_by_role("link", name="+ Nouvelle demande").click()
    visit.page.get_by_role("combobox", name="Cohorte").click()
    visit.page.get_by_role("option", name="nsaid_new_users").click()
    meter = visit.page.get_by_role("table", name=re.compile("Moins il en sort"))
    expect(meter).to_contain_text("2 sur 2")
    visit.page.get_by_role("button", name=re.compile("sexe")).last.click()
    expect(meter).to_contain_text("1 sur 2")
    visit.page.get_by_role("button", name="Déposer la demande").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("pourquoi des agrégats ne suffisent pas")
    visit.shot("demande_refusee")
    visit.page.get_by_role("textbox", name="Pourquoi pas un agrégat ?").fill(
        "Les durées d'exposition se lisent par personne."
    )
    visit.page.get_by_role("button", name="Déposer la demande").click()
    expect(visit.page.get_by_role("heading", name=re.compile("Demande req-"))).to_be_visible()
    expect(visit.page.locator("[aria-current=step]")).to_have_text("vérifiée")
    expect(visit.page.locator("q", has_text="Les durées d'exposition se lisent par personne.")).to_be_visible()
    visit.shot("demande_deposee")


def test_researcher_runs_an_approved_request(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    visit.page.get_by_role("link", name=re.compile(f"{visit.app.approved}.*approuvée")).click()
    expect(visit.page.locator("[aria-current=step]")).to_have_text("approuvée")
    visit.page.get_by_role("button", name="Produire l’extrait").click()
    done = visit.page.get_by_text("L’extrait est produit et inspecté")
    expect(done).to_be_visible(timeout=60_000)
    visit.page.get_by_role("link", name=re.compile("Voir l’extrait ext-")).click()
    expect(visit.page.get_by_role("heading", name="Risque, en clair")).to_be_visible()
    visit.shot("extrait_produit")


def test_officer_reviews_decides_and_verifies(visit: Visit) -> None:
    visit.sign_in(OFFICER)
    visit.page.get_by_role(
        "link", name=re.compile(f"Examiner la demande de Camille Moreau.*{visit.app.waiting}")
    ).click()
    sides = visit.page.get_by_role("table", name=re.compile("Délivré = demandé et approuvé"))
    for side in ("Demandé", "Approuvé", "Délivré"):
        expect(sides.get_by_role("columnheader", name=side)).to_be_visible()
    expect(visit.page.get_by_text("Aucune date ne sort")).to_be_visible()
    visit.shot("examen")
    _decides(visit)
    _reads_the_log(visit)


def _decides(visit: Visit) -> None:
    visit.page.get_by_text("Approuver", exact=True).click()
    visit.page.get_by_role("textbox", name="Motif").fill("Deux colonnes, population nombreuse.")
    visit.page.get_by_label(re.compile("Retapez")).fill("00000000")
    visit.page.get_by_role("button", name="Enregistrer la décision").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("ne sont pas ceux de l’empreinte")
    digits = visit.page.locator(".wb-retype").inner_text()
    visit.page.get_by_label(re.compile("Retapez")).fill(digits)
    visit.page.get_by_role("button", name="Enregistrer la décision").click()
    expect(visit.page.locator("[aria-current=step]")).to_have_text("approuvée")
    expect(visit.page.get_by_text("Deux colonnes, population nombreuse.")).to_be_visible()
    visit.shot("examen_decide")


def _reads_the_log(visit: Visit) -> None:
    visit.go("Journal")
    visit.page.get_by_role("button", name="Vérifier le journal").click()
    expect(visit.page.get_by_role("status").filter(has_text="Le journal est intact")).to_be_visible()
    visit.page.get_by_label("Chercher").fill(f"{visit.app.waiting} décider")
    log = visit.page.get_by_role("table", name=re.compile("Entrées montrées"))
    expect(log.get_by_role("row")).to_have_count(2)
    expect(log).to_contain_text("Deux colonnes, population nombreuse.")
    visit.shot("journal")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="tête signée").click()
    head = json.loads(Path(download.value.path()).read_text())
    assert head["format"] == "workbench/audit-head/1"
    assert head["seq"] > 30


def _reads_the_risk(visit: Visit) -> None:
    """The three gauges, what is known by columns and by history, and all of it in sentences."""
    for gauge in ("Individualisation", "Corrélation", "Inférence"):
        expect(visit.page.locator(".wb-gauge", has_text=gauge).locator(".wb-persons")).to_contain_text("%")
    expect(visit.page.get_by_role("table", name=re.compile("Ce que coûte chaque colonne"))).to_contain_text("l’âge")
    history = visit.page.get_by_role("table", name=re.compile("cela seul suffirait"))
    expect(history.get_by_role("row").filter(has_text="jusqu’à trois intervalles")).to_be_visible()
    visit.page.get_by_text("Tout le risque, en phrases").click()
    expect(visit.page.get_by_text("Aucun concept n’est porté par moins de 11 personnes")).to_be_visible()


def test_officer_reads_the_measured_risk_of_a_request_that_ran(visit: Visit) -> None:
    visit.sign_in(OFFICER)
    wb = open_workbench(load_settings(visit.app.home, {}))
    try:
        officer = people.actor_named(wb, "ethics")
        ran = [view for view in requests.list_requests(wb, officer) if view.state == "run"]
        done = min(ran, key=lambda view: view.made_at).id
    finally:
        wb.close()
    visit.open(f"/examen?id={done}")
    _reads_the_risk(visit)


def _first_extract(visit: Visit) -> str:
    """The demonstration's own extract: other tests make more of them in the same home."""
    wb = open_workbench(load_settings(visit.app.home, {}))
    try:
        made = extracts.list_extracts(wb, people.actor_named(wb, "datascientist"))
    finally:
        wb.close()
    return min(made, key=lambda view: view.made_at).id


def test_scientist_sees_extract_models_card_and_thread(visit: Visit) -> None:
    visit.sign_in(SCIENTIST)
    visit.open(f"/demandes?id={_first_extract(visit)}")
    expect(visit.page.get_by_role("heading", name=re.compile("Extrait ext-"))).to_be_visible()
    expect(visit.page.get_by_role("button", name="Produire l’extrait")).to_have_count(0)
    _reads_the_risk(visit)
    visit.shot("extrait")
    visit.go("Modèles")
    expect(visit.page.get_by_role("img", name=re.compile("AUROC de chaque modèle"))).to_be_visible()
    expect(visit.page.get_by_role("img", name=re.compile("Risque observé selon le risque prédit"))).to_be_visible()
    visit.shot("modeles")
    visit.page.get_by_role("tab", name="Carte du modèle").click()
    expect(visit.page.get_by_text("Ce modèle a été appris sur des patients simulés")).to_be_visible()
    visit.shot("modele_carte")
    visit.page.get_by_role("tab", name="Le fil").click()
    thread = visit.page.get_by_role("list", name=re.compile("Le fil"))
    expect(thread.get_by_role("listitem").first).to_contain_text("version de données")
    expect(thread.locator("[aria-current=true]")).to_contain_text("mod-")
    visit.shot("modele_fil")
