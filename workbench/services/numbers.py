"""Numbers that follow from somebody's question: shown through the memory of the release they are about.

Everybody who can count on a release shares one memory, whatever the study and whoever asks: two who compare notes learn
no more than one. A release made by erasing persons goes on with the memory of the one it stands for, or the erasure
itself would be a difference of one person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from workbench.cohorts.left import Populations
from workbench.governance.populations import Classes, Population
from workbench.governance.sticky import Memory
from workbench.repository.releases import Release
from workbench.services.context import Workbench
from workbench.store import documents, files, successors

Row = tuple[int | None, int | None, int | None]
"""A line's persons, events and persons without the rule, as shown: rounded, None where hidden (or there is no rule)."""

MEMORY: Final = "numbers"


@dataclass(frozen=True)
class Told:
    """What a question was answered: its lines, and for how many of its populations a number was new, or repeated though
    the population was another (`near`)."""

    rows: tuple[Row, ...]
    new: int
    near: int

    @property
    def pattern(self) -> dict[str, int]:
        """Return what the log keeps of it: nothing of its numbers."""
        return {"new": self.new, "near": self.near}


def tell(wb: Workbench, release: Release, lines: Sequence[Populations]) -> Told:
    """Return how the numbers of lines of populations are shown, and remember them.

    Events are hidden where their persons are. Raises Unavailable where the memory cannot be written: a number that
    could not be repeated is not shown.
    """
    asked = [each for line in lines for each in (line.persons, line.events, line.without) if each is not None]
    answers = memory(wb, release).answers(asked)
    left = iter(answers)
    rows = [
        tuple(None if each is None else next(left).value for each in (line.persons, line.events, line.without))
        for line in lines
    ]
    hows = [answer.how for answer in answers]
    told = tuple((persons, None if persons is None else events, without) for persons, events, without in rows)
    return Told(told, hows.count("new"), hows.count("near"))


def funnel(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the lines of a funnel, whose steps only ever lose: a shown number is at least the one after it.

    Two steps may have taken their numbers from two other groups. The last one keeps its own.
    """
    steps: list[Row] = []
    for persons, events, without in reversed(rows):
        after = steps[-1] if steps else (None, None, None)
        steps.append((_larger(persons, after[0]), _larger(events, after[1]), without))
    return tuple(reversed(steps))


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def memory(wb: Workbench, release: Release) -> Memory:
    """Return what was shown on a release, and on those that it stands for."""

    def everybody() -> Population:
        ids = pq.read_table(release.tables["person"], columns=["person_id"])["person_id"].unique().to_numpy()
        return Classes(wb.keys.disclosure_key(), ids).population()

    return Memory(_folder(wb, release.digest) / MEMORY, everybody)


def keep(wb: Workbench, release: str, subject: str, rows: Sequence[Row]) -> None:
    """Keep what was shown of something that is kept (a cohort version, by its digest) on a release (by its digest)."""
    files.write_text(_folder(wb, release) / f"{subject}.json", json.dumps(rows))


def kept(wb: Workbench, release: str, subject: str) -> list[Row] | None:
    """Return what `keep` kept; None where it is not there."""
    try:
        rows = json.loads((_folder(wb, release) / f"{subject}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return [(persons, events, without) for persons, events, without in rows]


def forget(wb: Workbench, release: str, persons: Iterable[int]) -> None:
    """Forget, of a release by its digest, the small hidden groups that may hold one of some persons."""
    path = _folder(wb, release) / MEMORY
    if path.exists():
        gone = Classes(wb.keys.disclosure_key(), list(persons))
        Memory(path, gone.population).forget(gone.may_be_in)


def _folder(wb: Workbench, release: str) -> Path:
    with wb.store.read() as connection:
        first = documents.find(connection, successors.first(connection, release))
    assert first is not None
    return wb.settings.disclosure / first.id
