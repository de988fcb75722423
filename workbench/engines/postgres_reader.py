"""Reading a PostgreSQL schema as it stood at one moment: one transaction, repeatable and read only, rows as Arrow.

Whatever is written to the database meanwhile, every query of one reader sees the same rows.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NoReturn

import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa

from workbench.engines.postgres import connect, place_of, split_url
from workbench.kernel.errors import InvalidInput, Unavailable

_SESSION = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",  # first: it must come before any query
    "SET LOCAL client_min_messages = warning",
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL intervalstyle = 'iso_8601'",
)
_SCHEMAS = """
    SELECT s.name::text AS name FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, place)
    ORDER BY (SELECT count(*) FROM information_schema.tables t
              WHERE t.table_schema = s.name AND lower(t.table_name) = 'person') = 0, s.place
"""
_COLUMNS = """
    SELECT table_name::text AS table_name, column_name::text AS column_name, data_type::text AS data_type
    FROM information_schema.columns WHERE table_schema = $1 ORDER BY table_name, ordinal_position
"""
_DENIED = "42501"
_LOST = ("57P01", "57P02", "57P03")
"""SQLSTATEs of a server that stops; those that begin with 08 are of the connection itself."""
_LOST_WORDS = ("server closed the connection", "connection to server", "no connection to the server", "terminating")


class PostgresReader:
    """One moment of one schema. `columns`: table as the server names it → (column, SQL type) in order."""

    def __init__(self, connection: Any, schema: str, place: str, columns: Mapping[str, list[tuple[str, str]]]) -> None:
        """Wrap a connection inside its transaction; use `over_url`."""
        self._connection = connection
        self.schema, self.place, self.columns = schema, place, columns

    @classmethod
    def over_url(cls, url: str) -> PostgresReader:
        """Open `postgresql://[user[:password]@][host][:port]/database[?schema=NAME]`.

        Without a schema in the URL: the first of the user's search path that holds a table `person`. Raises
        InvalidInput where the URL or the schema is wrong, Unavailable where the server is away or refuses the user.
        """
        address, schema = split_url(url)
        place = place_of(url)
        connection = connect(address, place, autocommit=False)
        try:
            with connection.cursor() as cursor:
                for setting in _SESSION:
                    cursor.execute(setting)
                if schema is None:
                    found = _rows(cursor, _SCHEMAS)
                    schema = str(found[0]["name"]) if found else "public"
                columns: dict[str, list[tuple[str, str]]] = {}
                for row in _rows(cursor, _COLUMNS, schema):
                    found_column = (str(row["column_name"]), str(row["data_type"]))
                    columns.setdefault(str(row["table_name"]), []).append(found_column)
        except driver.Error as error:
            connection.close()
            raise _answer(error, place, schema or "") from error
        if not columns:
            connection.close()
            raise InvalidInput("engine.schema_without_person", schema=schema, place=place)
        return cls(connection, schema, place, columns)

    def rows(self, query: str, table: str) -> tuple[pa.Schema, Generator[Any]]:
        """Return a query's columns, and its rows in batches, as they come; close what gives them. `table` is named
        where something goes wrong.

        Raises Unavailable, here or in the rows: `intake.connection_lost`, `intake.table_denied`, `engine.failed`.
        """
        cursor = self._connection.cursor()
        try:
            cursor.execute(query)
            found = cursor.fetch_record_batch()
        except (driver.Error, OSError, pa.ArrowException) as error:
            cursor.close()
            self._raise(error, table)
        return found.schema, self._batches(cursor, found, table)

    def _batches(self, cursor: Any, found: Any, table: str) -> Generator[Any]:
        try:
            yield from found
        except (driver.Error, OSError, pa.ArrowException) as error:
            self._raise(error, table)
        finally:
            cursor.close()

    def table(self, query: str, table: str) -> Any:
        """Return a query's rows as one Arrow table. Raises as `rows` does."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetch_arrow_table()
        except (driver.Error, OSError, pa.ArrowException) as error:
            self._raise(error, table)

    def close(self) -> None:
        """End the transaction and the session."""
        try:
            self._connection.close()
        except driver.Error:
            return  # it is gone already

    def _raise(self, error: Exception, table: str) -> NoReturn:
        raise _answer(error, self.place, table) from error


def _answer(error: Exception, place: str, table: str) -> Unavailable:
    """Return a driver's error as an answer; its message may quote data, so people read its code only."""
    state = str(getattr(error, "sqlstate", None) or "")
    words = str(error)
    if state == _DENIED:
        return Unavailable("intake.table_denied", table=table, place=place)
    if state in _LOST or state.startswith("08") or any(sign in words for sign in _LOST_WORDS):
        return Unavailable("intake.connection_lost", table=table, place=place)
    return Unavailable("engine.failed", reason=f"SQLSTATE {state}" if state else type(error).__name__)


def _rows(cursor: Any, query: str, *values: str) -> list[dict[str, Any]]:
    cursor.execute(query, values or None)
    found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
    return found
