"""Arrow columns made of Python numbers, for the small tables that go to an engine.

`pyarrow.array` looks whether it was given a pandas object, and imports pandas for that where it is installed: half a
second of CPU that a command would pay for nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import pyarrow as pa


def whole_numbers(values: Sequence[int]) -> pa.Array:
    """Return an Arrow column of BIGINT values, none of them NULL. Raises OverflowError beyond 64 bits."""
    return pa.Int64Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])
