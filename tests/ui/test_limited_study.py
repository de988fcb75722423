"""A study limited to some concepts, as its officer and its researcher read it: in words, requested beside approved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, RESEARCHER, SCIENTIST, App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import demo, extracts, people, requests, studies
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser

SINUSITIS, VIRAL, BRONCHITIS, CELECOXIB = 4283893, 40481087, 260139, 1118084


def _made(home: Path) -> tuple[str, str]:
    """Make the extract of a limited study; return the ids of its request and its extract."""
    wb = open_workbench(load_settings(home, {}))
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    limit = {"condition_occurrence": [{"concept": SINUSITIS}, {"concept": VIRAL, "excluded": True}]}
    study = studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "limited", "concepts": limit})
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, demo.REQUEST)
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    extract = extracts.run_extract(wb, researcher, request.id)
    wb.close()
    return request.id, extract.id


def test_concepts_are_read_in_words_before_and_after_the_decision(browser: Browser, demo_copy: Path) -> None:
    request, extract = _made(demo_copy)
    said = "Sinusitis (4283893) et ce qui est au-dessous ; mais pas Viral sinusitis (40481087)"
    with serving(demo_copy) as url:
        with visiting(App(url, demo_copy), browser) as visit:
            visit.sign_in(OFFICER)
            for place in ("limited", request):
                visit.open(f"/examen?id={place}")
                limits = visit.page.get_by_role("table", name=re.compile("les lignes dont le concept"))
                expect(limits.get_by_role("row")).to_have_count(2)
                expect(limits).to_contain_text(said)
            expect(limits).to_contain_text("tous les concepts")
            visit.shot("officier_concepts")
        with visiting(App(url, demo_copy), browser) as visit:
            visit.sign_in(SCIENTIST)
            visit.open(f"/demandes?id={extract}")
            expect(visit.page.get_by_role("table", name=re.compile("les lignes dont le concept"))).to_contain_text(said)


def _opened(home: Path) -> None:
    """Open a study that approves two conditions with what is below them, but for one."""
    wb = open_workbench(load_settings(home, {}))
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    limit = [
        {"concept": SINUSITIS},
        {"concept": BRONCHITIS, "descendants": False},
        {"concept": VIRAL, "excluded": True},
    ]
    protocol = {**demo.PROTOCOL, "study": "limited", "title": "Limitée", "concepts": {"condition_occurrence": limit}}
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    wb.close()


def test_a_request_asks_for_fewer_concepts_than_approved(browser: Browser, demo_copy: Path) -> None:
    _opened(demo_copy)
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(RESEARCHER)
        visit.open("/demandes?lang=fr&study=limited&new=1")
        _chooses(visit)
        visit.page.get_by_role("textbox", name="Pourquoi pas un agrégat ?").fill("L'ordre des épisodes compte.")
        visit.page.get_by_role("button", name="Déposer la demande").click()
        expect(visit.page.get_by_role("heading", name=re.compile("Demande req-"))).to_be_visible()
        limits = visit.page.get_by_role("table", name=re.compile("les lignes dont le concept"))
        expect(limits.get_by_role("row").filter(has_text="Diagnostics")).to_contain_text("Sinusitis (4283893)")
        expect(limits.get_by_role("row").filter(has_text="Médicaments")).to_contain_text("celecoxib (1118084)")
        visit.shot("demande_concepts_deposee")
        visit.open("/demandes?lang=en&study=limited&new=1")
        expect(visit.page.get_by_text("at first, all that the protocol approves")).to_be_visible()
        visit.shot("en_request_concepts")
    wb = open_workbench(load_settings(demo_copy, {}))
    (filed,) = [
        view for view in requests.list_requests(wb, people.actor_named(wb, "ethics")) if view.study == "limited"
    ]
    wb.close()
    assert filed.document["concepts"] == {
        "condition_occurrence": [{"concept": SINUSITIS}],
        "drug_exposure": [{"concept": CELECOXIB}],
    }


def _chooses(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("combobox", name="Cohorte").click()
    page.get_by_role("option", name="nsaid_new_users").click()
    meter = page.get_by_role("table", name=re.compile("Moins il en sort"))
    expect(meter.get_by_role("row").filter(has_text="concepts et domaines")).to_contain_text("2 sur 2")
    page.get_by_role("button", name=re.compile("Acute bronchitis")).last.click()
    expect(meter.get_by_role("row").filter(has_text="concepts et domaines")).to_contain_text("1 sur 2")
    page.get_by_text("Demander moins").click()
    page.get_by_role("textbox", name="Chercher un concept").fill("celecoxib")
    page.get_by_role("textbox", name="Chercher un concept").press("Enter")
    expect(page.get_by_role("combobox", name=re.compile("Concepts trouvés"))).to_be_visible()
    page.get_by_role("button", name="Ajouter", exact=True).click()
    expect(page.get_by_text("celecoxib (1118084) et ce qui est au-dessous")).to_be_visible()
    expect(meter.get_by_role("row").filter(has_text="limitées par vous")).to_contain_text("Médicaments")
    visit.shot("demande_concepts")
