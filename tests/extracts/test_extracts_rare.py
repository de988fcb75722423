"""Rare values: nothing that fewer than 11 delivered persons have is delivered, by rules written out here, case by case,
and by whatever data can be drawn; the second pass finds what a first one forgets."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_release import Case, Papers, build, secrets, write_release

from workbench.extracts import package, rare
from workbench.extracts.coarsen import Band, Holders, as_one, bands, roll_up
from workbench.extracts.inspect import inspect_extract, truth
from workbench.extracts.read import read_manifest, read_table, read_tables
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.protocols import check_protocol
from workbench.governance.pseudonyms import Pseudonyms
from workbench.governance.sealed import write_sealed
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.text import LANGS, say

INDEX, FIRST, LAST = date(2015, 6, 1), date(2010, 1, 1), date(2019, 12, 31)
TABLE, VISITS = "condition_occurrence", "visit_occurrence"
Who = Sequence[int]

# -- the rules by themselves

ABOVE = {
    1: {10: 1, 100: 2},
    2: {10: 1, 100: 2},
    3: {11: 1, 100: 2},
    4: {11: 1, 100: 2},
    5: {12: 1, 13: 1},
    10: {100: 1},
    11: {100: 1},
}
"""100 > 10 > 1, 2; 100 > 11 > 3, 4; 5 lies below 12 and 13, equally near."""

ROLLED: list[tuple[str, dict[int, Who], list[int], dict[int, int]]] = [
    ("nothing is rare", {}, [1], {}),
    ("no ancestor has enough", {1: range(3), 2: range(3, 6)}, [], {}),
    ("two leaves are enough together", {1: range(6), 2: range(5, 11)}, [], {1: 10, 2: 10}),
    ("the same persons do not count twice", {1: range(10), 2: range(10)}, [], {}),
    ("one ancestor above what is enough nearer", {1: range(6), 2: range(6, 12), 3: range(3)}, [], {1: 10, 2: 10}),
    ("all together higher up", {1: range(4), 2: range(4, 8), 3: range(8, 12)}, [], {1: 100, 2: 100, 3: 100}),
    ("an ancestor that enough persons have", {1: [7]}, [10], {1: 10}),
    ("the nearest one, not the more common", {3: [7]}, [100], {3: 100}),
    ("an ancestor that is rare itself counts its own", {10: range(5), 1: range(5, 11)}, [], {10: 10, 1: 10}),
    ("a few more of its own", {1: range(11, 14), 10: range(9), 2: [30]}, [], {1: 10, 10: 10, 2: 10}),
    ("of equally near ones the smallest id", {5: [1]}, [12, 13], {5: 12}),
]  # fmt: skip


def above(of: Mapping[int, Mapping[int, int]] = ABOVE) -> pl.DataFrame:
    rows = [(each, ancestor, level) for each, higher in of.items() for ancestor, level in higher.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(("concept", "ancestor", "level"), pl.Int64), orient="row")


def pairs(who: Mapping[int, Who]) -> pl.DataFrame:
    rows = [(person, concept) for concept, persons in who.items() for person in persons]
    return pl.DataFrame(rows, schema={"person": pl.Int64, "concept": pl.Int64}, orient="row")


@pytest.mark.parametrize(("name", "who", "common", "into"), ROLLED)
def test_a_rare_concept_becomes_its_nearest_ancestor(
    name: str, who: dict[int, Who], common: list[int], into: dict[int, int]
) -> None:
    assert roll_up(pairs(who), pl.Series(common, dtype=pl.Int64), above()) == into, name


def test_two_ancestors_that_need_each_others_concepts_do_not_stop_each_other() -> None:
    crossed = above({1: {10: 1, 20: 2}, 2: {10: 2, 20: 1}})
    who = {1: range(6), 2: range(6, 12)}
    assert roll_up(pairs(who), pl.Series([], dtype=pl.Int64), crossed) == {1: 10, 2: 10}


@settings(deadline=None, max_examples=150)
@given(
    who=st.dictionaries(st.integers(1, 12), st.sets(st.integers(0, 30), min_size=1, max_size=10), max_size=10),
    common=st.sets(st.integers(13, 20)),
    links=st.dictionaries(st.tuples(st.integers(1, 12), st.integers(1, 20)), st.integers(1, 4), max_size=40),
)
def test_whatever_is_chosen_is_an_ancestor_and_has_persons_enough(
    who: dict[int, set[int]], common: set[int], links: dict[tuple[int, int], int]
) -> None:
    tree: dict[int, dict[int, int]] = defaultdict(dict)
    for (concept, ancestor), level in links.items():
        if concept != ancestor:
            tree[concept][ancestor] = level
    rare_ones = {concept: sorted(persons) for concept, persons in who.items()}
    into = roll_up(pairs(rare_ones), pl.Series(sorted(common), dtype=pl.Int64), above(tree))
    gathered: dict[int, set[int]] = defaultdict(set)
    for concept, ancestor in into.items():
        assert ancestor == concept or ancestor in tree[concept]
        gathered[ancestor] |= who[concept]
    assert all(ancestor in common or len(persons) >= THRESHOLD for ancestor, persons in gathered.items())
    left = {concept: persons for concept, persons in who.items() if concept not in into}
    for concept in left:  # none could have been rolled up: no ancestor is common, or common by what was left
        for ancestor in tree[concept]:
            assert ancestor not in common | set(gathered)
            below = [each for each in left if each == ancestor or ancestor in tree[each]]
            assert len(set().union(*(left[each] for each in below))) < THRESHOLD


BANDS: list[tuple[str, dict[int, int], list[Band]]] = [
    ("nobody", {}, []),
    ("fewer than 11 in all", {40: 6, 41: 4}, []),
    ("each held by enough", {40: 11, 41: 30}, [Band(0, 40, 40), Band(41, 90, 41)]),
    ("one that is rare joins the next older", {40: 11, 41: 3, 42: 20}, [Band(0, 40, 40), Band(41, 90, 42)]),
    ("the oldest join the band before", {40: 11, 41: 20, 88: 2, 90: 8}, [Band(0, 40, 40), Band(41, 90, 41)]),
    ("the median of a band, the lower of two", {30: 4, 31: 2, 35: 6}, [Band(0, 90, 31)]),
    ("no gap between bands", {20: 11, 60: 11}, [Band(0, 20, 20), Band(21, 90, 60)]),
]


@pytest.mark.parametrize(("name", "held", "expected"), BANDS)
def test_rare_ages_stand_in_bands(name: str, held: dict[int, int], expected: list[Band]) -> None:
    ages = pl.Series("age", [age for age, persons in held.items() for _ in range(persons)] + [None], dtype=pl.Int32)
    assert bands(ages, 90) == expected, name


@settings(deadline=None)
@given(st.lists(st.integers(0, 90), max_size=200))
def test_bands_cover_every_age_once_and_hold_enough(ages: list[int]) -> None:
    made = bands(pl.Series("age", ages, dtype=pl.Int32), 90)
    assert bool(made) == (len(ages) >= THRESHOLD)
    covered = [age for band in made for age in range(band.low, band.high + 1)]
    assert covered == (list(range(91)) if made else [])
    for band in made:
        inside = sorted(age for age in ages if band.low <= age <= band.high)
        assert len(inside) >= THRESHOLD
        assert band.age == inside[(len(inside) - 1) // 2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 15)), max_size=300), st.integers(1, 50))
def test_who_has_a_code_is_counted_once_however_the_rows_come(rows: list[tuple[int, int]], part: int) -> None:
    codes, persons = (np.array([row[at] for row in rows], dtype=np.int32) for at in (0, 1))
    holders = Holders(7, exempt=[6])
    for start in range(0, len(rows), part):
        holders.add(codes[start : start + part], persons[start : start + part])
    truly = {code: {person for each, person in rows if each == code} for code in range(1, 6)}
    assert np.flatnonzero(holders.common).tolist() == [c for c, who in truly.items() if len(who) >= THRESHOLD]
    few = {(person, code) for code, who in truly.items() if len(who) < THRESHOLD for person in who}
    assert set(holders.rare.select("person", "code").iter_rows()) == few


SITES: list[tuple[str, dict[int, Who], list[set[int]]]] = [
    ("none is small", {1: range(11), 2: range(20)}, [{1}, {2}]),
    ("small ones together", {1: range(6), 2: range(6, 12), 3: range(30)}, [{1, 2}, {3}]),
    ("too few together: the smallest of the others joins", {1: [1], 2: range(30), 3: range(12)}, [{1, 3}, {2}]),
    ("too few in all: none", {1: range(5), 2: range(4, 9)}, []),
]


@pytest.mark.parametrize(("name", "who", "groups"), SITES)
def test_small_sites_are_one(name: str, who: dict[int, Who], groups: list[set[int]]) -> None:
    ids = np.array(sorted(who), dtype=np.int64)
    link = Pseudonyms(ids, ids * 1000, 0)
    holders, rows = Holders(ids.size + 1), np.zeros(ids.size + 1, dtype=np.int64)
    for place, each in enumerate(ids.tolist(), start=1):
        holders.add(np.full(len(who[each]), place), np.array(who[each]))
        rows[place] = len(who[each])
    made, _ = as_one(link, holders, rows)
    found: dict[int, set[int]] = defaultdict(set)
    for real, value in zip(made.ids.tolist(), made.values.tolist(), strict=True):
        found[value].add(real)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, groups)), name


# -- an extract as a whole

COLUMNS = {
    TABLE: ["condition_concept_id", "condition_source_concept_id", "condition_start_date",
            "condition_status_concept_id"],
    VISITS: ["visit_concept_id", "visit_start_date", "care_site_id", "provider_id"],
}  # fmt: skip
TREE = {(100, 101): 1, (100, 102): 1, (100, 103): 1, (101, 104): 1, (100, 104): 2, (500, 501): 1}
Event = tuple[int, int | None, int | None, int | None]
"""Person, and the concept of a condition, of its source, of its status."""
Stay = tuple[int, int | None, int | None]
"""Person, care site and provider of a stay."""


def release(folder: Path, born: Sequence[int], events: Sequence[Event], stays: Sequence[Stay] = ()) -> Case:
    """Write a release of persons 1, 2, … with their years of birth, whose conditions and stays are on the index day."""
    people = list(range(1, len(born) + 1))
    concepts = sorted({100, 101, 102, 103, 104, 500, 501, 900, 901, 0, 8507, 8532, 9201, 7, 8})
    whole = pl.Int64
    tables = {
        "person": pl.DataFrame(
            {"person_id": people, "year_of_birth": born, "gender_concept_id": [8507] * len(people)},
            schema_overrides={"year_of_birth": whole, "gender_concept_id": whole, "person_id": whole},
        ),
        "observation_period": pl.DataFrame(
            {
                "person_id": [*people, 9999],
                "observation_period_start_date": [FIRST] * (len(people) + 1),
                "observation_period_end_date": [LAST] * (len(people) + 1),
            }
        ),
        TABLE: pl.DataFrame(
            [(person, concept, source, INDEX, status) for person, concept, source, status in events],
            schema=dict(zip(["person_id", *COLUMNS[TABLE]], [whole, whole, whole, pl.Date, whole], strict=True)),
            orient="row",
        ),
        VISITS: pl.DataFrame(
            [(person, 9201, INDEX, site, provider) for person, site, provider in stays],
            schema=dict(zip(["person_id", *COLUMNS[VISITS]], [whole, whole, pl.Date, whole, whole], strict=True)),
            orient="row",
        ),
        "concept": pl.DataFrame(
            [(each, f"Concept {each}", "Condition", "SNOMED", str(each)) for each in concepts],
            schema=["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code"],
            orient="row",
        ),
        "concept_ancestor": pl.DataFrame(
            [(*pair, level) for pair, level in TREE.items()] + [(each, each, 0) for each in concepts],
            schema=["ancestor_concept_id", "descendant_concept_id", "min_levels_of_separation"],
            orient="row",
        ),
    }  # fmt: skip
    cohort = pa.table(
        {
            "subject_id": pa.array(people, pa.int64()),
            "cohort_start_date": pa.array([INDEX] * len(people), pa.date32()),
            "cohort_end_date": pa.array([LAST] * len(people), pa.date32()),
        }
    )
    return Case(write_release(folder, tables), cohort, cohort.slice(0, 0), LAST)


def papers_of(**more: Any) -> Papers:
    papers = Papers()
    for document in (papers.protocol, papers.request):
        document["tables"] = {"person": ["age_at_index", "gender_concept_id"], **COLUMNS}
    papers.protocol.update(more)
    return papers


def delivered(case: Case, into: Path, papers: Papers | None = None) -> dict[str, pl.DataFrame]:
    build(case, into, papers or papers_of())
    return read_tables(into, secrets())


def conditions(tables: Mapping[str, pl.DataFrame]) -> dict[tuple[int, ...], int]:
    columns = [name for name in COLUMNS[TABLE] if name.endswith("_concept_id")]
    counted = tables[TABLE].group_by(columns).len()
    return {row[:-1]: row[-1] for row in counted.iter_rows()}


BORN = [1980] * 40
EXTRACTS: list[tuple[str, list[Event], dict[str, Any], dict[tuple[int | None, ...], int]]] = [
    (
        "what enough persons have stays",
        [(person, 101, 900, 7) for person in range(1, 12)],
        {},
        {(101, 900, 7): 11},
    ),
    (
        "a rare one becomes its ancestor, and its source 0",
        [(person, 101, 900, 7) for person in range(1, 12)] + [(20, 104, 900, 7)],
        {},
        {(101, 900, 7): 11, (101, 0, 7): 1},
    ),
    (
        "without an ancestor the row is left out",
        [(person, 101, 900, 7) for person in range(1, 12)] + [(20, 501, 900, 7)],
        {},
        {(101, 900, 7): 11},
    ),
    (
        "a source that is rare once others have gone is 0 too",
        [(person, 101, 900, 7) for person in range(1, 11)] + [(11, 101, 0, 7), (20, 501, 900, 7)],
        {},
        {(101, 0, 7): 11},
    ),
    (
        "a rare status is 0, and the row stays",
        [(person, 101, 900, 7 if person > 3 else 8) for person in range(1, 15)],
        {},
        {(101, 900, 7): 11, (101, 900, 0): 3},
    ),
    (
        "no concept (0), and none at all, are nobody's secret",
        [(person, 101, 900, 7) for person in range(1, 12)] + [(20, 101, 0, None)],
        {},
        {(101, 900, 7): 11, (101, 0, None): 1},
    ),
    (
        "never beyond what is approved: no ancestor outside",
        [(person, 102, 0, 7) for person in range(1, 7)] + [(person, 103, 0, 7) for person in range(7, 13)],
        {"concepts": {TABLE: [{"concept": 102}, {"concept": 103}]}},
        {},
    ),
    (
        "the same, approved with what is above",
        [(person, 102, 0, 7) for person in range(1, 7)] + [(person, 103, 0, 7) for person in range(7, 13)],
        {"concepts": {TABLE: [{"concept": 100}]}},
        {(100, 0, 7): 12},
    ),
    (
        "kept, where the protocol says so",
        [(1, 104, 900, 8)],
        {"keep_rare": {"values": ["concepts"], "why": "a study of a rare disease"}},
        {(104, 900, 8): 1},
    ),
]


@pytest.mark.parametrize(("name", "events", "more", "expected"), EXTRACTS)
def test_concepts_of_an_extract(
    tmp_path: Path, name: str, events: list[Event], more: dict[str, Any], expected: dict[tuple[int | None, ...], int]
) -> None:
    tables = delivered(release(tmp_path, BORN, events), tmp_path / "x", papers_of(**more))
    assert conditions(tables) == expected, name
    named = set(tables["concept"]["concept_id"])
    used = {each for row in expected for each in row if each is not None} | {8507}
    assert named == used, name


def test_the_source_where_there_is_no_standard_one_is_left_out_where_it_is_rare(tmp_path: Path) -> None:
    events: list[Event] = [(person, 0, 900, 7) for person in range(1, 12)] + [(20, 0, 901, 7)]
    assert conditions(delivered(release(tmp_path, BORN, events), tmp_path / "x")) == {(900, 900, 7): 11}


def test_ages_sex_sites_and_the_manifest(tmp_path: Path) -> None:
    born = [1980] * 11 + [1981] * 3 + [1982] * 12 + [1930] * 2
    stays: list[Stay] = [(person, 1, 51) for person in range(1, 15)] + [(person, 2, 52) for person in range(15, 21)]
    stays += [(person, 3, 52) for person in range(21, 27)] + [(27, None, None)]
    case = release(tmp_path, born, [], stays)
    tables = delivered(case, tmp_path / "x")
    assert sorted(tables["person"]["age_at_index"].value_counts().iter_rows()) == [(33, 12), (35, 16)]
    sizes = tables[VISITS].group_by("care_site_id").len().sort("len").rows()
    assert [size for _, size in sizes] == [1, 12, 14]
    assert sizes[0][0] is None  # who had none has none
    assert sorted(tables[VISITS]["provider_id"].drop_nulls().value_counts()["count"]) == [12, 14]
    manifest = read_manifest(tmp_path / "x")
    assert manifest["coarsened"]["ages"] == [{"from": 0, "to": 33, "age": 33}, {"from": 34, "to": 90, "age": 35}]
    told = {
        (each["table"], each["column"]): (each["replaced"], each["left_out"])
        for each in manifest["coarsened"]["columns"]
    }
    assert told[VISITS, "care_site_id"] == (15, None)  # 12 persons, rounded as all numbers are
    assert told[VISITS, "provider_id"] == (None, None)
    assert (manifest["coarsened"]["threshold"], manifest["coarsened"]["kept"]) == (THRESHOLD, [])
    ruled = {(each["column"], each["rule"]) for each in manifest["transforms"]}
    assert {("age_at_index", "rare_ages_in_bands"), ("care_site_id", "small_sites_as_one")} <= ruled
    assert ("condition_concept_id", "rare_concepts_rolled_up") in ruled


def test_an_extract_of_few_persons_has_their_days_and_nothing_that_is_theirs_alone(tmp_path: Path) -> None:
    case = release(tmp_path, [1980, 1990], [(1, 101, 900, 7)], [(1, 5, 6)])
    tables = delivered(case, tmp_path / "x")
    assert tables["person"]["age_at_index"].null_count() == 2
    assert tables["person"]["gender_concept_id"].to_list() == [0, 0]
    assert tables[TABLE].is_empty()
    assert tables[VISITS].is_empty()
    assert tables["cohort"].height == 2


# -- whatever the data

DRAWN = st.sampled_from([None, 0, 100, 101, 102, 103, 104, 500, 501])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.tuples(st.integers(1, 30), DRAWN, st.sampled_from([None, 0, 900, 901]), st.sampled_from([None, 7, 8])),
        max_size=150,
    ),
    born=st.lists(st.integers(1900, 2015), min_size=30, max_size=30),
    stays=st.lists(
        st.tuples(st.integers(1, 30), st.sampled_from([None, 1, 2, 3]), st.sampled_from([51, 52, None])), max_size=60
    ),
    limited=st.booleans(),
)
def test_every_delivered_value_has_persons_enough_and_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Event], born: list[int], stays: list[Stay], limited: bool,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("x")
    case = release(folder, born, events, stays)
    limit: dict[str, Any] = {"concepts": {TABLE: [{"concept": 100}, {"concept": 501}]}} if limited else {}
    as_it_is = papers_of(**limit).keeping_rare()
    kept, made = delivered(case, folder / "kept", as_it_is), delivered(case, folder / "made", papers_of(**limit))
    for name, rows in made.items():
        for column in rows.columns if name != "concept" else []:
            if column.endswith("_concept_id") or column in {"age_at_index", "care_site_id", "provider_id"}:
                valued = rows.drop_nulls(column).filter(pl.col(column) != (0 if column.endswith("concept_id") else -1))
                sizes = valued.group_by(column).agg(pl.col("person_id").n_unique())["person_id"]
                assert sizes.is_empty() or int(sizes.min() or 0) >= THRESHOLD, (name, column)  # type: ignore[call-overload]
    used = {
        each
        for name, rows in made.items()
        for column in rows.columns
        if name != "concept" and column.endswith("_concept_id")
        for each in rows[column].drop_nulls()
    }
    assert set(made["concept"]["concept_id"]) == used
    if limited:
        assert set(made[TABLE]["condition_concept_id"]) <= {100, 101, 102, 103, 104, 501}
    assert made["cohort"].equals(kept["cohort"])
    assert made["person"]["person_id"].equals(kept["person"]["person_id"])
    before, after = (each[TABLE].group_by("person_id", "start_day").len() for each in (kept, made))
    both = after.join(before, on=["person_id", "start_day"], how="left")
    assert (both["len"] <= both["len_right"]).all()
    assert made[VISITS].height in {kept[VISITS].height, 0}  # all stays are of one concept
    assert made[VISITS]["care_site_id"].null_count() <= kept[VISITS].height


# -- the second pass


def whole(folder: Path) -> tuple[Case, Papers]:
    """Make an extract of 40 persons, in which nothing is rare."""
    events: list[Event] = [(person, 101, 900, 7) for person in range(1, 31)]
    case, papers = release(folder, BORN, events, [(person, 1, 51) for person in range(1, 31)]), papers_of()
    build(case, folder / "x", papers)
    return case, papers


def inspected(folder: Path, case: Case, papers: Papers) -> set[tuple[str, str, str]]:
    known = truth(case.tables, case.cohort, case.cut_off)
    manifest = read_manifest(folder)
    found = inspect_extract(folder, manifest, papers.protocol, papers.request, secrets(), known)
    return {(each.code, each.table, each.column) for each in found}


def first(column: str, value: int, rows: int = 10) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Change the values of the first rows."""
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value, frame.schema[column])).otherwise(column).alias(column)
    )


PLANTED = [
    ("person", "age_at_index", 41, "birth_years"),
    ("person", "age_at_index", 0, "birth_years"),
    ("person", "gender_concept_id", 8532, "concepts"),
    (TABLE, "condition_concept_id", 104, "concepts"),
    (TABLE, "condition_source_concept_id", 901, "concepts"),
    (TABLE, "condition_status_concept_id", 8, "concepts"),
    (VISITS, "care_site_id", 2**51, "care_sites"),
    (VISITS, "provider_id", 2**51, "care_sites"),
]


@pytest.mark.parametrize("group", [262_144, 7])
@pytest.mark.parametrize(("table", "column", "value", "kind"), PLANTED)
def test_one_person_too_few_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, column: str, value: int, kind: str, group: int
) -> None:
    monkeypatch.setattr("workbench.governance.sealed._ROWS", group)
    case, papers = whole(tmp_path)
    assert inspected(tmp_path / "x", case, papers) == set()
    plant(tmp_path / "x", table, first(column, value, 10))
    found = inspected(tmp_path / "x", case, papers)
    names = {("rare_value", "concept", "concept_id")} if column == "gender_concept_id" else set[tuple[str, str, str]]()
    assert found - names == {("rare_value", table, column)}
    approved = copy.deepcopy(papers)
    approved.protocol["keep_rare"] = {"values": [kind], "why": "x"}
    assert inspected(tmp_path / "x", case, approved) == set()
    plant(tmp_path / "x", table, first(column, value, 11))
    assert inspected(tmp_path / "x", case, papers) == set()


def plant(folder: Path, table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    manifest = read_manifest(folder)
    entry = next(entry for entry in manifest["tables"] if entry["name"] == table)
    rows = change(read_table(folder, table, secrets())).to_arrow(compat_level=pl.CompatLevel.oldest())
    sealed_as = package.label(manifest["study"], table, entry["content_digest"])
    write_sealed(rows, folder / entry["files"][0]["path"], secrets().data, sealed_as)


def having(case: Case, persons: int) -> Case:
    """The case, its outcome twice with each of the first persons."""
    rows = case.cohort.slice(0, persons)
    return replace(case, outcome=pa.concat_tables([rows, rows]))


@pytest.mark.parametrize(("persons", "kept", "rows"), [(10, False, 0), (11, False, 22), (1, True, 2)])
def test_an_outcome_of_too_few_persons_is_left_out(tmp_path: Path, persons: int, kept: bool, rows: int) -> None:
    papers = papers_of().keeping_rare() if kept else papers_of()
    assert delivered(having(release(tmp_path, BORN, []), persons), tmp_path / "x", papers)["outcome"].height == rows
    manifest = read_manifest(tmp_path / "x")
    ruled = {(each["table"], each["rule"]) for each in manifest["transforms"]}
    assert (("outcome", "rare_outcomes_left_out") in ruled) is not kept
    told = [each for each in manifest["coarsened"]["columns"] if each["table"] == "outcome"]
    assert told == ([] if kept else [{"table": "outcome", "column": "outcome", "replaced": None, "left_out": None}])
    assert manifest["outcome_names"] == ["gi_bleed"]


@pytest.mark.parametrize("group", [262_144, 7])
def test_an_outcome_of_too_few_persons_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    monkeypatch.setattr("workbench.governance.sealed._ROWS", group)
    case, papers = having(release(tmp_path, BORN, []), 11), papers_of()
    build(case, tmp_path / "x", papers)
    assert inspected(tmp_path / "x", case, papers) == set()
    plant(tmp_path / "x", "outcome", lambda frame: frame.filter(pl.col("person_id") != pl.col("person_id").min()))
    assert inspected(tmp_path / "x", case, papers) == {("rare_value", "outcome", "outcome")}
    assert inspected(tmp_path / "x", case, papers_of().keeping_rare()) == set()


def test_the_name_of_a_concept_that_no_row_has_is_found(tmp_path: Path) -> None:
    case, papers = whole(tmp_path)
    more = pl.DataFrame({"concept_id": [501], "concept_name": "x", "domain_id": "x", "vocabulary_id": "x"})
    plant(tmp_path / "x", "concept", lambda frame: pl.concat([frame, more]))
    assert inspected(tmp_path / "x", case, papers) == {("rare_value", "concept", "concept_id")}


@pytest.mark.parametrize("kept", [[], ["concepts"]])
def test_a_sensitive_class_is_found_in_rows_and_among_names(tmp_path: Path, kept: list[str]) -> None:
    case, papers = whole(tmp_path)
    papers.protocol["keep_rare"] = {"values": kept, "why": "x"}
    coded = pl.when(pl.col("concept_id") == 8507).then(pl.lit("F64")).otherwise("concept_code").alias("concept_code")
    concepts = pl.read_parquet(case.tables["concept"]).with_columns(coded, vocabulary_id=pl.lit("ICD10"))
    concepts.write_parquet(case.tables["concept"])
    found = {("sensitive_value", "person", "gender_concept_id"), ("sensitive_value", "concept", "concept_id")}
    assert inspected(tmp_path / "x", case, papers) == found
    papers.protocol["sensitive_classes"] = ["psychiatry"]
    assert inspected(tmp_path / "x", case, papers) == set()


FORGOTTEN = ["persons", "outcomes", "events", "links"]


@pytest.mark.parametrize("step", FORGOTTEN)
def test_a_first_pass_that_forgets_a_rule_delivers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    events: list[Event] = [(person, 101, 900, 7) for person in range(1, 31)] + [(31, 104, 901, 8)]
    stays: list[Stay] = [(person, 1, 51) for person in range(1, 31)] + [(31, 2, 52)]
    case = having(release(tmp_path, [*BORN[1:], 1950], events, stays), 10)

    def unchanged(_: object, *given: Any) -> Any:
        return given[2] if step == "links" else given[1] if step == "events" else given[0]

    monkeypatch.setattr(rare.Coarsening, step, unchanged)
    with pytest.raises(Refused) as error:
        build(case, tmp_path / "x", papers_of())
    assert error.value.code == "extract.inspection"
    assert "rare_value" in str(error.value.facts["findings"])
    assert not (tmp_path / "x" / "manifest.json").exists()


# -- the protocol


def test_a_protocol_keeps_what_is_rare_only_with_its_reason() -> None:
    protocol = Papers().protocol
    check_protocol(protocol)
    assert "keep_rare" not in protocol  # so that papers written before keep their digests
    for wrong in ({"values": ["concepts"]}, {"values": [], "why": "x"}, {"values": ["days"], "why": "x"}, ["concepts"],
                  {"values": ["concepts"], "why": ""}):  # fmt: skip
        with pytest.raises(InvalidInput):
            check_protocol({**protocol, "keep_rare": wrong})
    check_protocol({**protocol, "keep_rare": {"values": ["concepts"], "why": "a study of a rare disease"}})


def test_everything_has_words() -> None:
    codes = ["finding_rare_value", *{f"rule_{code}" for code in (rare.rules(t, c, ()) for t, c in RULED) if code}]
    assert len(codes) == 5
    assert all(say(f"extract.{code}", lang) for code in codes for lang in LANGS)


RULED = [("person", "age_at_index"), (TABLE, "condition_concept_id"), (TABLE, "condition_status_concept_id"),
         (VISITS, "care_site_id"), (VISITS, "visit_occurrence_id")]  # fmt: skip
