"""Shifted dates and an index year, as the officer reads them: requested, approved and delivered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, App, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import demo, people, requests, studies
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser


def _opened(home: Path) -> str:
    """Open a study that approves both; return the id of a request that asks for shifted dates."""
    wb = open_workbench(load_settings(home, {}))
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    protocol = {**demo.PROTOCOL, "study": "shifted", "title": "Dates", "dates": "shifted", "index_year": True}
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, {**demo.REQUEST, "dates": "shifted"})
    wb.close()
    return request.id


def test_the_review_tells_three_sides_and_that_a_shift_hides_little(browser: Browser, demo_copy: Path) -> None:
    request = _opened(demo_copy)
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.open(f"/examen?id={request}")
        sides = visit.page.get_by_role("table", name=re.compile("à la fois demandé et approuvé ; sinon des jours"))
        expect(sides.get_by_role("row")).to_have_count(3)
        expect(sides).to_contain_text("décalées dans le passé")
        expect(visit.page.get_by_text("Cela cache peu")).to_be_visible()
