"""Look-ups by arrays find what plain Python finds, dense ids or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.extracts import lookup
from workbench.extracts.events import linked
from workbench.governance.pseudonyms import Pseudonyms

NEAR, FAR = st.integers(-5, 40), st.integers(-(2**62), 2**62)


@pytest.mark.parametrize("ids", [NEAR, FAR, st.one_of(NEAR, FAR)])
def test_places_and_distinct_values_are_those_of_plain_python(ids: st.SearchStrategy[int]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.sets(ids, max_size=12), st.lists(ids, max_size=20))
    def holds(known: set[int], others: list[int]) -> None:
        rising = sorted(known)
        wanted = [*others, *rising, *others]
        found = lookup.places(np.array(rising, dtype=np.int64), np.array(wanted, dtype=np.int64))
        assert found.tolist() == [rising.index(each) if each in known else -1 for each in wanted]
        assert lookup.distinct(np.array(wanted, dtype=np.int64)).tolist() == sorted(set(wanted))

    holds()


def test_runs_start_where_values_change() -> None:
    assert lookup.run_starts(np.array([3, 3, 1, 1, 3])).tolist() == [0, 2, 4]
    assert lookup.run_starts(np.array([], dtype=np.int64)).tolist() == []


def test_a_key_that_has_no_pseudonym_gets_none_and_never_anothers() -> None:
    keys, missing = np.array([2, 0, 7, 1]), np.array([False, True, False, False])
    values, lacks = linked((keys, missing), Pseudonyms(np.array([0, 1, 2]), np.array([5, 10, 20]), 0))
    assert lacks is not None
    assert np.where(lacks, -1, values).tolist() == [20, -1, -1, 10]
    assert linked((keys, None), Pseudonyms(keys[[1, 3, 0, 2]], np.arange(4), 0))[1] is None
    none = Pseudonyms(np.empty(0, int), np.empty(0, int), 0)
    assert linked((keys, None), none)[1].tolist() == [True] * 4  # type: ignore[union-attr]
