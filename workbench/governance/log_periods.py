"""How long the log says the details of an access: who, when and what stay for good, their payload for a period.

CNIL, deliberation 2021-122 on logging: traces of access are kept six months to a year, up to three years where that is
justified. Entries about decisions and about what was made keep their payloads as long as the study and its archive.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput

READS: Final = frozenset(
    {"cohort.read", "extract.read", "model.read", "trace.read", "audit.read", "audit.verify", "output.preview"}
)
"""What is logged once an hour for each person and thing, where it is not part of another verb."""

ACCESS_VERBS: Final = READS | {
    "session.open", "cohort.count", "cohort.diagnose", "cohort.why", "extract.open", "output.download", "finding.open",
    "audit.export",
}  # fmt: skip
"""What only looks at something, or takes a copy of it."""

FORGET: Final = "audit.forget"
"""The verb of the entry that says up to which entry payloads were erased; without it a missing payload is a fault."""

SHORTEST, USUAL, LONGEST = 183, 365, 1095
"""Days."""


def check_period(days: int) -> timedelta:
    """Return a period of days; raises `InvalidInput` (`audit.period`) under six months or over three years."""
    if not SHORTEST <= days <= LONGEST:
        raise InvalidInput("audit.period", days=days, shortest=SHORTEST, longest=LONGEST)
    return timedelta(days=days)


def before(time: str, days: int = SHORTEST) -> str:
    """Return the moment that lies some days before another, both as the log writes them."""
    return clock.written(clock.read(time) - timedelta(days=days))
