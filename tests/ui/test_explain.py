"""What the pages explain: a cohort's timeline and diagnostics, and why a person of an extract is in its cohort."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.ui.served import RESEARCHER, SCIENTIST, App, Visit
from workbench.kernel.settings import load_settings
from workbench.services import extracts, people
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser


def _someone(app: App) -> tuple[str, int]:
    """The demonstration's extract and one of its persons."""
    wb = open_workbench(load_settings(app.home, {}))
    try:
        actor = people.actor_named(wb, "datascientist")
        extract = next(e.id for e in extracts.list_extracts(wb, actor) if e.state == "open")
        _, tables, _ = extracts.open_tables(wb, actor, extract)
        return extract, tables["cohort"].row(0, named=True)["person_id"]
    finally:
        wb.close()


def test_why_a_person_of_an_extract_is_in_its_cohort(visit: Visit, app: App) -> None:
    extract, person = _someone(app)
    visit.sign_in(SCIENTIST)
    visit.open(f"/demandes?id={extract}")
    visit.page.get_by_text("Pourquoi cette personne ?").click()
    box = visit.page.get_by_label("Pseudonyme (person_id de l’extrait)")
    box.fill("douze")
    visit.page.get_by_role("button", name="Expliquer").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("Un pseudonyme est un nombre entier.")
    box.fill(str(person))
    visit.page.get_by_role("button", name="Expliquer").click()
    answer = visit.page.get_by_label("Pourquoi cette personne ?")
    expect(answer.get_by_text("Dans la cohorte, du jour 0")).to_be_visible()
    expect(answer.get_by_text("Événement d’entrée au jour 0")).to_be_visible()
    visit.shot("pourquoi")


def test_the_timeline_of_a_cohort_is_read_aloud_as_its_sentence(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    visit.go("Cohortes")
    visit.choose("celecoxib_without_prior_gi_bleed")
    picture = visit.page.get_by_role("img", name="Chronologie de celecoxib_without_prior_gi_bleed")
    expect(picture).to_be_visible()
    sentence = visit.page.locator(".wb-sentence").inner_text()
    expect(picture).to_have_accessible_description(sentence)
    expect(picture.get_by_text("No peptic ulcer before entry").last).to_be_visible()
    box = picture.bounding_box()
    assert box is not None
    assert box["width"] > 550
    visit.shot("chronologie")
    visit.page.get_by_role("link", name="English").click()
    expect(visit.page.get_by_role("img", name="Timeline of celecoxib_without_prior_gi_bleed")).to_be_visible()


def test_diagnostics_are_made_beside_the_app_and_shown_governed(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    visit.go("Cohortes")
    visit.choose("celecoxib_without_prior_gi_bleed")
    visit.page.get_by_role("tab", name="Diagnostic").click()
    visit.page.get_by_role("button", name="Faire le diagnostic").click()
    expect(visit.page.get_by_text("Le diagnostic est fait.")).to_be_visible(timeout=60_000)
    ages = visit.page.get_by_role("table", name="Personnes par tranche d’âge")
    expect(ages.get_by_role("row", name=re.compile("30 à 39 ans"))).to_contain_text("335")
    expect(ages.get_by_role("row", name=re.compile("0 à 9 ans"))).to_contain_text("moins de 11")
    expect(visit.page.get_by_role("img", name=re.compile("le plus haut : environ"))).to_be_visible()
    why_not = visit.page.get_by_role("table", name=re.compile("Chaque personne compte une fois"))
    expect(why_not).to_contain_text("No peptic ulcer before entry")
    visit.ready()
    visit.shot("diagnostic")
