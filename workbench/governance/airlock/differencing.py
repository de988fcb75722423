"""Differencing: the persons behind each number against those behind every number released before, set by set.

Totals are never compared: two groups of the same size may be of different persons, and two of nearly the same persons
tell of the few who differ whatever their sizes. A set is kept as keyed parities (`governance.populations`): of two
nearly equal sets the parities nearly agree, and who lacks the key learns nothing of anybody. Compared are numbers of
one kind (`measure`): persons with persons, means of a column with means of that column.

Three sets are compared as well: where one is nearly the two others together, it tells of the few left over.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workbench.governance.airlock.verdicts import Check, doubtful, failed, listed, passed
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.populations import BYTES, WAYS, Population

NEAR: Final = THRESHOLD - 1
"""The difference in persons up to which two sets tell of single persons."""

MOST: Final = 20_000_000
"""Threes of fitting sizes that are compared; beyond, a person judges."""
_WORDS: Final = BYTES // 8
_FIRST: Final = _WORDS // WAYS
"""Words of one way: most threes are told apart by the first."""
_AT_ONCE: Final = 50_000
_Bits = npt.NDArray[np.uint64]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Told:
    """One number that a file shows: its kind, its place (a line, or a word), the persons behind it."""

    measure: str
    place: str
    population: Population

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON value, to be kept beside the file."""
        return {
            "measure": self.measure,
            "place": self.place,
            "persons": self.population.persons,
            "bits": base64.b64encode(self.population.bits).decode(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Told:
        """Return what `as_json` gave."""
        persons = int(value["persons"])
        bits = base64.b64decode(value["bits"])
        return cls(value["measure"], value["place"], Population("persons", persons, persons, bits))


@dataclass(frozen=True)
class Meeting:
    """Two numbers (or three) of one kind that tell of 1 to 10 persons: the new one's place, and the output (none for
    another of ours) and place of the others."""

    measure: str
    place: str
    others: tuple[tuple[str, str], ...]


def check_differencing(new: Sequence[Told], released: Mapping[str, Sequence[Told]]) -> Check:
    """Check a file's numbers against each other and against those of every released output (id → numbers)."""
    found, whole = meetings(new, released)
    if found:
        outputs = sorted({output for meeting in found for output, _ in meeting.others if output})
        where = listed(sorted({meeting.place for meeting in found}, key=_in_order))
        return failed("differencing", where=where, outputs=listed(outputs) or "–")
    facts = {"numbers": len(new), "outputs": len(released)}
    return passed("differencing", **facts) if whole else doubtful("differencing", **facts)


def _in_order(place: str) -> tuple[int, str]:
    return (int(place), "") if place.isdigit() else (-1, place)


def meetings(new: Sequence[Told], released: Mapping[str, Sequence[Told]]) -> tuple[list[Meeting], bool]:
    """Return every meeting of a new number with another or with released ones (output → numbers), and whether all
    threes were compared."""
    found: list[Meeting] = []
    whole = True
    for measure in sorted({told.measure for told in new}):
        mine = [told for told in new if told.measure == measure]
        others = [(output, told) for output, numbers in released.items() for told in numbers if told.measure == measure]
        sets = _Sets([("", told) for told in mine] + others)
        found += sets.pairs(len(mine))
        triples = sets.triples(len(mine))
        if triples is None:
            whole = False
        else:
            found += triples
    return found, whole


class _Sets:
    """The sets of one measure, the new ones first."""

    def __init__(self, named: Sequence[tuple[str, Told]]) -> None:
        self.named = named
        self.sizes = np.array([told.population.persons for _, told in named], np.int64)
        raw = b"".join(told.population.bits for _, told in named)
        self.bits: _Bits = np.frombuffer(raw, dtype="<u8").reshape(len(named), _WORDS)
        self.order = np.argsort(self.sizes, kind="stable")
        self.sorted = self.sizes[self.order]

    def pairs(self, new: int) -> list[Meeting]:
        """Sets that differ from a new one by 1 to 10 persons."""
        found: list[Meeting] = []
        for mine in range(new):
            size = self.sizes[mine : mine + 1]
            _, others = self._near(size)
            others = others[(others >= new) | (others < mine)]
            near = others[_are_few(self.bits[mine] ^ self.bits[others])]
            found += [self._meeting(mine, int(other)) for other in near]
        return found

    def triples(self, new: int) -> list[Meeting] | None:
        """A new set and two others of which one is nearly the two others together; None where they are too many."""
        found: list[Meeting] = []
        left = MOST
        places = np.arange(len(self.named))
        for mine in range(new):
            # Of three new sets the first meets the others: each three once.
            others = places[places > mine]
            for sizes in (self.sizes[others] + self.sizes[mine], np.abs(self.sizes[others] - self.sizes[mine])):
                at, thirds = self._near(sizes)
                left -= len(at)
                if left < 0:
                    return None
                once = (thirds > others[at]) & (self.sizes[thirds] != sizes[at])
                found += self._few_of_three(mine, others[at[once]], thirds[once])
        return found

    def _few_of_three(self, mine: int, others: _Places, thirds: _Places) -> list[Meeting]:
        found: list[Meeting] = []
        for start in range(0, len(others), _AT_ONCE):
            one, two = others[start : start + _AT_ONCE], thirds[start : start + _AT_ONCE]
            few = _are_few(self.bits[mine, :_FIRST] ^ self.bits[one, :_FIRST] ^ self.bits[two, :_FIRST])
            one, two = one[few], two[few]
            few = _are_few(self.bits[mine] ^ self.bits[one] ^ self.bits[two])
            pairs = zip(one[few].tolist(), two[few].tolist(), strict=True)
            found += [self._meeting(mine, other, third) for other, third in pairs]
        return found

    def _near(self, sizes: _Places) -> tuple[_Places, _Places]:
        """Every set whose size is within 10 of one of some sizes: the size's place, the set's."""
        start = np.searchsorted(self.sorted, sizes - NEAR, "left")
        count = np.searchsorted(self.sorted, sizes + NEAR, "right") - start
        at = np.repeat(np.arange(len(sizes)), count)
        inside = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
        return at, self.order[start[at] + inside]

    def _meeting(self, mine: int, *others: int) -> Meeting:
        told = self.named[mine][1]
        return Meeting(
            told.measure, told.place, tuple((self.named[other][0], self.named[other][1].place) for other in others)
        )


def _are_few(odd: _Bits) -> npt.NDArray[np.bool_]:
    """Answer for each row of parities, of one way or of all, whether 1 to 10 persons make such: in no way more odd
    classes than that."""
    ways = np.bitwise_count(odd.reshape(len(odd), odd.shape[1] // _FIRST, _FIRST)).sum(axis=2)
    most = ways.max(axis=1, initial=0)
    # One way alone may be even in all its classes where two persons share one: that is for the others to tell.
    return (most <= NEAR) & ((most > 0) | (ways.shape[1] == 1))
