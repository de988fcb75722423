"""The way out of a workspace in a real Chromium: tried, filed, read, released on the digest, taken away."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.served import OFFICER, SCIENTIST, Visit

pytestmark = pytest.mark.browser

TABLE = "sex,n,note\nmen,1290,=1+1\nwomen,1340,<b>bold</b>\n"
SEX = {"role": "group", "of": "gender_concept_id", "labels": {"8507": "men", "8532": "women"}}
DECLARATION = {"table": "person", "columns": {"sex": SEX, "n": {"role": "count"}, "note": {"role": "other"}}}


def fill(visit: Visit, name: str, text: str, declaration: str) -> None:
    upload = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    visit.page.locator("input[type=file]").set_input_files(upload)  # type: ignore[arg-type]
    expect(visit.page.get_by_text(name)).to_be_visible()
    visit.page.get_by_role("textbox", name=re.compile("^Déclaration")).fill(declaration)
    visit.page.get_by_role("textbox", name="Contexte").fill("Tableau 1 de l’article, effectifs par sexe.")


def choose(visit: Visit, box: str, text: str) -> None:
    """Choose the first of the options that a text leaves, and close the list: what is behind it is hidden meanwhile."""
    visit.page.get_by_role("combobox", name=box).fill(text)
    visit.page.get_by_role("option").first.click()
    visit.page.keyboard.press("Escape")
    visit.ready()


def change_person(visit: Visit, name: str) -> None:
    visit.page.get_by_role("link", name="Changer de personne").click()
    visit.page.get_by_role("button", name=name).click()
    visit.ready()
    expect(visit.page.locator(".wb-who")).to_contain_text(name)


def test_a_table_is_tried_filed_read_released_and_taken_away(visit: Visit) -> None:
    visit.sign_in(SCIENTIST)
    visit.go("Sorties")
    expect(visit.page.get_by_role("heading", level=3, name="Nouvelle sortie")).to_have_count(0)
    visit.page.get_by_role("link", name="+ Nouvelle sortie").click()
    visit.page.get_by_role("tab", name="Déposer un résultat fini").click()
    fill(visit, "table1.csv", TABLE.replace("1290", "1288"), json.dumps(DECLARATION))
    visit.page.get_by_role("button", name="Essayer").click()
    checks = visit.page.get_by_role("table", name="Ce que le programme a contrôlé")
    expect(checks.get_by_role("row").nth(1)).to_contain_text("un effectif n’est pas un multiple de 5")
    visit.shot("sortie_essayee")
    visit.page.get_by_role("button", name=re.compile("Retirer table1.csv|Remove")).first.click()
    fill(visit, "table2.csv", TABLE, json.dumps(DECLARATION))
    visit.page.get_by_role("button", name="Déposer").click()
    expect(visit.page.get_by_role("heading", level=3, name="table2.csv")).to_be_visible()
    expect(visit.page.get_by_text("Un contrôle doute ; une autre personne lit et décide.")).to_be_visible()
    expect(visit.page.get_by_role("link", name="Emporter table2.csv")).to_have_count(0)
    expect(visit.page.get_by_role("button", name="Retirer")).to_be_visible()
    visit.shot("sortie_deposee")
    output = re.search(r"id=(out-[0-9a-f]+)", visit.page.url)
    assert output is not None
    change_person(visit, OFFICER)
    _decides(visit, output.group(1))
    change_person(visit, SCIENTIST)
    visit.page.goto(f"{visit.app.url}/?lang=fr")
    visit.page.get_by_role("link", name=re.compile("table2.csv est libérée")).click()
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Emporter table2.csv").click()
    assert download.value.suggested_filename == "table2.csv"
    assert Path(download.value.path()).read_text() == TABLE.replace("=1+1", "'=1+1")
    visit.shot("sortie_liberee")


def test_a_table_is_made_here_and_filed(visit: Visit) -> None:
    visit.sign_in(SCIENTIST)
    visit.go("Sorties")
    visit.page.get_by_role("link", name="+ Nouvelle sortie").click()
    choose(visit, "Une ligne par", "Événements")
    visit.page.get_by_text("Part de l’ensemble (%)").click()
    visit.ready()
    choose(visit, "Nombres de", "âge")
    visit.page.get_by_role("button", name="Faire le tableau").click()
    made = visit.page.get_by_role("table", name=re.compile("Lignes montrées"))
    for text in ("Hommes", "Femmes", "Ensemble", "oui", "1290", "1340", "100.0"):
        expect(made).to_contain_text(text)
    expect(visit.page.get_by_text("il peut être déposé tel quel")).to_be_visible()
    visit.shot("sortie_tableau")
    visit.page.get_by_role("textbox", name="Contexte").fill("Tableau 1 de l’article, effectifs et âge par sexe.")
    visit.page.get_by_role("button", name="Déposer").click()
    expect(visit.page.get_by_role("heading", level=3, name="tableau.csv")).to_be_visible()
    expect(visit.page.get_by_text("donnée, et recalculée")).to_be_visible()


def _decides(visit: Visit, output: str) -> None:
    visit.open("/?lang=fr")
    visit.page.get_by_role("link", name=re.compile(f"Lire table2.csv, de Karim Benali.*{output}")).click()
    shown = visit.page.get_by_role("table", name=re.compile("Lignes montrées"))
    expect(shown).to_contain_text("<b>bold</b>")
    expect(shown).to_contain_text("'=1+1")
    visit.page.get_by_text("Libérer", exact=True).click()
    visit.page.get_by_role("textbox", name="Motif").fill("Groupes nombreux, colonne de notes lue.")
    visit.page.get_by_label(re.compile("Retapez")).fill("00000000")
    visit.page.get_by_role("button", name="Enregistrer la décision").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("ne sont pas ceux de l’empreinte")
    visit.shot("sortie_examen")
    visit.page.get_by_label(re.compile("Retapez")).fill(visit.page.locator(".wb-retype").inner_text())
    visit.page.get_by_role("button", name="Enregistrer la décision").click()
    expect(visit.page.get_by_text("Elle peut sortir.")).to_be_visible()
    expect(visit.page.get_by_role("link", name="Emporter table2.csv")).to_have_count(0)
    visit.page.get_by_text("Rappeler", exact=True).click()
    expect(visit.page.get_by_role("textbox", name="Motif")).to_have_value("")
    visit.shot("sortie_decidee")


def test_an_output_that_is_not_released_is_not_served(visit: Visit) -> None:
    visit.sign_in(SCIENTIST)
    answer = visit.page.request.get(f"{visit.app.url}/download/sortie/out-000000000000")
    assert answer.status == 403
    assert "store.no_document" in answer.text()
    assert "attachment" not in answer.headers.get("content-disposition", "")
