"""Files read with suspicion: kind by name and content, sizes by what they declare before anything is unpacked."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from workbench.governance.airlock.pages import unpacked_size
from workbench.governance.airlock.verdicts import shortened
from workbench.kernel.errors import InvalidInput

# pyarrow has no types
pa: Any = pyarrow
pc: Any = pyarrow.compute
pq: Any = pyarrow.parquet

Kind = Literal["table", "figure", "model", "notebook"]

MIB: Final = 1 << 20
BIGGEST: Final = {".csv": 2, ".parquet": 5, ".svg": 2, ".png": 10, ".skops": 20, ".ipynb": 5}
"""Megabytes that a file may have, by the end of its name: results are small."""

KINDS: Final[dict[str, Kind]] = {
    ".csv": "table", ".parquet": "table", ".svg": "figure", ".png": "figure", ".skops": "model", ".ipynb": "notebook",
}  # fmt: skip
LINES: Final = 5_000
COLUMNS: Final = 60
UNPACKED: Final = 100 * MIB
"""What an archive or a Parquet file may say that it unpacks to."""
_NAME: Final = re.compile(r"[A-Za-z0-9À-ÖØ-öø-ÿ][A-Za-z0-9À-ÖØ-öø-ÿ ._()-]{0,99}")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs"})
_ENCODINGS: Final = frozenset({"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"})
"""Those whose size the footer tells; a delta encoding stores a long common beginning once."""
_PIXELS: Final = 40_000_000


@dataclass(frozen=True)
class Sheet:
    """A table as text: names of columns and lines; line 1 of the file is the names, so `lines[0]` is line 2."""

    names: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Content:
    """A file as it would leave: its name, its kind, the bytes prepared for leaving, and its table where it is one.

    `defused` counts cells that a spreadsheet would have run, `stripped` names what was taken out.
    """

    name: str
    kind: Kind
    raw: bytes
    sheet: Sheet | None = None
    defused: int = 0
    stripped: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """The end of its name, in small letters."""
        return Path(self.name).suffix.lower()


def check_name(name: str) -> str:
    """Return a file's name if it can be one everywhere; raises `InvalidInput` (`airlock.name`, `airlock.kind`)."""
    if not _NAME.fullmatch(name):
        raise InvalidInput("airlock.name", name=shortened(name))
    if Path(name).suffix.lower() not in KINDS:
        raise InvalidInput("airlock.kind", name=shortened(name), known=", ".join(KINDS))
    return name


def read_bytes(path: Path) -> tuple[str, bytes]:
    """Return a file's name and bytes, name and size checked before; raises as `prepare`."""
    name = check_name(path.name)
    try:
        _check_size(name, path.stat().st_size)
        with path.open("rb") as stream:
            return name, stream.read(BIGGEST[Path(name).suffix.lower()] * MIB + 1)
    except OSError:
        raise InvalidInput("airlock.unreadable", name=name) from None


def prepare(name: str, raw: bytes) -> Content:
    """Return a file as it would leave: formulas defused, hidden parts taken out, nothing else changed.

    Raises `InvalidInput`: `airlock.name`, `airlock.kind`, `airlock.too_big`, `airlock.unreadable`, `airlock.unpacked`.
    """
    check_name(name)
    _check_size(name, len(raw))
    suffix = Path(name).suffix.lower()
    if suffix == ".csv":
        return _csv(name, raw)
    if suffix == ".parquet":
        return _parquet(name, raw)
    if suffix == ".png":
        return _png(name, raw)
    if suffix == ".ipynb":
        return _notebook(name, raw)
    if suffix == ".skops":
        _check_archive(name, raw)
    return Content(name, KINDS[suffix], raw)


def _check_size(name: str, size: int) -> None:
    most = BIGGEST[Path(name).suffix.lower()]
    if size > most * MIB:
        raise InvalidInput("airlock.too_big", name=name, limit=most)


def _csv(name: str, raw: bytes) -> Content:
    try:
        text = raw.decode("utf-8-sig")
        delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
        lines = list(_bounded(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), name))
    except (UnicodeDecodeError, csv.Error):
        raise InvalidInput("airlock.unreadable", name=name) from None
    if "\0" in text or len(lines) < 2 or any(len(line) != len(lines[0]) for line in lines):
        raise InvalidInput("airlock.unreadable", name=name)
    return _written(name, Sheet(tuple(lines[0]), tuple(map(tuple, lines[1:]))), delimiter)


def _bounded(lines: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    for number, line in enumerate(lines):
        if number > LINES or len(line) > COLUMNS:
            raise InvalidInput("airlock.unpacked", name=name, lines=LINES, columns=COLUMNS, limit=UNPACKED // MIB)
        if line:
            yield line


def _written(name: str, sheet: Sheet, delimiter: str) -> Content:
    """Return a sheet as a CSV file in which no cell starts a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    safe = [[_defused(cell) for cell in line] for line in (sheet.names, *sheet.lines)]
    writer.writerows(safe)
    pairs = zip((sheet.names, *sheet.lines), safe, strict=True)
    defused = sum(one != other for before, after in pairs for one, other in zip(before, after, strict=True))
    return Content(name, "table", out.getvalue().encode(), Sheet(tuple(safe[0]), tuple(map(tuple, safe[1:]))), defused)


def _defused(cell: str) -> str:
    """Return a cell that a spreadsheet takes for text, behind an apostrophe where it would be a formula."""
    start = cell.lstrip(" \u00a0\u202f")
    return f"'{cell}" if start.startswith(_FORMULA) and not _NUMBER.fullmatch(start) else cell


def _parquet(name: str, raw: bytes) -> Content:
    """Read the footer first: it says how much there is. Nothing nested is a table of results."""
    limits = {"thrift_string_size_limit": 5 * MIB, "thrift_container_size_limit": 100_000}
    try:
        about = pq.ParquetFile(pa.BufferReader(raw), **limits).metadata
        unpacked = sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups))
        if about.num_rows > LINES or about.num_columns > COLUMNS or unpacked > UNPACKED:
            raise InvalidInput("airlock.unpacked", name=name, lines=LINES, columns=COLUMNS, limit=UNPACKED // MIB)
        table = _read_small(raw, about, limits)
        out = pa.BufferOutputStream()
        pq.write_table(table, out, compression="zstd", write_statistics=False, store_schema=False)
    except (OSError, ValueError, pa.ArrowException, MemoryError):
        raise InvalidInput("airlock.unreadable", name=name) from None
    lines = tuple(tuple(_text(value) for value in line.values()) for line in table.to_pylist())
    return Content(name, "table", out.getvalue().to_pybytes(), Sheet(tuple(table.column_names), lines))


def _read_small(raw: bytes, about: Any, limits: dict[str, int]) -> Any:
    """Read a small flat table. Texts stay dictionaries until their whole length is known: a thousand lines that repeat
    one long text are small in the file and huge in memory."""
    schema = about.schema.to_arrow_schema()
    groups = [about.row_group(place) for place in range(about.num_row_groups)]
    ways = {way for group in groups for place in range(about.num_columns) for way in group.column(place).encodings}
    if (
        unpacked_size(raw, about) > UNPACKED
        or about.num_rows < 1
        or not ways <= _ENCODINGS
        or any(pa.types.is_nested(field.type) for field in schema)
    ):
        raise ValueError
    texts = [field.name for field in schema if not pa.types.is_primitive(field.type)]
    table = pq.ParquetFile(pa.BufferReader(raw), read_dictionary=texts, **limits).read()
    length = 0
    for name in texts:
        for chunk in table[name].chunks:
            sizes = pc.binary_length(chunk.dictionary).take(chunk.indices)
            length += pc.sum(sizes).as_py() or 0
    if length > UNPACKED // 10:
        raise ValueError
    return table.cast(pa.schema([pa.field(f.name, _plain(f.type)) for f in schema])).replace_schema_metadata(None)


def _plain(kind: Any) -> Any:
    return pa.string() if pa.types.is_dictionary(kind) else kind


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def _check_archive(name: str, raw: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
    except (OSError, ValueError, zipfile.BadZipFile):
        raise InvalidInput("airlock.unreadable", name=name) from None
    if len(entries) > 2_000 or sum(entry.file_size for entry in entries) > UNPACKED:
        raise InvalidInput("airlock.unpacked", name=name, lines=LINES, columns=COLUMNS, limit=UNPACKED // MIB)


def _png(name: str, raw: bytes) -> Content:
    """Keep the chunks that draw; text, times and what follows the picture are taken out."""
    if not raw.startswith(_PNG):
        raise InvalidInput("airlock.unreadable", name=name)
    kept, at, dropped, kinds = [_PNG], len(_PNG), set[str](), list[bytes]()
    while at + 12 <= len(raw) and kinds[-1:] != [b"IEND"]:
        (length,), kind = struct.unpack(">I", raw[at : at + 4]), raw[at + 4 : at + 8]
        chunk = raw[at : at + 12 + length]
        at += 12 + length
        kinds.append(kind)
        if kind in _PNG_KEPT:
            kept.append(chunk)
        else:
            dropped.add(kind.decode("latin-1"))
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or at > len(raw):
        raise InvalidInput("airlock.unreadable", name=name)
    width, height = struct.unpack(">II", kept[1][8:16])
    if width * height > _PIXELS:
        raise InvalidInput("airlock.unpacked", name=name, lines=LINES, columns=COLUMNS, limit=UNPACKED // MIB)
    if at < len(raw):
        dropped.add("…")
    return Content(name, "figure", b"".join(kept), stripped=tuple(sorted(dropped)))


def _notebook(name: str, raw: bytes) -> Content:
    """Keep the cells' sources alone: outputs, attachments and what tools wrote beside them are taken out."""
    try:
        document: Any = json.loads(raw.decode("utf-8"))
        cells: Sequence[Any] = document["cells"]
        sources = [(str(cell["cell_type"]), _joined(cell["source"])) for cell in cells]
        outputs = sum(len(cell.get("outputs") or ()) + len(cell.get("attachments") or ()) for cell in cells)
        known = document["nbformat"] == 4 and all(kind in {"code", "markdown", "raw"} for kind, _ in sources)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidInput("airlock.unreadable", name=name) from None
    if not known:
        raise InvalidInput("airlock.unreadable", name=name)
    clean: dict[str, Any] = {
        "cells": [_clean(*each) for each in sources],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    written = json.dumps(clean, ensure_ascii=False, indent=1) + "\n"
    return Content(name, "notebook", written.encode(), stripped=(f"{outputs}",) if outputs else ())


def _joined(source: object) -> str:
    if isinstance(source, str):
        return source
    if isinstance(source, list) and all(isinstance(line, str) for line in source):  # pyright: ignore[reportUnknownVariableType]
        return "".join(source)  # pyright: ignore[reportUnknownArgumentType]
    raise ValueError


def _clean(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text}
    return {**cell, "outputs": [], "execution_count": None} if kind == "code" else cell
