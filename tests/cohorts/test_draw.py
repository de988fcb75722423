"""The timeline of a definition: well-formed, read aloud in full, and where the windows are."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cohorts.conftest import BLEED, definition
from workbench.cohorts.circe import read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.draw import draw
from workbench.cohorts.shipped import shipped
from workbench.kernel.text import LANGS, Lang

SVG = "{http://www.w3.org/2000/svg}"


def places(svg: str) -> list[tuple[float, float]]:
    """The left and right of each window that is drawn."""
    root = ET.fromstring(svg)
    rects = [rect for group in root.iter(f"{SVG}g") for rect in group.iter(f"{SVG}rect")]
    return [(float(rect.get("x", 0)), float(rect.get("x", 0)) + float(rect.get("width", 0))) for rect in rects]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", sorted(shipped()))
def test_title_and_description_say_it_all(name: str, lang: Lang) -> None:
    asked = read_definition(shipped()[name])
    root = ET.fromstring(draw(asked, lang))
    assert root.get("role") == "img"
    assert root.get("lang") == lang
    named = {each.get("id"): each.text for each in root}
    assert set((root.get("aria-labelledby") or "").split()) <= set(named)
    assert named["timeline-desc"] == describe(asked, lang)


def test_windows_stand_in_the_order_of_their_days() -> None:
    edges = {"Start": {"Days": 365, "Coeff": -1}, "End": {"Days": 7, "Coeff": -1}}
    match = {"Criteria": BLEED, "StartWindow": edges, "Occurrence": {"Type": 2, "Count": 1}}
    after = {**match, "StartWindow": {"Start": {"Days": 30, "Coeff": 1}, "End": {"Coeff": 1}}}
    group = {"Type": "ALL", "CriteriaList": [match, {**after, "Occurrence": {"Type": 0, "Count": 0}}]}
    offset = {"DateOffset": {"DateField": "StartDate", "Offset": 90}}
    text = definition(BLEED, InclusionRules=[{"name": "<r>", "expression": group}], EndStrategy=offset)
    svg = draw(read_definition(text), "en")
    asked, barred, cohort = places(svg)
    zero = cohort[0]
    assert asked[0] < asked[1] < zero < barred[0] < barred[1]
    assert cohort[1] < barred[1]
    assert "&lt;r&gt;" in svg
    assert svg == draw(read_definition(text), "en")


def test_every_definition_of_the_library_can_be_drawn(shared: Path) -> None:
    files = sorted((shared / "data/circe/phenotype_library").glob("*.json"))[::25]
    files += sorted((shared / "data/circe").glob("fuzz_0*/definitions/*.json"))[::10]
    for file in files:
        ET.fromstring(draw(read_definition(file), "fr"))
