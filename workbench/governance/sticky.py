"""Sticky numbers: a group that differs by 1 to 10 persons from one shown before is shown as that one was.

A space is who can count together: everybody who may count on one release. Its memory is one file in the home: a record
for each population that was given a number of its own, in the order in which they were asked. A population takes the
number of the *first* record that it is near to. Only a population that is near to none is recorded, so a chain of small
steps cannot drag a number along, and the answer to a question never changes once it was given: the first record near to
it stays the first.

The rest of the release is as good as the group, since its size is known: a population whose complement is near to a
record is shown as the difference of the two shown numbers. Hidden numbers are recorded like others, or a hidden group
of 10 would be told by the eleventh (docs/decisions/0016-sticky-numbers.md).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from workbench.governance.disclosure import LOWEST, THRESHOLD, rounded
from workbench.governance.populations import BYTES, WAYS, Population
from workbench.kernel.errors import Unavailable
from workbench.store import files

How = Literal["new", "same", "near"]

NEAR: Final = THRESHOLD - 1
"""The largest difference, in persons, over which a number is repeated (governance.md)."""

_WHOLE, _PERSONS, _EVENTS = 0, 1, 2
_HIDDEN = -1
_WORDS = BYTES // 8
RECORD: Final = np.dtype([("kind", "<i4"), ("value", "<i4"), ("persons", "<i8"), ("bits", "<u8", (_WORDS,))])
"""One remembered population: 528 bytes, the first of a file being the whole release."""

_Records = npt.NDArray[np.void]


@dataclass(frozen=True)
class Answer:
    """A number as it is shown (`value`, None where hidden) and how it came: of a population that was new, asked before,
    or near to one asked before."""

    value: int | None
    how: How


class Memory:
    """What a space was shown; safe for any number of processes."""

    def __init__(self, path: Path, whole: Callable[[], Population]) -> None:
        """Open the memory in a file, made (its folder 0700) where it is not there; `whole` is everybody in the release.

        Raises `Unavailable` where it cannot be written, or (`governance.memory_damaged`) is something else.
        """
        self._path = path
        if not path.exists():
            _make(path, whole())
        if path.stat().st_size < RECORD.itemsize or int(self._read()[0]["kind"]) != _WHOLE:
            raise Unavailable("governance.memory_damaged", file=path.name)

    def values(self, populations: Sequence[Population]) -> list[int | None]:
        """Return what `answers` does, the numbers alone."""
        return [answer.value for answer in self.answers(populations)]

    def answers(self, populations: Sequence[Population]) -> list[Answer]:
        """Return how the numbers of some populations are shown, asked in this order, and remember the new ones.

        What was answered is on the disk before it is returned. Raises `Unavailable` where it cannot be.
        """
        with self._alone() as handle:
            question = _Question(self._read())
            found = [question.answer(each) for each in populations]
            if question.new:
                with files.user_errors(self._path):
                    _append(handle, np.concatenate(question.new))
            return found

    def forget(self, may_hold: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.bool_]]) -> None:
        """Forget the hidden groups of 10 persons or fewer that may hold somebody who is erased: `may_hold` is asked
        with their bits, one row a group. Larger groups tell of nobody."""
        with self._alone():
            records = self._read()
            small = (records["kind"] != _WHOLE) & (records["persons"] < THRESHOLD)
            bits = np.unpackbits(records["bits"].view(np.uint8).reshape(len(records), -1), axis=1)
            small[small] = may_hold(bits[small])
            if small.any():
                with files.writing(self._path) as aside:
                    aside.write_bytes(records[~small].tobytes())

    def _read(self) -> _Records:
        whole = self._path.stat().st_size // RECORD.itemsize
        return np.memmap(self._path, dtype=RECORD, mode="r", shape=(whole,)) if whole else np.empty(0, RECORD)

    @contextmanager
    def _alone(self) -> Generator[int]:
        """Hold the file against all other processes, its end where the last whole record ends."""
        with files.user_errors(self._path):
            while True:
                handle = os.open(self._path, os.O_RDWR | os.O_APPEND)
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.fstat(handle).st_ino == self._path.stat().st_ino:
                    break
                os.close(handle)
        try:
            size = os.fstat(handle).st_size
            if size % RECORD.itemsize:  # a process died while it wrote: nobody was shown that number
                os.ftruncate(handle, size - size % RECORD.itemsize)
            yield handle
        finally:
            os.close(handle)


class _Question:
    """The populations of one question against a memory, and the records that it adds."""

    def __init__(self, known: _Records) -> None:
        self.known = known
        self.new: list[_Records] = []
        whole = known[0]
        self.everybody, self.all_bits = int(whole["persons"]), whole["bits"]
        self.all_value = None if whole["value"] == _HIDDEN else int(whole["value"])

    def answer(self, asked: Population) -> Answer:
        kind = _PERSONS if asked.kind == "persons" else _EVENTS
        bits = np.frombuffer(asked.bits, dtype="<u8")
        for records in (self.known, *self.new):
            found = self._in(records, kind, asked.persons, bits)
            if found is not None:
                return found
        value = self._of_its_own(asked)
        record = np.zeros(1, RECORD)
        record[0] = (kind, _HIDDEN if value is None else value, asked.persons, bits)
        self.new.append(record)
        return Answer(value, "new")

    def _of_its_own(self, asked: Population) -> int | None:
        if asked.persons < THRESHOLD:
            return None
        if asked.kind == "persons" and self.everybody - asked.persons <= NEAR:
            return self.all_value  # whom it leaves out are few: the release's own number
        return rounded(asked.number)

    def _in(self, records: _Records, kind: int, persons: int, bits: npt.NDArray[Any]) -> Answer | None:
        """The answer of the first record that is near, or whose complement is; None where there is none."""
        # A person whose number of events changed counts twice: with the old pair and with the new one.
        most = NEAR if kind == _PERSONS else 2 * NEAR
        direct = np.flatnonzero((records["kind"] == kind) & (np.abs(records["persons"] - persons) <= most))
        direct = direct[_differences(records["bits"][direct], bits) <= most]
        other = np.empty(0, np.intp)
        if kind == _PERSONS:
            rest = self.everybody - persons
            other = np.flatnonzero((records["kind"] == kind) & (np.abs(records["persons"] - rest) <= most))
            other = other[_differences(records["bits"][other], bits ^ self.all_bits) <= most]
        if len(other) and (not len(direct) or other[0] < direct[0]):
            return Answer(self._rest(int(records["value"][other[0]])), "near")
        if not len(direct):
            return None
        first = records[direct[0]]
        same = int(first["persons"]) == persons and bool((first["bits"] == bits).all())
        return Answer(None if first["value"] == _HIDDEN else int(first["value"]), "same" if same else "near")

    def _rest(self, value: int) -> int | None:
        if value == _HIDDEN or self.all_value is None:
            return self.all_value
        rest = self.all_value - value
        return rest if rest >= LOWEST else None


def _differences(records: npt.NDArray[Any], bits: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return by how many persons, at least, each of some populations differs from one."""
    odd = np.bitwise_count(records ^ bits).reshape(len(records), WAYS, _WORDS // WAYS)
    return odd.sum(axis=2, dtype=np.int64).max(axis=1, initial=0)


def _make(path: Path, whole: Population) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    value = rounded(whole.persons)
    record = np.zeros(1, RECORD)
    record[0] = (_WHOLE, _HIDDEN if value is None else value, whole.persons, np.frombuffer(whole.bits, dtype="<u8"))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with files.user_errors(path):
        aside.touch(mode=0o600)
        aside.write_bytes(record.tobytes())
        files.sync(aside)
        try:
            os.link(aside, path)  # of two processes one makes it, and it is whole
        except FileExistsError:
            pass
        finally:
            aside.unlink()


def _append(handle: int, records: _Records) -> None:
    left = memoryview(records.tobytes())
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)
