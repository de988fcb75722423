"""Chronic diseases that last, each with what favours it, and the day on which a person would die of age and disease."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.hospital.chance import MICRO, Chance, Flags, Ints
from workbench.hospital.data import AGES, diseases
from workbench.hospital.days import END, NEVER
from workbench.hospital.people import People

NAMES: Final = tuple(diseases())
INDEX: Final[Mapping[str, int]] = {name: place for place, name in enumerate(NAMES)}
_OLDEST: Final = 118


@dataclass(frozen=True)
class Illness:
    """`onset` (diseases × persons) is the first day of each disease (`NEVER`: none); `variant` says which of the
    disease's codes is this person's; `death` is the day of a death by age and disease, whatever happens in a stay."""

    onset: Ints
    variant: Ints
    death: Ints

    def since(self, name: str) -> Ints:
        """Return the first day of a disease for each person."""
        return self.onset[INDEX[name]]

    def has(self, name: str, at: Ints | int) -> Flags:
        """Say who has a disease on a day (one for all, or one each)."""
        return self.since(name) <= at


def band(age: Ints) -> Ints:
    """Return the age band of ages in years."""
    return np.searchsorted(np.array(AGES[1:]), age, "right")


def illness(chance: Chance, who: People) -> Illness:
    """Draw the diseases one after another, since some favour others, then the day of death."""
    onset = np.full((len(NAMES), len(who)), NEVER, dtype=np.int64)
    variant = np.zeros_like(onset)
    ages = band((np.minimum(who.entry + 1095, END) - who.birth) // 365)
    for place, (name, facts) in enumerate(diseases().items()):
        present = chance.happens(f"has {name}", who.tag, _probability(facts, who, ages, onset)) & ~who.apart
        if "exclut" in facts:
            present &= onset[INDEX[facts["exclut"]]] == NEVER
        onset[place] = np.where(present, _first_day(chance, name, facts, who), NEVER)
        variant[place] = chance.pick(f"code {name}", who.tag, list(facts["codes"].values()))
    return Illness(onset, variant, _death(chance, who, onset))


def _probability(facts: Mapping[str, Any], who: People, ages: Ints, onset: Ints) -> NDArray[np.float64]:
    share = np.minimum(np.array(facts["prevalence"], dtype=np.float64)[ages], 0.95)
    odds = share / (1 - share) * np.where(who.female, facts["femmes"], 1.0)
    for other, factor in facts.get("facteurs", {}).items():
        odds = odds * np.where(onset[INDEX[other]] < NEVER, factor, 1.0)
    return odds / (1 + odds)


def _first_day(chance: Chance, name: str, facts: Mapping[str, Any], who: People) -> Ints:
    """Before the first contact for some, in the period for the others (never, if there is no time left)."""
    before = who.entry - 30 - chance.below(f"long ago {name}", who.tag, 15 * 365)
    left = END - who.entry - 60
    later = who.entry + 60 + chance.below(f"later {name}", who.tag, left)
    old = chance.happens(f"old {name}", who.tag, facts["ancien"])
    return np.where(old, np.maximum(before, who.birth), np.where(left > 0, later, NEVER))


@cache
def hazard() -> Ints:
    """Return the cumulated hazard of death by day of age, in thousand-millionths: Gompertz's law, and a first year."""
    total, sums = 0, []
    for age in range(_OLDEST * 365):
        yearly = 1.6e-4 + 2.2e-5 * math.exp(0.098 * age / 365) + (0.003 if age < 365 else 0)
        total += round(yearly / 365 * 1e9)
        sums.append(total)
    return np.array(sums, dtype=np.int64)


def _death(chance: Chance, who: People, onset: Ints) -> Ints:
    """The first of several clocks: one of age, and one of each disease's excess hazard from its onset on."""
    death = _clock(chance, "age", who, who.entry, 1.0)
    for place, (name, facts) in enumerate(diseases().items()):
        if facts["mortalite"] > 1:
            ill = onset[place] < NEVER
            start = np.maximum(onset[place], who.entry)
            death = np.where(ill, np.minimum(death, _clock(chance, name, who, start, facts["mortalite"] - 1)), death)
    return np.where(who.apart, NEVER, death)


def _clock(chance: Chance, name: str, who: People, start: Ints, times: float) -> Ints:
    """Return when a clock that starts on a day rings, its hazard `times` that of age alone."""
    sums = hazard()
    aged = np.clip(start - who.birth, 0, len(sums) - 1)
    target = sums[aged] + chance.exponential(f"death {name}", who.tag) * (1_000_000_000 // MICRO) * 1000 // round(
        times * 1000
    )
    rings = np.searchsorted(sums, target)
    return np.where(rings < len(sums), who.birth + rings, NEVER)
