"""The airlock's rules as tables: each with the values just below and just above where it turns."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest

from workbench.governance.airlock import cells, counts, declaration, differencing, judge, magnitudes, secondary
from workbench.governance.airlock.content import prepare
from workbench.governance.airlock.verdicts import Check, overall
from workbench.governance.disclosure import rounded
from workbench.governance.populations import Classes
from workbench.kernel.errors import InvalidInput

KEY = bytes(range(32))
FIRST = 700_000_000_000


def extract(sizes: dict[str, int], values: dict[str, list[float]] | None = None) -> dict[str, pl.DataFrame]:
    """An extract of persons in wards, each with one value."""
    wards = [ward for ward, size in sizes.items() for _ in range(size)]
    given = [value for ward in sizes for value in (values or {}).get(ward, [])] or [
        float(50 + i % 40) for i in range(len(wards))
    ]
    ids = [FIRST + 7 * place for place in range(len(wards))]
    return {"person": pl.DataFrame({"person_id": ids, "ward": wards, "weight": given})}


def declared(**columns: dict[str, Any]) -> dict[str, Any]:
    return {"table": "person", "columns": {"ward": {"role": "group", "of": "ward"}, **columns}}


def judged(tables: dict[str, pl.DataFrame], rows: list[list[object]], **columns: dict[str, Any]) -> judge.Judged:
    names = ["ward", *columns]
    text = "\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n"
    read = declaration.read_declaration(declared(**columns))
    return judge.judge_table(prepare("table.csv", text.encode()), read, tables, KEY)


def verdicts(found: judge.Judged) -> dict[str, str]:
    return {check.code: check.verdict for check in found.checks}


def check(found: judge.Judged, code: str) -> Check:
    return next(each for each in found.checks if each.code == code)


COUNT: dict[str, Any] = {"role": "count"}

# -- small cells and rounding


@pytest.mark.parametrize(
    ("persons", "written", "small", "rounding", "agree"),
    [
        (10, "10", "failed", "passed", "passed"),
        (10, "", "passed", "passed", "passed"),
        (10, "<11", "passed", "passed", "passed"),
        (11, "15", "passed", "passed", "passed"),
        (11, "11", "passed", "failed", "passed"),
        (17, "15", "passed", "passed", "passed"),
        (17, "20", "passed", "passed", "failed"),
        (18, "20", "passed", "passed", "passed"),
        (11, "10", "passed", "passed", "failed"),
        (40, "", "passed", "passed", "passed"),
        (1002, "1 000", "passed", "passed", "passed"),
    ],
)
def test_counts_are_hidden_below_11_and_multiples_of_5(
    persons: int, written: str, small: str, rounding: str, agree: str
) -> None:
    found = verdicts(judged(extract({"a": persons, "b": 60}), [["a", written], ["b", 60]], n=COUNT))
    assert (found["small_cells"], found["rounding"], found["counts_agree"]) == (small, rounding, agree)


def test_percentages_come_from_shown_counts() -> None:
    tables = extract({"a": 32, "b": 68})
    n, share = COUNT, {"role": "percent", "of": "n"}
    right = [["a", 30, 30], ["b", 70, 70], ["Total", 100, 100]]
    assert verdicts(judged(tables, right, n=n, share=share))["percent"] == "passed"
    exact = [["a", 30, 32], ["b", 70, 68], ["Total", 100, 100]]
    assert verdicts(judged(tables, exact, n=n, share=share))["percent"] == "failed"


# -- magnitudes


@pytest.mark.parametrize(
    ("two", "others", "dominates"),
    [([450, 450], [10] * 10, False), ([450, 451], [10] * 10, True), ([0, 0], [0] * 10, False)],
)
def test_two_persons_make_up_90_percent(two: list[float], others: list[float], dominates: bool) -> None:
    assert magnitudes.dominated(np.array([*two, *others], float)) is dominates


@pytest.mark.parametrize(("rest", "told"), [(10.0, False), (9.99, True), (0.0, True)])
def test_the_second_tells_the_largest_within_10_percent(rest: float, told: bool) -> None:
    assert magnitudes.told_within(np.array([100.0, 90.0, rest])) is told


@pytest.mark.parametrize(
    ("percentile", "persons", "far"),
    [
        (50, 22, False),
        (50, 21, True),
        (25, 44, False),
        (25, 43, True),
        (5, 220, False),
        (95, 219, True),
        (0, 9999, True),
    ],
)
def test_percentiles_have_11_persons_on_both_sides(percentile: float, persons: int, far: bool) -> None:
    assert magnitudes.too_far_out(percentile, persons) is far


@pytest.mark.parametrize("role", ["minimum", "maximum"])
def test_no_minimum_and_no_maximum(role: str) -> None:
    found = judged(extract({"a": 40, "b": 60}), [["a", 50], ["b", 50]], low={"role": role, "of": "weight"})
    assert verdicts(found)["extremes"] == "failed"


def test_a_percentile_of_0_is_a_minimum() -> None:
    p0 = {"role": "percentile", "of": "weight", "p": 0}
    assert verdicts(judged(extract({"a": 40}), [["a", 50]], low=p0))["extremes"] == "failed"


@pytest.mark.parametrize(
    ("written", "agree", "precision"),
    [("60.5", "passed", "passed"), ("60.50", "passed", "passed"), ("60.6", "failed", "passed"),
     ("60.500", "passed", "failed"), ("61", "passed", "passed"), ("62", "failed", "passed")],
)  # fmt: skip
def test_a_mean_is_the_one_of_the_extract_and_coarse(written: str, agree: str, precision: str) -> None:
    tables = extract({"a": 22}, {"a": [50.0 + i for i in range(22)]})
    found = verdicts(judged(tables, [["a", written]], mean={"role": "mean", "of": "weight"}))
    assert (found["values_agree"], found["precision"]) == (agree, precision)


def test_a_sum_of_zeros_and_ones_is_a_count_in_disguise() -> None:
    tables = extract({"a": 40}, {"a": [float(i % 2) for i in range(40)]})
    assert verdicts(judged(tables, [["a", 20]], s={"role": "sum", "of": "weight"}))["categories"] == "failed"


def test_dominance_is_of_persons_not_of_rows() -> None:
    """One person with many rows is one contributor."""
    tables = extract({"a": 30}, {"a": [float(i) for i in range(30)]})
    one = pl.DataFrame({"person_id": [FIRST] * 500, "ward": ["a"] * 500, "weight": [20.0 + i % 30 for i in range(500)]})
    tables["visits"] = pl.concat([tables.pop("person"), one])
    given = {"table": "visits", "columns": {"s": {"role": "sum", "of": "weight"}}}
    total = float(tables["visits"]["weight"].sum())
    content = prepare("t.csv", f"s\n{total:.4g}\n".encode())
    found = judge.judge_table(content, declaration.read_declaration(given), tables, KEY)
    assert verdicts(found)["dominance"] == "failed"


@pytest.mark.parametrize(("persons", "parameters", "verdict"), [(60, 50, "to_review"), (60, 51, "failed")])
def test_a_regression_keeps_10_degrees_of_freedom(persons: int, parameters: int, verdict: str) -> None:
    given = {"table": "person", "parameters": parameters, "columns": {"or": {"role": "estimate"}}}
    content = prepare("t.csv", b"or\n1.5\n")
    found = judge.judge_table(content, declaration.read_declaration(given), extract({"a": persons}), KEY)
    assert verdicts(found)["freedom"] == verdict
    assert overall(found.checks) != "passed"


# -- secondary suppression


def cross(sizes: dict[tuple[str, str], int]) -> tuple[secondary.Table, dict[tuple[str | None, ...], int]]:
    """A two-way table with its totals, as it would be shown: hidden below 11."""
    atoms = list(sizes)
    true: dict[tuple[str | None, ...], int] = dict(sizes)
    rows, columns = sorted({a for a, _ in atoms}), sorted({b for _, b in atoms})
    for row in rows:
        true[row, None] = sum(sizes[row, column] for column in columns)
    for column in columns:
        true[None, column] = sum(sizes[row, column] for row in rows)
    true[None, None] = sum(sizes.values())
    shown = tuple(secondary.Shown(key, rounded(size), size < 11) for key, size in true.items())
    return secondary.Table(shown, tuple(atoms), True), true


def test_a_hidden_cell_of_a_two_way_table_is_told_and_covering_it_helps() -> None:
    table, _ = cross({("m", "x"): 4, ("m", "y"): 200, ("f", "x"): 60, ("f", "y"): 300})
    assert secondary.told(table) == [("m", "x")]
    gone = secondary.cover(table)
    assert gone
    covered = secondary.Table(
        tuple(secondary.Shown(c.key, None, c.small) if c.key in gone else c for c in table.cells), table.atoms, True
    )
    assert secondary.told(covered) == []


def test_without_totals_nothing_is_told() -> None:
    cells_only = secondary.Table(
        (secondary.Shown(("a",), None, True), secondary.Shown(("b",), 50, False)), (("a",), ("b",)), True
    )
    assert secondary.told(cells_only) == []


@pytest.mark.parametrize("seed", range(12))
def test_what_covers_a_random_table_leaves_no_hidden_number_told(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = {key: int(draw.choice([3, 8, 12, 40, 300])) for key in product("mf", "xyz")}
    table, _ = cross(sizes)
    gone = secondary.cover(table)
    covered = tuple(secondary.Shown(c.key, None, c.small) if c.key in gone else c for c in table.cells)
    assert secondary.told(secondary.Table(covered, table.atoms, True)) == []


def test_a_percentage_tells_the_whole_that_it_is_of() -> None:
    """95 % of 100 without the total's line: the five others follow all the same."""
    tables = extract({"a": 5, "b": 95})
    share = {"role": "percent", "of": "n"}
    assert verdicts(judged(tables, [["a", ""], ["b", 95]], n=COUNT))["secondary"] == "passed"
    found = judged(tables, [["a", "", ""], ["b", 95, 95]], n=COUNT, share=share)
    assert verdicts(found)["secondary"] == "failed"
    assert {told.population.persons for told in found.numbers} == {95, 100}


@pytest.mark.parametrize(("hidden", "verdict"), [(["a"], "failed"), (["a", "b"], "passed")])
def test_a_hidden_mean_does_not_follow_from_a_total_and_the_others(hidden: list[str], verdict: str) -> None:
    """Four shown groups and a total: more than pairs or threes of sets can tell."""
    tables = extract({"a": 5, "b": 40, "c": 50, "d": 60, "e": 70})
    read = declaration.read_declaration(declared(m={"role": "mean", "of": "weight"}))
    means = {key[0]: cell.values("weight").mean() for key, cell in cells.Cells(read, tables).of((False,)).items()}
    means["Total"] = tables["person"]["weight"].mean()
    rows = [[ward, "" if ward in hidden else f"{mean:.1f}"] for ward, mean in means.items()]
    found = judged(tables, rows, m={"role": "mean", "of": "weight"})
    assert verdicts(found)["secondary"] == verdict
    assert verdicts(found)["values_agree"] == "passed"


def test_a_line_left_out_is_told_by_the_total_as_if_it_were_hidden() -> None:
    tables = extract({"a": 5, "b": 95})
    found = judged(tables, [["b", 95], ["Total", 100]], n=COUNT)
    assert check(found, "secondary").verdict == "failed"


# -- differencing


def numbers(*groups: range, measure: str = "persons", whole: int = 400) -> tuple[differencing.Told, ...]:
    classes = Classes(KEY, np.arange(FIRST, FIRST + whole))
    return tuple(
        differencing.Told(measure, str(2 + place), classes.population(np.array(list(group))))
        for place, group in enumerate(groups)
    )


@pytest.mark.parametrize(
    ("new", "before", "verdict"),
    [
        (range(100), range(100), "passed"),
        (range(100), range(99), "failed"),
        (range(100), range(90), "failed"),
        (range(100), range(89), "passed"),
        (range(100), range(1, 101), "failed"),
        (range(100), range(50, 150), "passed"),
    ],
)
def test_sets_that_differ_by_1_to_10_persons_meet(new: range, before: range, verdict: str) -> None:
    """Sizes do not matter: 100 persons against other 100, of whom one is another."""
    assert differencing.check_differencing(numbers(new), {"out-1": numbers(before)}).verdict == verdict


def test_a_set_and_the_rest_of_a_whole_tell_of_those_between() -> None:
    before = {"out-1": numbers(range(400)), "out-2": numbers(range(200))}
    assert differencing.check_differencing(numbers(range(203, 400)), before).verdict == "failed"
    assert differencing.check_differencing(numbers(range(200, 400)), before).verdict == "passed"
    assert differencing.check_differencing(numbers(range(211, 400)), before).verdict == "passed"


def test_numbers_of_different_kinds_are_not_compared() -> None:
    before = {"out-1": numbers(range(99), measure="value:weight")}
    assert differencing.check_differencing(numbers(range(100)), before).verdict == "passed"


def test_two_tables_that_differ_by_one_person_are_told_from_their_rows() -> None:
    """The attack: the same table twice, once without one person whom a condition singles out."""
    tables = extract({"a": 60, "b": 60})
    first = judged(tables, [["a", 60], ["b", 60]], n=COUNT)
    without = (
        tables["person"]
        .with_columns(pl.lit(0).alias("odd"))
        .with_columns(pl.when(pl.int_range(120) == 3).then(1).otherwise(0).alias("odd"))
    )
    given = {**declared(n=COUNT), "where": [{"column": "odd", "op": "=", "value": 0}]}
    content = prepare("t.csv", b"ward,n\na,60\nb,60\n")
    second = judge.judge_table(content, declaration.read_declaration(given), {"person": without}, KEY)
    assert overall(second.checks) == "passed"
    assert differencing.check_differencing(second.numbers, {"out-1": first.numbers}).verdict == "failed"


def test_groups_of_one_output_and_the_total_of_another_tell_of_the_hidden_group() -> None:
    """Each is harmless alone; the shown groups added up are all but the five."""
    tables = extract({"a": 5, "b": 40, "c": 50, "d": 60, "e": 70})
    total = judged(tables, [["Total", 225]], n=COUNT)
    groups = judged(tables, [["b", 40], ["c", 50], ["d", 60], ["e", 70]], n=COUNT)
    assert overall(total.checks) == overall(groups.checks) == "passed"
    assert differencing.check_differencing(groups.numbers, {"out-1": total.numbers}).verdict == "failed"
    assert differencing.check_differencing(total.numbers, {"out-1": groups.numbers}).verdict == "failed"
    fewer = judged(tables, [["b", 40], ["c", 50], ["d", 60]], n=COUNT)
    assert differencing.check_differencing(fewer.numbers, {"out-1": total.numbers}).verdict == "passed"


# -- what cannot be computed again


def test_without_a_declaration_nothing_passes() -> None:
    content = prepare("t.csv", b"ward,n\na,60\n")
    assert overall(judge.judge_table(content, None, extract({"a": 60}), KEY).checks) == "to_review"


def test_undeclared_and_absent_columns_fail() -> None:
    assert verdicts(judged(extract({"a": 60}), [["a", 60]], other=COUNT))["columns"] == "passed"
    content = prepare("t.csv", b"ward,n,extra\na,60,1\n")
    read = declaration.read_declaration(declared(n=COUNT))
    assert verdicts(judge.judge_table(content, read, extract({"a": 60}), KEY))["columns"] == "failed"


def test_a_label_of_no_group_and_a_group_twice_fail() -> None:
    tables = extract({"a": 60, "b": 40})
    assert verdicts(judged(tables, [["z", 60]], n=COUNT))["lines"] == "failed"
    assert verdicts(judged(tables, [["a", 60], ["a", 60]], n=COUNT))["lines"] == "failed"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"table": "nowhere", "columns": {"n": COUNT}}, "airlock.declaration_table"),
        ({"table": "person", "columns": {"g": {"role": "group", "of": "person_id"}}}, "airlock.declaration_unknown"),
        ({"table": "person", "where": [{"column": "x", "op": "=", "value": 1}]}, "airlock.declaration_unknown"),
        ({"table": "person", "where": [{"column": "weight", "op": "<", "value": "a"}]}, "airlock.declaration_value"),
        ({"table": "person", "columns": {"m": {"role": "mean"}}}, "airlock.declaration_column"),
        ({"table": "person", "sql": "drop"}, "kernel.document_invalid"),
        ({"table": "person", "where": [{"column": "weight", "op": "in", "value": 3}]}, "kernel.document_invalid"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(document: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        cells.Cells(declaration.read_declaration(document), extract({"a": 60}))
    assert error.value.code == code


def test_groups_by_bands_by_rows_and_by_labels() -> None:
    tables = extract({"a": 30, "b": 30}, {"a": [float(i) for i in range(30)], "b": [float(i) for i in range(30)]})
    tables["outcome"] = pl.DataFrame({"person_id": [FIRST + 7 * i for i in range(12)]})
    given = {
        "table": "person",
        "having": [{"table": "outcome", "any": False}],
        "columns": {
            "ward": {"role": "group", "of": "ward", "labels": {"a": "North", "b": "South"}},
            "age": {"role": "group", "of": "weight", "cuts": [10, 20]},
            "n": COUNT,
        },
    }
    found = cells.Cells(declaration.read_declaration(given), tables)
    sizes = {key: cell.persons for key, cell in found.of((False, False)).items()}
    assert sizes == {
        ("North", "10-19"): 8, ("North", "20+"): 10, ("South", "<10"): 10, ("South", "10-19"): 10, ("South", "20+"): 10,
    }  # fmt: skip
    assert counts.value_of(8, 8, declaration.Measure("n", "count")) is None
