"""A DuckDB file as a source. Its views are left, since a view may read any file of this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake.folders import describe
from workbench.intake.nodes import call, column, number, render, select, table, text
from workbench.intake.sources import Error, Source, SourceTable, rows_digest
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.repository.cdm import TABLES
from workbench.store.files import sha256_file

_UNNAMED = re.compile(r"column\d+")


def open_database(connection: Any, path: Path, only: Sequence[str] = ()) -> Source:
    """Attach a DuckDB file, read-only, and describe the tables of its schema `main` that the model knows.

    Raises `InvalidInput`: `release.not_duckdb`, `release.table_twice`, `release.unreadable`,
    `release.no_column_names`; `Unavailable`: `release.source_locked`.
    """
    names = _attach(connection, path)
    lower = [name.lower() for name in names]
    twice = next((name for name in lower if lower.count(name) > 1), None)
    if twice is not None:
        first, second, *_ = (name for name in names if name.lower() == twice)
        raise InvalidInput("release.table_twice", source=path.name, table=twice, first=first, second=second)
    origin = {"kind": "duckdb", "name": path.name, "sha256": sha256_file(path)}
    stamp = path.stat()
    tables = {
        name.lower(): _table(connection, name, origin)
        for name in names
        if name.lower() in TABLES and (not only or name.lower() in only)
    }
    return Source(
        "duckdb",
        tables,
        sorted(set(lower) - set(TABLES)),
        (),
        [origin],
        unchanged=lambda: (stamp.st_size, stamp.st_mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns),
    )


def _attach(connection: Any, path: Path) -> list[str]:
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
    return [str(name) for (name,) in names]


def _table(connection: Any, label: str, origin: dict[str, str]) -> SourceTable:
    """Describe a table. One whose columns have no names may hold them in one of its rows, as exports have it."""
    name, relation = label.lower(), table(label, "main", "source")
    columns = describe(connection, name, relation)
    all_text = all(kind == "VARCHAR" for _, kind in columns.values())
    headers: dict[str, str] = {}
    if all_text and all(_UNNAMED.fullmatch(each) for each in columns):
        headers = _names_inside(connection, name, relation, [each for each, _ in columns.values()])
        columns = {headers[each]: (each, kind) for each, kind in columns.values()}
    elif all_text:
        headers = {each: each.lower() for each, _ in columns.values()}
    place = {"file": text(f"{origin['name']}/{name}"), "line": exp.Add(this=column("rowid"), expression=number(1))}
    return SourceTable(
        name, columns, rows_digest("duckdb", [origin]), (origin["name"],), relation, headers=headers, **place
    )


def _names_inside(connection: Any, name: str, relation: exp.Table, columns: list[str]) -> dict[str, str]:
    """Return the names of columns that a table without names holds in one of its rows."""
    first = call("lower", column(columns[0]))
    known = [text(field) for field in TABLES[name].known_names]
    query = select(exp.Star(), source=relation, where=exp.In(this=first, expressions=known))
    row = connection.execute(render(query.limit(1, copy=False))).fetchone()
    if row is None or None in row:
        raise InvalidInput("release.no_column_names", table=name)
    return {each: str(value).lower() for each, value in zip(columns, row, strict=True)}
