"""A linear program, given all that is shown of a table, tells no hidden number more closely than "fewer than 11"."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.optimize import linprog

from workbench.governance.disclosure import rounded
from workbench.governance.suppression import withheld, withheld_reasons

Table = tuple[list[int | None], list[int]]
HIDDEN = 10


def told(table: Table, gone: frozenset[int], place: int, *, persons: bool) -> tuple[float, float]:
    """The least and the most that a number can be, by all that is shown: what an attacker computes."""
    values, parents = table
    bounds: list[tuple[float, float | None]] = []
    for at, value in enumerate(values):
        if value is not None and at not in gone:
            bounds.append((11, 17) if value == 15 else (value - 2, value + 2))
        else:
            bounds.append((0, HIDDEN if persons and at and at not in gone else None))
    sums = []
    for parent in set(parents) - {-1}:
        row = np.zeros(len(values))
        row[parent] = -1
        row[[at for at, other in enumerate(parents) if other == parent]] = 1
        sums.append(row)
    found = []
    for sign in (1, -1):
        aim = np.zeros(len(values))
        aim[place] = sign
        answer = linprog(aim, A_eq=np.array(sums), b_eq=np.zeros(len(sums)), bounds=bounds, method="highs")
        assert answer.status in (0, 3), answer.message
        found.append(float("inf") if answer.status == 3 else sign * answer.fun)
    return found[0], found[1]


def made(seed: int, *, persons: bool) -> Table:
    """A table of one or two levels, as people are shown it; of events, those of few persons are hidden."""
    draw = random.Random(seed)
    sizes = [0, 1, 3, 10, 11, 12, 30, 400]
    groups = [[draw.choice(sizes) for _ in range(draw.randrange(1, 5))] for _ in range(draw.randrange(1, 5))]
    if seed % 3 == 0:
        groups = [[size] for group in groups for size in group]

    def show(size: int) -> int | None:
        return rounded(size) if persons or draw.random() < 0.7 else None

    values: list[int | None] = [rounded(sum(map(sum, groups)))]
    parents = [-1]
    for group in groups:
        here = len(values)
        values.append(show(sum(group)))
        parents.append(0)
        if len(group) > 1:
            values += [show(size) if values[here] is not None or persons else None for size in group]
            parents += [here] * len(group)
    return values, parents


@pytest.mark.parametrize("persons", [True, False])
def test_no_hidden_number_is_told(persons: bool) -> None:
    needed = 0
    for seed in range(40):
        values, parents = table = made(seed, persons=persons)
        if values[0] is None:
            continue
        gone = withheld(values, parents, persons=persons)
        assert all(values[at] is not None and at for at in gone)
        for place in [at for at, value in enumerate(values) if value is None and at]:
            low, high = told(table, gone, place, persons=persons)
            if _can_be_helped(values, parents, gone, place):
                assert low <= 1e-6, (seed, place)
                assert high >= HIDDEN - 1e-6, (seed, place)
            before = told(table, frozenset(), place, persons=persons)
            needed += before[0] > 1e-6 or before[1] < HIDDEN - 1e-6
    assert needed > 8, "without it numbers are told"


def _can_be_helped(values: list[int | None], parents: list[int], gone: frozenset[int], place: int) -> bool:
    """Whether anything but the total is still shown on the way up: if not, the total alone bounds the hidden ones."""
    while place:
        parent = parents[place]
        if any(values[at] is not None and at not in gone for at, other in enumerate(parents) if other == parent):
            return True
        place = parent
    return False


def test_one_hidden_cell_takes_a_second_one_along() -> None:
    values = [100, 60, 40, None]
    assert withheld(values, [-1, 0, 0, 0]) == {2}
    assert withheld([100, 30, 30, None, None], [-1, 0, 0, 0, 0]) == {1}
    assert withheld([None, 60, 40, None], [-1, 0, 0, 0]) == frozenset(), "nothing to subtract from"
    assert withheld([500, 100, 100, 100, 100, 85, None, None], [-1, *[0] * 7]) == frozenset()


def test_months_are_not_told_by_their_year() -> None:
    values, parents = [300, 200, 100, 100, 100, None], [-1, 0, 0, 1, 1, 1]
    gone = withheld(values, parents, persons=False)
    assert gone
    assert told((values, parents), gone, 5, persons=False)[1] >= HIDDEN


Reasons = dict[tuple[int, ...], int]


def reasons_made(seed: int, rules: int) -> Reasons:
    """How many persons fail which rules together, each with one event."""
    draw = random.Random(seed)
    every = [tuple(at for at in range(rules) if mask >> at & 1) for mask in range(2**rules)]
    return {failed: draw.choice([0, 0, 1, 5, 10, 11, 14, 30, 200]) for failed in every}


def beside(reasons: Reasons, gone: frozenset[tuple[int, ...]], rules: int) -> tuple[Table, frozenset[int], list[int]]:
    """The attrition and the reasons as one table, what is withheld of it, and the places of what is hidden."""
    steps = [sum(n for failed, n in reasons.items() if not set(failed) & set(range(at))) for at in range(rules + 1)]
    values, parents, away, hidden, above = [rounded(steps[0])], [-1], set[int](), list[int](), 0
    for step in range(rules):
        for failed, count in reasons.items():
            if failed and min(failed) == step:
                hidden += [len(values)] if rounded(count) is None else []
                away |= {len(values)} if failed in gone else set()
                values.append(rounded(count))
                parents.append(above)
        values.append(rounded(steps[step + 1]))
        parents.append(above)
        above = len(values) - 1
    return (values, parents), frozenset(away), hidden


def test_a_reason_is_not_told_by_the_step_beside_it() -> None:
    """The same linear program, on the table of reasons and the attrition together: what it told, it tells no more."""
    needed = kept = 0
    for seed in range(120):
        rules = 2 + seed % 2
        reasons = reasons_made(seed, rules)
        steps = [sum(n for failed, n in reasons.items() if not set(failed) & set(range(at))) for at in range(rules + 1)]
        shown = [rounded(each) for each in steps]
        if None in shown:
            continue
        listed = {failed: value for failed, count in reasons.items() if (value := rounded(count)) is not None}
        gone = withheld_reasons(listed, shown, single=True)
        assert gone <= set(listed) - {()}
        kept += len(listed) - len(gone)
        table, away, hidden = beside(reasons, gone, rules)
        for place in hidden:
            low, high = told(table, away, place, persons=True)
            before = told(table, frozenset(), place, persons=True)
            closed = before[0] > 1e-6 or before[1] < HIDDEN - 1e-6
            needed += closed
            siblings = [at for at, other in enumerate(table[1]) if other == table[1][place]]
            if any(table[0][at] is not None and at not in away and at in _leaves(table) for at in siblings):
                assert low <= 1e-6, (seed, place)
                assert high >= HIDDEN - 1e-6, (seed, place)
    assert needed > 20, "without it reasons are told"
    assert kept > 100, "most are still listed"


def _leaves(table: Table) -> set[int]:
    """The reasons among the places: a step has something below it, and the last step stands for who fails none."""
    return set(range(1, len(table[0]))) - set(table[1]) - {len(table[0]) - 1}


def test_where_persons_have_several_events_a_step_is_only_a_bound() -> None:
    some, few = {(): 200, (0,): 100, (1,): 60}, {(): 200, (0,): 100}
    assert withheld_reasons(few, [300, 200, 200], single=False) == {(0,)}, "two hidden ones have 6 persons at most"
    assert withheld_reasons(some, [365, 330, 200], single=False) == frozenset(), "others pass the first rule elsewhere"
    assert withheld_reasons(some, [365, 330, 200], single=True), "they cannot, with one event each"
    assert withheld_reasons({(): 200}, [200, 200], single=True) == frozenset(), "what the steps tell, they tell alone"
