"""The one place where time comes from, so that tests can set it and manifests can be seen to do without it.

Moments are in UTC. Days are those of the law that sets them (an approval, a retention, a declared day): French legal
time, which is one or two hours ahead, so that the last day ends at midnight and not at two in the morning.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

LEGAL_TIME: Final = ZoneInfo("Europe/Paris")
"""Decree 78-855 on French legal time."""


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def timestamp() -> str:
    """Return the current time in ISO 8601 with microseconds, in UTC, ending in `Z`."""
    return written(now())


def written(moment: datetime) -> str:
    """Return a moment in UTC as `timestamp` writes it, so that times compare as texts."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def read(written: str) -> datetime:
    """Return the moment that `timestamp` wrote; raises ValueError for any other text."""
    return datetime.fromisoformat(written)


def today() -> date:
    """Return the current date in French legal time."""
    return now().astimezone(LEGAL_TIME).date()


def day_of(written: str) -> date:
    """Return the date, in French legal time, of a moment that `timestamp` wrote; raises ValueError for other texts."""
    return read(written).astimezone(LEGAL_TIME).date()
