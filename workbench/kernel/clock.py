"""The one place where time comes from, so that tests can set it and manifests can be seen to do without it."""

from __future__ import annotations

from datetime import UTC, date, datetime


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
    """Return the current date in UTC."""
    return now().date()
