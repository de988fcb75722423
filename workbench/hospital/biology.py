"""Biology and vital signs: what is measured when, its value, and the method and unit of that year.

Values are whole thousandths of the unit in which a person's true value is kept; units that came before or after are
ratios of whole numbers, rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from workbench.hospital.chance import SD, Chance, Flags, Ints, Tags, lognormal
from workbench.hospital.data import reasons, rows
from workbench.hospital.days import LENGTH, START, day
from workbench.hospital.illness import NAMES, Illness
from workbench.hospital.people import People
from workbench.hospital.visits import CONSULTATION, DAY, EMERGENCY, FACTS, SESSION, STAY, Visits

ANALYTES: Final = tuple(rows("biologie"))
NAME: Final[Mapping[str, int]] = {row["code"]: place for place, row in enumerate(ANALYTES)}
METHODS: Final = (*ANALYTES, *rows("methodes"))
"""How something is measured: each analyte's own method first, then those of other years."""
VITALS: Final = ("PAS", "PAD", "FC", "TEMP", "SPO2", "FR", "EVA", "GLASGOW", "POIDS", "TAILLE", "IMC")
_FOLLOW: Final = (0, 2, 5, 9)
"""Days of a stay on which blood is taken."""
_AGAIN: Final = frozenset(
    ("NA", "K", "CL", "PROT", "UREE", "CREA", "DFG", "HB", "HT", "VGM", "GB", "PNN", "PLQ", "CRP", "GLY", "TROP")
)
_EASES: Final = np.array([10, 6, 3, 1])
"""What is left of an acute episode on those days, in tenths."""


_LONGEST_STAY: Final = 256
"""More days than any stay has."""


@dataclass(frozen=True)
class Measures:
    """`visit` is a place among the visits; `method` in `METHODS`; `value` is whole thousandths in the method's unit
    (`positive` for tests that only say yes or no, -1 where they do not apply); `beyond`: below (-1) or above (1) what
    it can measure."""

    visit: Ints
    method: Ints
    day: Ints
    minute: Ints
    value: Ints
    positive: Ints
    beyond: Ints


@dataclass(frozen=True)
class _Samples:
    visit: Ints
    day: Ints
    turn: Ints
    minute: Ints
    tag: Tags


def measures(chance: Chance, who: People, ill: Illness, visits: Visits, minute: Ints) -> Measures:
    """Return all measurements, sorted by visit, time and method. `minute` is when each visit starts."""
    blood = _samples(chance, visits, minute, np.array([4, 1, 1, 1, 1])[visits.kind], "blood")
    bedside = _samples(chance, visits, minute, np.array([3, 1, 1, 1, 1])[visits.kind], "bedside")
    parts = [*_blood(chance, who, ill, visits, blood), *_bedside(chance, who, ill, visits, bedside)]
    names = ("visit", "method", "day", "minute", "value", "positive", "beyond")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    after = columns[2] - visits.start[columns[0]]
    key = ((columns[0] * _LONGEST_STAY + after) * 1440 + columns[3]) * len(METHODS) + columns[1]
    order = np.argsort(key, kind="stable")
    return Measures(*(column[order] for column in columns))


def _samples(chance: Chance, visits: Visits, minute: Ints, most: Ints, stream: str) -> _Samples:
    parts: list[tuple[Ints, ...]] = []
    for turn, after in enumerate(_FOLLOW if stream == "blood" else (0, 1, 2)):
        found = np.flatnonzero((most > turn) & (visits.nights >= after))
        tag = chance.tags(stream, visits.tag[found], turn)
        at = (
            np.minimum(minute[found] + 12 + chance.below("wait", tag, 40), 1439)
            if not turn
            else 360 + chance.below("round", tag, 60)
        )
        parts.append((found, visits.start[found] + after, np.full(len(found), turn), at, tag.view(np.int64)))
    visit, days, turn, at, tag = (np.concatenate([part[n] for part in parts]) for n in range(5))
    return _Samples(visit, days, turn, at, tag.view(np.uint64))


@cache
def _asked() -> Flags:
    """Return which reason (row) asks for which analyte (column)."""
    table = np.zeros((len(FACTS), len(ANALYTES)), dtype=np.bool_)
    panels = reasons()["bilans"]
    for place, facts in enumerate(FACTS):
        for name in facts.get("bio", []):
            for code in panels.get(name, [name]):
                table[place, NAME[code]] = True
    return table


def _blood(chance: Chance, who: People, ill: Illness, visits: Visits, taken: _Samples) -> Iterator[Measures]:
    reason = visits.reason[taken.visit]
    made: dict[str, tuple[Ints, Ints]] = {}
    for place, row in enumerate(ANALYTES):
        code = row["code"]
        if code in VITALS:
            continue
        wanted = _asked()[reason, place]
        if code == "HBA1C":  # asked of diabetics nearly always, of others for a reason
            wanted = wanted | (_diabetic(ill, visits, taken) & (visits.kind[taken.visit] == STAY))
        again = 0.75 if code in _AGAIN else 0.15
        tag = chance.tags(f"asks {code}", taken.tag)
        found = np.flatnonzero(wanted & chance.happens("sampled", tag, np.where(taken.turn == 0, 0.975, again)))
        if row["loi"] == "Q":
            yield _test(chance, visits, taken, found, tag[found], place)
            continue
        if row["loi"] == "D":
            value = _derived(code, who, visits, taken, found, made)
        else:
            value = _values(chance, who, ill, visits, taken, found, tag[found], place)
        if code in {"CREA", "HB", "GB"}:
            made[code] = (found, value)
        yield from _by_method(taken, found, value, place)


def _diabetic(ill: Illness, visits: Visits, taken: _Samples) -> Flags:
    return (taken.turn == 0) & ill_at(ill, "diabete2", visits, taken.visit)


def ill_at(ill: Illness, name: str, visits: Visits, visit: Ints) -> Flags:
    """Say whether the person of each visit has a disease on its day."""
    return ill.since(name)[visits.person[visit]] <= visits.start[visit]


def _values(
    chance: Chance, who: People, ill: Illness, visits: Visits, taken: _Samples, found: Ints, tag: Tags, place: int
) -> Ints:
    """Return true values: the person's own level, moved by disease, by the acute episode, and by the day."""
    row = ANALYTES[place]
    visit = taken.visit[found]
    person = visits.person[visit]
    own = chance.normal(f"level {row['code']}", who.tag[person])
    noise = chance.normal("day to day", tag)
    centre, of_person, of_day = (float(row[name]) for name in ("centre", "ecart_personne", "ecart"))
    if row["loi"] == "L":
        value = round(centre * 1000) * lognormal(of_person, own) // 10_000 * lognormal(of_day, noise) // 10_000
    else:
        value = round(centre * 1000) + (round(of_person * 1000) * own + round(of_day * 1000) * noise) // SD
    for mark, change in (part.split(":") for part in row["maladies"].split()):
        value = _changed(value, change, _marked(who, ill, visits, visit, mark), 10)
    shock = _shocks()[place][visits.reason[visit]]
    eases = _EASES[taken.turn[found]] * (shock != 0)
    if _multiplies(place):
        return np.maximum(value + value * (shock - 1000) // 1000 * eases // 10, 1)
    return np.maximum(value + shock * eases // 10, 1)


def _marked(who: People, ill: Illness, visits: Visits, visit: Ints, mark: str) -> Flags:
    person = visits.person[visit]
    if mark == "F":
        return who.female[person]
    if mark == "enfant":
        return visits.start[visit] - who.birth[person] < 14 * 365
    return ill.onset[NAMES.index(mark), person] <= visits.start[visit]


def _changed(value: Ints, change: str, who: Flags, tenths: int) -> Ints:
    if change.startswith("x"):
        return np.where(who, value * round(float(change[1:]) * 100) // 100, value)
    return np.where(who, value + round(float(change) * 1000) * tenths // 10, value)


def _multiplies(place: int) -> bool:
    return ANALYTES[place]["loi"] == "L"


@cache
def _shocks() -> Ints:
    """Return, by analyte and reason, what an acute episode does, in thousandths: a factor for skewed laws (0: none),
    a sum for the others."""
    table = np.zeros((len(ANALYTES), len(FACTS)), dtype=np.int64)
    for reason, facts in enumerate(FACTS):
        for code, change in facts.get("chocs", {}).items():
            table[NAME[code], reason] = round(float(change.removeprefix("x")) * 1000)
    return table


@cache
def _gfr_tables() -> tuple[Ints, Ints]:
    """CKD-EPI 2009 without its term for ethnicity, in tables: by sex and whole µmol/L, and by age in years."""
    levels = np.zeros((2, 2001), dtype=np.int64)
    for female, (norm, power, factor) in enumerate(((79.6, -0.411, 141.0), (61.9, -0.329, 141.0 * 1.018))):
        for level in range(1, 2001):
            share = level / norm
            levels[female, level] = round(factor * min(share, 1) ** power * max(share, 1) ** -1.209 * 1000)
    return levels, np.array([round(0.993**age * 1_000_000) for age in range(121)], dtype=np.int64)


def _derived(
    code: str, who: People, visits: Visits, taken: _Samples, found: Ints, made: Mapping[str, tuple[Ints, Ints]]
) -> Ints:
    """Return what is computed from another value of the same sample, 0 where there is none."""
    source, value = made[{"DFG": "CREA", "HT": "HB", "PNN": "GB"}[code]]
    place = np.searchsorted(source, found)
    there = np.minimum(place, max(len(source) - 1, 0))
    if not len(source):
        return np.zeros(len(found), dtype=np.int64)
    base = np.where(source[there] == found, value[there], 0)
    if code == "HT":
        return base * 3 // 10
    if code == "PNN":
        return base * 62 // 100
    levels, ages = _gfr_tables()
    person = visits.person[taken.visit[found]]
    age = np.clip((taken.day[found] - who.birth[person]) // 365, 0, 120)
    level = np.clip((base + 500) // 1000, 0, 2000)
    return np.where(age >= 18, levels[who.female[person].astype(np.int64), level] * ages[age] // 1_000_000, 0)


def _by_method(taken: _Samples, found: Ints, value: Ints, place: int) -> Iterator[Measures]:
    """Yield the values by the method of their day, in its unit, rounded as the laboratory gives them."""
    kept = value > 0
    found, value = found[kept], value[kept]
    method = np.full(len(found), place)
    for number, row in enumerate(METHODS[len(ANALYTES) :], len(ANALYTES)):
        if row["code"] == ANALYTES[place]["code"]:
            then = (taken.day[found] >= day(row["du"])) & (taken.day[found] <= min(day(row["au"]), START + LENGTH))
            method[then] = number
            times, by = int(row["numerateur"]), int(row["denominateur"])
            value = np.where(then, value * times // by + round(float(row["ajout"]) * 1000), value)
    low, high = (limits[method] for limits in _limits())
    step = np.array([10 ** (3 - int(each["decimales"])) for each in METHODS])[method]
    rounded = (value + step // 2) // step * step
    beyond = (rounded > high).astype(np.int64) - (rounded < low)
    nothing = np.full(len(found), -1)
    rounded = np.clip(rounded, low, high)
    yield Measures(taken.visit[found], method, taken.day[found], taken.minute[found], rounded, nothing, beyond)


@cache
def _limits() -> tuple[Ints, Ints]:
    """Return the lowest and the highest value that each method can tell, in thousandths."""
    low = [round(float(row.get("seuil") or 0) * 1000) for row in METHODS]
    high = [round(float(row["plafond"] or 1e9) * 1000) for row in METHODS]
    for code, least in (("TROP", 5000), ("CRP", 600)):
        low[NAME[code]] = least
    return np.array(low), np.array(high)


def _test(chance: Chance, visits: Visits, taken: _Samples, found: Ints, tag: Tags, place: int) -> Measures:
    """Return a test that says yes or no: seldom yes, but where the reason for coming is what it looks for."""
    shock = _shocks()[place][visits.reason[taken.visit[found]]]
    share = float(ANALYTES[place]["centre"]) * np.where(shock > 0, shock / 1000, 1)
    positive = chance.happens("positive", tag, np.minimum(share, 0.97)).astype(np.int64)
    none = np.zeros(len(found), dtype=np.int64)
    where = (taken.visit[found], np.full(len(found), place), taken.day[found], taken.minute[found])
    return Measures(*where, none, positive, none)


def _bedside(chance: Chance, who: People, ill: Illness, visits: Visits, taken: _Samples) -> Iterator[Measures]:
    """Yield vital signs. Weight and height are missing more often the more urgent the visit is."""
    kind = visits.kind[taken.visit]
    weighed = np.array([0.72, 0.8, 0.6, 0.22, 0.35])[kind] * (taken.turn == 0)
    usual = np.array([0.95, 0.6, 0.35, 0.93, 0.3])[kind]
    young = taken.day - who.birth[visits.person[taken.visit]] < 2 * 365
    shares = {
        "PAS": np.where(young, 0.1, usual), "PAD": np.where(young, 0.1, usual), "FC": usual,
        "TEMP": np.where(kind == CONSULTATION, 0.05, usual), "SPO2": np.where(kind == CONSULTATION, 0.1, usual * 0.9),
        "FR": np.where(kind == EMERGENCY, 0.7, usual * 0.35),
        "EVA": np.where(kind <= DAY, 0.6, 0.4 * (kind == EMERGENCY)),
        "GLASGOW": np.where(kind == EMERGENCY, 0.35, 0.08 * (kind == STAY)),
    }  # fmt: skip
    for code, share in shares.items():
        tag = chance.tags(f"takes {code}", taken.tag)
        found = np.flatnonzero((kind != SESSION) & chance.happens("taken", tag, share))
        value = _sign(chance, who, ill, visits, taken, found, tag[found], code)
        yield from _by_method(taken, found, value, NAME[code])
    yield from _body(chance, who, ill, visits, taken, weighed)


def _sign(
    chance: Chance, who: People, ill: Illness, visits: Visits, taken: _Samples, found: Ints, tag: Tags, code: str
) -> Ints:
    place = NAME[code]
    shock = _shocks()[place][visits.reason[taken.visit[found]]] // 1000
    if code == "EVA":
        return np.clip(chance.below("pain", tag, 4) + shock - taken.turn[found], 0, 10) * 1000
    if code == "GLASGOW":
        return np.clip(15 + shock - chance.below("stupor", tag, 2) * (shock < 0), 3, 15) * 1000
    value = _values(chance, who, ill, visits, taken, found, tag, place)
    return np.minimum(value, 100_000) if code == "SPO2" else value


def _body(
    chance: Chance, who: People, ill: Illness, visits: Visits, taken: _Samples, weighed: np.ndarray
) -> Iterator[Measures]:
    """Yield weight, height and, where both were taken, the body mass index."""
    tag = chance.tags("weighs", taken.tag)
    found = np.flatnonzero(chance.happens("weighed", tag, weighed))
    person = visits.person[taken.visit[found]]
    age = np.clip((taken.day[found] - who.birth[person]) // 30, 0, 2000)  # months
    height = _height(chance, who, person, age)
    index = (
        24_300 + chance.normal("build", who.tag[person]) * 2_600 // SD + chance.normal("weight", tag[found]) * 350 // SD
    )
    index = np.where(ill.since("obesite")[person] <= taken.day[found], index + 9_500, index)
    index = np.where(age < 180, index * np.clip(620 + age * 2, 600, 1000) // 1000, index)
    weight = np.clip(index * height // 1000 * height // 1_000_000_0, 800, 260_000)
    measured = chance.happens("measured", tag[found], 0.7)
    newborn = visits.of("naissance", "neonatologie")[taken.visit[found]]
    small = visits.of("neonatologie")[taken.visit[found]]
    birth = 3_300 - 1_300 * small + chance.normal("birth weight", who.tag[person]) * 430 // SD
    weight = np.where(newborn, np.clip(birth, 600, 5_200), weight)
    yield from _by_method(taken, found, weight, NAME["POIDS"])
    both = found[measured & ~newborn]
    yield from _by_method(taken, both, height[measured & ~newborn] * 1, NAME["TAILLE"])
    kilos, metres = weight[measured & ~newborn], height[measured & ~newborn] // 10
    yield from _by_method(taken, both, kilos * 100_000_000 // np.maximum(metres * metres, 1), NAME["IMC"])


def _height(chance: Chance, who: People, person: Ints, months: Ints) -> Ints:
    """Return heights in thousandths of a centimetre."""
    adult = np.where(who.female[person], 162_500, 175_500) + chance.normal("height", who.tag[person]) * 6_600 // SD
    return adult * _growth()[np.minimum(months, 216)] // 1000


@cache
def _growth() -> Ints:
    """Return the share of the adult height by month of age, in thousandths, straight between known ages."""
    known = [(0, 295), (12, 440), (24, 510), (72, 680), (120, 800), (180, 950), (216, 1000)]
    table = [
        low + (high - low) * (month - first) // (last - first)
        for (first, low), (last, high) in pairwise(known)
        for month in range(first, last)
    ]
    return np.array([*table, 1000], dtype=np.int64)
