"""Diagnoses in CIM-10 (principal, related, associated) of each unit's summary, and acts in CCAM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from workbench.hospital.chance import Chance, Ints
from workbench.hospital.data import cancers, diseases, rows
from workbench.hospital.days import END, NEVER
from workbench.hospital.illness import NAMES, Illness
from workbench.hospital.pathways import planted_names
from workbench.hospital.stays import Segments
from workbench.hospital.visits import CONSULTATION, FACTS, REASONS, SESSION, STAY, Visits

CIM10: Final = tuple(row["code"] for row in rows("cim10"))
CCAM: Final = tuple(row["code"] for row in rows("ccam"))
_CODE: Final[Mapping[str, int]] = {code: place for place, code in enumerate(CIM10)}
_ACT: Final[Mapping[str, int]] = {code: place for place, code in enumerate(CCAM)}
PRINCIPAL, RELATED, ASSOCIATED = range(3)
ROLES: Final = ("DP", "DR", "DAS")
_LATE: Final = 120
"""Days before the end of the period of which stays can be recoded after the first extraction."""


@dataclass(frozen=True)
class Diagnoses:
    """`segment` is a place among the steps of the visits; `code` a place in `CIM10`; `first_code` what the code was
    before a late correction (the same where there was none); `role` a place in `ROLES`."""

    segment: Ints
    code: Ints
    first_code: Ints
    role: Ints


@dataclass(frozen=True)
class Acts:
    """`segment`, `code` (a place in `CCAM`) and `day` of each act."""

    segment: Ints
    code: Ints
    day: Ints


@cache
def codes_of(name: str) -> Ints:
    """Return the codes of a disease, in the order of its variants."""
    return np.array([_CODE[code] for code in diseases()[name]["codes"]])


def diagnoses(chance: Chance, ill: Illness, visits: Visits, steps: Segments) -> Diagnoses:
    """Return all diagnoses, in the order of the steps. Consultations have none, as in the PMSI."""
    coded = visits.kind != CONSULTATION
    principal, first, related = _principal(chance, ill, visits)
    mine = steps.visit
    has_code = coded[mine] & ((steps.rum > 0) | steps.main)
    parts = [_part(np.flatnonzero(has_code), principal[mine], first[mine], PRINCIPAL)]
    with_related = np.flatnonzero(has_code & steps.main & (related[mine] >= 0))
    parts.append(_part(with_related, related[mine], related[mine], RELATED))
    main = np.full(len(visits), -1, dtype=np.int64)
    main[mine[steps.main]] = np.flatnonzero(steps.main)
    for visit, code in _associated(chance, ill, visits, principal, coded):
        parts.append((main[visit], code, code, np.full(len(visit), ASSOCIATED)))
    segment, code, first_code, role = (np.concatenate([part[n] for part in parts]) for n in range(4))
    order = np.lexsort((code, role, segment))
    return _without_repeats(segment[order], code[order], first_code[order], role[order])


_Part = tuple[Ints, Ints, Ints, Ints]


def _part(found: Ints, code: Ints, first: Ints, role: int) -> _Part:
    return found, code[found], first[found], np.full(len(found), role)


def _without_repeats(segment: Ints, code: Ints, first_code: Ints, role: Ints) -> Diagnoses:
    """Keep a code once in a unit's summary, in its first role; rows come sorted by step, role and code."""
    key = segment * len(CIM10) + code
    _, kept = np.unique(key, return_index=True)
    kept = np.sort(kept)
    return Diagnoses(segment[kept], code[kept], first_code[kept], role[kept])


def _principal(chance: Chance, ill: Illness, visits: Visits) -> tuple[Ints, Ints, Ints]:
    """Return each visit's principal diagnosis, what it was before a late correction, and the related one (-1: none)."""
    code = np.full(len(visits), -1, dtype=np.int64)
    first, related = code.copy(), code.copy()
    late = (visits.kind == STAY) & (visits.end > END - _LATE) & chance.happens("recoded", visits.tag, 0.06)
    for place, facts in enumerate(FACTS):
        mine = np.flatnonzero(visits.reason == place)
        if not len(mine) or "dp" not in facts:
            continue
        choices = np.array([_CODE[each] for each in facts["dp"]])
        weights = list(facts["dp"].values())
        chosen = chance.pick("principal", visits.tag[mine], weights)
        own = _own(ill, visits, mine, facts, REASONS[place])
        code[mine] = choices[chosen] if own is None else own
        changes = late[mine] & (len(choices) > 1) & (REASONS[place] != "insuffisance_cardiaque")
        first[mine] = np.where(changes, choices[(chosen + 1) % len(choices)], code[mine])
        if facts.get("dr") == "maladie":
            related[mine] = _cancer(ill, visits, mine)
        elif "dr" in facts:
            related[mine] = _CODE[facts["dr"]]
    return code, first, related


def _own(ill: Illness, visits: Visits, mine: Ints, facts: Mapping[str, object], reason: str) -> Ints | None:
    """Return the person's own code of the disease that is operated on, or whose pathway this day is."""
    name = "diabete2" if reason == "bilan_diabete" else str(facts.get("maladie", ""))
    if reason != "bilan_diabete" and name not in cancers():
        return None
    place = NAMES.index(name)
    return codes_of(name)[ill.variant[place, visits.person[mine]]]


def _cancer(ill: Illness, visits: Visits, mine: Ints) -> Ints:
    """Return the code of the latest cancer that each person has on the day, else of cancer of an unknown site."""
    result = np.full(len(mine), _CODE["C80.9"])
    since = np.full(len(mine), -NEVER)
    for name in cancers():
        place = NAMES.index(name)
        onset = ill.onset[place, visits.person[mine]]
        newer = (onset <= visits.start[mine]) & (onset > since)
        result = np.where(newer, codes_of(name)[ill.variant[place, visits.person[mine]]], result)
        since = np.where(newer, onset, since)
    return result


def _associated(
    chance: Chance, ill: Illness, visits: Visits, principal: Ints, coded: np.ndarray
) -> Iterator[tuple[Ints, Ints]]:
    """Yield associated diagnoses: what the reason brings, then the chronic diseases that the unit records."""
    for place, facts in enumerate(FACTS):
        mine = np.flatnonzero((visits.reason == place) & coded) if "das" in facts else np.empty(0, dtype=np.int64)
        for number, (code, share) in enumerate(facts.get("das", {}).items()):
            found = mine[chance.happens("associated", visits.tag[mine], share, number)]
            yield found, np.full(len(found), _CODE[code])
    recorded = np.array([1.0, 0.35, 0.04, 0.0, 0.0])[
        visits.kind
    ]  # by kind: stay, day, session, emergency, consultation
    index = visits.of("bilan_diabete")
    for place, name in enumerate(NAMES):
        active = np.flatnonzero((ill.onset[place, visits.person] <= visits.start) & (visits.kind <= SESSION) & coded)
        share = recorded[active] * diseases()[name]["note"]
        if name in planted_names():
            share = np.where(index[active], 1.0, share)
        active = active[chance.happens(f"records {name}", visits.tag[active], share)]
        code = codes_of(name)[ill.variant[place, visits.person[active]]]
        other = code != principal[active]
        yield active[other], code[other]


def acts(chance: Chance, visits: Visits, steps: Segments) -> Acts:
    """Return all acts, in the order of the steps: each on one of the first days of its stay."""
    main = np.full(len(visits), -1, dtype=np.int64)
    main[steps.visit[steps.main]] = np.flatnonzero(steps.main)
    parts: list[tuple[Ints, Ints, Ints]] = []
    for place, facts in enumerate(FACTS):
        mine = np.flatnonzero(visits.reason == place) if "actes" in facts else np.empty(0, dtype=np.int64)
        for number, (code, share) in enumerate(facts.get("actes", {}).items()):
            found = mine[chance.happens("act", visits.tag[mine], share, number)]
            day = visits.start[found] + chance.below(
                "act day", visits.tag[found], np.minimum(visits.nights[found], 2) + 1, number
            )
            parts.append((main[found], np.full(len(found), _ACT[code]), day))
    segment, code, day = (np.concatenate([part[n] for part in parts]) for n in range(3))
    order = np.lexsort((code, day, segment))
    return Acts(segment[order], code[order], day[order])
