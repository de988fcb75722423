"""The timeline of a definition: well-formed, read aloud in full, and where the windows are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.conftest import BLEED, definition
from workbench.cohorts.circe import read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.draw import draw
from workbench.cohorts.draw_rows import Row, rows
from workbench.cohorts.draw_text import lines_of, width_of
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
    assert name in (named[root.get("aria-labelledby")] or "")
    assert named[root.get("aria-describedby")] == describe(asked, lang)


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


def drawn(lang: Lang = "en", **members: Any) -> list[Row]:
    return rows(read_definition(definition(BLEED, **members)).plan, lang)


def match(low: int | None, high: int | None, kind: int = 2, count: int = 1, **more: Any) -> dict[str, Any]:
    def edge(days: int | None, open_side: int) -> dict[str, Any]:
        if days is None:
            return {"Days": None, "Coeff": open_side}
        return {"Days": abs(days), "Coeff": 1 if days > 0 else -1}

    window = {"Start": edge(low, -1), "End": edge(high, 1)}
    return {"Criteria": BLEED, "StartWindow": window, "Occurrence": {"Type": kind, "Count": count}, **more}


WINDOWS = [
    (match(-365, -1), "day −365 to day −1", "day"),
    (match(None, 7), "up to day +7", "up to"),
    (match(30, None), "from day +30 on", "from"),
    (match(3, 3), "day +3", "day"),
    (match(None, None), "at any time while observed", "at any time"),
    (match(None, None, IgnoreObservationPeriod=True), "at any time, observed or not", "at any time"),
    (
        match(0, 9, EndWindow=match(None, 20)["StartWindow"]),
        "start day 0 to day +9; end up to day +20",
        "start",
    ),
    (
        {**match(1, 9), "StartWindow": {**match(1, 9)["StartWindow"], "UseIndexEnd": True}},
        "from the end of entry: day +1 to day +9",
        "from the end",
    ),
]


@pytest.mark.parametrize(("asked", "when", "_word"), WINDOWS)
def test_windows_in_short_words(asked: dict[str, Any], when: str, _word: str) -> None:
    rule = {"name": "r", "expression": {"Type": "ALL", "CriteriaList": [asked]}}
    found = next(row for row in drawn(InclusionRules=[rule]) if row.heading == "r")
    assert found.when == when
    assert found.words == "at least one diagnosis of “set 0”"


@pytest.mark.parametrize(
    ("kind", "count", "mark", "drawn_as"),
    [
        (2, 1, "", "asked"),
        (2, 3, "≥ 3", "asked"),
        (0, 2, "= 2", "asked"),
        (0, 0, "0", "barred"),
        (1, 2, "≤ 2", "barred"),
    ],
)
def test_how_many_is_told_without_colour(kind: int, count: int, mark: str, drawn_as: str) -> None:
    rule = {"name": "r", "expression": {"Type": "ALL", "CriteriaList": [match(-9, -1, kind, count)]}}
    bar = next(row for row in drawn(InclusionRules=[rule]) if row.heading == "r").bars[0]
    assert (bar.mark, bar.kind, bar.low, bar.high) == (mark, drawn_as, -9, -1)


def test_groups_contexts_limits_and_ends() -> None:
    inner = {"Type": "ALL", "CriteriaList": [match(-30, 30)]}
    nested = {**match(-9, -1), "Criteria": {"ConditionOccurrence": {"CodesetId": 0, "CorrelatedCriteria": inner}}}
    group = {
        "Type": "AT_LEAST",
        "Count": 2,
        "CriteriaList": [nested, match(0, 0)],
        "DemographicCriteriaList": [{"Age": {"Value": 18, "Op": "gte"}}],
    }
    found = drawn(
        InclusionRules=[{"name": "r", "expression": group}],
        ExpressionLimit={"Type": "First"},
        EndStrategy={"CustomEra": {"DrugCodesetId": 0, "GapDays": 30, "Offset": 0}},
        CensoringCriteria=[{"Death": {}}],
        CollapseSettings={"CollapseType": "ERA", "EraPad": 90},
        CensorWindow={"StartDate": "2010-01-01"},
    )
    told = [(row.heading, row.words, row.depth, [bar.kind for bar in row.bars]) for row in found]
    assert told == [
        ("Entry", "a diagnosis of “set 0”", 0, ["entry"]),
        ("r", "at least 2 of these:", 0, []),
        ("", "at least one diagnosis of “set 0”", 1, ["asked"]),
        ("", told[3][1], 2, []),
        ("", "at least one diagnosis of “set 0”", 1, ["asked"]),
        ("", told[5][1], 1, ["person"]),
        ("Limit", "only the first such entry of each patient counts", 0, []),
        ("In the cohort", told[7][1], 0, ["cohort_era"]),
        ("", "early exit: a death", 1, ["censor"]),
        ("", "periods up to 90 days apart are joined", 1, []),
        ("", "calendar window: 1 January 2010 → …", 1, []),
    ]
    assert "from 30 days before to 30 days after that event" in told[3][1]
    assert "continuous exposure" in told[7][1]


def test_many_entry_events_share_a_row() -> None:
    text = definition(*[BLEED] * 3, {"Death": {}}, {"VisitOccurrence": {}})
    found = rows(read_definition(text).plan, "fr")
    assert found[0].words.startswith("l’un de 5 événements : un diagnostic de « set 0 »")
    assert [row.heading for row in found] == ["Entrée", "Dans la cohorte"]


@pytest.mark.parametrize("lang", LANGS)
def test_lines_fit_and_only_the_last_is_cut(lang: Lang) -> None:
    words = "un diagnostic de « Thrombose  veineuse, toutes localisations » (âge : 18) ; et la suite"
    found = lines_of(words, 120, 12, 9)
    assert " ".join(found).replace("\u00a0", " ") == " ".join(words.split())
    assert all(width_of(line, 12) <= 120 for line in found)
    assert not any(line.startswith(("»", ":", ";")) or line.endswith("«") for line in found)
    cut = lines_of(words, 120, 12, 2)
    assert len(cut) == 2
    assert cut[1].endswith(" …")
    assert width_of(cut[1], 12) <= 120
    assert "".join(lines_of("x" * 90, 120, 12, 9)) == "x" * 90
    assert lines_of("", 120, 12, 2) == []


def test_every_definition_of_the_library_can_be_drawn(shared: Path) -> None:
    """Well-formed; no tick label on another; every text inside the picture; nothing asked of the outside."""
    files = sorted((shared / "data/circe/phenotype_library").glob("*.json"))[::25]
    files += sorted((shared / "data/circe").glob("fuzz_0*/definitions/*.json"))[::10]
    for file in files:
        svg = draw(read_definition(file), "fr")
        root = ET.fromstring(svg)
        height = float((root.get("viewBox") or "").split()[3])
        texts = list(root.iter(f"{SVG}text"))
        assert all(0 < float(each.get("y", 0)) < height for each in texts), file.name
        ticks = sorted(float(each.get("x", 0)) for each in texts if each.get("y") == "44.0" and each.get("x") != "8.0")
        assert all(right - left > 12 for left, right in pairwise(ticks)), file.name
        assert not re.search(r"href|url\(|<script|<image", svg), file.name
