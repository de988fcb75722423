"""Patterns of questions that an officer wants to know of, as data. Nothing is refused because of one: a refusal would
tell that there was something to hide, and most of who asks so often is only working hard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Pattern:
    """So many questions of a kind by one person in so many hours.

    `near`: questions with a number that was repeated because the group nearly equals one shown before. `new`: questions
    with a number of a group far from all others. `all`: any question that counts.
    """

    code: str
    kind: Literal["near", "new", "all"]
    questions: int
    hours: int


PATTERNS: Final = (
    Pattern("differencing", "near", 30, 1),
    Pattern("differencing_slowly", "near", 150, 7 * 24),
    Pattern("mapping", "new", 400, 24),
    Pattern("machine", "all", 200, 1),
)
"""An author who edits by hand asks some tens of questions an hour, of which few lead to a nearly equal group."""

VERBS: Final = ("cohort.count", "cohort.generate", "cohort.diagnose")
"""The verbs whose answers are numbers of a person's own question."""
