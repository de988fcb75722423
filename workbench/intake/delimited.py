"""What a delimited text file is, found before any row is read: one pass over its bytes, and nothing guessed in silence.

- Delimiter: comma, semicolon, tab or bar, whichever cuts the first line into most names of the model's table.
- Quotes: as in RFC 4180 (`"a ""b"" c"`); a tab-separated file whose header has no quotes has none at all (Athena's
  form).
- Encoding: UTF-8, with or without a byte order mark; UTF-16 with one. A file that is not valid UTF-8 and holds no
  character of UTF-8 beyond ASCII is read as Windows-1252, or as ISO-8859-1 where it has bytes that Windows-1252 leaves
  undefined. One that holds both is neither: it is refused, with the line.
- A quoted text that never ends, or after whose end something else stands, makes all that follows doubtful: refused.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from workbench.intake.quotes import Quotes
from workbench.kernel.errors import InvalidInput, Unavailable

DELIMITERS = (",", ";", "\t", "|")
BLOCK = 1 << 22
_HEAD = 1 << 20
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True)
class Delimited:
    """A delimited text file, surveyed. `names` are its columns in lower case; `header` is the length of its first
    line in bytes of UTF-8 or of its own one-byte encoding; `lines` counts line feeds; `nul` says whether it holds the
    character NUL. `name` is the file's, as the manifest keeps it."""

    path: Path
    name: str
    sha256: str
    delimiter: str
    quoted: bool
    encoding: str
    names: tuple[str, ...]
    header: int
    lines: int
    nul: bool

    def origin(self) -> dict[str, Any]:
        """Return the file as the manifest names it among its sources."""
        said = {"encoding": self.encoding, "delimiter": self.delimiter, "quoted": self.quoted}
        return {"kind": "csv", "name": self.name, "sha256": self.sha256, **said}


def survey(path: Path, name: str, known: Sequence[str] = ()) -> Delimited:
    """Read a file's bytes once and say what it is; `known` are the names that its columns may have.

    Raises `InvalidInput` naming the file and, where there is one, the line: `intake.file_empty`,
    `intake.column_twice`, `intake.encoding_mixed`, `intake.quote_open`, `intake.quote_stray`,
    `intake.file_truncated`; `Unavailable` (`intake.file_unreadable`) where it may not be read.
    """
    with reading(name):
        wide = _wide(path)
        with closing(_bytes(path, wide)) as stream:
            head = stream.read(_HEAD)
        bom = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        end = head.find(b"\n") + 1 or len(head)
        first = head[bom:end].decode("utf-8", "replace").rstrip("\r\n")
        if not first.strip():
            raise InvalidInput("intake.file_empty", file=name)
        delimiter = _delimiter(first, known)
        names = _names(first, delimiter, name)
        quoted = delimiter != "\t" or '"' in first
        bytes_ = _Survey(delimiter, quoted)
        with closing(_bytes(path, wide)) as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                bytes_.add(block)
        if not bytes_.paired():
            _refuse_quotes(path, wide, delimiter, name)
        encoding = wide or ("utf-8" if bytes_.valid() else _legacy(path, name))
        sha = _sha256(path) if wide or _zipped(path) else bytes_.sha.hexdigest()
    return Delimited(path, name, sha, delimiter, quoted, encoding, names, end, bytes_.lines, bytes_.nul)


class reading:  # noqa: N801 - a context manager, read as a word
    """Name the file where the system or the compression cannot give its bytes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> Literal[False]:
        if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
            raise InvalidInput("intake.file_truncated", file=self._name) from error
        if isinstance(error, OSError):
            raise Unavailable("intake.file_unreadable", file=self._name) from error
        return False


def as_utf8(file: Delimited) -> IO[bytes]:
    """Return the file's rows as UTF-8, after its first line."""
    stream = _bytes(file.path, file.encoding if file.encoding.startswith("utf-16") else None)
    stream.read(file.header)
    if file.encoding.startswith("utf"):
        return stream
    return io.BufferedReader(_Transcoded(stream, file.encoding), BLOCK)


class _Transcoded(io.RawIOBase):
    """Bytes of another encoding as UTF-8, block by block."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream, self._left = stream, b""
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        """Return True: this stream is read only."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with UTF-8; 0 at the end."""
        while not self._left:
            block = self._stream.read(BLOCK)
            self._left = self._decoder.decode(block, final=not block).encode()
            if not block and not self._left:
                return 0
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()


class _Survey:
    """What one pass over the bytes finds: digest, line feeds, NULs, validity as UTF-8, pairs of quotes."""

    def __init__(self, delimiter: str, quoted: bool) -> None:
        self.sha, self.lines, self.nul = hashlib.sha256(), 0, False
        self._decoder: Any = codecs.getincrementaldecoder("utf-8")()
        self._quotes = Quotes(ord(delimiter)) if quoted else None

    def add(self, block: bytes) -> None:
        """Look at the next block."""
        self.sha.update(block)
        self.lines += block.count(b"\n")
        self.nul = self.nul or b"\0" in block
        self._decode(block)
        if self._quotes is not None:
            self._quotes.add(block)

    def _decode(self, block: bytes, *, final: bool = False) -> None:
        try:
            if self._decoder is not None:
                self._decoder.decode(block, final)
        except UnicodeDecodeError:
            self._decoder = None

    def valid(self) -> bool:
        """Say, after the last block, whether all was UTF-8."""
        self._decode(b"", final=True)
        return self._decoder is not None

    def paired(self) -> bool:
        """Say, after the last block, whether every quote opens or closes a value."""
        return self._quotes is None or self._quotes.paired()


def _refuse_quotes(path: Path, wide: str | None, delimiter: str, name: str) -> None:
    """Read a file whose quotes do not pair as a strict reader does; a quote inside an unquoted value is a character.

    Raises `InvalidInput` with the line on which the doubtful record begins; returns where there is none.
    """
    limit = csv.field_size_limit(1 << 30)
    try:
        with closing(_bytes(path, wide)) as stream:
            text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
            rows = csv.reader(text, delimiter=delimiter, strict=True)
            line = 1
            try:
                for _ in rows:
                    line = rows.line_num + 1
            except csv.Error as error:
                code = "intake.quote_open" if "end of data" in str(error) else "intake.quote_stray"
                raise InvalidInput(code, file=name, line=line) from error
    finally:
        csv.field_size_limit(limit)


def _legacy(path: Path, name: str) -> str:
    """Return the one-byte encoding of a file that is not UTF-8. Raises `InvalidInput` (`intake.encoding_mixed`)."""
    undefined = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    latin, beyond_ascii, line, first_bad = False, False, 1, 0
    with closing(_bytes(path, None)) as stream:
        for block in _lines(stream):
            latin = latin or any(code in block for code in undefined)
            beyond_ascii = beyond_ascii or not decoder.decode(block).isascii()
            first_bad = first_bad or _bad_line(block, line)
            line += block.count(b"\n")
    if beyond_ascii:
        raise InvalidInput("intake.encoding_mixed", file=name, line=first_bad)
    return "iso-8859-1" if latin else "windows-1252"


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield blocks that end at line feeds: no character of UTF-8 is cut."""
    for block in iter(lambda: stream.read(BLOCK), b""):
        yield block + stream.readline()


def _bad_line(block: bytes, line: int) -> int:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return line + block.count(b"\n", 0, error.start)
    return 0


def _delimiter(first: str, known: Sequence[str]) -> str:
    """Return the delimiter that gives most known names; among equals the one that occurs most."""
    wanted = set(known)

    def worth(delimiter: str) -> tuple[int, int]:
        names = {part.strip().strip('"').lower() for part in first.split(delimiter)}
        return len(names & wanted), first.count(delimiter)

    return max(DELIMITERS, key=worth)


def _names(first: str, delimiter: str, name: str) -> tuple[str, ...]:
    parts = next(csv.reader([first], delimiter=delimiter))
    names = [part.strip().lower() or f"column_{number}" for number, part in enumerate(parts, start=1)]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise InvalidInput("intake.column_twice", file=name, column=twice)
    return tuple(names)


def _zipped(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _wide(path: Path) -> str | None:
    """Return the encoding of a file that begins with a byte order mark of UTF-16."""
    with closing(_raw(path)) as stream:
        return _WIDE.get(stream.read(2))


def _raw(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if _zipped(path) else path.open("rb")


def _bytes(path: Path, wide: str | None) -> IO[bytes]:
    """Return a file's bytes: unpacked, and those of UTF-16 as UTF-8 without their mark."""
    stream = _raw(path)
    if wide is None:
        return stream
    stream.read(2)
    return io.BufferedReader(_Transcoded(stream, wide), BLOCK)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
