"""A finding on its way in a real Chromium: reported by pseudonym, read and accepted by somebody else, never a name."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.ui.served import OFFICER, SCIENTIST, Visit
from workbench.kernel.settings import load_settings
from workbench.services import auditing, extracts, people
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser

TEXT = "Hémoglobine à 5 g/dl au jour -12, sans traitement <b>."


def _pseudonym(visit: Visit) -> int:
    wb = open_workbench(load_settings(visit.app.home, {}))
    try:
        scientist = people.actor_named(wb, "datascientist")
        extract = min(extracts.list_extracts(wb, scientist), key=lambda view: view.made_at).id
        return int(extracts.open_tables(wb, scientist, extract)[1]["cohort"].get_column("person_id").to_list()[3])
    finally:
        wb.close()


def test_a_finding_is_reported_read_and_accepted(visit: Visit) -> None:
    pseudonym = _pseudonym(visit)
    visit.sign_in(SCIENTIST)
    visit.go("Découvertes")
    visit.page.get_by_role("link", name="+ Nouvelle découverte").click()
    visit.page.get_by_role("textbox", name="Pseudonyme de la personne").fill("elle")
    visit.page.get_by_role("textbox", name="Ce qui a été trouvé").fill(TEXT)
    visit.page.get_by_role("button", name="Signaler").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("ui.why_number")
    visit.page.get_by_role("textbox", name="Pseudonyme de la personne").fill(str(pseudonym))
    visit.page.get_by_role("button", name="Signaler").click()
    expect(visit.page.get_by_text("Le responsable éthique la lit et décide.")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Lire ce qui a été trouvé")).to_have_count(0)
    visit.shot("decouverte_signalee")
    found = re.search(r"id=(fin-[0-9a-f]+)", visit.page.url)
    assert found is not None
    assert not [each for each in visit.addresses if str(pseudonym) in each]
    visit.page.get_by_role("link", name="Changer de personne").click()
    visit.page.get_by_role("button", name=OFFICER).click()
    visit.ready()
    visit.page.get_by_role("link", name=re.compile(f"Lire la découverte {found.group(1)}")).click()
    visit.page.get_by_role("button", name="Lire ce qui a été trouvé").click()
    expect(visit.page.get_by_text(TEXT)).to_be_visible()
    expect(visit.page.get_by_text(str(pseudonym))).to_have_count(0)
    visit.page.get_by_text("Accepter : le clinicien doit savoir").click()
    visit.page.get_by_role("button", name="Enregistrer la décision").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("governance.reason_needed")
    visit.page.get_by_role("textbox", name="Motif").fill("Le clinicien doit le savoir.")
    visit.page.get_by_role("button", name="Enregistrer la décision").click()
    expect(visit.page.get_by_text("Un gestionnaire des données remet la lettre au clinicien.")).to_be_visible()
    expect(visit.page.get_by_role("link", name="Prendre la lettre")).to_have_count(0)
    visit.shot("decouverte_acceptee")
    _was_read_once(visit, found.group(1))


def _was_read_once(visit: Visit, found: str) -> None:
    wb = open_workbench(load_settings(visit.app.home, {}))
    try:
        log = auditing.log(wb, people.actor_named(wb, "ethics"))
    finally:
        wb.close()
    assert [entry.verb for entry in log if entry.subject == found and entry.verb == "finding.open"] == ["finding.open"]
