"""The course of each person: what is planted, what chance brings, and a death that ends both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.hospital import planted
from workbench.hospital.chance import Chance, Flags, Ints
from workbench.hospital.data import cancers
from workbench.hospital.days import END, NEVER
from workbench.hospital.illness import Illness
from workbench.hospital.pathways import Diabetes
from workbench.hospital.people import People
from workbench.hospital.planted import YEAR
from workbench.hospital.visits import Visits, apart, clear, first_of, made, repeated, spontaneous, together

HEART_FAILURE = "insuffisance_cardiaque"
_LONGEST = 25
"""Nights of a planted stay, at most."""


@dataclass(frozen=True)
class Planted:
    """A planted outcome, one value a person: `index` (`NEVER`: not asked), `risk` the probability that was drawn
    from, `day` of the outcome, `followed` says who was alive and observed for the year after the index."""

    index: Ints
    risk: NDArray[np.float64]
    day: Ints
    followed: Flags

    @property
    def event(self) -> Flags:
        """Who has the outcome."""
        return self.day < NEVER


@dataclass(frozen=True)
class Course:
    """All visits, and the day of each person's death (`NEVER`: alive), with what is planted. `before` says who had a
    stay for heart failure up to the first metformin; `failing` who is known with it at the second drug."""

    visits: Visits
    death: Ints
    first: Planted
    second: Planted
    before: Flags
    failing: Flags


def course(chance: Chance, who: People, ill: Illness, sugar: Diabetes) -> Course:
    """Return the course of all persons: fixed visits first, chance around them, then the planted outcomes."""
    fixed = _fixed(chance, who, sugar)
    base = _around(together([spontaneous(chance, who, ill), _pregnancies(chance, who)]), fixed, who, sugar)
    stays = base.of(HEART_FAILURE)
    death = _died(_died(ill.death, base), fixed)
    earlier = first_of(base, base.start, stays, len(who))
    first = _plant(chance, "first", who, np.where(sugar.new, sugar.first, NEVER), death, ill)
    one = _failure_stays(chance, who, first)
    death = _died(death, one)
    failing = (first.day < sugar.second) | (earlier <= sugar.second)
    second = _plant(chance, "second", who, sugar.second, death, ill, failing, sugar.gliflozin)
    two = _failure_stays(chance, who, second)
    for each in (one, two):
        base = clear(base, *_span(each, len(who)))
    death = _died(_died(_died(_died(ill.death, base), fixed), one), two)
    last = _last_days(chance, who, ill, death, [fixed, one, two])
    base = clear(base, *_span(last, len(who)))
    visits = _until_death(together([base, fixed, one, two, last]), death)
    return Course(visits, death, first, second, earlier <= sugar.first, failing)


def _died(death: Ints, visits: Visits) -> Ints:
    """Return the deaths, where a fatal visit comes before."""
    return np.minimum(death, first_of(visits, visits.end, visits.fatal, len(death)))


def _fixed(chance: Chance, who: People, sugar: Diabetes) -> Visits:
    """Return the visits that are there in any case: first contact, birth, the two days of the diabetes pathway."""
    born = np.flatnonzero(who.born < NEVER)
    weak = chance.happens("weak", who.tag[born], 0.08)
    others = np.flatnonzero(who.born == NEVER)
    mothers = np.flatnonzero(who.delivery < NEVER)
    started, changed = np.flatnonzero(sugar.new), np.flatnonzero(sugar.second < NEVER)
    parts = [
        made(chance, who, "entree", others, who.entry[others]),
        made(chance, who, "naissance", born[~weak], who.born[born[~weak]]),
        made(chance, who, "neonatologie", born[weak], who.born[born[weak]]),
        made(chance, who, "accouchement", mothers, who.delivery[mothers]),
        made(chance, who, "bilan_diabete", started, sugar.first[started]),
        made(chance, who, "bilan_diabete", changed, sugar.second[changed]),
    ]
    visits = together(parts)
    dies = chance.happens("fatal", visits.tag, np.where(visits.of("neonatologie"), 0.012, 0.0))
    return replace(visits, fatal=dies)


def _pregnancies(chance: Chance, who: People) -> Visits:
    mothers = np.flatnonzero(who.delivery < NEVER)
    owner, number = repeated(np.full(len(mothers), 5))
    day = who.delivery[mothers][owner] - 12 - number * 38 - chance.below("check", who.tag[mothers][owner], 9)
    kept = day > who.entry[mothers][owner]
    return made(chance, who, "consultation_grossesse", mothers[owner[kept]], day[kept])


def _around(base: Visits, fixed: Visits, who: People, sugar: Diabetes) -> Visits:
    """Drop what cannot be beside the fixed visits: overlaps, and stays for heart failure in the planted years."""
    base = base.where(base.end <= END)
    for name in ("entree", "naissance", "neonatologie", "accouchement"):
        base = clear(base, *_span(fixed.where(fixed.of(name)), len(who)))
    failure = base.of(HEART_FAILURE)
    for index in (np.where(sugar.new, sugar.first, NEVER), sugar.second):
        mine = index[base.person]
        inside = failure & (base.end >= mine) & (base.start <= mine + YEAR)
        touched = (base.start <= mine) & (base.end >= mine)
        kept = ~inside & ~touched
        base, failure = base.where(kept), failure[kept]
    return apart(base)


def _span(visits: Visits, persons: int) -> tuple[Ints, Ints]:
    """Return the first and last day of each person's visit, one a person at most (`NEVER`: none)."""
    start, end = np.full(persons, NEVER, dtype=np.int64), np.full(persons, NEVER, dtype=np.int64)
    start[visits.person], end[visits.person] = visits.start, visits.end
    return start, end


def _plant(
    chance: Chance,
    part: str,
    who: People,
    index: Ints,
    death: Ints,
    ill: Illness,
    failing: Flags | None = None,
    treated: Flags | bool = False,
) -> Planted:
    """Draw the outcome of the year after an index, for those who are alive and observed through it."""
    followed = (index < NEVER) & (index + YEAR <= END) & (death > index + YEAR)
    certain = failing is None
    risk = planted.prediction(who, ill, index) if certain else planted.effect(who, ill, index, failing, treated)
    happens = followed & chance.happens(f"planted {part}", who.tag, risk)
    day = index + 1 + chance.below(f"planted day {part}", who.tag, YEAR)
    return Planted(index, risk, np.where(happens, day, NEVER), followed)


def _failure_stays(chance: Chance, who: People, outcome: Planted) -> Visits:
    person = np.flatnonzero(outcome.event)
    stays = made(chance, who, HEART_FAILURE, person, outcome.day[person])
    nights = np.minimum(np.minimum(stays.nights, _LONGEST), END - stays.start)
    return replace(stays, nights=nights, fatal=chance.happens("fatal", stays.tag, 0.05))


def _last_days(chance: Chance, who: People, ill: Illness, death: Ints, others: list[Visits]) -> Visits:
    """Return stays that end with the death by age and disease: about half of all such deaths are in the hospital."""
    here = (death == ill.death) & (death <= END) & chance.happens("dies here", who.tag, 0.5)
    start = np.maximum(death - 1 - chance.below("last days", who.tag, 14), who.entry + 1)
    free = here & (start <= death)
    for each in others:
        touching = (each.end >= start[each.person]) & (each.start <= death[each.person])
        free[each.person[touching]] = False
    cancer = np.zeros(len(who), dtype=np.bool_)
    for name in cancers():
        cancer |= ill.has(name, start)
    choice = np.where(cancer, 0, 1 + chance.pick("last reason", who.tag, [4, 3, 3]))
    parts: list[Visits] = []
    for number, reason in enumerate(("soins_palliatifs", "had_retour", "pneumopathie", "sepsis")):
        person = np.flatnonzero(free & (choice == number))
        stays = made(chance, who, reason, person, start[person], fatal=True)
        parts.append(replace(stays, nights=death[person] - start[person]))
    return together(parts)


def _until_death(visits: Visits, death: Ints) -> Visits:
    """End with the death: later visits do not happen, a stay in which it comes ends with it."""
    mine = death[visits.person]
    visits, mine = visits.where(visits.start <= mine), mine[visits.start <= mine]
    cut = visits.end > mine
    inside = (visits.nights > 0) & (visits.end >= mine)
    return replace(visits, nights=np.where(cut, mine - visits.start, visits.nights), fatal=inside)
