"""Releases that are being read stay: a verb holds the releases that it reads, and whoever removes one waits for it.

A hold is a shared lock (`flock`) on a file beside those of jobs; removing takes it alone. It is let go when the verb is
over, so an app that waits for its user holds nothing, and the kernel frees it however a process ends. Nobody new comes
to a release that persons were erased from, since another stands for it by then: waiting comes to its end.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.kernel.progress import Progress, silent
from workbench.store import jobs

if TYPE_CHECKING:
    from workbench.services.context import Workbench

PATIENCE: Final = 300.0
"""How many seconds a retirement or an erasure waits for those who still read a release."""

_PAUSE: Final = 0.2
_held: ContextVar[ExitStack | None] = ContextVar("held", default=None)


@contextmanager
def reading() -> Generator[None]:
    """Let go, at the end of the block, of the releases that `hold` took in it."""
    with ExitStack() as stack:
        before = _held.set(stack)
        try:
            yield
        finally:
            _held.reset(before)


def hold(wb: Workbench, release: str) -> None:
    """Keep the files of a release (by id) from being removed until the innermost `reading` ends.

    The release may be gone already: look at its folder after. Raises RuntimeError outside of any `reading`.
    """
    stack = _held.get()
    if stack is None:
        raise RuntimeError("A release was opened outside of a verb: nothing would say when it is read no more.")
    stack.enter_context(jobs.locked(_lock(wb, release), shared=True))


@contextmanager
def removing(wb: Workbench, release: str, patience: float = 0.0, progress: Progress = silent) -> Generator[bool]:
    """Hold a release alone for the block, so that its files can go; give False where somebody still reads it after
    `patience` seconds. The progress tells how much of these are over."""
    end = time.monotonic() + patience
    while (held := jobs.try_lock(_lock(wb, release))) is None and (left := end - time.monotonic()) > 0:
        progress(1 - left / patience, f"{release}: {left:.0f} s")
        time.sleep(min(_PAUSE, left))
    try:
        yield held is not None
    finally:
        if held is not None:
            held.close()


def _lock(wb: Workbench, release: str) -> Path:
    wb.settings.jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
    return wb.settings.jobs / f"{release}.lock"
