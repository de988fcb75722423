"""From the words that name a source to the source: a folder, a DuckDB file, a PostgreSQL address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench.intake.databases import open_database
from workbench.intake.folders import open_folder
from workbench.intake.sources import Source
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.repository.cdm import TABLES

_POSTGRES = ("postgresql", "postgres")


def is_address(source: Path | str) -> bool:
    """Answer whether a source is an address (`postgresql://…`) and not a path."""
    return isinstance(source, str) and "://" in source


def name_of(source: Path | str) -> str:
    """Return what a release of this source is called unless its loader names it; never a user's name or password."""
    if not is_address(source):
        return Path(source).stem
    return Path(urlsplit(str(source)).path).name or "postgresql"


def open_source(connection: Any, source: Path | str, only: Sequence[str] = ()) -> Source:
    """Open a source, read-only, and describe its tables; `only` names those wanted, none means all.

    Raises `InvalidInput`: `release.no_source`, `intake.unknown_table`, `intake.url_unknown`, `release.no_tables`, and
    what `open_folder`, `open_database` and `open_server` raise; `Unavailable` where the system or a server refuses.
    """
    strange = next((name for name in only if name not in TABLES), None)
    if strange is not None:
        raise InvalidInput("intake.unknown_table", table=strange)
    opened = _open_address(str(source), only) if is_address(source) else _open_path(connection, Path(source), only)
    if not opened.tables and not opened.unknown_tables:
        opened.close()
        raise InvalidInput("release.no_tables", source=name_of(source))
    return opened


def _open_path(connection: Any, path: Path, only: Sequence[str]) -> Source:
    try:
        folder = path.is_dir()
        there = folder or path.exists()
    except OSError as error:
        raise Unavailable("intake.folder_unreadable", folder=path.name) from error
    if not there:
        raise InvalidInput("release.no_source", source=str(path))
    return open_folder(connection, path, only) if folder else open_database(connection, path, only)


def _open_address(address: str, only: Sequence[str]) -> Source:
    scheme = urlsplit(address).scheme
    if scheme not in _POSTGRES:
        raise InvalidInput("intake.url_unknown", scheme=scheme)
    try:
        from workbench.intake.servers import open_server  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise Unavailable("intake.extra_missing", extra="postgres") from error
    return open_server(address, only)
