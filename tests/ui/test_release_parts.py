"""What a release holds, as the data page words it: a number that is too small to show is hidden, never an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.services.test_release_view import NOTES
from workbench.kernel.settings import load_settings
from workbench.services import people, releases
from workbench.services.context import open_workbench
from workbench.ui import state
from workbench.ui.parts import release as parts
from workbench.ui.parts import words


@pytest.fixture(params=["fr", "en"])
def view(demo_home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> releases.ReleaseView:
    """The demonstration's release, as a researcher sees it in each language."""
    for module in (state, parts, words):
        monkeypatch.setattr(module, "lang", lambda: request.param)
    wb = open_workbench(load_settings(demo_home, {}))
    (found,) = releases.list_releases(wb, people.actor_named(wb, "researcher"))
    wb.close()
    return found


def test_changes_too_small_to_show_are_hidden(view: releases.ReleaseView) -> None:
    tables = [{**each, "added": None} for each in NOTES["tables"]]
    hidden = {**NOTES, "tables": tables, "persons": {**NOTES["persons"], "added": None}}
    said = "".join(map(str, parts.changes(replace(view, changes=hidden))))
    assert said.count(words.counted(None)) == len(tables) + 1
    assert "None" not in said
    nothing = "".join(map(str, parts.changes(replace(view, changes={**hidden, "tables": []}))))
    assert NOTES["parent"][:12] in nothing


def test_rows_set_aside_too_few_to_show_are_hidden(view: releases.ReleaseView) -> None:
    reading = {"name": "death", "reasons": [{"column": "*", "reason": "nobody", "rows": None}]}
    intake = {"tables": [reading], "notices": [{"code": "after_release", "table": "death", "rows": None, "of": None,
                                                "released": "2020-01-01"}]}  # fmt: skip
    small = replace(view, intake=intake)
    assert words.counted(None) in "".join(map(str, parts.set_aside(small)))
    assert "None" not in "".join(map(str, parts.notices(small)))


def test_sources_are_named_once_by_kind(view: releases.ReleaseView) -> None:
    sources = [{"kind": "csv", "name": "a.csv"}, {"kind": "csv", "name": "b.csv"}, {"kind": "release", "name": "x"}]
    assert parts.sources(replace(view, sources=sources)) == "csv : a.csv, b.csv · release : x"
