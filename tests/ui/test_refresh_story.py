"""A refresh that is due, in a real Chromium: offered by its button, made on the newer release, then offered no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.services.test_refreshing import load
from tests.ui.served import OFFICER, RESEARCHER, App, serving, visiting
from workbench.kernel import clock
from workbench.kernel.settings import load_settings
from workbench.services import demo, extracts, people, requests, studies
from workbench.services.context import Workbench, open_workbench
from workbench.ui.parts.words import MONTHS

pytestmark = pytest.mark.browser


def _study(wb: Workbench) -> str:
    """A study refreshed every second month from today on, whose request ran on the release before; the request's id."""
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    today = clock.today()
    interval = {"every_months": 2, "from": today.isoformat(), "until": today.replace(year=today.year + 1).isoformat()}
    protocol = {**demo.PROTOCOL, "study": "renewed", "title": "Renouvelée", "refresh_on": interval}
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    small = {**demo.REQUEST, "tables": {"person": ["age_at_index"]}, "outcomes": []}
    request = requests.file_request(wb, researcher, study.id, small)
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    extracts.run_extract(wb, researcher, request.id)
    return request.id


def test_a_refresh_that_is_due_is_made_by_its_button(browser: Browser, demo_copy: Path, tmp_path: Path) -> None:
    wb = open_workbench(load_settings(demo_copy, {}))
    researcher = people.actor_named(wb, "researcher")
    request = _study(wb)
    newer = load(wb, people.first_steward(wb), tmp_path / "newer", 40)
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(RESEARCHER)
        visit.open(f"/demandes?lang=fr&id={request}")
        button = visit.page.get_by_role("button", name=re.compile("Renouveler"))
        expect(button).to_be_visible()
        visit.shot("renouveler")
        button.click()
        done = visit.page.get_by_text("L’extrait est produit et inspecté")
        expect(done).to_be_visible(timeout=90_000)
        expect(button).to_have_count(0)
        expect(visit.page.get_by_text(re.compile("prochain renouvellement", re.IGNORECASE))).to_be_visible()
        visit.shot("renouvele")
        made = [each for each in extracts.list_extracts(wb, researcher) if each.study == "renewed"]
        assert sorted(each.manifest.get("refresh", {}).get("number", 0) for each in made) == [0, 1]
        assert newer in {each.manifest["release"] for each in made}
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.open("/examen?lang=fr&id=renewed")
        days = visit.page.locator(".wb-facts > div").filter(has_text="Renouvelé le")
        assert days.inner_text().count(str(clock.today().year + 1)) >= 5
        assert MONTHS["fr"][clock.today().month - 1] in days.inner_text()
    wb.close()
