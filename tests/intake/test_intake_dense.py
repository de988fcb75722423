"""Ids that lie close together are looked up by place, others by SQL: the numbers are the same."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.intake.naive_dashboard import KINDS
from workbench.engines.duckdb import connect
from workbench.intake.nodes import call, select
from workbench.intake.quality import dense, grouped, lookups
from workbench.intake.quality.checks import all_checks
from workbench.intake.quality.data import Data
from workbench.repository.cdm import TABLES

Rows = dict[str, list[dict[str, Any]]]
FAR = 2**41 + 1
"""Ids times this are further apart than any directory reaches."""

_id = st.sampled_from([-4097, -1, 0, 1, 2, 63, 64, 4095, 4096, 4097, 1_000_000])
_perhaps_id = st.none() | _id
_day = st.none() | st.integers(0, 30).map(lambda days: date(2020, 1, 1) + timedelta(days))
_rows: st.SearchStrategy[Rows] = st.fixed_dictionaries(
    {
        "person": st.lists(st.fixed_dictionaries({"person_id": _perhaps_id})),
        "visit_occurrence": st.lists(
            st.fixed_dictionaries(
                {
                    "visit_occurrence_id": _perhaps_id,
                    "preceding_visit_occurrence_id": _perhaps_id,
                    "person_id": _perhaps_id,
                    "visit_start_date": _day,
                    "visit_end_date": _day,
                }
            )
        ),
        "condition_occurrence": st.lists(
            st.fixed_dictionaries(
                {
                    "condition_occurrence_id": _perhaps_id,
                    "condition_concept_id": _perhaps_id,
                    "condition_start_date": _day,
                    "person_id": _perhaps_id,
                    "visit_occurrence_id": _perhaps_id,
                }
            )
        ),
        "condition_era": st.lists(st.fixed_dictionaries({"person_id": _perhaps_id})),
        "concept": st.lists(st.fixed_dictionaries({"concept_id": _perhaps_id})),
        "concept_ancestor": st.lists(
            st.fixed_dictionaries({"ancestor_concept_id": _perhaps_id, "descendant_concept_id": _perhaps_id})
        ),
    }
)


def written(folder: Path, rows: Rows, times: int = 1) -> dict[str, Path]:
    """Write tables with all their columns, each id times a number; return the files."""
    files: dict[str, Path] = {}
    for table, found in rows.items():
        schema = {each.name: KINDS[each.type] for each in TABLES[table].fields}
        frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in found], schema=schema)
        ids = [each.name for each in TABLES[table].fields if each.name.endswith("_id") and each.type == "integer"]
        files[table] = folder / f"{table}.parquet"
        frame.with_columns(pl.col(*ids) * times).write_parquet(files[table])
    return files


def counted(rows: Rows, times: int = 1) -> dict[str, tuple[int, int]]:
    """Return what each check finds that looks ids up."""
    with TemporaryDirectory() as folder, connect() as connection:
        data, checks = Data.of(connection, written(Path(folder), rows, times)), all_checks()
        found = lookups.references(data, checks) | lookups.visits(data, checks) | grouped.keys(data, checks)
        return {check.id: each for check, each in (found | grouped.completeness(data, checks)).items()}


@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(_rows, st.sampled_from([2, 4096, 1_000_003]))
def test_numbers_do_not_depend_on_how_ids_are_looked_up(rows: Rows, times: int) -> None:
    by_place = counted(rows)
    assert counted(rows, times) == by_place
    assert counted(rows, FAR) == by_place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "MOST", 0)
        assert counted(rows) == by_place


def known(folder: Path, ids: list[int | None]) -> dense.Known | None:
    with connect() as connection:
        data = Data.of(connection, written(folder, {"person": [{"person_id": each} for each in ids]}))
        found = dense.known(data, "person", "person_id")
        assert data.numbers(select(call("count"), source=data.scan("person"))) == [len(ids)]  # free for the next query
        return found


@pytest.mark.parametrize(
    "ids",
    [[1, 2, 3], [-5, None, 5, 5], [1, 10_000_000_000], list(range(100_000))],
    ids=["counted", "negative", "two sources", "many"],
)
def test_ids_that_lie_close_together_have_places(tmp_path: Path, ids: list[int | None]) -> None:
    found = known(tmp_path, ids)
    assert found is not None
    assert len(found) == len(set(ids) - {None})


@pytest.mark.parametrize(
    "ids",
    [[1, 2**62], [-(2**63), 2**63 - 1], [each * 4096 * 3 for each in range(100_000)], [None]],
    ids=["hashes", "all of 64 bits", "a page each", "none"],
)
def test_ids_that_are_far_apart_have_none(tmp_path: Path, ids: list[int | None]) -> None:
    assert known(tmp_path, ids) is None
