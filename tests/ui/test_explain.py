"""What the pages explain: why a person of an extract is in its cohort."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.ui.served import SCIENTIST, App, Visit
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
