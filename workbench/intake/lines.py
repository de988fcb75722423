"""Rows of delimited text as Arrow, each with the line of its file on which it begins.

A record may span lines (a quoted text holds line feeds), lines may be blank, and records of too many or too few values
are no rows: all of them count, so that the line named beside a row is the one that an editor shows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from workbench.intake.delimited import Delimited, as_utf8, reading
from workbench.kernel.errors import InvalidInput

FILE, LINE = "__file", "__line"
_BLOCK = 1 << 23
_KEPT = 10_000
_RAGGED = pa.schema([("file", pa.string()), ("line", pa.int64()), ("text", pa.string())])


class Rows:
    """The rows of a table's files: `reader()` hands them out once, all columns as text; records that have not as many
    values as there are names are written to the Parquet file `ragged` meanwhile, whole."""

    def __init__(self, files: Sequence[Delimited], ragged: Path) -> None:
        self.names = files[0].names
        self.problem: Exception | None = None
        self.ragged_rows = 0
        self._files, self.ragged = files, ragged
        self._writer: Any = None
        self._waiting: list[tuple[str, int, str]] = []

    def reader(self) -> pa.RecordBatchReader:
        """Return the rows as a stream. What goes wrong while it is read is kept in `problem`: who reads it (DuckDB)
        tells of an error without its kind."""
        schema = pa.schema([*((name, pa.string()) for name in self.names), (FILE, pa.string()), (LINE, pa.int64())])
        return pa.lib.RecordBatchReader.from_batches(schema, self._batches(schema))

    def close(self) -> None:
        """End the file of ragged records."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _batches(self, schema: pa.Schema) -> Generator[Any]:
        try:
            for file in self._files:
                for batch, lines in _Numbered(file, self._set_aside).batches():
                    names = pa.repeat(file.name, len(batch))
                    columns = {**dict(zip(file.names, batch.columns, strict=True)), FILE: names, LINE: lines}
                    yield pa.record_batch([columns[name] for name in schema.names], schema=schema)
        except Exception as error:
            self.problem = error
            raise

    def _set_aside(self, file: str, line: int, text: str) -> None:
        self.ragged_rows += 1
        self._waiting.append((file, line, text))
        if len(self._waiting) >= _KEPT:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.ragged, _RAGGED)
        columns = [pa.array(column) for column in zip(*self._waiting, strict=True)]
        self._writer.write_table(pa.table(columns, schema=_RAGGED))
        self._waiting.clear()


class _Numbered:
    """One file's batches with the line of each row."""

    def __init__(self, file: Delimited, set_aside: Callable[[str, int, str], None]) -> None:
        self._file, self._set_aside = file, set_aside
        self._next = 1  # the number of the next record, the header not counted
        self._inner = 0  # line feeds inside all records before it
        self._refused: list[tuple[int, str]] = []  # records that are no rows, by number, not yet passed

    def batches(self) -> Generator[tuple[Any, Any]]:
        """Yield each batch of rows with its line numbers.

        Raises `InvalidInput`: `intake.record_too_long`, and `intake.line_ends` where the lines do not add up.
        """
        file = self._file
        with reading(file.name), as_utf8(file) as stream:
            try:
                for batch in _open(stream, file, self._refuse):
                    if batch.num_rows:
                        yield batch, pa.array(self._pass(batch.num_rows, _line_feeds(batch)))
            except pa.ArrowInvalid as error:
                if "Empty CSV file" not in str(error):
                    line = 1 + self._next + self._inner
                    raise InvalidInput("intake.record_too_long", file=file.name, line=line) from error
        self._pass(0, np.zeros(0, dtype=np.int64))
        if file.lines not in {self._next + self._inner, self._next + self._inner - 1}:
            raise InvalidInput("intake.line_ends", file=file.name)

    def _refuse(self, row: Any) -> str:
        self._refused.append((row.number, row.text))
        return "skip"

    def _pass(self, rows: int, inner: Any) -> Any:
        """Return the lines of the next rows, given the line feeds inside each; set aside the refused ones on the way:
        all those before the last row, or all where there is no row left."""
        refused = np.array([number for number, _ in self._refused], dtype=np.int64)
        shift = np.searchsorted(refused - self._next - np.arange(len(refused)), np.arange(rows), side="right")
        numbers = self._next + np.arange(rows) + shift
        passed, self._refused = _split(self._refused, int(shift[-1]) if rows else len(refused))
        texts = np.array([text.count("\n") for _, text in passed], dtype=np.int64)
        every = np.concatenate([numbers, refused[: len(passed)]])
        order = np.argsort(every)
        feeds = np.concatenate([inner, texts])[order]
        lines = np.empty(len(every), dtype=np.int64)
        lines[order] = 1 + every[order] + self._inner + np.cumsum(feeds) - feeds
        for line, (_, text) in zip(lines[rows:].tolist(), passed, strict=True):
            self._set_aside(self._file.name, line, text)
        self._next = int(every.max()) + 1 if len(every) else self._next
        self._inner += int(feeds.sum())
        return lines[:rows]


def _split(items: list[tuple[int, str]], at: int) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    return items[:at], items[at:]


def _open(stream: IO[bytes], file: Delimited, refuse: Callable[[Any], str]) -> Iterable[Any]:
    """Open the rows, as text, an empty value as none. One thread reads: only then do records have numbers."""
    text = {name: pa.string() for name in file.names}
    return pacsv.open_csv(
        stream,
        read_options=pacsv.ReadOptions(column_names=list(file.names), use_threads=False, block_size=_BLOCK),
        parse_options=pacsv.ParseOptions(
            delimiter=file.delimiter,
            quote_char='"' if file.quoted else False,
            newlines_in_values=file.quoted,
            ignore_empty_lines=False,
            invalid_row_handler=refuse,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=text, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )


def _line_feeds(batch: Any) -> Any:
    """Return the line feeds inside each row's values; their bytes are searched first, as nearly no table has any."""
    found = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        data = column.buffers()[2]
        if data is not None and b"\n" in data.to_pybytes():
            found += np.asarray(pc.fill_null(pc.count_substring(column, "\n"), 0), dtype=np.int64)
    return found
