"""What a careful reader would question in a definition: it runs, but perhaps not as its author means.

Each check is a generator in a `check_…` module; `CHECKS` lists them all. What a check cannot read it leaves: that the
definition cannot be run is a question of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from workbench.cohorts import check_criteria, check_logic, check_sets, check_whole, check_windows
from workbench.cohorts.check_reading import Question, Reading
from workbench.cohorts.circe import Definition
from workbench.kernel import clock
from workbench.kernel.errors import UserError

Check = Callable[[Reading], Iterator[Question]]

CHECKS: tuple[Check, ...] = (
    *check_whole.CHECKS,
    *check_sets.CHECKS,
    *check_criteria.CHECKS,
    *check_windows.CHECKS,
    *check_logic.CHECKS,
)


def check(definition: Definition, *, today: date | None = None) -> list[Question]:
    """Return the questions about a definition, in the order of the document; `today` tells what lies in the future."""
    reading = Reading.of(definition, today or clock.today())
    found = [question for each in CHECKS for question in _asked(each, reading)]
    places = {part.path: at for at, part in enumerate(reading.everything)}
    return sorted(dict.fromkeys(found), key=lambda question: _place(question.path, places))


def _place(path: str, places: Mapping[str, int]) -> int:
    """Where a path stands in the document: its own object, or the innermost one around it."""
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.get(path, -1)


def _asked(each: Check, reading: Reading) -> Iterator[Question]:
    try:
        yield from each(reading)
    except UserError:  # a value that cannot be read: `cannot_run` names it
        return
