"""A study limited to some concepts, as its officer and its researcher read it: in words, requested beside approved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, SCIENTIST, App, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import demo, extracts, people, requests, studies
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser


def _made(home: Path) -> tuple[str, str]:
    """Make the extract of a limited study; return the ids of its request and its extract."""
    wb = open_workbench(load_settings(home, {}))
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    limit = {"condition_occurrence": [{"concept": 4283893}, {"concept": 40481087, "excluded": True}]}
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
