"""Days as whole numbers (0 is 1970-01-01), the period that the hospital covers, and how busy each day is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.hospital.data import reasons

EPOCH: Final = date(1970, 1, 1).toordinal()


def day(text: str) -> int:
    """Return the number of a day written as `2017-01-01`."""
    return date.fromisoformat(text).toordinal() - EPOCH


START: Final = day("2017-01-01")
END: Final = day("2024-12-31")
"""The first and the last day of the period. Nobody is observed after it."""
LENGTH: Final = END - START + 1
NEVER: Final = 1 << 30
"""A day that does not come."""
EXTRACTED: Final = {1: day("2025-01-15"), 2: day("2025-06-15")}
"""The days of the two extractions: the second has the late corrections."""

_WEEK: Final[Mapping[str, Sequence[int]]] = {  # Monday first
    "consultation": (100, 105, 95, 100, 90, 4, 0),
    "jour": (100, 105, 100, 105, 90, 3, 0),
    "seance": (100, 100, 100, 100, 100, 20, 0),
    "urgences": (110, 100, 98, 97, 100, 98, 102),
    "sejour": (112, 106, 104, 102, 96, 82, 86),
}
_POSTPONED: Final = ((day("2020-03-16"), day("2020-05-11"), 0.35), (day("2020-10-26"), day("2020-12-20"), 0.75))
"""Planned care put off in the first two waves of COVID-19: first day, last day, what was left of it."""


def workday(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return days, those of a weekend moved to the Monday or Tuesday after."""
    return days + np.where((days + 3) % 7 >= 5, 2, 0)  # 1970-01-01 was a Thursday


@cache
def busy(season: str, kind: str) -> NDArray[np.int64]:
    """Return the cumulated events from the first day to each day of the period, for a rate of one event a year on
    average over the period, in millionths. `season`: a profile of motifs.toml or `covid`; `kind`: of visit."""
    weights = np.array(_daily(season), dtype=np.float64)
    week = np.array(_WEEK[kind], dtype=np.float64)
    weekdays = (np.arange(LENGTH) + START + 3) % 7
    weights *= week[weekdays]
    if season == "programme":
        for first, last, share in _POSTPONED:
            weights[first - START : last - START + 1] *= share
    return np.cumsum(np.rint(weights / (math.fsum(weights) / LENGTH) * (1_000_000 / 365.25)).astype(np.int64))


def _daily(season: str) -> list[float]:
    if season == "covid":
        return _waves(reasons()["vagues"]["vagues"])
    months: Sequence[float] = reasons()["saisons"][season]
    dates = [date.fromordinal(EPOCH + START + n) for n in range(LENGTH)]
    return [_between_months(months, each) for each in dates]


def _between_months(months: Sequence[float], each: date) -> float:
    """Interpolate between the middles of months."""
    place = (each.month - 1) + (min(each.day, 30) - 15) / 30
    low = int(place // 1)
    share = place - low
    return months[low % 12] * (1 - share) + months[(low + 1) % 12] * share


def _waves(waves: Sequence[Sequence[Any]]) -> list[float]:
    """Return triangles over a low ground, nothing before the first wave."""
    level = [0.0] * LENGTH
    for first, peak, last, height in waves:
        start, top, end = (day(text) - START for text in (first, peak, last))
        for n in range(start, min(end, LENGTH - 1) + 1):
            share = (n - start + 1) / (top - start + 1) if n <= top else (end - n + 1) / (end - top + 1)
            level[n] += height * share
    begun = day(waves[0][0]) - START
    return [value + (1.5 if n >= begun else 0.0) for n, value in enumerate(level)]
