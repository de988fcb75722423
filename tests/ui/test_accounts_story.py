"""An account is closed while its person is at work, in two real browsers: the page goes to the sign-in by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.served import OFFICER, RESEARCHER, SCIENTIST, App, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import closing, people
from workbench.services.context import open_workbench

pytestmark = pytest.mark.browser


def test_who_is_closed_leaves_every_browser_at_once(browser: Browser, demo_copy: Path) -> None:
    with serving(demo_copy) as url:
        app = App(url, demo_copy)
        with visiting(app, browser) as officer, visiting(app, browser) as one, visiting(app, browser) as other:
            one.sign_in(SCIENTIST)
            other.sign_in(SCIENTIST)
            other.go("Modèles")
            officer.sign_in(OFFICER)
            officer.go("Comptes")
            officer.page.get_by_role("textbox", name="Ce qui a été trouvé").fill("Tous les rôles servent.")
            officer.shot("revue_des_droits")
            officer.page.get_by_role("button", name="Confirmer la revue").click()
            expect(officer.page.get_by_text("jamais. La prochaine est due")).to_have_count(0)
            officer.page.get_by_role("button", name="Fermer le compte").click()
            expect(officer.page.get_by_role("alert")).to_contain_text("ui.no_account_chosen")
            officer.page.get_by_role("combobox", name="Compte à fermer").click()
            officer.page.get_by_role("option", name="Karim Benali (datascientist)").click()
            officer.page.get_by_role("textbox", name="Motif").fill("A quitté l’hôpital.")
            officer.shot("compte_fermer")
            officer.page.get_by_role("button", name="Fermer le compte").click()
            row = officer.page.get_by_role("row").filter(has_text="Karim Benali").first
            expect(row).to_contain_text("fermé")
            officer.shot("compte_ferme")
            for visit in (one, other):  # nobody touches these
                expect(visit.page.get_by_role("button", name=RESEARCHER)).to_be_visible()
                expect(visit.page.get_by_role("button", name=SCIENTIST)).to_have_count(0)
            assert one.page.request.get(f"{url}/download/audit-log.csv").status == 401
            officer.open("/journal?lang=fr")
            log = officer.page.get_by_role("table", name="Entrées montrées")
            expect(log).to_contain_text("quitter une étude")
            expect(log).to_contain_text("A quitté l’hôpital.")
            expect(log).to_contain_text("revoir les droits")
            one.sign_in(RESEARCHER)
            wb = open_workbench(load_settings(demo_copy, {}))  # another process, as a command is
            closing.close_account(wb, people.actor_named(wb, "ethics"), "researcher", "r")
            wb.close()
            expect(one.page.get_by_role("button", name=OFFICER)).to_be_visible()
            expect(officer.page.locator(".wb-who")).to_contain_text(OFFICER)
            for visit in (one, other):  # what Streamlit says of a connection that was closed, and nothing else
                known = ("WebSocket onclose: code=1008", "/_stcore/")
                assert [said for said in visit.complaints if not any(word in said for word in known)] == []
                visit.complaints.clear()
