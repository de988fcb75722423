"""The officer's page of oppositions, and the end of a study: in a real browser, and nobody's identifier left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from tests.ui.served import OFFICER, RESEARCHER, App, Visit, serving, visiting
from workbench.governance.actors import Actor
from workbench.kernel.settings import load_settings
from workbench.services import cohorts, demo, extracts, objections, people, studies
from workbench.services.context import Workbench, open_workbench
from workbench.ui import state

STRANGER = 987_654_321


@pytest.fixture
def wb(demo_copy: Path) -> Workbench:
    return open_workbench(load_settings(demo_copy, {}))


@pytest.fixture
def officer(wb: Workbench) -> Actor:
    return people.actor_named(wb, "ethics")


def somebody(wb: Workbench, officer: Actor) -> int:
    """A person of the extract's cohort whose id is a number that nothing else on a page is."""
    view = extracts.list_extracts(wb, officer)[0]
    ids = cohorts.rows_of(wb, view.manifest["cohort"])["subject_id"].to_pylist()
    for person in sorted(set(ids), reverse=True):
        made = objections.add(wb, officer, [person], demo.STUDY)
        objections.withdraw(wb, officer, made.id, "looked for somebody")
        if made.concerned:
            return int(person)
    raise AssertionError


def traces(home: Path, persons: list[int]) -> list[str]:
    """Where an id stands as a number of its own, in what the app wrote."""
    written = [home / "app.sqlite", home / "app.sqlite-wal", home.parent / "serve.log", *(home / "jobs").rglob("*.log")]
    words = [re.compile(rb"(?<![0-9a-f])%d(?![0-9a-f])" % person) for person in persons]
    return [path.name for path in written if path.is_file() and any(word.search(path.read_bytes()) for word in words)]


def record(visit: Visit, typed: str) -> None:
    visit.page.get_by_label("(person_id), un par ligne").fill(typed)
    visit.page.get_by_role("button", name="Enregistrer", exact=True).click()


@pytest.mark.browser
def test_an_opposition_recorded_and_ended_leaves_no_identifier(
    browser: Browser, wb: Workbench, officer: Actor, demo_copy: Path
) -> None:
    person = somebody(wb, officer)
    wb.close()
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.go("Oppositions")
        visit.page.get_by_role("link", name="+ Enregistrer une opposition").click()
        expect(visit.page.get_by_role("heading", level=3, name="Enregistrer une opposition")).to_be_visible()
        visit.ready()
        visit.shot("opposition_formulaire")
        record(visit, f"{STRANGER}\nDupont")
        alert = visit.page.get_by_role("alert")
        expect(alert).to_contain_text("erasure.not_a_person")
        expect(alert).to_contain_text("2")
        expect(visit.page.get_by_label("(person_id), un par ligne")).to_have_value("")
        for word in (str(STRANGER), "Dupont"):
            assert word not in visit.page.content()

        record(visit, f"{STRANGER}\n{person}")
        expect(visit.page.get_by_role("heading", level=3, name=re.compile("^Opposition obj-"))).to_be_visible()
        visit.ready()
        expect(visit.page.get_by_role("table")).to_contain_text("le révoquer, ou dire pourquoi il reste")
        expect(visit.page.locator("main, [data-testid=stMain]").first).to_contain_text(OFFICER)
        expect(visit.page.get_by_text("ne sont à personne dans la version actuelle des données : 1.")).to_be_visible()
        visit.shot("opposition")
        source = visit.page.content() + " ".join(visit.addresses)
        assert not re.search(rf"(?<![0-9a-f]){person}(?![0-9a-f])|{STRANGER}", source)
        visit.page.get_by_role("textbox", name="Motif").fill("La personne a changé d’avis.")
        visit.page.get_by_role("button", name="Lever l’opposition").click()
        expect(visit.page.locator(".wb-facts .wb-badge").first).to_have_text("levée")
        visit.open("/oppositions?lang=en&new=1")
        visit.page.get_by_text("Warehouse: erased from every release").click()
        expect(visit.page.get_by_text("I know that an erasure cannot be undone.")).to_be_visible()
        visit.page.get_by_label("(person_id), one a line").fill(str(STRANGER))
        visit.page.get_by_role("button", name="Record", exact=True).click()
        expect(visit.page.get_by_role("alert")).to_contain_text("ui.not_sure")
        visit.page.get_by_label("(person_id), one a line").fill(str(STRANGER))
        visit.page.get_by_text("I know that an erasure cannot be undone.").click()
        visit.page.get_by_role("button", name="Record", exact=True).click()
        expect(visit.page.get_by_text("The persons are erased from every release.")).to_be_visible(timeout=90_000)
        expect(visit.page.locator(".wb-facts .wb-badge").first).to_have_text("erased")
        visit.shot("opposition_entrepot_en")
        assert str(STRANGER) not in visit.page.content()
        assert not [address for address in visit.addresses if str(STRANGER) in address]
    assert traces(demo_copy, [STRANGER, person]) == []


def test_the_session_forgets_what_was_typed(wb: Workbench, officer: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_Held", type("Held", (), {"now": state.Serving(wb, 0), "counter": None}))

    def page() -> None:
        import streamlit as st

        from workbench.services import people
        from workbench.ui.state import workbench
        from workbench.ui.views import oppositions

        oppositions._form(people.actor_named(workbench(), "ethics"))
        st.session_state["seen"] = True

    for typed in (f"{STRANGER}\nDupont", str(STRANGER)):
        run = AppTest.from_function(page, default_timeout=30).run()
        run.text_area[0].input(typed)
        run.button[0].click().run()
        assert run.session_state["seen"]
        assert str(STRANGER) not in repr(run.session_state)
        assert "Dupont" not in repr(run.session_state)
        assert run.text_area[0].value == ""
    assert [each.persons for each in objections.list_objections(wb, officer)] == [1]


@pytest.mark.browser
def test_keys_are_renewed_and_the_study_is_closed_from_its_page(
    browser: Browser, wb: Workbench, officer: Actor, demo_copy: Path
) -> None:
    researcher = people.actor_named(wb, "researcher")
    studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "second", "title": "Seconde étude"})
    extract = extracts.list_extracts(wb, officer)[0]
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.open(f"/examen?lang=fr&id={demo.STUDY}")
        visit.page.get_by_text("Renouveler les deux clés").click()
        digits = visit.page.get_by_label(re.compile("Retapez les 8 premiers"))
        expect(digits).to_be_visible()  # before that, the first reason is that of another form
        visit.page.get_by_role("textbox", name="Motif").first.fill("Renouvellement annuel.")
        digits.fill("00000000")
        visit.page.get_by_role("button", name="Exécuter").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("ui.key_digits_differ")
        visit.ready()
        visit.shot("cles")
        row = visit.page.get_by_role("row", name=re.compile("^données"))
        digits.fill(row.locator(".wb-retype").inner_text())
        visit.page.get_by_role("button", name="Exécuter").click()
        expect(row).to_contain_text("pas de clé")
        assert extracts.show_extract(wb, officer, extract.id).state == "renewed"
        visit.page.get_by_role("textbox", name="Motif").last.fill("Article publié.")
        visit.page.get_by_role("button", name="Clore l’étude").click()
        expect(visit.page.get_by_text("Ses clés restent jusqu’au")).to_be_visible()
        visit.shot("etude_close")
        assert studies.show_study(wb, officer, demo.STUDY).state == "closed"
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(RESEARCHER)
        visit.open(f"/demandes?lang=fr&id={extract.id}")
        expect(visit.page.get_by_text("Les clés de l’étude ont été renouvelées")).to_be_visible()
        visit.open("/?lang=fr")
        visit.page.get_by_role("button", name="Abandonner ce projet").click()
        visit.page.get_by_role("textbox", name="Motif").fill("Pas de budget.")
        visit.page.get_by_role("button", name="Abandonner", exact=True).click()
        expect(visit.page.get_by_role("button", name="Abandonner ce projet")).to_have_count(0)
        assert studies.show_study(wb, officer, "second").state == "closed"
