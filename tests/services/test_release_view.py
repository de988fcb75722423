"""Numbers of rows and persons in a release: exact for who loads it, governed for everybody else."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from workbench.governance.actors import Actor
from workbench.governance.disclosure import shown
from workbench.repository.cdm import TABLES
from workbench.services import releases
from workbench.services.context import Workbench
from workbench.services.release_view import COUNTS, view_of
from workbench.store import documents
from workbench.store.documents import Document

NOTES = {
    "parent": "0" * 64,
    "persons": {"before": 200, "after": 203, "added": 3, "removed": 0, "changed": 40},
    "tables": [{"name": "death", "before": 12, "after": 15, "added": 3, "removed": 0, "changed": 0},
               {"name": "concept", "before": 7, "after": 9, "added": 2, "removed": 0, "changed": 0}],
    "concepts": {"before": 5, "after": 6, "added": 1, "removed": 0},
}  # fmt: skip


def document(wb: Workbench, **tables: tuple[int, int]) -> Document:
    """Return the demonstration's release with other tables: name → rows and persons; named as a vocabulary's table is,
    which must not make its numbers exact."""
    with wb.store.read() as connection:
        (known,) = documents.every(connection, "release")
    listed = [{**known.body["tables"][0], "name": name, "rows": rows} for name, (rows, _) in tables.items()]
    records = [{"table": name, "rows": rows, "persons": persons, "unmapped": 1}
               for name, (rows, persons) in tables.items() if TABLES[name].record]  # fmt: skip
    checks = [{"table": name, "column": "x", "check": "required", "rows": rows, "failed": 3, "status": "failed"}
              for name, (rows, _) in tables.items()]  # fmt: skip
    quality = {**known.body["quality"], "records": records, "checks": checks}
    body = {**known.body, "name": "concept", "tables": listed, "quality": quality}
    return Document(**{**{name: getattr(known, name) for name in known.__dataclass_fields__}, "body": body})


def test_a_steward_sees_exact_rows_and_others_governed_ones(
    wb: Workbench, steward: Actor, researcher: Actor, officer: Actor, scientist: Actor
) -> None:
    (exact,) = releases.list_releases(wb, steward)
    assert exact.rows["person"] == 2694
    for actor in (researcher, officer, scientist):
        (view,) = releases.list_releases(wb, actor)
        assert view.rows["person"] == 2695
        assert view.rows["death"] == 0
        assert view.rows["concept"] == exact.rows["concept"] == 442
        assert view.quality["summary"] == exact.quality["summary"]
        assert all(number % 5 == 0 for number in _numbers(asdict(view)))


def test_small_numbers_are_hidden_wherever_they_stand(wb: Workbench) -> None:
    found = document(wb, person=(300, 300), death=(4, 4), specimen=(500, 7), measurement=(812, 40), concept=(8, 0))
    view = view_of(found, None, NOTES, exact=False)
    assert view.rows == {"person": 300, "death": None, "specimen": None, "measurement": 810, "concept": 8}
    hidden = {check["table"]: (check["rows"], check["failed"]) for check in view.quality["checks"]}
    assert hidden == {"person": (300, None), "death": (None, None), "specimen": (None, None),
                      "measurement": (810, None), "concept": (8, 3)}  # fmt: skip
    assert view.quality["summary"] == found.body["quality"]["summary"]
    assert view.changes is not None
    death, concept = view.changes["tables"]
    assert [death[part] for part in ("before", "after", "added", "removed")] == [None, None, None, 0]
    assert concept["added"] == 2
    assert view.changes["persons"] == {"before": 200, "after": 205, "added": None, "removed": 0, "changed": 40}


def test_who_came_and_went_is_governed_for_the_steward_too(wb: Workbench) -> None:
    view = view_of(document(wb, person=(300, 300), death=(4, 4)), None, NOTES, exact=True)
    assert view.rows == {"person": 300, "death": 4}
    assert view.changes is not None
    assert view.changes["persons"]["added"] is None


@pytest.mark.parametrize("count", [0, 1, 10, 11, 12, 13, 4321])
def test_numbers_are_those_that_disclosure_shows(wb: Workbench, count: int) -> None:
    view = view_of(document(wb, person=(count, count)), None, None, exact=False)
    assert view.rows["person"] == (shown(count).value if count else 0)


def _numbers(value: Any) -> list[int]:
    """Return every number of rows or persons of a view but those of tables without persons."""
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    if not isinstance(value, dict):
        return []
    table = TABLES.get(str(value.get("table", value.get("name", ""))))
    if table is not None and not table.has_person:
        return []
    mine = [each for name, each in value.items() if name in COUNTS and isinstance(each, int)]
    inner = [each for name, each in value.items() if name not in {"summary", "rows"} or not isinstance(each, dict)]
    return mine + [number for each in inner for number in _numbers(each)]
