"""Rows stand as Polars sorts them, whatever their numbers; concepts come back from their codes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.extracts.held import Concepts, Held, columns_of, to_series
from workbench.extracts.ordering import Column, in_order

FEW, WIDE = st.integers(0, 2), st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.sampled_from([0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, math.nan, 1e-300, -1e-300])
IDS = st.none() | st.integers(0, 3) | st.integers(2**31 - 3, 2**31 + 3) | st.integers(-5, 2**40)
ROWS = st.lists(st.tuples(FEW, st.none() | FEW, st.none() | WIDE, st.none() | NUMBERS | st.floats(), IDS), max_size=40)
SCHEMA = {"person": pl.Int64, "few": pl.Int32, "wide": pl.Int64, "number": pl.Float64, "concept": pl.Int64}


@settings(max_examples=60, deadline=None)
@given(ROWS, st.permutations(["few", "wide", "number", "concept"]), st.integers(1, 40))
def test_rows_stand_in_the_order_of_all_columns(rows: list[tuple], names: list[str], batch: int) -> None:
    frame = pl.DataFrame(rows, SCHEMA, orient="row").sort("person", maintain_order=True)
    concepts, held = Concepts(), Held(3)
    for part in frame.iter_slices(batch) if frame.height else [frame]:
        held.add(columns_of(part, concepts, {"concept"}), part.height)
    codes, rank = held.column("concept")[0], concepts.rank

    def look(name: str) -> Callable[[npt.NDArray[np.int64]], Column]:
        return held.rows_of(name) if name != "concept" else lambda rows: (rank[codes[rows]], None)

    person, _ = held.column("person")
    order = in_order(np.arange(frame.height), person, [look(name) for name in names])
    columns = {name: to_series(name, *held.rows_of(name)(order)) for name in ("person", "few", "wide", "number")}
    columns["concept"] = to_series("concept", concepts.ids[codes[order]], codes[order] == 0)
    expected = frame.sort("person", *names, nulls_last=False)
    assert pl.DataFrame([columns[name] for name in SCHEMA]).equals(expected, null_equal=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(IDS, max_size=6), max_size=5))
def test_codes_give_their_concepts_back(batches: list[list[int | None]]) -> None:
    concepts = Concepts()
    for batch in batches:
        codes = concepts.codes(pl.Series(batch, dtype=pl.Int64))
        assert [None if code == 0 else int(concepts.ids[code]) for code in codes] == batch
    told = {each for batch in batches for each in batch if each is not None}
    rising = sorted(told)
    assert {rising[place - 1] for place in concepts.rank[1:]} >= told


def test_a_part_of_a_column_that_lacks_values_makes_them_lack_there_alone() -> None:
    held = Held(1)
    for values in ([1, 2], [3, None], [5]):
        held.add(columns_of(pl.DataFrame({"v": values}, {"v": pl.Int64}), Concepts(), ()), len(values))
    held.change("v", lambda column: (column[0] * 2, column[1]))
    assert to_series("v", *held.column("v")).to_list() == [2, 4, 6, None, 10]
    held.change("v", lambda column: (column[0], column[0] == 4))
    assert to_series("v", *held.column("v")).to_list() == [2, None, 6, 0, 10]
