"""A number that somebody typed where an id belongs may be a patient's: no refusal writes it to the log."""

from __future__ import annotations

import json

import pytest

from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.services import auditing, concepts, demo, extracts, outputs, requests, studies, tracing
from workbench.services.context import TYPED, Workbench

NUMBERS = ("2539329", "185067511612345", "1 85 06 2A 116 123 45", "IPP 8004512377")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_names_nothing_is_not_kept(wb: Workbench, researcher: Actor, officer: Actor, number: str) -> None:
    asked = {**demo.REQUEST, "why_not_aggregate": "une autre raison"}
    for call in (
        lambda: extracts.show_extract(wb, researcher, number),
        lambda: requests.file_request(wb, researcher, number, asked),
        lambda: requests.decide(wb, officer, number, "approved", protocol_digest="x", reason="r"),
        lambda: studies.close_study(wb, officer, number, "r"),
        lambda: tracing.trace(wb, researcher, number),
        lambda: outputs.preview(wb, researcher, number),
        lambda: concepts.show(wb, researcher, 2539329),
    ):
        with pytest.raises(Refused):
            call()
    log = json.dumps(auditing.export_log(wb, officer), ensure_ascii=False)
    assert TYPED in log
    for digits in ("2539329", "185067511612345", "116 123", "8004512377"):
        assert digits not in log


def test_ids_and_days_stay(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    refs = ("ext-012345678901", "no-such", "0" * 64, demo.STUDY)
    for ref in refs:
        with pytest.raises(Refused):
            extracts.show_extract(wb, researcher, ref)
    denied = [entry.subject for entry in auditing.log(wb, officer) if entry.outcome == "denied"]
    assert set(refs) <= set(denied)
