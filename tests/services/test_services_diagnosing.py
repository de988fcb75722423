"""Diagnostics in a home: made by those who study, kept beside the rows, and never a number of 1 to 10 persons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.governance.test_suppression import told
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.disclosure import Shown
from workbench.kernel.errors import Refused
from workbench.services import cohorts
from workbench.services.context import Workbench
from workbench.services.diagnosing import DiagnosticsView, Row, diagnose_cohort, diagnostics_of, exact

NAME = "gi_bleed"


def rows(view: DiagnosticsView) -> Iterator[Row]:
    for each in fields(view):
        value: Any = getattr(view, each.name)
        if isinstance(value, Row):
            yield value
        elif each.name == "orphans":
            yield from (row for listed in value.values() for row in listed)
        elif each.name not in ("rules", "questions"):
            yield from value


def test_made_kept_and_governed(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    assert diagnostics_of(wb, researcher, NAME) is None
    made = diagnose_cohort(wb, researcher, NAME)
    assert diagnostics_of(wb, officer, NAME) == made
    shown = cohorts.show_cohort(wb, researcher, NAME)
    assert made.total.persons == shown.persons
    for row in rows(made):
        for number in (row.persons, row.events):
            assert number.value is None or (number.value >= 15 and number.value % 5 == 0)
        assert row.persons.value is not None or row.events.value is None
    for listed in (made.sites, made.codes, made.reasons, *made.orphans.values()):
        assert all(row.persons.value is not None for row in listed)
    with wb.store.read() as connection:
        log = [entry for entry in audit.entries(connection) if entry.verb == "cohort.diagnose"]
    assert [(entry.actor, entry.subject) for entry in log] == [("researcher", shown.id)]


def test_hidden_and_empty_look_alike(wb: Workbench, researcher: Actor) -> None:
    made = diagnose_cohort(wb, researcher, NAME)
    kept = json.loads(_file(wb, researcher).read_text("utf-8"))["body"]
    counts = {row["year"]: row["count"]["persons"] for row in kept["years"]}
    years = [row.what["year"] for row in made.years]
    assert years == list(range(years[0], years[-1] + 1))
    hidden = {row.persons for row in made.years if counts.get(row.what["year"], 0) < 11}
    assert len(hidden) == 1
    assert len(made.people) == 20
    assert [row.persons.value for row in made.people[:2]] == [None, None]


def test_a_linear_program_tells_no_hidden_number_from_its_table(wb: Workbench, researcher: Actor) -> None:
    made = diagnose_cohort(wb, researcher, NAME)
    cells = [row.persons for row in (made.total, *made.people)]
    values = [number.value for number in cells]
    masked = [at for at, number in enumerate(cells) if number.value is None and not number.withheld]
    gone = frozenset(at for at, number in enumerate(cells) if number.withheld)
    assert masked
    for place in masked:
        low, high = told((values, [-1, *(0 for _ in made.people)]), gone, place, persons=True)
        assert low <= 1e-6
        assert high >= 10 - 1e-6


def _file(wb: Workbench, actor: Actor) -> Path:
    view = cohorts.show_cohort(wb, actor, NAME)
    return wb.settings.cache / view.release / "cohorts" / f"{view.id}.diagnostics.json"


def test_a_damaged_file_is_no_diagnostics(wb: Workbench, researcher: Actor) -> None:
    diagnose_cohort(wb, researcher, NAME)
    file = _file(wb, researcher)
    text = file.read_text("utf-8")
    for damaged in (text.replace('"persons": 4', '"persons": 5'), text[:-9], "[]", ""):
        assert damaged != text
        file.write_text(damaged, "utf-8")
        assert diagnostics_of(wb, researcher, NAME) is None
    file.write_text(text, "utf-8")
    assert diagnostics_of(wb, researcher, NAME) is not None


def test_who_may(wb: Workbench, officer: Actor, steward: Actor, researcher: Actor) -> None:
    for actor in (officer, steward):
        with pytest.raises(Refused) as error:
            diagnose_cohort(wb, actor, NAME)
        assert error.value.code == "governance.not_allowed"
    with pytest.raises(Refused) as error:
        diagnose_cohort(wb, researcher, "no_such_cohort")
    assert error.value.code == "store.no_document"


def test_own_numbers_are_exact() -> None:
    assert exact(3) == Shown(3, "3", "3")
    assert exact(12345) == Shown(12345, "12\u202f345", "12,345")
