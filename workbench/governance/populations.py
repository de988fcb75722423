"""What is kept of a group of persons so that one nearly equal to it is known again: parities, never its members.

The ids fall into 1,024 classes by a keyed permutation (AES-256 of each id as one block), in four independent ways. Of a
group only the parity of each class is kept: 4 × 1,024 bits. The parities of two groups differ in at most as many
classes, of each way, as there are persons in one group and not in the other; so a near group is never missed. A far one
is taken for near where persons fall on the same class in all four ways: of 11 persons with probability 10⁻⁵, and that
errs to the safe side. Who has the bits and not the key learns nothing of any person from them.

Of events the persons and their numbers of events are kept in the same way: the pairs (person, number).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Kind = Literal["persons", "events"]

WAYS: Final = 4
CLASSES: Final = 1024
BYTES: Final = WAYS * CLASSES // 8
_MOST = 4096
"""Numbers of events of one person from here on look alike."""

_Ints = npt.NDArray[np.int64]
_Classes = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Population:
    """A group of persons and what is counted of it: `number` are the persons themselves, or their events.

    `persons` is the true size, `bits` the parities (512 bytes). For governance only: none of it is ever shown.
    """

    kind: Kind
    persons: int
    number: int
    bits: bytes

    def joined(self, other: Population) -> Population:
        """Return the two together; nobody is in both."""
        odd = np.bitwise_xor(np.frombuffer(self.bits, np.uint8), np.frombuffer(other.bits, np.uint8)).tobytes()
        return Population(self.kind, self.persons + other.persons, self.number + other.number, odd)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON value, for another process of this workbench."""
        return {
            "kind": self.kind,
            "persons": self.persons,
            "number": self.number,
            "bits": base64.b64encode(self.bits).decode(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Population:
        """Return what `as_json` gave."""
        return cls(value["kind"], value["persons"], value["number"], base64.b64decode(value["bits"]))


@dataclass(frozen=True)
class Counted:
    """The populations behind one number of persons and one of their events."""

    persons: Population
    events: Population


class Classes:
    """Persons by position, their classes computed once, however many groups of them are asked for."""

    def __init__(self, key: bytes, ids: npt.ArrayLike) -> None:
        """Take 64-bit ids and a key of 32 bytes."""
        self._of_ids = _permuted(key, np.asarray(ids, dtype=np.int64), 0)
        self._of_numbers = _permuted(key, np.arange(_MOST, dtype=np.int64), 1)

    def population(self, positions: npt.NDArray[np.intp] | None = None) -> Population:
        """Return the group of the persons at some positions, no person twice; of all without."""
        chosen = self._at(positions)
        return Population("persons", chosen.shape[1], chosen.shape[1], _parities(chosen))

    def counted(self, events: npt.ArrayLike, positions: npt.NDArray[np.intp] | None = None) -> Counted:
        """Return the group of the persons at some positions, no person twice, and that of their events, one or more
        each, in the same order; of all persons without positions."""
        counts: _Ints = np.asarray(events, dtype=np.int64)
        chosen, size = self._at(positions), len(counts)
        pairs = chosen ^ self._of_numbers[:, np.minimum(counts, _MOST - 1)]
        return Counted(
            Population("persons", size, size, _parities(chosen)),
            Population("events", size, int(counts.sum()), _parities(pairs)),
        )

    def may_be_in(self, bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Answer of each of some small groups, one row of single bits each, whether one of these persons may be in it.

        A member's class is odd, but where another member shares it: so two ways of four suffice here.
        """
        places = self._of_ids.T.astype(np.intp) + CLASSES * np.arange(WAYS)
        found = np.zeros(len(bits), np.bool_)
        for person in places:
            found |= bits[:, person].sum(axis=1) >= 2
        return found

    def _at(self, positions: npt.NDArray[np.intp] | None) -> _Classes:
        return self._of_ids if positions is None else self._of_ids[:, positions]


def _permuted(key: bytes, values: _Ints, use: int) -> _Classes:
    """Return the class of each value in each way. A block is one value and its use: what ECB would show, that two
    blocks are alike, is what is wanted here."""
    blocks = np.empty((len(values), 2), dtype="<i8")
    blocks[:, 0], blocks[:, 1] = values, use
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - a keyed permutation, no message
    raw = np.frombuffer(cipher.update(blocks.tobytes()), dtype="<u2").reshape(-1, 8)
    return np.ascontiguousarray(raw[:, :WAYS].T) & np.uint16(CLASSES - 1)


def _parities(classes: _Classes) -> bytes:
    odd = [np.bincount(way, minlength=CLASSES) & 1 for way in classes]
    return np.packbits(np.concatenate(odd).astype(np.uint8)).tobytes()
