"""Who comes when, why and for how long; who dies. Reasons make events; events that cannot be together are dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.hospital.chance import MICRO, Chance, Flags, Ints, Tags, lognormal
from workbench.hospital.data import cancers, reasons
from workbench.hospital.days import END, LENGTH, NEVER, START, busy, workday
from workbench.hospital.illness import Illness, band
from workbench.hospital.people import People

REASONS: Final[tuple[str, ...]] = tuple(reasons()["motifs"])
REASON: Final[Mapping[str, int]] = {name: place for place, name in enumerate(REASONS)}
FACTS: Final[tuple[Mapping[str, Any], ...]] = tuple(reasons()["motifs"].values())
KINDS: Final = ("sejour", "jour", "seance", "urgences", "consultation")
KIND: Final = np.array([KINDS.index(facts["nature"]) for facts in FACTS])
"""The kind of visit of each reason, as a place in `KINDS`."""
STAY, DAY, SESSION, EMERGENCY, CONSULTATION = range(5)
_SPREAD: Final = {"S": 0.35, "M": 0.6, "L": 0.9}
_LONGEST: Final = 120


@dataclass(frozen=True)
class Visits:
    """Arrays over visits. `person` is a place among the persons; `nights` 0 for a visit of a day; `fatal`: ends with
    the person's death; `tag` gives each visit its own chance."""

    person: Ints
    reason: Ints
    start: Ints
    nights: Ints
    fatal: Flags
    tag: Tags

    def __len__(self) -> int:
        """Return the number of visits."""
        return len(self.person)

    @property
    def end(self) -> Ints:
        """The day on which each visit ends."""
        return self.start + self.nights

    @property
    def kind(self) -> Ints:
        """The kind of each visit."""
        return KIND[self.reason]

    def where(self, kept: Flags | Ints) -> Visits:
        """Return some of the visits, or all in another order."""
        return Visits(*(getattr(self, field.name)[kept] for field in fields(self)))

    def of(self, *names: str) -> Flags:
        """Say which visits have one of these reasons."""
        return np.isin(self.reason, [REASON[name] for name in names])


def together(parts: list[Visits]) -> Visits:
    """Return all visits of several, sorted by person and day."""
    joined = Visits(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Visits)))
    return joined.where(np.lexsort((joined.tag, joined.start, joined.person)))


def made(chance: Chance, who: People, reason: str, person: Ints, start: Ints, *, fatal: Flags | bool = False) -> Visits:
    """Return visits of one reason, with their length and tag, of those in `person` on the days of `start`."""
    number = REASON[reason]
    tag = chance.tags(f"visit {reason}", who.tag[person], start)
    nights = _nights(chance, FACTS[number], tag)
    return Visits(person, np.full(len(person), number), start, nights, np.broadcast_to(fatal, person.shape).copy(), tag)


def _nights(chance: Chance, facts: Mapping[str, Any], tag: Tags) -> Ints:
    if facts["nature"] == "urgences":
        return chance.happens("until morning", tag, 0.22).astype(np.int64)
    if facts["nature"] != "sejour":
        return np.zeros(len(tag), dtype=np.int64)
    median, spread = facts["duree"]
    length = round(median * 1000) * lognormal(_SPREAD[spread], chance.normal("length", tag)) // 10_000
    return np.clip((length + 500) // 1000, 1, _LONGEST)


def spontaneous(chance: Chance, who: People, ill: Illness) -> Visits:
    """Return the visits that reasons with a rate make, before any is dropped."""
    parts = [part for place in range(len(REASONS)) for part in _by_chance(chance, who, ill, place)]
    visits = together([*parts, *_care_of_cancer(chance, who, ill)])
    fatal = chance.happens("fatal", visits.tag, _lethality(who, visits))
    return replace(visits, fatal=fatal)


def _lethality(who: People, visits: Visits) -> NDArray[np.float64]:
    table = np.array([facts.get("deces", [0] * 8) for facts in FACTS], dtype=np.float64) / 1000
    return table[visits.reason, band((visits.start - who.birth[visits.person]) // 365)]


def _by_chance(chance: Chance, who: People, ill: Illness, place: int) -> Iterator[Visits]:
    """Yield the events of one reason: times of a Poisson process, one draw after another for those still in time."""
    facts, name = FACTS[place], REASONS[place]
    if not facts["taux"]:
        return
    onset = ill.since(facts["maladie"]) if "maladie" in facts else np.full(len(who), -NEVER)
    asked = onset < NEVER
    if "sexe" in facts:
        asked &= who.female == (facts["sexe"] == "F")
    start, stop = np.maximum(who.entry, onset) + 1, np.minimum(ill.death, END)
    if facts["nature"] == "seance":
        yield from _regular(chance, who, name, np.flatnonzero(asked & (start <= stop)), start, stop)
        return
    yield from _process(chance, who, place, np.flatnonzero(asked & (start <= stop)), start, stop)


def _process(chance: Chance, who: People, place: int, person: Ints, start: Ints, stop: Ints) -> Iterator[Visits]:
    facts, name = FACTS[place], REASONS[place]
    profile = busy(facts.get("saison", "plat"), facts["nature"])
    ages = np.array(facts.get("ages", [1.0] * 8))
    person = person[_ages_met(who, person, start, stop, ages)]
    rate = round(facts["taux"] * ages.max() * 1e9)
    clock = profile[start[person] - START]
    for turn in range(1000):
        clock = clock + chance.exponential(name, who.tag[person], turn) * (1_000_000_000 // MICRO) * 1_000_000 // rate
        day = START + np.searchsorted(profile, clock)
        going = day <= stop[person]
        person, clock, day = person[going], clock[going], day[going]
        if not len(person):
            return
        share = ages[band((day - who.birth[person]) // 365)] / ages.max()
        kept = chance.happens(f"age {name}", who.tag[person], share, turn)
        if kept.any():
            yield made(chance, who, name, person[kept], day[kept])


def _ages_met(who: People, person: Ints, start: Ints, stop: Ints, ages: NDArray[np.float64]) -> Flags:
    """Say who is, at some time in the window, of an age that the reason knows."""
    first = band((start[person] - who.birth[person]) // 365)
    last = band((stop[person] - who.birth[person]) // 365)
    known = np.concatenate([[0], np.cumsum(ages > 0)])
    return known[last + 1] > known[first]


def _regular(chance: Chance, who: People, name: str, person: Ints, start: Ints, stop: Ints) -> Iterator[Visits]:
    """Yield three sessions a week: Monday, Wednesday, Friday, or the days after."""
    length = stop[person] - start[person] + 1
    owner, offset = repeated(length)
    day = start[person][owner] + offset
    weekday = (day + 3 - chance.below("shift", who.tag[person], 2)[owner]) % 7
    kept = np.isin(weekday, (0, 2, 4))
    yield made(chance, who, name, person[owner[kept]], day[kept])


def repeated(counts: Ints) -> tuple[Ints, Ints]:
    """Return, for `counts` things of each owner, the owner of each thing and its number among the owner's, from 0."""
    counts = np.maximum(counts, 0)
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - first[owner]


def _care_of_cancer(chance: Chance, who: People, ill: Illness) -> Iterator[Visits]:
    """Yield surgery, sessions of chemotherapy and of radiotherapy, aplasia, and three years of consultations."""
    for name, facts in cancers().items():
        onset, last = ill.since(name), np.minimum(ill.death, END)
        here = np.flatnonzero((onset > who.entry) & (onset < last))
        if not len(here):
            continue
        tag, since, until = who.tag[here], onset[here], last[here]
        if "chirurgie" in facts:
            reason, share, after = facts["chirurgie"]
            day = since + after + chance.below(f"operation {name}", tag, 25)
            yield made(
                chance,
                who,
                reason,
                *_chosen(chance.happens(f"operated {name}", tag, share) & (day <= until), here, day),
            )
        if "chimio" in facts:
            yield from _sessions(chance, who, f"chimiotherapie {name}", here, since + 60, until, facts["chimio"])
        if "rayons" in facts:
            rays = {"cycles": facts["rayons"]["seances"], "intervalle": 1, **facts["rayons"]}
            yield from _sessions(chance, who, f"radiotherapie {name}", here, since + 230, until, rays)
        owner, number = repeated(np.full(len(here), 9))
        day = since[owner] + 40 + number * 120 + chance.below(f"follow {name}", who.tag[here][owner], 40)
        yield made(chance, who, "consultation_cancer", *_chosen(day <= until[owner], here[owner], day))


def _sessions(
    chance: Chance, who: People, stream: str, here: Ints, since: Ints, until: Ints, facts: Mapping[str, Any]
) -> Iterator[Visits]:
    reason = stream.split(" ", maxsplit=1)[0]
    given = chance.happens(stream, who.tag[here], facts["part"])
    first = since + chance.below(f"first {stream}", who.tag[here], 25)
    first = workday(first)
    owner, number = repeated(np.where(given, facts["cycles"], 0))
    step = (
        number * facts["intervalle"] if facts["intervalle"] > 1 else number + (number + (first[owner] + 3) % 7) // 5 * 2
    )
    day = first[owner] + step
    kept = day <= until[owner]
    sessions = made(chance, who, reason, *_chosen(kept, here[owner], day))
    yield sessions
    if reason == "chimiotherapie":
        ill = chance.happens("aplasia", sessions.tag, 0.035)
        later = sessions.start + 8
        yield made(chance, who, "aplasie_febrile", *_chosen(ill & (later <= END), sessions.person, later))


def _chosen(kept: Flags, person: Ints, day: Ints) -> tuple[Ints, Ints]:
    return person[kept], day[kept]


def apart(visits: Visits) -> Visits:
    """Drop each visit that begins before the end of an earlier one of the same person; visits come sorted."""
    base = visits.person * (LENGTH * 4)
    reach = np.maximum.accumulate(np.concatenate([[-1], base + visits.end - START]))[:-1]
    return visits.where(base + visits.start - START > reach)


def clear(visits: Visits, start: Ints, end: Ints) -> Visits:
    """Drop the visits that touch the days `start` to `end` of their person (`NEVER`: no such days)."""
    return visits.where((visits.end < start[visits.person]) | (visits.start > end[visits.person]))


def first_of(visits: Visits, day: Ints, chosen: Flags, persons: int) -> Ints:
    """Return each person's first such day among the chosen visits, `NEVER` where there is none."""
    result = np.full(persons, NEVER, dtype=np.int64)
    np.minimum.at(result, visits.person[chosen], day[chosen])
    return result
