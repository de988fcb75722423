"""Secondary suppression: a hidden number must not follow from the totals and the other numbers of its table.

A table is a tree: a total, its parts, their parts. From numbers that are rounded, and totals that are the sums of their
parts, anybody can compute between which bounds a hidden number lies. Where these are narrower than what "fewer than 11"
says by itself, another number is withheld, the smallest that helps, until they are not. What is withheld follows from
the shown numbers alone, so it tells nothing that they do not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from workbench.governance.disclosure import BASE, LOWEST, THRESHOLD

Bounds = tuple[float, float]


def withheld(
    values: Sequence[int | None], parents: Sequence[int], *, persons: bool = True,
    fixed: Collection[int] = (), free: Collection[int] = (),
) -> frozenset[int]:  # fmt: skip
    """Return the places of shown numbers that must not be shown either.

    `values` are numbers as they are shown (rounded, None where hidden), the total first, each part after what it is a
    part of, whose place `parents` tells (-1 for the total). A total that is None is not known. With `persons`, a hidden
    number is 0 to 10; without, it counts events of 0 to 10 persons and has no upper bound. The total stays, and so
    do the places `fixed`, which are shown elsewhere; nothing at all is known of the places `free`.
    """
    gone: set[int] = set(free)
    hopeless: set[int] = set()
    while True:
        low, high = _feasible(values, parents, gone, persons=persons)
        told = [
            place
            for place, value in enumerate(values)
            if place
            and value is None
            and place not in gone | hopeless
            and (low[place] > 0 or high[place] < THRESHOLD - 1)
        ]
        if not told:
            return frozenset(gone.difference(free))
        helpful = _helpful(values, parents, gone | set(fixed), told[0])
        if helpful is None:
            hopeless.add(told[0])
        else:
            gone.add(helpful)


def withheld_reasons(
    listed: Mapping[tuple[int, ...], int], steps: Sequence[int | None], *, single: bool
) -> frozenset[tuple[int, ...]]:
    """Return the reasons that must not be listed beside an attrition, for its steps would tell one that is hidden.

    A reason is the rules that somebody fails together, `listed` its persons as shown; one that is hidden is not listed.
    `steps` are the persons of the attrition as shown: before the first rule, after it, …, after the last. The steps
    stay, and with them whoever fails no rule. With `single`, everybody has one event, so that each step is the sum of
    the reasons that pass its rules; else it is at least that.
    """
    gone: set[tuple[int, ...]] = set()
    while True:
        more = {reason for reasons, tree in _trees(listed, steps, gone, single=single) for reason in _in(reasons, tree)}
        if not more:
            return frozenset(gone)
        gone |= more


@dataclass(frozen=True)
class _Tree:
    values: list[int | None]
    parents: list[int]
    fixed: set[int]
    free: set[int]

    def add(self, value: int | None, parent: int) -> int:
        self.values.append(value)
        self.parents.append(parent)
        return len(self.values) - 1


_Places = dict[int, tuple[int, ...]]
_MANY = 32
"""More hidden reasons than so many bound nothing."""


def _in(reasons: _Places, tree: _Tree) -> Iterator[tuple[int, ...]]:
    for place in withheld(tree.values, tree.parents, fixed=tree.fixed, free=tree.free):
        yield reasons[place]


def _trees(
    listed: Mapping[tuple[int, ...], int], steps: Sequence[int | None], gone: set[tuple[int, ...]], *, single: bool
) -> Iterator[tuple[_Places, _Tree]]:
    """Yield what adds up: one chain of steps where everybody has one event, else each step by itself."""
    rules = len(steps) - 1
    if not single:
        for step in range(rules):
            tree, reasons = _Tree([steps[step]], [-1], set(), set()), dict[int, tuple[int, ...]]()
            _add(tree, reasons, listed, gone, range(step), rules, 0)
            tree.fixed.add(tree.add(steps[-1], 0))
            if step:
                tree.free.add(tree.add(None, 0))  # other events of theirs pass these rules
            yield reasons, tree
        return
    tree, reasons, above = _Tree([steps[0]], [-1], set(), set()), dict[int, tuple[int, ...]](), 0
    for step in range(rules):
        _add(tree, reasons, listed, gone, range(step), rules, above, first=step)
        above = tree.add(steps[step + 1], above)
        tree.fixed.add(above)
    yield reasons, tree


def _add(
    tree: _Tree, reasons: _Places, listed: Mapping[tuple[int, ...], int], gone: set[tuple[int, ...]], passed: range,
    rules: int, parent: int, first: int | None = None,
) -> None:  # fmt: skip
    """Add the reasons that pass some rules (and fail `first`), the hidden ones too, below a step."""
    mine = [each for each in listed if each and not set(each) & set(passed) and (first is None or first in each)]
    every = 2 ** (rules - len(passed)) - 1 if first is None else 2 ** (rules - len(passed) - 1)
    for reason in mine:
        place = tree.add(listed[reason], parent)
        reasons[place] = reason
        if reason in gone:
            tree.free.add(place)
    for _ in range(min(every - len(mine), _MANY)):
        tree.add(None, parent)


def _helpful(values: Sequence[int | None], parents: Sequence[int], gone: set[int], place: int) -> int | None:
    """The smallest shown number beside a hidden one, else the one that both are a part of, and so on upwards."""
    while place:
        parent = parents[place]
        beside = [
            at for at, other in enumerate(parents) if other == parent and values[at] is not None and at not in gone
        ]
        if beside:
            return min(beside, key=lambda at: (values[at] or 0, at))
        if parent and values[parent] is not None and parent not in gone:
            return parent
        place = parent
    return None


def _feasible(
    values: Sequence[int | None], parents: Sequence[int], gone: set[int], *, persons: bool
) -> tuple[list[float], list[float]]:
    """The bounds of each number that follow from all of them: up the tree by sums, then down by differences."""
    bounds = [
        (0, inf) if at in gone or (not at and value is None) else own_bounds(value, persons=persons)
        for at, value in enumerate(values)
    ]
    low, high = ([each[side] for each in bounds] for side in (0, 1))
    parts: dict[int, list[int]] = {}
    for at, parent in enumerate(parents):
        parts.setdefault(parent, []).append(at)
    for at in reversed(range(len(values))):
        if at in parts:
            low[at] = max(low[at], sum(low[part] for part in parts[at]))
            high[at] = min(high[at], sum(high[part] for part in parts[at]))
    for at in range(len(values)):
        mine = parts.get(at, [])
        least, most = [low[part] for part in mine], [high[part] for part in mine]
        for place, part in enumerate(mine):
            low[part] = max(least[place], low[at] - sum(most[:place] + most[place + 1 :]))
            high[part] = min(most[place], high[at] - sum(least[:place] + least[place + 1 :]))
    return low, high


def own_bounds(value: int | None, *, persons: bool) -> Bounds:
    """Return what a shown number (None: hidden) says by itself: the least and the most that it stands for."""
    if value is None:
        return (0, THRESHOLD - 1) if persons else (0, inf)
    return (THRESHOLD, LOWEST + BASE // 2) if value == LOWEST else (value - BASE // 2, value + BASE // 2)
