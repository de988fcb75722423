"""An extract's second form in the workspace, in a real Chromium: made by a button, taken where the protocol says."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import SCIENTIST, App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import auditing, demo, extracts, meds, people, requests, studies
from workbench.services.context import Workbench, open_workbench

pytestmark = pytest.mark.browser


def _with_destination(wb: Workbench, place: Path) -> str:
    """A second study, whose protocol names a folder of this machine; its extract's id."""
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    protocol = {
        **demo.PROTOCOL,
        "study": "elsewhere",
        "title": "Avec destination",
        "destinations": [str(place), "CASD"],
    }
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    small = {**demo.REQUEST, "tables": {"person": ["age_at_index"]}, "outcomes": []}
    request = requests.file_request(wb, researcher, study.id, small)
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    return extracts.run_extract(wb, researcher, request.id).id


def test_meds_is_made_and_taken_by_buttons(browser: Browser, demo_copy: Path, tmp_path: Path) -> None:
    wb = open_workbench(load_settings(demo_copy, {}))
    scientist = people.actor_named(wb, "datascientist")
    place = tmp_path / "allowed"
    stays, leaves = extracts.list_extracts(wb, scientist)[0].id, _with_destination(wb, place)
    with serving(demo_copy) as url, visiting(App(url, demo_copy), browser) as visit:
        visit.sign_in(SCIENTIST)
        visit.open(f"/demandes?lang=fr&id={stays}")
        expect(visit.page.get_by_text("extracts.open_tables")).to_be_visible()
        made = _makes(visit)
        expect(visit.page.get_by_text("Le protocole ne nomme aucun dossier")).to_be_visible()
        expect(visit.page.get_by_role("button", name="Emporter")).to_have_count(0)
        visit.shot("meds_faite")
        assert meds.show_meds(wb, scientist, made).extract == stays
        assert set(meds.open_meds(wb, scientist, made)) == {"data", "codes", "subject_splits"}
        visit.open(f"/demandes?lang=fr&id={leaves}")
        made = _makes(visit)
        _takes(visit, "../away")
        expect(visit.page.get_by_role("alert")).to_contain_text("ui.folder_name")
        (place / "taken").mkdir(parents=True)
        _takes(visit, "taken")
        expect(visit.page.get_by_role("alert")).to_contain_text("files.exists")
        _takes(visit, "meds")
        expect(visit.page.get_by_text("La forme MEDS est écrite dans le dossier.")).to_be_visible(timeout=60_000)
        visit.shot("meds_emportee")
    rows = pl.read_parquet(place / "meds" / "data" / "*.parquet")
    assert rows.equals(meds.open_meds(wb, scientist, made)["data"])
    log = auditing.log(wb, people.actor_named(wb, "ethics"))
    said = [(e.verb, e.subject) for e in log if e.verb in {"extract.take", "extract.meds"} and e.outcome == "done"]
    assert [verb for verb, _ in said].count("extract.meds") == 2
    assert ("extract.take", made) in said
    assert [e.reason for e in log if (e.verb, e.outcome) == ("extract.take", "denied")] == ["files.exists"]
    wb.close()


def _makes(visit: Visit) -> str:
    visit.page.get_by_role("tab", name="MEDS").click()
    visit.page.get_by_role("button", name="Faire la forme MEDS").click()
    expect(visit.page.get_by_text("La forme MEDS est faite")).to_be_visible(timeout=60_000)
    visit.page.get_by_role("tab", name="MEDS").click()
    said = visit.page.get_by_text(re.compile(r"meds\.open_meds"))
    expect(said).to_be_visible()
    found = re.search(r"med-[0-9a-f]{12}", visit.page.locator("[data-testid=stMain]").inner_text())
    assert found is not None
    return found.group()


def _takes(visit: Visit, name: str) -> None:
    visit.page.get_by_role("textbox", name="Nouveau dossier").fill(name)
    visit.page.get_by_role("button", name="Emporter").click()
