"""Python's cyclic garbage collector, put off while many small objects are made that all stay alive."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Generator[None]:
    """Put cyclic garbage collection off while the block runs; what it leaves is collected after, as always.

    Query trees are tens of thousands of objects. Each pass of the collector looks at all of them, frees none, and
    costs more than making them did.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
