"""Stays by unit: the passage through the emergency department, intensive care, the unit itself, then where to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workbench.hospital.chance import Chance, Flags, Ints
from workbench.hospital.data import rows
from workbench.hospital.illness import Illness, band
from workbench.hospital.people import People
from workbench.hospital.visits import CONSULTATION, EMERGENCY, FACTS, STAY, Visits

UNITS: Final = tuple(row["code"] for row in rows("unites_medicales"))
_UNIT: Final[Mapping[str, int]] = {code: place for place, code in enumerate(UNITS)}
_EMERGENCY, _CHILDREN, _SHORT, _GERIATRICS = (_UNIT[code] for code in ("1101", "1102", "1103", "2602"))
NONE: Final = -1

HOME, TRANSFER, MUTATION, DEAD = "8", "7", "6", "9"
"""Modes of entry and exit, as the PMSI codes them."""


@dataclass(frozen=True)
class Stays:
    """How each visit goes: through the emergency department or not, at which minute of the day it starts and ends,
    and the PMSI's codes (positions in `ENTRIES` and `EXITS`)."""

    emergency: Flags
    minute: Ints
    last_minute: Ints
    entry: Ints
    exit: Ints


ENTRIES: Final = ((HOME, ""), (HOME, "5"), (TRANSFER, "1"), ("N", ""))
"""Mode of entry and provenance: from home, through the emergency department, from another hospital, born here."""
EXITS: Final = ((HOME, ""), (MUTATION, "2"), (TRANSFER, "1"), (HOME, "7"), (HOME, "6"), (DEAD, ""))
"""Mode of exit and destination: home, rehabilitation, another hospital, a care home, home with hospital care, died."""


@dataclass(frozen=True)
class Segments:
    """The steps of the visits: `visit` is a place among them, `number` its place in the visit from 0 (the emergency
    department, if any, first), `rum` the number among the units of a stay from 1 (0: the emergency department)."""

    visit: Ints
    number: Ints
    unit: Ints
    start: Ints
    end: Ints
    rum: Ints
    main: Flags

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.visit)


def _column(name: str, absent: Any) -> Ints:
    return np.array([_UNIT[facts[name]] if name in facts else absent for facts in FACTS])


_MAIN, _YOUNG = _column("um", 0), _column("enfants", NONE)
_CARE: Final = np.array([_UNIT[facts["soins"][0]] if "soins" in facts else NONE for facts in FACTS])
_CARE_SHARE: Final = np.array([facts["soins"][1] if "soins" in facts else 0.0 for facts in FACTS])
_THROUGH: Final = np.array([facts.get("urgences", 0.0) for facts in FACTS])


def stays(chance: Chance, who: People, ill: Illness, visits: Visits) -> Stays:
    """Return how each visit begins and ends."""
    age = (visits.start - who.birth[visits.person]) // 365
    urgent = (visits.kind == EMERGENCY) | chance.happens("through emergency", visits.tag, _THROUGH[visits.reason])
    anytime = chance.below("any minute", visits.tag, 1440)
    worktime = 450 + chance.below("work minute", visits.tag, 540)
    minute = np.where(urgent | visits.of("accouchement", "naissance", "neonatologie"), anytime, worktime)
    leaves = np.where(visits.fatal, 1439 - anytime // 3, 600 + chance.below("leaves", visits.tag, 420))
    length = 25 + chance.below("minutes", visits.tag, 330)
    last = np.where(visits.nights > 0, leaves, np.minimum(minute + length, 1439))
    transferred = (visits.kind == STAY) & ~urgent & chance.happens("transferred in", visits.tag, 0.05)
    entry = np.where(urgent, 1, np.where(transferred, 2, 0))
    entry = np.where(visits.of("naissance", "neonatologie"), 3, entry)
    return Stays(urgent, minute, last, entry, _exit(chance, ill, visits, age))


def _exit(chance: Chance, ill: Illness, visits: Visits, age: Ints) -> Ints:
    long = np.where(visits.kind == STAY, np.where(visits.nights >= 5, 1.0, 0.25), 0.0)
    heavy = np.where(visits.of("fracture_hanche", "avc", "prothese"), 3.0, 1.0)
    rehabilitation = np.array([0, 0, 0, 0.01, 0.03, 0.08, 0.15, 0.20])[band(age)] * long * heavy
    forgetful = ill.since("demence")[visits.person] <= visits.start
    result = np.zeros(len(visits), dtype=np.int64)
    result[chance.happens("hospital at home", visits.tag, 0.012 * long)] = 4
    result[chance.happens("care home", visits.tag, np.where(forgetful, 0.25, 0.01 * (age >= 85)) * long)] = 3
    result[chance.happens("transferred", visits.tag, 0.02 * long)] = 2
    result[chance.happens("rehabilitation", visits.tag, np.minimum(rehabilitation, 0.7))] = 1
    result[visits.fatal] = 5
    return result


def segments(chance: Chance, who: People, visits: Visits, how: Stays) -> Segments:
    """Return the steps of all visits, in order."""
    age = (visits.start - who.birth[visits.person]) // 365
    stay, nights = visits.kind == STAY, visits.nights
    short = stay & how.emergency & (nights >= 2) & (age >= 16) & chance.happens("short unit", visits.tag, 0.13)
    care = stay & (_CARE[visits.reason] >= 0) & chance.happens("intensive", visits.tag, _CARE_SHARE[visits.reason])
    left = nights - short
    care_nights = np.where(care, np.clip(left * 2 // 5, np.minimum(left, 1), 30), 0)
    left = left - care_nights
    moved = stay & (age >= 80) & (left >= 8) & chance.happens("moved", visits.tag, 0.10)
    moved &= _MAIN[visits.reason] != _GERIATRICS
    moved_nights = np.where(moved, left // 2, 0)
    main_nights = left - moved_nights
    main = np.where((age < 16) & (_YOUNG[visits.reason] >= 0), _YOUNG[visits.reason], _MAIN[visits.reason])
    door = np.where(age < 16, _CHILDREN, _EMERGENCY)
    zero = np.zeros(len(visits), dtype=np.int64)
    steps = (
        (how.emergency & (visits.kind != CONSULTATION), door, zero),
        (short, np.full(len(visits), _SHORT), short.astype(np.int64)),
        (care, _CARE[visits.reason], care_nights),
        ((visits.kind != EMERGENCY) & ((main_nights > 0) | ~care), main, main_nights),
        (moved, np.full(len(visits), _GERIATRICS), moved_nights),
    )
    return _ordered(visits, steps, nights)


def _ordered(visits: Visits, steps: tuple[tuple[Flags, Ints, Ints], ...], nights: Ints) -> Segments:
    day, number, rum = visits.start, np.zeros(len(visits), np.int64), np.zeros(len(visits), np.int64)
    parts: list[tuple[Ints, ...]] = []
    mains: list[Flags] = []
    for place, (there, unit, length) in enumerate(steps):
        rum = rum + (there & (place > 0))
        end = np.where(visits.kind == EMERGENCY, visits.start + nights, day + length)
        found = np.flatnonzero(there)
        own = np.where(place > 0, rum, 0)
        main = np.full(len(visits), place == 3) | ((place == 2) & ~steps[3][0])
        main = main | ((place == 0) & (visits.kind == EMERGENCY))
        mains.append(main[found])
        parts.append(tuple(each[found] for each in (np.arange(len(visits)), number, unit, day, end, own)))
        number, day = number + there, np.where(there, day + length, day)
    visit, number, unit, start, end, own = (np.concatenate([part[n] for part in parts]) for n in range(6))
    order = np.lexsort((number, visit))
    columns = (each[order] for each in (visit, number, unit, start, end, own))
    return Segments(*columns, main=np.concatenate(mains)[order])
