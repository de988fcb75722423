"""The log's page in a real browser: who saw what, alerts, and the evidence pack of anything on the thread."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.served import OFFICER, RESEARCHER, Visit


def test_the_officer_sees_who_saw_what_and_takes_the_evidence(visit: Visit, tmp_path: Path) -> None:
    visit.sign_in(OFFICER)
    visit.go("Journal")
    visit.page.get_by_role("tab", name="Qui a vu quoi").click()
    seen = visit.page.get_by_role("table", name="Accès, le dernier d’abord")
    expect(seen.get_by_role("row").filter(has_text="Karim Benali").filter(has_text="ext-")).not_to_have_count(0)
    visit.shot("journal_qui_a_vu")
    visit.page.get_by_role("tab", name="Alertes").click()
    expect(visit.page.get_by_text("Des suites de questions")).to_be_visible()
    visit.shot("journal_alertes")
    visit.page.get_by_role("tab", name="Remonter et descendre le fil").click()
    visit.page.get_by_label("Référence ou empreinte").fill("nsaid-gi-bleed")
    visit.page.get_by_label("Référence ou empreinte").press("Enter")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Dossier de preuve").click()
    visit.shot("journal_preuve")
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-I", str(tmp_path / "verify.py"), "--pack", str(download.value.path()), "--lang", "fr"]
    assert "La preuve est intacte" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_nobody_else_takes_evidence(visit: Visit) -> None:
    visit.sign_in(RESEARCHER)
    answer = visit.page.request.get(f"{visit.app.url}/download/evidence.zip?id=nsaid-gi-bleed&lang=fr")
    assert "zip" not in answer.headers["content-type"]
