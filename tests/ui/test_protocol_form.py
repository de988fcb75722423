"""A protocol that is changed in the form keeps what the form has no field for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from workbench.kernel.settings import load_settings
from workbench.services import demo, people, studies
from workbench.services.context import Workbench, open_workbench
from workbench.ui import state

STUDY = "with-every-member"


@pytest.fixture
def wb(demo_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    made = open_workbench(load_settings(demo_copy, {}))
    monkeypatch.setattr(state, "_Held", type("Held", (), {"now": state.Serving(made, 0), "counter": None}))
    yield made
    made.close()


def test_only_what_was_changed_is_proposed(wb: Workbench) -> None:
    """Members without a field, a reference that no legal basis asks for, a period that the
    form proposes to who begins, a role that is not the account's."""
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    protocol = copy.deepcopy(dict(demo.PROTOCOL))
    del protocol["outcome_period"]
    protocol |= {"study": STUDY, "dates": "shifted", "index_year": True, "refresh_on": ["2027-01-15"]}
    protocol["keep_rare"] = {"values": ["concepts"], "why": "une maladie rare"}
    protocol["concepts"] = {"drug_exposure": [{"concept": 1118084}]}
    protocol["legal_basis"]["fields"]["reading_committee"] = "CL-7"
    protocol["members"] = [{**each, "role": "researcher"} for each in protocol["members"]]
    digest = studies.create_study(wb, researcher, protocol).digest
    studies.open_study(wb, officer, STUDY, protocol_digest=digest, reason="tout y est")

    def page() -> None:
        from workbench.services import drafts, people, studies
        from workbench.ui.parts.protocol import draw_protocol
        from workbench.ui.parts.protocol_form import draw_form
        from workbench.ui.state import workbench

        study = "with-every-member"
        actor = people.actor_named(workbench(), "researcher")
        view = studies.show_study(workbench(), actor, study)
        written = {each.key: each for each in drafts.list_drafts(workbench(), actor)}
        key = f"study.{study}"
        draw_protocol(actor, view)
        draw_form(actor, written.get(key, drafts.Draft(key, view.protocol)), view)

    run = AppTest.from_function(page, default_timeout=60).run()
    assert not run.exception, run.exception
    run.number_input(key=f"study.{STUDY}_duration_days").set_value(395).run()
    run.button(key=f"study.{STUDY}_send").click().run()
    assert not run.exception, run.exception
    proposed = studies.show_study(wb, officer, STUDY).proposed
    assert proposed is not None
    assert proposed.changes == {"duration_days": (365, 395)}
