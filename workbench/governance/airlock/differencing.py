"""Differencing: the persons behind each number against those behind every number released before, set by set.

Totals are never compared: two groups of the same size may be of different persons, and two of nearly the same persons
tell of the few who differ whatever their sizes. A set is kept as keyed parities (`governance.populations`): of two
nearly equal sets the parities nearly agree, and who lacks the key learns nothing of anybody. Compared are numbers of
one kind (`measure`): persons with persons, means of a column with means of that column.

Three sets are compared as well: where one is nearly the two others together, it tells of the few left over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workbench.governance.airlock.verdicts import Check, doubtful, failed, listed, passed
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.populations import BYTES, WAYS, Population

NEAR: Final = THRESHOLD - 1
"""The difference in persons up to which two sets tell of single persons."""

MOST: Final = 3_000_000
"""Triples that are compared; beyond, a person judges."""
_WORDS: Final = BYTES // 8
_Bits = npt.NDArray[np.uint64]


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
    """Two numbers (or three) that tell of 1 to 10 persons: the new one's place, and the output and place of others."""

    place: str
    others: tuple[tuple[str, str], ...]


def check_differencing(new: Sequence[Told], released: Mapping[str, Sequence[Told]]) -> Check:
    """Check a file's numbers against each other and against those of every released output (id → numbers)."""
    found, whole = _meetings(new, released)
    if found:
        outputs = sorted({output for meeting in found for output, _ in meeting.others if output})
        where = listed(sorted({meeting.place for meeting in found}, key=_in_order))
        return failed("differencing", where=where, outputs=listed(outputs) or "–")
    facts = {"numbers": len(new), "outputs": len(released)}
    return passed("differencing", **facts) if whole else doubtful("differencing", **facts)


def _in_order(place: str) -> tuple[int, str]:
    return (int(place), "") if place.isdigit() else (-1, place)


def _meetings(new: Sequence[Told], released: Mapping[str, Sequence[Told]]) -> tuple[list[Meeting], bool]:
    """Every meeting of a new number, and whether all triples were compared."""
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
            for other in self._of_size(self.sizes[mine] - NEAR, self.sizes[mine] + NEAR):
                known_before = other < new and other >= mine
                if not known_before and _is_few(self.bits[mine] ^ self.bits[other]):
                    found.append(self._meeting(mine, other))
        return found

    def triples(self, new: int) -> list[Meeting] | None:
        """A new set and two others of which one is nearly the two others together; None where they are too many."""
        found: list[Meeting] = []
        for tried, (mine, other, third) in enumerate(self._candidates(new)):
            if tried >= MOST:
                return None
            if _is_few(self.bits[mine] ^ self.bits[other] ^ self.bits[third]):
                found.append(self._meeting(mine, other, third))
        return found

    def _candidates(self, new: int) -> Iterator[tuple[int, int, int]]:
        for mine in range(new):
            for other in range(len(self.named)):
                if other == mine or (other < new and other < mine):
                    continue
                one, two = int(self.sizes[mine]), int(self.sizes[other])
                for size in {one + two, abs(one - two)}:
                    for third in self._of_size(size - NEAR, size + NEAR):
                        if third > other and third not in (mine, other) and self.sizes[third] != size:
                            yield mine, other, third

    def _of_size(self, low: int, high: int) -> Iterator[int]:
        start, end = np.searchsorted(self.sorted, low, "left"), np.searchsorted(self.sorted, high, "right")
        return iter(self.order[start:end].tolist())

    def _meeting(self, mine: int, *others: int) -> Meeting:
        place = self.named[mine][1].place
        return Meeting(place, tuple((self.named[other][0], self.named[other][1].place) for other in others))


def _is_few(odd: _Bits) -> bool:
    """Answer whether parities differ as those of 1 to 10 persons do: in no way more than that many classes."""
    ways = np.bitwise_count(odd.reshape(WAYS, -1)).sum(axis=1)
    return bool(0 < ways.max() <= NEAR)
