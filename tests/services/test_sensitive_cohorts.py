"""A cohort that tells of a sensitive class: neither target nor outcome of a study whose protocol does not name it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.services.test_governed_path import denied
from workbench.governance.actors import Actor
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.errors import Refused
from workbench.services import demo, extracts, requests, studies
from workbench.services.context import Workbench

BLEED = ("SNOMED", "74474003")
WITHOUT = "celecoxib_without_prior_gi_bleed"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what adds a code to the list of a class, as a hospital does with its own."""

    def add(code: str = "hiv", root: tuple[str, str] = BLEED) -> None:
        entry = sensitive_classes()[code]
        monkeypatch.setitem(sensitive_classes(), code, replace(entry, roots=(*entry.roots, root)))  # type: ignore[arg-type]

    return add


def opened(wb: Workbench, researcher: Actor, officer: Actor, *classes: str) -> studies.StudyView:
    """A study that names some classes, and one cohort more than the demonstration's."""
    protocol = {**demo.PROTOCOL, "study": "named", "sensitive_classes": [*classes]}
    study = studies.create_study(wb, researcher, {**protocol, "cohorts": [*demo.PROTOCOL["cohorts"], WITHOUT]})
    return studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")


def approved(wb: Workbench, researcher: Actor, officer: Actor, study: studies.StudyView) -> requests.RequestView:
    request = requests.file_request(wb, researcher, study.id, demo.REQUEST)
    return requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")


@pytest.mark.parametrize(
    ("cohort", "outcomes", "refused"),
    [
        (demo.TARGET, [demo.OUTCOME], demo.OUTCOME),
        (demo.OUTCOME, [], demo.OUTCOME),
        (WITHOUT, [], WITHOUT),
        ("celecoxib_new_users", [demo.TARGET], None),
    ],
    ids=["outcome", "target", "a criterion of absence", "none of its concepts"],
)
def test_it_is_refused_where_the_request_is_filed(
    wb: Workbench, researcher: Actor, officer: Actor, listed: Any, cohort: str, outcomes: list[str], refused: str | None
) -> None:
    listed()
    study = opened(wb, researcher, officer, "psychiatry")
    asked = {**demo.REQUEST, "cohort": cohort, "outcomes": outcomes}
    if refused is None:
        assert requests.file_request(wb, researcher, study.id, asked).state == "checked"
        return
    with pytest.raises(Refused) as error:
        requests.file_request(wb, researcher, study.id, asked)
    assert error.value.code == "governance.sensitive_cohort"
    assert error.value.facts == {"cohort": refused, "classes": "hiv"}
    assert [each for each in requests.list_requests(wb, researcher) if each.study == study.id] == []
    assert (researcher.name, "request.create", "governance.sensitive_cohort") in denied(wb)


def test_a_list_that_grew_since_the_approval_stops_the_delivery(
    wb: Workbench, researcher: Actor, officer: Actor, listed: Any
) -> None:
    request = approved(wb, researcher, officer, opened(wb, researcher, officer))
    listed("hiv")
    listed("genetics")
    with pytest.raises(Refused) as error:
        extracts.run_extract(wb, researcher, request.id)
    assert error.value.code == "governance.sensitive_cohort"
    assert error.value.facts == {"cohort": demo.OUTCOME, "classes": "hiv, genetics"}
    assert requests.show_request(wb, researcher, request.id).state == "approved"
    assert len(list(wb.settings.extracts.iterdir())) == 1


def test_a_study_that_names_the_class_has_the_outcome(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor, listed: Any
) -> None:
    listed()
    request = approved(wb, researcher, officer, opened(wb, researcher, officer, "hiv"))
    made = extracts.run_extract(wb, researcher, request.id)
    assert set(extracts.open_tables(wb, scientist, made.id)[1]["outcome"]["outcome"]) == {demo.OUTCOME}
