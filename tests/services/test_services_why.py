"""Why a single person is in a cohort, in a home: inside an extract by pseudonym, nowhere else, and written down."""

from __future__ import annotations

import pytest

from tests.services.test_governed_path import denied
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.services import extracts
from workbench.services.context import Workbench
from workbench.services.why import why_in_extract, why_outside


@pytest.fixture
def opened(wb: Workbench, researcher: Actor) -> tuple[str, list[dict[str, int]]]:
    """The demonstration's extract, and the first persons of its cohort table."""
    extract = extracts.list_extracts(wb, researcher)[0].id
    _, tables, _ = extracts.open_tables(wb, researcher, extract)
    return extract, tables["cohort"].head(3).to_dicts()


def test_days_from_the_index_as_the_extract_has_them(
    wb: Workbench, scientist: Actor, opened: tuple[str, list[dict[str, int]]]
) -> None:
    extract, people = opened
    for person in people:
        told = why_in_extract(wb, scientist, extract, person["person_id"])
        assert told.anchor is None
        assert told.periods == ((0, person["end_day"]),)
        entry = told.entries[0]
        assert (entry.day, entry.verdict) == (0, "kept")
        assert entry.observed_before == -person["observation_start_day"]
        assert entry.observed_after == person["observation_end_day"]
        assert told.events_with_codes is None
    with wb.store.read() as connection:
        log = [e for e in audit.entries(connection) if e.verb == "cohort.why"]
    assert [(entry.actor, entry.subject, entry.outcome) for entry in log] == [("datascientist", extract, "done")] * 3
    assert not any(str(person["person_id"]) in repr(log) for person in people)


def test_who_is_refused(
    wb: Workbench, researcher: Actor, officer: Actor, steward: Actor, opened: tuple[str, list[dict[str, int]]]
) -> None:
    extract, people = opened
    someone = people[0]["person_id"]
    for actor in (officer, steward):
        with pytest.raises(Refused) as error:
            why_in_extract(wb, actor, extract, someone)
        assert error.value.code == "governance.not_allowed"
    with pytest.raises(Refused) as error:
        why_in_extract(wb, researcher, extract, someone + 1)
    assert error.value.code == "services.why_no_person"
    assert error.value.facts == {"extract": extract}
    with pytest.raises(Refused) as error:
        why_outside(wb, researcher)
    assert error.value.code == "services.why_outside"
    assert ("researcher", "cohort.why", "services.why_outside") in denied(wb)


def test_a_revoked_extract_explains_nobody(
    wb: Workbench, researcher: Actor, officer: Actor, opened: tuple[str, list[dict[str, int]]]
) -> None:
    extract, people = opened
    extracts.revoke(wb, officer, extract, "no longer needed")
    with pytest.raises(Refused) as error:
        why_in_extract(wb, researcher, extract, people[0]["person_id"])
    assert error.value.code == "services.extract_closed"
