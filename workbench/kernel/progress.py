"""Progress of long work, as a plain callable that any caller can watch and that can stop the work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share done (0.0 to 1.0) and a short text; raises `Stopped` when a person asked to stop."""


def silent(share: float, message: str) -> None:
    """Ignore progress: the default where nobody watches."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Return a progress that maps 0..1 of a part onto `start`..`end` of the whole."""
    return lambda share, message: progress(start + (end - start) * share, message)
