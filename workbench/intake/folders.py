"""A folder as a source: a table is a file (`person.csv`, `.csv.gz`, `.tsv`, `.tsv.gz`, `.parquet`) or a folder of such.

Names are those of the tables, capitals or not. Files that begin with a dot or an underscore are other programs' marks.
A link may not lead out of the folder: what is loaded is what was handed over.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from workbench.intake.delimited import Delimited, survey
from workbench.intake.lines import FILE, LINE, Rows
from workbench.intake.nodes import Node, call, column, number, render, scan, select, text
from workbench.intake.sources import Source, SourceTable, answering, rows_digest
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.repository.cdm import TABLES
from workbench.store.files import sha256_file

_KINDS = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".tsv": "csv", ".tsv.gz": "csv"}


@dataclass(frozen=True)
class _Found:
    """The files of one table, all of one kind; `label` is the first one's name."""

    label: str
    kind: str
    files: tuple[Path, ...]


def open_folder(connection: Any, path: Path, only: Sequence[str] = ()) -> Source:
    """Survey a folder: each file of a table that the model knows is read once, for its digest and its form.

    `only` names tables; none means all. Raises `InvalidInput` or `Unavailable` (`release.*`) naming the file.
    """
    found, strange = _tables(path)
    known = {name: each for name, each in found.items() if name in TABLES and (not only or name in only)}
    before = {file: _stamp(file) for each in known.values() for file in each.files}
    tables: dict[str, SourceTable] = {}
    origin: list[dict[str, Any]] = []
    for name, each in known.items():
        tables[name], said = (_parquet if each.kind == "parquet" else _csv)(connection, path, name, each)
        origin += said
    return Source(
        "folder",
        tables,
        sorted(set(found) - set(TABLES)),
        strange,
        sorted(origin, key=lambda each: each["name"]),
        unchanged=lambda: all(_stamp(file) == stamp for file, stamp in before.items()),
    )


def _tables(folder: Path) -> tuple[dict[str, _Found], list[str]]:
    """Return the tables that a folder's names tell of, and the files that are none."""
    found: dict[str, _Found] = {}
    strange: list[str] = []
    for entry in _entries(folder, folder):
        inside = _under(entry, folder) if entry.is_dir() else [entry]
        strange += [_label(file, folder) for file in inside if _kind(file) is None]
        named = (entry.name if entry.is_dir() else entry.name[: len(entry.name) - len(_suffix(entry))]).lower()
        for kind in dict.fromkeys(_kind(file) for file in inside if _kind(file)):
            files = tuple(file for file in inside if _kind(file) == kind)
            label = _label(files[0], folder)
            if named in found:
                facts = {"first": found[named].label, "second": label}
                raise InvalidInput("release.table_twice", source=folder.name, table=named, **facts)
            found[named] = _Found(label, str(kind), files)
    return found, sorted(strange)


def _entries(folder: Path, root: Path) -> Iterator[Path]:
    """Yield what a folder holds, in order, but for marks. Raises `Unavailable` or `InvalidInput` naming the place."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise Unavailable("intake.folder_unreadable", folder=folder.name) from error
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        try:
            outside = entry.is_symlink() and not entry.resolve(strict=True).is_relative_to(root.resolve())
            mode = entry.stat().st_mode
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
            raise Unavailable("intake.file_unreadable", file=_label(entry, root)) from error
        if outside:
            raise InvalidInput("intake.link_outside", file=_label(entry, root))
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            yield entry


def _under(folder: Path, root: Path) -> list[Path]:
    return [file for entry in _entries(folder, root) for file in (_under(entry, root) if entry.is_dir() else [entry])]


def _suffix(file: Path) -> str:
    return next((suffix for suffix in sorted(_KINDS, key=len, reverse=True) if file.name.lower().endswith(suffix)), "")


def _kind(file: Path) -> str | None:
    return _KINDS.get(_suffix(file))


def _label(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _stamp(file: Path) -> tuple[int, int]:
    """Return what a file's change changes, without reading it."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _csv(_: Any, folder: Path, name: str, found: _Found) -> tuple[SourceTable, list[dict[str, Any]]]:
    known = TABLES[name].known_names
    files = [survey(file, _label(file, folder), known) for file in found.files]
    _check_alike(name, files)
    said = [file.origin() for file in files]
    columns = {each: (each, "VARCHAR") for each in files[0].names}

    def stream(ragged: Path, _: object) -> Rows:
        return Rows(files, ragged)

    table = SourceTable(
        name,
        columns,
        rows_digest("csv", said),
        tuple(file.name for file in files),
        stream=stream,
        file=column(FILE),
        line=column(LINE),
        headers={each: each for each in files[0].names},
        nul=any(file.nul for file in files),
    )
    return table, said


def _check_alike(name: str, files: Sequence[Delimited]) -> None:
    odd = next((file for file in files if set(file.names) != set(files[0].names)), None)
    if odd is not None:
        raise InvalidInput("intake.parts_differ", table=name, file=odd.name, first=files[0].name)


def _parquet(connection: Any, folder: Path, name: str, found: _Found) -> tuple[SourceTable, list[dict[str, Any]]]:
    for file in found.files:
        _check_parquet(file, _label(file, folder))
    said = [{"kind": "parquet", "name": _label(f, folder), "sha256": sha256_file(f)} for f in found.files]
    relation = scan(
        "read_parquet",
        found.files,
        hive_partitioning=exp.Boolean(this=False),
        union_by_name=exp.Boolean(this=True),
        filename=text(FILE),
    )
    columns = describe(connection, name, relation)
    columns.pop(FILE, None)
    place: Node = call("substr", column(FILE), number(len(str(folder)) + 2))
    line: Node = exp.Add(this=column("file_row_number"), expression=number(1))
    digest = rows_digest("parquet", said)
    names = tuple(each["name"] for each in said)
    return SourceTable(name, columns, digest, names, relation, file=place, line=line), said


def _check_parquet(file: Path, label: str) -> None:
    try:
        pq.ParquetFile(file).close()
    except (pa.ArrowInvalid, OSError) as error:
        code = "intake.file_unreadable" if isinstance(error, PermissionError) else "intake.not_parquet"
        raise InvalidInput(code, file=label) from error


def describe(connection: Any, name: str, relation: exp.Table) -> dict[str, tuple[str, str]]:
    """Return a relation's columns: name in lower case → (name, SQL type).

    Raises `InvalidInput`: `release.unreadable`, `intake.column_twice`.
    """
    with answering(name):
        found = connection.execute(f"DESCRIBE {render(select(exp.Star(), source=relation))}").fetchall()
    columns: dict[str, tuple[str, str]] = {}
    for each, kind in ((str(row[0]), str(row[1])) for row in found):
        if each.lower() in columns:
            raise InvalidInput("intake.column_twice", file=name, column=each.lower())
        columns[each.lower()] = (each, kind)
    return columns
