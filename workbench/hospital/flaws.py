"""Errors planted for quality checks to find: in some measurements, some prescriptions, some identities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from workbench.hospital.biology import METHODS, Measures
from workbench.hospital.chance import Chance, Flags, Ints, Tags
from workbench.hospital.days import END, EXTRACTED, NEVER
from workbench.hospital.drugs import Drugs
from workbench.hospital.pathways import products
from workbench.hospital.people import People
from workbench.hospital.visits import Visits, first_of

KINDS: Final = ("future_date", "before_birth", "after_death", "unknown_concept", "unknown_visit", "repeated_row")
_SHARE: Final = 0.0002
"""Of all measurements, how many have each kind of error."""
_LIMITS: Final = {"TEMP": 100, "POIDS": 300, "TAILLE": 250, "K": 15}
"""Above which a value cannot be; only what lands there is made wrong, so that every one can be found."""
_DUPLICATES: Final = 0.012
_MOVED: Final = ("traumatisme_urgences", "urgences_diverses", "consultation_ophtalmo", "gastro_enterite")
"""Reasons of the visits for which somebody was registered a second time."""


@dataclass(frozen=True)
class Flaws:
    """The measurements as they were recorded, errors and all; `unknown` and `orphan` say whose concept is not in the
    vocabulary and whose visit is not there. `counts`: rows by kind of error. `reversed`: the prescriptions that end
    before they start."""

    measures: Measures
    unknown: Flags
    orphan: Flags
    reversed: Flags
    counts: dict[str, int]


def second_identity(chance: Chance, who: People, visits: Visits) -> Ints:
    """Return, for each person who was registered twice, the place of the visit that is under the second identity,
    -1 for all others."""
    twice = chance.happens("registered twice", who.tag, _DUPLICATES)
    places = np.arange(len(visits))
    chosen = visits.of(*_MOVED) & twice[visits.person] & ~visits.fatal
    found = first_of(visits, places, chosen, len(who))
    return np.where(found < NEVER, found, -1)


def flaws(chance: Chance, who: People, visits: Visits, death: Ints, measures: Measures, drugs: Drugs) -> Flaws:
    """Plant the errors; each row has one at most."""
    tag = _tags(chance, visits, measures)
    wrong = _wrong(chance, measures, tag)
    draw = chance.below("flaw", tag, round(1 / _SHARE))
    person = visits.person[measures.visit]
    kind = np.where((draw < len(KINDS)) & ~wrong, draw, -1)
    kind = np.where((kind == 2) & (death[person] > END), -1, kind)
    day = measures.day.copy()
    day = np.where(kind == 0, EXTRACTED[2] + 400 + chance.below("future", tag, 3000), day)
    day = np.where(kind == 1, who.birth[person] - 400 - chance.below("past", tag, 3000), day)
    day = np.where(kind == 2, death[person] + 70 + chance.below("late", tag, 200), day)
    value = np.where(wrong, measures.value * 10, measures.value)
    order = np.sort(np.concatenate([np.arange(len(day)), np.flatnonzero(kind == 5)]))
    flawed = replace(measures, day=day, value=value)
    columns = {name: getattr(flawed, name)[order] for name in flawed.__dataclass_fields__}
    backwards = _reversed(chance, visits, drugs)
    counts = {name: int((kind == place).sum()) for place, name in enumerate(KINDS)}
    counts |= {"impossible_value": int(wrong.sum()), "end_before_start": int(backwards.sum())}
    return Flaws(Measures(**columns), kind[order] == 3, kind[order] == 4, backwards, counts)


def _tags(chance: Chance, visits: Visits, measures: Measures) -> Tags:
    number = (measures.day - visits.start[measures.visit]) * 1440 + measures.minute
    return chance.tags("measurement", visits.tag[measures.visit], number * len(METHODS) + measures.method)


def _wrong(chance: Chance, measures: Measures, tag: Tags) -> Flags:
    """Say which values lost their decimal point: ten times too high."""
    limit = np.array([_LIMITS.get(row["code"], 10**9) * 1000 for row in METHODS])[measures.method]
    return (measures.value * 10 > limit) & chance.happens("wrong value", tag, 0.0015)


def _reversed(chance: Chance, visits: Visits, drugs: Drugs) -> Flags:
    """Say which prescriptions of a stay end before they start (never of a drug for diabetes)."""
    spared = np.array([code.startswith("A10") for code, _ in products()])[drugs.product]
    tag = chance.tags("prescription", visits.tag[drugs.visit], drugs.product)
    return ~drugs.given & ~drugs.home & ~spared & chance.happens("reversed", tag, 0.0006)
