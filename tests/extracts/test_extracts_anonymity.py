"""The measures of a table: equal to what pycanon and acro recorded, to a naive recount, and monotone."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations, pairwise
from math import exp, log
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.extracts import anonymity
from workbench.extracts.anonymity import Coded, Groups

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "recorded" / "risk_peers.json").read_text(encoding="utf-8")
)
Row = tuple[Any, ...]


def frame_of(name: str) -> tuple[pl.DataFrame, list[str]]:
    columns = RECORDED["tables"][name]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64)), [n for n in columns if n != "outcome"]


@pytest.mark.parametrize("name", sorted(RECORDED["tables"]))
def test_k_l_and_t_are_pycanons(name: str) -> None:
    frame, quasi = frame_of(name)
    coded = Coded(frame, quasi)
    told = coded.diversity(quasi, frame["outcome"])
    peer = RECORDED["pycanon"][name]
    if peer is None:  # a table without rows is an error there
        assert (frame.height, coded.groups(quasi), told.l) == (0, Groups(0, 0, 0), 0)
        return
    assert (coded.groups(quasi).k, told.l) == (peer["k"], peer["l"])
    assert peer["entropy_l"] <= told.entropy_l <= peer["entropy_l"] + 1  # it cuts to a whole number, 1.999… to 1
    assert told.t == pytest.approx(peer["t"], abs=0.0011)


@pytest.mark.parametrize("name", sorted(RECORDED["tables"]))
def test_persons_in_small_groups_are_those_of_acros_cells(name: str) -> None:
    frame, _ = frame_of(name)
    peer = RECORDED["acro"][name] or {"persons": 0}
    assert Coded(frame, ["age", "sex"], RECORDED["threshold"]).groups(["age", "sex"]).small == peer["persons"]


def naive(rows: list[Row], places: tuple[int, ...], small: int) -> Groups:
    sizes = Counter(tuple(row[place] for place in places) for row in rows)
    values = sizes.values()
    return Groups(sum(n == 1 for n in values), sum(n for n in values if n < small), -min(values, default=0))


VALUES = st.one_of(st.none(), st.integers(-2, 3), st.sampled_from([10**15, -(10**12)]))
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(st.just(width), st.lists(st.tuples(*[VALUES] * width), max_size=30))
)


def table(width: int, rows: list[Row]) -> tuple[pl.DataFrame, list[str]]:
    names = [f"c{place}" for place in range(width)]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row"), names


@settings(deadline=None, max_examples=150)
@given(TABLES, st.integers(2, 6))
def test_a_recount_gives_the_same_and_the_search_finds_the_worst(drawn: tuple[int, list[Row]], small: int) -> None:
    (width, rows), (frame, names) = drawn, table(*drawn)
    coded = Coded(frame, names, small)
    for size in range(width + 1):
        for places in combinations(range(width), size):
            assert coded.groups([names[place] for place in places]) == naive(rows, places, small)
    for size, found in enumerate(coded.worst(3), start=1):
        every = [naive(rows, places, small) for places in combinations(range(width), size)]
        assert found.groups == max(every) == coded.groups(found.columns)
    whole = naive(rows, tuple(range(width)), small).unique
    for place, name in enumerate(names):
        others = tuple(other for other in range(width) if other != place)
        assert coded.costs()[name] == whole - naive(rows, others, small).unique


@settings(deadline=None, max_examples=100)
@given(TABLES)
def test_more_columns_never_raise_k_nor_lower_the_persons_alone(drawn: tuple[int, list[Row]]) -> None:
    frame, names = table(*drawn)
    coded = Coded(frame, names)
    steps = [coded.groups(names[:count]) for count in range(len(names) + 1)]
    assert steps == sorted(steps)
    assert [step.k for step in steps] == sorted((step.k for step in steps), reverse=True)
    assert [step.unique for step in steps] == sorted(step.unique for step in steps)
    shuffled = Coded(frame.sample(fraction=1.0, shuffle=True, seed=1), names[::-1])
    assert shuffled.groups(names) == steps[-1]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(0, 2))), max_size=25))
def test_inference_is_recounted(rows: list[Row]) -> None:
    frame = pl.DataFrame(rows, schema={"known": pl.Int64, "secret": pl.Int64}, orient="row")
    told = Coded(frame, ["known"]).diversity(["known"], frame["secret"])
    groups = {known: [secret for k, secret in rows if k == known] for known, _ in rows}
    distinct = [len(set(secrets)) for secrets in groups.values()]
    whole = Counter(secret for _, secret in rows)
    apart = [
        sum(abs(secrets.count(value) / len(secrets) - count / len(rows)) for value, count in whole.items()) / 2
        for secrets in groups.values()
    ]
    alike = [len(whole) > 1 and len(set(groups[known])) == 1 for known, _ in rows]
    even = [exp(-sum(n / len(s) * log(n / len(s)) for n in Counter(s).values())) for s in groups.values()]
    assert told.entropy_l == pytest.approx(min(even, default=0.0), abs=0.0006)
    assert (told.l, told.inferred.tolist()) == (min(distinct, default=0), alike)
    assert told.t == pytest.approx(max(apart, default=0.0), abs=0.0006)


def test_many_columns_of_many_values_do_not_overflow() -> None:
    frame = pl.DataFrame({f"c{place}": [(row * 7919**place) % 10**12 for row in range(500)] for place in range(12)})
    doubled = pl.concat([frame, frame])
    assert Coded(doubled, frame.columns).groups(frame.columns) == Groups(0, 1000, -2)


# -- histories

HISTORIES = st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), max_size=6), max_size=8)


def rows_of(histories: list[list[tuple[int, int]]]) -> pl.DataFrame:
    rows = [(person, day, item) for person, events in enumerate(histories) for day, item in events]
    return pl.DataFrame(rows, schema={"person": pl.UInt32, "day": pl.Int32, "item": pl.Int64}, orient="row")


@settings(deadline=None, max_examples=150)
@given(HISTORIES)
def test_runs_of_intervals_are_recounted(histories: list[list[tuple[int, int]]]) -> None:
    days = rows_of(histories).select("person", "day").unique().sort("person", "day")
    lived = [sorted({day for day, _ in events}) for events in histories]
    gaps = [[later - one for one, later in pairwise(each)] for each in lived]
    for length in (1, 2, 3):
        runs = [{tuple(g[at : at + length]) for at in range(len(g) - length + 1)} for g in gaps]
        owners = Counter(run for each in runs for run in each)
        found = anonymity.unique_runs(days, length, len(histories))
        assert found.tolist() == [any(owners[run] == 1 for run in each) for each in runs]


@settings(deadline=None, max_examples=150)
@given(HISTORIES, st.integers(2, 4))
def test_sets_and_rare_concepts_are_recounted(histories: list[list[tuple[int, int]]], small: int) -> None:
    pairs = anonymity.distinct(rows_of(histories), "item")
    sets = [frozenset(item for _, item in events) for events in histories]
    alone = Counter(sets)
    assert anonymity.unique_sets(pairs, len(sets)).tolist() == [alone[each] == 1 for each in sets]
    carriers = Counter(item for each in sets for item in each)
    few = {item for item, count in carriers.items() if count < small}
    concepts, who = anonymity.rare(pairs, small, len(sets))
    assert (concepts, who.tolist()) == (len(few), [bool(each & few) for each in sets])


def test_large_and_negative_items_are_told_apart() -> None:
    frame = pl.DataFrame({"person": [0, 0, 1], "item": [2**40, -1, 2**40]}, schema_overrides={"person": pl.UInt32})
    assert sorted(anonymity.distinct(frame, "item").rows()) == [(0, -1), (0, 2**40), (1, 2**40)]
