"""Secondary suppression: a hidden number must not follow from the totals and the other numbers of its table.

A table is a tree: a total, its parts, their parts. From numbers that are rounded, and totals that are the sums of their
parts, anybody can compute between which bounds a hidden number lies. Where these are narrower than what "fewer than 11"
says by itself, another number is withheld, the smallest that helps, until they are not. What is withheld follows from
the shown numbers alone, so it tells nothing that they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from workbench.governance.disclosure import BASE, LOWEST, THRESHOLD

Bounds = tuple[float, float]


def withheld(values: Sequence[int | None], parents: Sequence[int], *, persons: bool = True) -> frozenset[int]:
    """Return the places of shown numbers that must not be shown either.

    `values` are numbers as they are shown (rounded, None where hidden), the total first, each part after what it is a
    part of, whose place `parents` tells (-1 for the total). A total that is None is not known. With `persons`, a hidden
    number is 0 to 10; without, it counts events of 0 to 10 persons and has no upper bound. The total stays.
    """
    gone: set[int] = set()
    hopeless: set[int] = set()
    while True:
        low, high = _feasible(values, parents, gone, persons=persons)
        told = [
            place
            for place, value in enumerate(values)
            if place and value is None and place not in hopeless and (low[place] > 0 or high[place] < THRESHOLD - 1)
        ]
        if not told:
            return frozenset(gone)
        helpful = _helpful(values, parents, gone, told[0])
        if helpful is None:
            hopeless.add(told[0])
        else:
            gone.add(helpful)


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
