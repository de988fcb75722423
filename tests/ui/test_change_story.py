"""A change of an open study's protocol, read and accepted in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, App, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import demo, extracts, people, studies
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser

LIMIT = {"condition_occurrence": [{"concept": 4283893}, {"concept": 40481087, "excluded": True}]}


def test_the_officer_reads_what_changes_and_accepts_it(browser: Browser, demo_copy: Path) -> None:
    wb = open_workbench(load_settings(demo_copy, {}))
    researcher, officer = (people.actor_named(wb, name) for name in ("researcher", "ethics"))
    former = studies.show_study(wb, officer, demo.STUDY).protocol
    longer = {**former, "duration_days": former["duration_days"] + 30, "concepts": LIMIT}
    change = studies.amend_study(wb, researcher, longer).proposed
    assert change is not None
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(OFFICER)
        visit.page.get_by_role("link", name=re.compile("Lire le changement proposé du protocole")).click()
        differs = visit.page.get_by_role("table", name="Ce que le changement touche")
        expect(differs).to_contain_text("duration_days")
        expect(differs).to_contain_text(str(longer["duration_days"]))
        expect(differs.get_by_role("row").filter(has_text="Diagnostics")).to_contain_text(
            "Sinusitis (4283893) et ce qui est au-dessous ; mais pas Viral sinusitis"
        )
        expect(visit.page.get_by_text("ferme ses extraits ouverts")).to_be_visible()
        visit.shot("examen_changement")
        visit.page.get_by_role("textbox", name="Motif").first.fill("Suivi plus long, même finalité.")
        visit.page.get_by_label(re.compile("Retapez")).fill(change.digest[:8])
        visit.page.get_by_role("button", name="Accepter le changement").click()
        expect(visit.page.get_by_role("heading", name="Un changement du protocole est proposé")).to_have_count(0)
    view = studies.show_study(wb, officer, demo.STUDY)
    assert (view.digest, view.proposed) == (change.digest, None)
    assert extracts.list_extracts(wb, officer)[0].state != "open"
    wb.close()
