"""Opening, migrating, reading and writing the store.

The only way to a writing connection is `Store.write(event)`: a change and its audit entry are one transaction
(`BEGIN IMMEDIATE`), so writing without auditing cannot be expressed. Progress of jobs alone is not audited.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError

from workbench.kernel.errors import Unavailable
from workbench.store import chain, migrate
from workbench.store.chain import Event


class Write:
    """A writing transaction and its event; set `event.after` and the like before the block ends."""

    def __init__(self, connection: Connection, event: Event) -> None:
        self.connection = connection
        self.event = event
        self.seq = 0


class Store:
    """One installation's own database. Open it with `Store.open`; safe for several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = create_engine(
            f"sqlite:///{path}", isolation_level="AUTOCOMMIT", connect_args={"timeout": 30, "check_same_thread": False}
        )
        event.listen(self.engine, "connect", _configure)

    @classmethod
    def open(cls, url: str, *, create: bool) -> Store:
        """Open the store at a SQLite URL, migrating an older one.

        Raises `Unavailable`: `store.no_home` where it is absent and `create` is false, `store.home_newer` where a
        newer version made it, `store.damaged` where it is not a store, `store.url_unsupported` for other databases.
        """
        path = migrate.sqlite_path(url)
        if not path.exists():
            if not create:
                raise Unavailable("store.no_home", home=path.parent)
            migrate.create(path)
        migrate.bring_up_to_date(path)
        return cls(path)

    @contextmanager
    def write(self, event: Event) -> Generator[Write]:
        """Give a writing transaction; at the end of the block the event is chained and all is committed at once.

        Any exception undoes everything, the entry included. Raises `store.not_writable` where the log cannot be
        written: then the action does not happen.
        """
        with self.engine.connect() as connection:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                raise Unavailable("store.not_writable", detail=_first_line(error)) from error
            write = Write(connection, event)
            try:
                yield write
                write.seq = chain.append(connection, write.event)
                connection.exec_driver_sql("COMMIT")
            except OperationalError as error:
                _roll_back(connection)
                raise Unavailable("store.not_writable", detail=_first_line(error)) from error
            except BaseException:
                _roll_back(connection)
                raise

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Give a connection for reading, at one consistent moment of the database."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                _roll_back(connection)

    @contextmanager
    def bookkeeping(self) -> Generator[Connection]:
        """Give a writing connection for jobs' progress and locks only: facts about work, not about data."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def flush(self) -> None:
        """Bring what was written into the database file and empty the log beside it, which still holds what was erased.

        What somebody reads at this moment stays in the log until the next write.
        """
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _configure(connection: Any, _record: Any) -> None:
    cursor: sqlite3.Cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Connection) -> None:
    # SQLite ends a transaction by itself on some errors (disk full); then there is nothing left to roll back.
    raw: Any = connection.connection.dbapi_connection
    if raw.in_transaction:
        connection.exec_driver_sql("ROLLBACK")


def _first_line(error: OperationalError) -> str:
    return str(error.orig).splitlines()[0]
