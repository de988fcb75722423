"""A table made from its declaration leaves as it is: no check finds anything, and it shows what it may."""

from __future__ import annotations

import csv
import io
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.governance.test_airlock_rules import FIRST, KEY, extract
from workbench.governance.airlock.compose import compose
from workbench.governance.airlock.content import prepare
from workbench.governance.airlock.declaration import read_declaration
from workbench.governance.airlock.differencing import check_differencing
from workbench.governance.airlock.judge import Judged, judge_table
from workbench.kernel.errors import InvalidInput

Tables = dict[str, pl.DataFrame]
WARD: dict[str, Any] = {"role": "group", "of": "ward"}
COUNT: dict[str, Any] = {"role": "count"}
MEAN: dict[str, Any] = {"role": "mean", "of": "weight"}


def made(tables: Tables, columns: dict[str, Any], released: dict[str, Any] | None = None, **more: Any) -> bytes:
    declaration = read_declaration({"table": "person", "columns": columns})
    return compose(declaration, tables, KEY, released or {}, **more)


def checked(raw: bytes, tables: Tables, columns: dict[str, Any]) -> Judged:
    declaration = read_declaration({"table": "person", "columns": columns})
    return judge_table(prepare("table.csv", raw), declaration, tables, KEY)


def lines(raw: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw.decode())))


def test_counts_are_rounded_small_groups_hidden_and_what_would_tell_them() -> None:
    raw = made(extract({"a": 5, "b": 23, "c": 60}), {"ward": WARD, "n": COUNT})
    assert lines(raw) == [["ward", "n"], ["a", ""], ["b", ""], ["c", "60"], ["Total", "90"]]


def test_without_totals_only_the_small_group_is_hidden() -> None:
    raw = made(extract({"a": 5, "b": 23, "c": 60}), {"ward": WARD, "n": COUNT}, totals=False)
    assert lines(raw) == [["ward", "n"], ["a", ""], ["b", "25"], ["c", "60"]]


def test_every_column_has_its_number() -> None:
    columns = {
        "ward": {**WARD, "labels": {"b": "Second", "a": "First"}, "total": "All"},
        "n": COUNT,
        "share": {"role": "percent", "of": "n"},
        "mean": MEAN,
        "median": {"role": "percentile", "of": "weight", "p": 50},
        "sum": {"role": "sum", "of": "weight"},
        "sd": {"role": "sd", "of": "weight"},
    }
    raw = made(extract({"a": 40, "b": 80}), columns)
    assert lines(raw)[1:] == [
        ["Second", "80", "66.7", "69.5", "69.5", "5560", "11.62"],
        ["First", "40", "33.3", "69.5", "69.5", "2780", "11.69"],
        ["All", "120", "100.0", "69.5", "69.5", "8340", "11.59"],
    ]


def test_bands_stand_in_their_order_and_numbers_in_theirs() -> None:
    tables = extract({"10": 30, "9": 30, "x": 30})
    assert [line[0] for line in lines(made(tables, {"ward": WARD, "n": COUNT}))] == ["ward", "x", "9", "10", "Total"]
    banded = made(tables, {"weight": {"role": "group", "of": "weight", "cuts": [60, 75]}, "n": COUNT})
    assert [line[0] for line in lines(banded)] == ["weight", "<60", "60-74", "75+", "Total"]


def test_who_dominates_a_cell_hides_its_sum_and_mean() -> None:
    tables = extract({"a": 20, "b": 20}, {"a": [1.0] * 19 + [900.0], "b": [float(i) for i in range(50, 70)]})
    raw = made(tables, {"ward": WARD, "n": COUNT, "mean": MEAN})
    assert [line[2] for line in lines(raw)[1:3]] == ["", "59.5"]


def test_what_an_earlier_output_would_tell_is_hidden() -> None:
    tables = extract({"a": 40, "b": 60, "c": 30})
    columns = {"ward": WARD, "n": COUNT}
    before = extract({"a": 40, "b": 60, "c": 30})
    before["person"] = before["person"].filter(pl.col("person_id") != FIRST)
    earlier = checked(made(before, columns, totals=False), before, columns).numbers
    raw = made(tables, columns, {"out-1": earlier})
    assert lines(raw)[1][1] == ""
    assert check_differencing(checked(raw, tables, columns).numbers, {"out-1": earlier}).verdict == "passed"


@pytest.mark.parametrize("role", ["minimum", "maximum", "estimate", "other"])
def test_what_only_its_author_can_compute_is_not_made(role: str) -> None:
    with pytest.raises(InvalidInput) as error:
        made(extract({"a": 40}), {"ward": WARD, "x": {"role": role, "of": "weight"}})
    assert error.value.code == "airlock.compose_role"


def test_nobody_is_no_table_and_thousands_of_groups_are_none() -> None:
    with pytest.raises(InvalidInput) as error:
        made({"person": extract({"a": 40})["person"].head(0)}, {"ward": WARD, "n": COUNT})
    assert error.value.code == "airlock.compose_nothing"
    with pytest.raises(InvalidInput) as error:
        made(extract({str(ward): 1 for ward in range(2_001)}), {"ward": WARD, "n": COUNT})
    assert error.value.code == "airlock.compose_long"


_rows = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "z", None]), st.integers(0, 3), st.integers(1, 30)),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(_rows, st.booleans())
def test_nothing_is_found_in_any_table_that_was_made(
    groups: list[tuple[str, str | None, int, int]], totals: bool
) -> None:
    rows = [(one, two, float(10 + low * 7 + place % 17)) for one, two, low, n in groups for place in range(n)]
    rows += [("a", "x", float(20 + place)) for place in range(40)]
    frame = pl.DataFrame(rows, schema={"one": pl.String, "two": pl.String, "value": pl.Float64}, orient="row")
    tables = {"person": frame.with_row_index("person_id").with_columns(pl.col("person_id").cast(pl.Int64) * 7 + FIRST)}
    columns = {
        "one": {"role": "group", "of": "one"},
        "two": {"role": "group", "of": "two", "labels": {"null": "none"}},
        "n": COUNT,
        "share": {"role": "percent", "of": "n", "within": ["one"]},
        "mean": {"role": "mean", "of": "value"},
    }
    raw = made(tables, columns, totals=totals)
    found = checked(raw, tables, columns)
    wrong = [check for check in found.checks if check.verdict == "failed" and check.code != "rows"]
    assert not wrong, raw.decode()
    assert check_differencing(found.numbers, {}).verdict == "passed", raw.decode()
    assert made(tables, columns, totals=totals) == raw
