"""Numbers of the feasibility space: one answer however often and however worded, for everybody who can count there."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import workbench
from workbench.cohorts.circe import Definition, read_definition, write_definition
from workbench.cohorts.shipped import shipped
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.kernel.settings import Settings
from workbench.services import cohorts, erasures, numbers
from workbench.services.cohorts import Step
from workbench.services.context import Workbench, acting, open_workbench
from workbench.services.counting import LiveCounter
from workbench.services.releases import current_release

NSAID = json.loads(shipped()["nsaid_new_users"].read_text("utf-8"))


@pytest.fixture
def counter(wb: Workbench) -> Iterator[LiveCounter]:
    """A counter on the demonstration's release."""
    made = LiveCounter(wb)
    yield made
    made.close()


def worded(change: Callable[[dict[str, Any]], None], title: str = "worded") -> Definition:
    """The shipped definition after a change."""
    document = json.loads(json.dumps(NSAID))
    change(document)
    return read_definition(json.dumps(document), name=title)


def born_before(year: int) -> Callable[[dict[str, Any]], None]:
    """Add a rule that takes the few persons born later out: age at the index day, as years go by."""

    def change(document: dict[str, Any]) -> None:
        document["InclusionRules"] = [*document.get("InclusionRules", []), {
            "name": "age",
            "expression": {"Type": "ALL", "CriteriaList": [], "Groups": [],
                           "DemographicCriteriaList": [{"Age": {"Value": year, "Op": "gt"}}]},
        }]  # fmt: skip

    return change


def test_the_same_persons_in_other_words_have_the_same_number(
    researcher: Actor, scientist: Actor, counter: LiveCounter
) -> None:
    first = counter.count(researcher, worded(lambda _: None))
    again = [counter.count(who, worded(born_before(-at - 1), f"w{at}")) for at in range(3) for who in (scientist,)]
    assert {(steps[-1].persons, steps[-1].events) for steps in again} == {(first[-1].persons, first[-1].events)}


def unchanged(document: dict[str, Any], at: int) -> None:
    """Write the same cohort in other words: rules that nobody fails, an outer group, other names, another order."""
    everybody = {"Type": "ALL", "CriteriaList": [], "Groups": [],
                 "DemographicCriteriaList": [{"Age": {"Value": -1 - at % 5, "Op": "gt"}}]}  # fmt: skip
    nested = {
        "Type": "ANY" if at % 2 else "ALL",
        "CriteriaList": [],
        "DemographicCriteriaList": [],
        "Groups": [everybody],
    }
    rules = [{"name": f"w{at}", "expression": nested if at % 3 else everybody}] * (1 + at % 2)
    document["InclusionRules"] = [*document.get("InclusionRules", []), *rules]
    document["ConceptSets"] = document["ConceptSets"][:: -1 if at % 2 else 1]
    document["Title"] = f"worded {at}"


@pytest.mark.parametrize("times", [40, pytest.param(500, marks=pytest.mark.long)])
def test_asked_again_and_reworded_it_is_one_number_everywhere(
    wb: Workbench, researcher: Actor, scientist: Actor, counter: LiveCounter, tmp_path: Path, times: int
) -> None:
    """While editing, as the attrition of a kept version, by the command line, and in the workspace's own list."""
    wordings = [worded(partial(unchanged, at=at), f"again_{at}") for at in range(20)]
    assert len({each.digest for each in wordings}) == 20
    told = {
        (steps[-1].persons, steps[-1].events)
        for at in range(times)
        for steps in [counter.count((researcher, scientist)[at % 2], wordings[at % 20])]
    }
    assert len(told) == 1
    ((persons, _),) = told
    made = cohorts.generate(wb, researcher, {each.name: each for each in wordings[:3]})
    assert {(view.persons, view.attrition[-1].persons) for view in made} == {(persons, persons)}
    assert {view.persons for view in cohorts.list_cohorts(wb, scientist) if view.name.startswith("again_")} == {persons}
    said: set[str] = set()
    for each in wordings[3:6]:
        (tmp_path / "worded.json").write_text(write_definition(each), "utf-8")
        home = ["--home", str(wb.settings.home), "--as", "researcher"]
        for verb in ("count", "attrition"):
            said.add(workbench("cohort", verb, str(tmp_path / "worded.json"), *home, cwd=tmp_path).stdout)
    assert all(persons.text_en in text for text in said), said


def test_a_few_persons_fewer_are_not_told(wb: Workbench, researcher: Actor, counter: LiveCounter) -> None:
    true: dict[int, int] = {}
    told: dict[int, Step] = {}
    for age in (0, *range(30, 46)):
        made = worded(born_before(age))
        steps = counter.count(researcher, made)
        true[age], told[age] = _true(wb, researcher, counter, made), steps[-1]
    near = [age for age in true if 0 < true[0] - true[age] <= 10]
    assert near, "the test needs such ages"
    assert {told[age].persons for age in near} == {told[0].persons}
    assert {told[age].events for age in near} == {told[0].events}
    assert len({cohort.persons for cohort in told.values()}) > 1, "larger differences are told"


def test_generating_gives_what_counting_gave_and_lists_it_for_ever(
    settings: Settings, wb: Workbench, researcher: Actor, officer: Actor, counter: LiveCounter
) -> None:
    wide = worded(lambda _: None)
    counter.count(researcher, wide)
    narrower = [worded(born_before(age), "near") for age in range(30, 46)]
    near = next(each for each in narrower if 0 < _fewer(wb, researcher, counter, each) <= 10)
    counted = counter.count(researcher, near)
    (made,) = cohorts.generate(wb, researcher, {"near": near})
    assert made.attrition == counted
    assert made.persons == counter.count(researcher, wide)[-1].persons
    (later,) = [each for each in cohorts.list_cohorts(open_workbench(settings), officer) if each.id == made.id]
    assert later.attrition == made.attrition


def _true(wb: Workbench, actor: Actor, counter: LiveCounter, made: Definition) -> int:
    with acting(wb, actor, "cohort.count"):
        return int(counter._ask(current_release(wb), made)[-1]["persons"])


def _fewer(wb: Workbench, actor: Actor, counter: LiveCounter, made: Definition) -> int:
    return _true(wb, actor, counter, worded(lambda _: None)) - _true(wb, actor, counter, made)


def test_the_log_says_how_many_numbers_were_repeated_and_none_of_them(
    wb: Workbench, researcher: Actor, counter: LiveCounter
) -> None:
    counter.count(researcher, worded(born_before(0)))
    counter.count(researcher, worded(born_before(-3)))
    with wb.store.read() as connection:
        log = [each for each in audit.entries(connection) if each.verb == "cohort.count"]
    assert [set(each.payload or {}) for each in log] == [{"new", "near"}] * 2
    assert log[-1].payload == {"new": 0, "near": 0}, "the same persons in other words"


def test_steps_of_a_funnel_only_lose() -> None:
    rows: list[numbers.Row] = [(100, 300, None), (None, None, 40), (105, 120, 110), (95, 130, 100), (None, None, None)]
    assert [row[:2] for row in numbers.funnel(rows)] == [(105, 300), (105, 130), (105, 130), (95, 130), (None, None)]
    assert [row[2] for row in numbers.funnel(rows)] == [None, 40, 110, 100, None]


def test_an_erasure_is_no_difference_of_one_person(
    settings: Settings, wb: Workbench, researcher: Actor, officer: Actor, counter: LiveCounter
) -> None:
    before = counter.count(researcher, worded(lambda _: None))
    with acting(wb, researcher, "cohort.count"):
        release = current_release(wb)
    (kept,) = [each for each in cohorts.list_cohorts(wb, researcher) if each.name == "nsaid_new_users"]
    with acting(wb, researcher, "cohort.count"):
        rows = cohorts.rows_of(wb, kept.digest)
    counter.close()
    erasures.add(wb, officer, rows["subject_id"].unique().to_pylist()[:3])
    with acting(wb, researcher, "cohort.count"):
        assert current_release(wb).id != release.id
    after = counter.count(researcher, worded(lambda _: None))
    assert [step.persons for step in after] == [step.persons for step in before]
    folders = [each.name for each in settings.disclosure.iterdir()]
    assert folders == [release.id], "one memory, under the release that was loaded"


def test_the_memory_is_nobody_elses(settings: Settings, wb: Workbench) -> None:
    (folder,) = settings.disclosure.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(each.stat().st_mode) & 0o077 == 0 for each in folder.iterdir())
