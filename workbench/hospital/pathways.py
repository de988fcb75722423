"""Treatment pathways: who takes which drug from when to when, in the order in which care gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from workbench.hospital.chance import Chance, Flags, Ints
from workbench.hospital.data import cancers, diseases, planted, rows
from workbench.hospital.days import END, NEVER, day, workday
from workbench.hospital.illness import Illness
from workbench.hospital.people import People
from workbench.hospital.planted import indication

PRIOR: Final = 200
"""Days between the first contact and a first metformin that counts as new (definitions ask for 180)."""
_GLIFLOZINS: Final = day("2020-07-01")
"""From when the hospital gives gliflozins, and the second drug of a diabetes is followed here."""
METFORMIN: Final = "A10BA02"


@cache
def products() -> tuple[tuple[str, str], ...]:
    """Return every product that the pharmacy has: (ATC code, dose and form)."""
    return tuple((row["code"], form) for row in rows("atc") if row["produits"] for form in row["produits"].split("|"))


@cache
def products_of() -> Mapping[str, tuple[int, ...]]:
    """Return the numbers of the products of each ATC code."""
    found: dict[str, list[int]] = {}
    for number, (code, _) in enumerate(products()):
        found.setdefault(code, []).append(number)
    return {code: tuple(numbers) for code, numbers in found.items()}


@dataclass(frozen=True)
class Lines:
    """What is taken at home: one row a person (its place, not its id) and drug, from a day to a day, both included."""

    person: Ints
    product: Ints
    start: Ints
    stop: Ints


@dataclass(frozen=True)
class Diabetes:
    """The pathway of type 2 diabetes, one value a person: the day of the first metformin (`NEVER`: none), whether it
    is new (`first` then is the planted index), the day of the second drug, whether that is a gliflozin, and of
    insulin; `metformin` and `second_drug` are product numbers."""

    first: Ints
    new: Flags
    second: Ints
    gliflozin: Flags
    insulin: Ints
    metformin: Ints
    second_drug: Ints


def diabetes(chance: Chance, who: People, ill: Illness) -> Diabetes:
    """Return who starts what when: metformin, then a second drug, then insulin."""
    onset, last = ill.since("diabete2"), np.minimum(END, ill.death) - 1
    patient, known = onset < NEVER, onset <= who.entry
    stage = chance.pick("stage", who.tag, [45, 55])
    long_since = known & (stage == 0)
    start = np.where(
        known,
        who.entry + PRIOR + chance.below("metformin", who.tag, 1500),
        np.maximum(onset + chance.below("lag", who.tag, 60), who.entry + PRIOR),
    )
    start = workday(start)
    new = patient & ~long_since & (start <= last)
    first = np.where(patient & long_since, who.entry, np.where(new, start, NEVER))
    second = _second(chance, who, first, last)
    gliflozin = chance.happens("gliflozin", who.tag, indication(who, ill, second)) & (second < NEVER)
    later = np.where(second < NEVER, second, first) + 420 + chance.below("to insulin", who.tag, 1500)
    insulin = np.where(chance.happens("insulin", who.tag, 0.3) & (first < NEVER) & (later <= last), later, NEVER)
    return Diabetes(
        first,
        new,
        second,
        gliflozin,
        insulin,
        metformin=_product(chance, who, [METFORMIN], [1], "metformin dose"),
        second_drug=np.where(
            gliflozin,
            _product(chance, who, ["A10BK01", "A10BK03"], [55, 45], "gliflozin drug"),
            _product(chance, who, ["A10BB09", "A10BB12"], [65, 35], "sulfonylurea drug"),
        ),
    )


def _second(chance: Chance, who: People, first: Ints, last: Ints) -> Ints:
    """The day of the second drug: long enough after the first, and a year before the end, to be followed."""
    earliest = np.maximum(first + 420, _GLIFLOZINS)
    start = workday(earliest + chance.below("second", who.tag, 700))
    asked = chance.happens("second drug", who.tag, 0.72)
    return np.where(asked & (first < NEVER) & (start <= np.minimum(last, END - 366)), start, NEVER)


def _product(chance: Chance, who: People, codes: list[str], weights: list[float], stream: str) -> Ints:
    """Return one product a person: a drug by weight, then one of its products."""
    chosen = chance.pick(stream, who.tag, weights)
    result = np.zeros(len(who), dtype=np.int64)
    for place, code in enumerate(codes):
        numbers = np.array(products_of()[code])
        result = np.where(chosen == place, numbers[chance.below(f"product {code}", who.tag, len(numbers))], result)
    return result


def lines(chance: Chance, who: People, ill: Illness, sugar: Diabetes) -> Lines:
    """Return all that is taken at home, sorted by person."""
    parts = list(_lines(chance, who, ill, sugar))
    person, product, start, stop = (np.concatenate([part[n] for part in parts]) for n in range(4))
    order = np.lexsort((product, start, person))
    return Lines(person[order], product[order], start[order], stop[order])


_Part = tuple[Ints, Ints, Ints, Ints]


def _lines(chance: Chance, who: People, ill: Illness, sugar: Diabetes) -> Iterator[_Part]:
    never = np.full(len(who), NEVER, dtype=np.int64)
    choices = [(name, facts.get("traitements", [])) for name, facts in diseases().items()]
    choices += [(name, facts.get("suite", [])) for name, facts in cancers().items()]
    for name, each in choices:
        for number, weights in enumerate(each):
            product = _choice(chance, who, f"{name} {number}", weights)
            yield _line(product, ill.since(name) + (30 if name in cancers() else 0), never)
    yield _line(np.where(sugar.first < NEVER, sugar.metformin, -1), sugar.first, never)
    yield _line(np.where(sugar.second < NEVER, sugar.second_drug, -1), sugar.second, never)
    gliptin = chance.happens("gliptin", who.tag, 0.3) & (sugar.second == NEVER) & (sugar.first < NEVER)
    yield _line(np.where(gliptin, products_of()["A10BH01"][0], -1), sugar.first + 400, never)
    yield _line(np.where(sugar.insulin < NEVER, products_of()["A10AE04"][0], -1), sugar.insulin, never)
    yield from _anticoagulants(chance, who, ill)


def _choice(chance: Chance, who: People, stream: str, weights: Mapping[str, float]) -> Ints:
    """Return the product of one choice of drugs for each person, -1 where the choice is none."""
    names = list(weights)
    chosen = chance.pick(f"treat {stream}", who.tag, list(weights.values()))
    result = np.full(len(who), -1, dtype=np.int64)
    for place, code in enumerate(names):
        if code:
            numbers = np.array(products_of()[code])
            own = chance.below(f"dose {stream} {code}", who.tag, len(numbers))
            result = np.where(chosen == place, numbers[own], result)
    return result


def _line(product: Ints, start: Ints, stop: Ints) -> _Part:
    kept = np.flatnonzero((product >= 0) & (start < NEVER) & (start < stop) & (start <= END))
    return kept, product[kept], start[kept], stop[kept]


def _anticoagulants(chance: Chance, who: People, ill: Illness) -> Iterator[_Part]:
    """Atrial fibrillation: a vitamin K antagonist for those of old, then a direct one; never back."""
    onset = ill.since("fa")
    treated = (onset < NEVER) & chance.happens("anticoagulated", who.tag, 0.82)
    recent = np.clip((onset - day("2012-01-01")) / (day("2023-01-01") - day("2012-01-01")), 0, 1)
    old = treated & chance.happens("antagonist", who.tag, 0.92 - 0.86 * recent)
    change = np.maximum(onset, who.entry) + 250 + chance.below("change", who.tag, 1600)
    changes = old & chance.happens("changes", who.tag, 0.6)
    antagonist = _product(chance, who, ["B01AA12", "B01AA03"], [60, 40], "antagonist drug")
    direct = _product(chance, who, ["B01AF02", "B01AF01", "B01AE07"], [58, 30, 12], "direct drug")
    yield _line(np.where(old, antagonist, -1), onset, np.where(changes, change - 1, NEVER))
    yield _line(
        np.where(treated & (~old | changes), direct, -1), np.where(changes, change, onset), np.full(len(who), NEVER)
    )


def planted_names() -> tuple[str, ...]:
    """Return the diseases that the planted probabilities depend on: always recorded at the index."""
    return tuple(dict.fromkeys(n for part in planted().values() for n in part if n in diseases()))
