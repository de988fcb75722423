"""Drugs prescribed and administered: what is taken at home goes on, and each stay brings its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from workbench.hospital.chance import Chance, Flags, Ints
from workbench.hospital.data import cancers
from workbench.hospital.illness import Illness
from workbench.hospital.pathways import Diabetes, Lines, products, products_of
from workbench.hospital.visits import CONSULTATION, DAY, EMERGENCY, FACTS, REASON, SESSION, STAY, Visits, repeated

_SHORT: Final = ("J01", "N01", "N02", "M01", "A03", "A04", "H02", "R03", "B05")
"""What is given for some days only: antibiotics, anaesthetics, painkillers, …"""
_DAYS: Final = 90
"""Days of a prescription to take home."""
_GIVEN: Final = 6
"""Days of a stay of which each administration is recorded, at most."""


@dataclass(frozen=True)
class Drugs:
    """`visit` is a place among the visits; `product` in the pharmacy; `given`: an administration, else a prescription;
    `home`: to be taken at home (`end` then lies beyond the visit)."""

    visit: Ints
    product: Ints
    start: Ints
    end: Ints
    given: Flags
    home: Flags


def drugs(chance: Chance, visits: Visits, ill: Illness, taken: Lines, sugar: Diabetes) -> Drugs:
    """Return prescriptions and administrations, sorted by visit."""
    ordered = [*_continued(chance, visits, taken), *_of_reason(chance, visits, ill)]
    visit, product, start, end = (np.concatenate([part[n] for part in ordered]) for n in range(4))
    home = visits.kind[visit] == CONSULTATION
    planted = list(_first_prescriptions(visits, sugar))
    own, what = (np.concatenate([part[n] for part in planted]) for n in range(2))
    begins = visits.start[own]
    prescriptions = Drugs(
        np.concatenate([visit, own]),
        np.concatenate([product, what]),
        np.concatenate([start, begins]),
        np.concatenate([np.where(home, start + _DAYS - 1, end), begins + _DAYS - 1]),
        np.zeros(len(visit) + len(own), dtype=np.bool_),
        np.concatenate([home, np.ones(len(own), dtype=np.bool_)]),
    )
    return _sorted(prescriptions, _administrations(chance, visits, prescriptions))


_Part = tuple[Ints, Ints, Ints, Ints]


def _continued(chance: Chance, visits: Visits, taken: Lines) -> Iterator[_Part]:
    """Yield what the person takes already, where a stay continues it or a consultation renews it."""
    share = np.array([0.93, 0.0, 0.0, 0.0, 0.55])[visits.kind]
    share = np.where(visits.of("entree"), 0.8, share)
    first = np.searchsorted(taken.person, visits.person, "left")
    last = np.searchsorted(taken.person, visits.person, "right")
    owner, number = repeated(np.where(share > 0, last - first, 0))
    line = first[owner] + number
    begun = (taken.start[line] < visits.start[owner]) & (taken.stop[line] >= visits.start[owner])
    owner, line = owner[begun], line[begun]
    tag = chance.tags("continued", visits.tag[owner], taken.product[line])
    kept = chance.happens("continues", tag, share[owner])
    owner, line = owner[kept], line[kept]
    yield owner, taken.product[line], visits.start[owner], visits.end[owner]


def _of_reason(chance: Chance, visits: Visits, ill: Illness) -> Iterator[_Part]:
    for place, facts in enumerate(FACTS):
        if "medicaments" in facts:
            mine = np.flatnonzero(visits.reason == place)
            for number, (code, share) in enumerate(facts["medicaments"].items()):
                yield _ordered(chance, visits, mine, code, share, number)
    for name, facts in cancers().items():
        if "medicaments" in facts:
            session = visits.reason == REASON["chimiotherapie"]
            mine = np.flatnonzero(session & (ill.since(name)[visits.person] <= visits.start))
            for number, (code, share) in enumerate(facts["medicaments"].items()):
                yield _ordered(chance, visits, mine, code, share, number + 40)


def _ordered(chance: Chance, visits: Visits, mine: Ints, code: str, share: float, number: int) -> _Part:
    """Return the orders of one drug; what is for some days ends before the stay does."""
    found = mine[chance.happens("ordered", visits.tag[mine], share, number)]
    numbers = np.array(products_of()[code])
    product = numbers[chance.below("ordered product", visits.tag[found], len(numbers), number)]
    start, nights = visits.start[found], visits.nights[found]
    length = nights
    if code.startswith(_SHORT):
        length = np.minimum(nights, 2 + chance.below("days", visits.tag[found], 6, number))
    return found, product, start, start + length


def _first_prescriptions(visits: Visits, sugar: Diabetes) -> Iterator[tuple[Ints, Ints]]:
    """Yield the first prescription of each step of the diabetes pathway: at the first contact or at its own day."""
    start, person = visits.start, visits.person
    index = visits.of("bilan_diabete")
    opening = visits.of("entree") & (sugar.first[person] == start) & ~sugar.new[person]
    for chosen, product in (
        (opening, sugar.metformin),
        (index & sugar.new[person] & (sugar.first[person] == start), sugar.metformin),
        (index & (sugar.second[person] == start), sugar.second_drug),
    ):
        found = np.flatnonzero(chosen)
        yield found, product[person[found]]


def _administrations(chance: Chance, visits: Visits, ordered: Drugs) -> Drugs:
    """Return one administration a day of what is ordered for a stay, and the one of a day visit."""
    kind = visits.kind[ordered.visit]
    here = np.flatnonzero(~ordered.home & np.isin(kind, (STAY, DAY, SESSION, EMERGENCY)))
    days = np.minimum(ordered.end[here] - ordered.start[here] + 1, _GIVEN)
    owner, number = repeated(days)
    owner = here[owner]
    tag = chance.tags("given", visits.tag[ordered.visit[owner]], ordered.product[owner] * 64 + number)
    kept = chance.happens("is given", tag, 0.96)
    owner, day = owner[kept], ordered.start[owner[kept]] + number[kept]
    truth = np.ones(len(owner), dtype=np.bool_)
    return Drugs(ordered.visit[owner], ordered.product[owner], day, day, truth, ~truth)


def _sorted(one: Drugs, two: Drugs) -> Drugs:
    names = ("visit", "product", "start", "end", "given", "home")
    columns = [np.concatenate([getattr(one, name), getattr(two, name)]) for name in names]
    key = ((columns[0] * 2 + columns[4]) * len(products()) + columns[1]) * 100_000 + columns[2]
    order = np.argsort(key, kind="stable")
    return Drugs(*(column[order] for column in columns))
