"""Counts while editing: what generating would show, logged, governed, and never from the process of the app."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.shipped import shipped
from workbench.governance.actors import Actor
from workbench.kernel.errors import InvalidInput, Refused, Stopped, Unavailable
from workbench.services import auditing, cohorts, erasures, holding
from workbench.services.context import Workbench
from workbench.services.counting import LiveCounter


@pytest.fixture
def counter(wb: Workbench) -> Iterator[LiveCounter]:
    """A counter on the demonstration's release."""
    made = LiveCounter(wb)
    yield made
    made.close()


@pytest.fixture
def nsaid() -> Definition:
    """A shipped definition."""
    return read_definition(shipped()["nsaid_new_users"])


def test_a_count_is_what_generating_shows(
    wb: Workbench, researcher: Actor, counter: LiveCounter, nsaid: Definition
) -> None:
    before = len(cohorts.list_cohorts(wb, researcher))
    counted = counter.count(researcher, nsaid)
    assert len(cohorts.list_cohorts(wb, researcher)) == before, "nothing is kept"
    (made,) = cohorts.generate(wb, researcher, {nsaid.name: nsaid})
    assert counted == made.attrition


def test_each_count_is_in_the_log_without_its_number(
    wb: Workbench, researcher: Actor, officer: Actor, counter: LiveCounter, nsaid: Definition
) -> None:
    counter.count(researcher, nsaid)
    entry = next(entry for entry in auditing.log(wb, officer) if entry.verb == "cohort.count")
    assert (entry.actor, entry.subject) == ("researcher", nsaid.digest)
    assert entry.before


def test_who_may_not_generate_may_not_count(officer: Actor, counter: LiveCounter, nsaid: Definition) -> None:
    with pytest.raises(Refused, match="not_allowed"):
        counter.count(officer, nsaid)


def test_a_definition_that_cannot_run_is_named_and_the_next_one_counts(
    researcher: Actor, counter: LiveCounter, nsaid: Definition
) -> None:
    broken = json.loads(json.dumps(nsaid.document))
    broken["PrimaryCriteria"]["CriteriaList"] = [{"Nothing": {}}]
    with pytest.raises(InvalidInput, match="Nothing"):
        counter.count(researcher, replace(nsaid, document=broken))
    assert counter.count(researcher, nsaid)


def test_a_dead_process_is_told_and_replaced(researcher: Actor, counter: LiveCounter, nsaid: Definition) -> None:
    counter.count(researcher, nsaid)
    assert counter._process is not None
    counter._process.kill()
    counter._process.wait()
    assert counter.count(researcher, nsaid)
    process = counter._process
    threading.Timer(0.0, process.kill).start()
    time.sleep(0.2)
    process.poll = lambda: None  # type: ignore[method-assign]  # it died after it was looked at
    with pytest.raises(Unavailable, match="counter_lost"):
        counter.count(researcher, nsaid)
    assert counter.count(researcher, nsaid)


def test_a_count_can_be_stopped(researcher: Actor, counter: LiveCounter, nsaid: Definition) -> None:
    over = threading.Event()

    def keep_stopping() -> None:
        while not over.wait(0.2):
            counter.stop()

    stopping = threading.Thread(target=keep_stopping)
    stopping.start()
    try:
        with pytest.raises(Stopped):
            for_ever(lambda: counter.count(researcher, nsaid))
    finally:
        over.set()
        stopping.join()
    assert counter.count(researcher, nsaid)


def for_ever(count: Callable[[], object]) -> None:
    """Count until something is raised."""
    while True:
        count()


def test_the_process_ends_with_who_asked(researcher: Actor, counter: LiveCounter, nsaid: Definition) -> None:
    counter.count(researcher, nsaid)
    process = counter._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_an_app_that_waits_for_its_user_holds_no_release_and_forgets_an_erased_one(
    wb: Workbench, researcher: Actor, officer: Actor, counter: LiveCounter, nsaid: Definition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(holding, "PATIENCE", 0.0)
    before = counter.count(researcher, nsaid)
    process = counter._process
    assert process is not None
    person = cohorts.rows_of(wb, cohorts.show_cohort(wb, researcher, nsaid.name).digest)["subject_id"][0].as_py()
    assert erasures.add(wb, officer, [person]).state == "done"
    assert process.wait(timeout=20) == 0, "what it had read is gone with it"
    assert [step.persons for step in counter.count(researcher, nsaid)] == [step.persons for step in before]
