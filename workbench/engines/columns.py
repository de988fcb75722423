"""Small tables of whole numbers on their way to an engine, and small answers on their way back, without Arrow.

A command that makes cohorts needs neither Arrow nor NumPy, which take a quarter of a second of CPU to import: nearly as
much as a small cohort takes to make. So this module imports Arrow only for engines that take nothing else.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

if TYPE_CHECKING:
    import pyarrow as pa

Numbers = Mapping[str, Sequence[int]]
"""A table of whole numbers (BIGINT, none of them NULL) by column; all columns are of one length."""

Form = Literal["parquet", "csv"]
"""The kinds of file that an engine writes rows to."""


def is_numbers(rows: pa.Table | Numbers) -> TypeGuard[Numbers]:
    """Answer whether rows are columns of Python numbers, not an Arrow table."""
    return isinstance(rows, Mapping)


def to_arrow(rows: pa.Table | Numbers) -> pa.Table:
    """Return rows as an Arrow table. Raises OverflowError for a number beyond 64 bits.

    Columns are made of buffers: `pyarrow.array` looks whether it was given a pandas object, and imports pandas for that
    where it is installed, which takes half a second.
    """
    if is_numbers(rows):
        import pyarrow as pa  # noqa: PLC0415 - see above

        return pa.table({name: _whole_numbers(values) for name, values in rows.items()})
    return rows


def _whole_numbers(values: Sequence[int]) -> pa.Array:
    import pyarrow as pa  # noqa: PLC0415 - see above

    return pa.Int64Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])


def nullable(rows: pa.Table) -> pa.Table:
    """Return an Arrow table whose every column may hold NULL, as no engine's are alike in what may not."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    return rows.cast(pa.schema([(field.name, field.type) for field in rows.schema]))


def tuples(rows: pa.Table) -> list[tuple[Any, ...]]:
    """Return the rows of a small Arrow table."""
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def write_arrow(rows: pa.Table, path: Path, form: Form) -> None:
    """Write an Arrow table to a file. Raises OSError where the disk is full or the place cannot be written."""
    if form == "csv":
        import pyarrow.csv  # noqa: PLC0415 - see above

        pyarrow.csv.write_csv(rows, path)
    else:
        import pyarrow.parquet  # noqa: PLC0415 - see above

        pyarrow.parquet.write_table(rows, path, compression="zstd")
