"""PostgreSQL 15 and later: the only file that imports its driver (ADBC, rows in and out as Arrow).

One session an engine. Data tables are read through temporary views, work tables are temporary tables; the session's
search path holds temporary things only, so that no statement of ours can name, and so change, a table of the data.
Each statement is a transaction of its own: a database that is being loaded meanwhile shows its states as they come.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa
from sqlglot import exp

from workbench.engines import sql
from workbench.engines.base import Capabilities, Step
from workbench.engines.columns import Form, Numbers, nullable, to_arrow, tuples, write_arrow
from workbench.engines.dialects import data_tables, data_view, render, temporary, view_name
from workbench.kernel.errors import InvalidInput, Stopped, Unavailable

SCHEMA_PARAMETERS = ("schema", "currentSchema", "search_path")
_SESSION = (
    "SET client_min_messages = warning",
    "SET standard_conforming_strings = on",
    "SET datestyle = 'ISO'",
    "SET jit = off",  # a batch is many small statements: compiling each costs more than it saves
)
_CANCELLED, _DENIED, _MEMORY = "57014", "42501", "53200"
_PASSWORD = ("password", "passe", "authenti", "pg_hba", " role ", " rôle ")  # the server speaks its own language
_COLUMNS = """
    SELECT table_name::text, column_name::text, data_type::text
    FROM information_schema.columns WHERE table_schema = $1 ORDER BY ordinal_position
"""
_SCHEMAS = """
    SELECT s.name::text FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, place)
    ORDER BY (SELECT count(*) FROM information_schema.tables t
              WHERE t.table_schema = s.name AND lower(t.table_name) = 'person') = 0, s.place
"""


class PostgresEngine:
    """Runs steps in one session over the tables of one schema, which it only reads; what it makes ends with it."""

    capabilities = Capabilities(dialect="postgres", explain=True, cancel=True)

    def __init__(self, connection: Any, schema: str, columns: dict[str, list[tuple[str, str]]], names: dict[str, str]):
        """Wrap a session; use `over_url`."""
        self._connection = connection
        self._cursor: Any = connection.cursor()
        self._schema = schema
        self._sources, self._names = columns, names
        self._views: set[str] = set()
        self._stopped = False

    @classmethod
    def over_url(cls, url: str) -> PostgresEngine:
        """Open a session on `postgresql://[user[:password]@][host][:port]/database[?schema=NAME]`.

        Without a schema in the URL: the first of the user's search path that holds a table `person`. Raises
        InvalidInput where the URL or the schema is wrong, Unavailable where the server is away or refuses the user.
        """
        try:
            address, schema = split_url(url)
        except ValueError:  # an address between brackets that is none; the URL may hold a password
            raise InvalidInput("engine.url_wrong", place="postgresql://…") from None
        connection = connect(address, place_of(url))
        try:
            return cls._over(connection, schema, place_of(url))
        except BaseException:
            connection.close()
            raise

    @classmethod
    def _over(cls, connection: Any, schema: str | None, place: str) -> PostgresEngine:
        with connection.cursor() as cursor:
            for setting in _SESSION:
                cursor.execute(setting)
            if schema is None:
                schema = str((_rows(cursor, _SCHEMAS) or [{"name": "public"}])[0]["name"])
            names: dict[str, str] = {}
            columns: dict[str, list[tuple[str, str]]] = {}
            for row in _rows(cursor, _COLUMNS, schema):
                table = str(row["table_name"])
                names[table.lower()] = table
                columns.setdefault(table.lower(), []).append((str(row["column_name"]), str(row["data_type"])))
            if "person" not in columns:
                raise InvalidInput("engine.schema_without_person", schema=schema, place=place)
            cursor.execute("SET search_path = pg_temp")
        return cls(connection, schema, columns, names)

    def columns(self, table: str) -> frozenset[str]:
        """Return the column names of a data table in lower case; empty where the database lacks the table."""
        return frozenset(name.lower() for name, _ in self._sources.get(table, ()))

    def type_of(self, table: str, column: str) -> str:
        """Return PostgreSQL's name of a column's type; empty where the data lack the column."""
        return next((kind for name, kind in self._sources.get(table, ()) if name.lower() == column), "")

    def load(self, table: str, rows: pa.Table | Numbers) -> None:
        """Make a work table from rows."""
        self.drop(table)
        self._go()
        try:
            self._cursor.adbc_ingest(table, to_arrow(rows), mode="create", temporary=True)
        except driver.Error as error:
            self._raise(error)
        self._run(f"ANALYZE pg_temp.{_quoted(table)}")

    def materialise(self, step: Step) -> None:
        """Run a step and keep its rows as a temporary table, with the statistics that the next steps' plans need."""
        self.drop(step.name)
        self._views_for(step.tree)
        self._run(render(temporary(step.name, step.tree, "TABLE"), "postgres", views=True))
        self._run(f"ANALYZE pg_temp.{_quoted(step.name)}")

    def fetch(self, tree: exp.Query) -> pa.Table:
        """Run a query and return its rows; a column of type numeric comes as double (its driver hands over text)."""
        self._views_for(tree)
        self._go()
        text = render(tree, "postgres", views=True)
        try:
            schema: pa.Schema = self._cursor.adbc_execute_schema(text)
            if any(isinstance(field.type, pa.OpaqueType) for field in schema):
                text = render(_without_numerics(tree, schema), "postgres", views=True)
            self._cursor.execute(text)
            found: pa.Table = self._cursor.fetch_arrow_table()
        except driver.Error as error:
            self._raise(error)
        return nullable(found)

    def tuples(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        """Run a query and return its few rows."""
        return tuples(self.fetch(tree))

    def write(self, tree: exp.Query, path: Path, form: Form) -> None:
        """Run a query and write its rows to a file."""
        write_arrow(self.fetch(tree), path, form)

    def drop(self, table: str) -> None:
        """Forget a work table; done even after a stop, so that nothing remains."""
        statement = f"DROP TABLE IF EXISTS pg_temp.{_quoted(table)}"
        try:
            self._cursor.execute(statement)
        except driver.Error as error:
            if _state(error) != _CANCELLED:  # a stop that came between two statements hits this one: once is enough
                self._raise(error)
            self._cursor.execute(statement)

    def explain(self, tree: exp.Query) -> str:
        """Return PostgreSQL's plan of a query."""
        self._views_for(tree)
        self._go()
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})  # COPY takes queries only
            try:
                lines = _rows(cursor, f"EXPLAIN {render(tree, 'postgres', views=True)}")
            except driver.Error as error:
                self._raise(error)
        return "\n".join(str(value) for line in lines for value in line.values())

    def cancel(self) -> None:
        """Cancel what runs now, from another thread: the running call, or the next one, raises Stopped."""
        self._stopped = True
        self._cursor.adbc_cancel()

    def progress(self) -> float:
        """Return -1.0: PostgreSQL does not say how far a query is."""
        return -1.0

    def close(self) -> None:
        """End the session; its temporary tables and views go with it."""
        self._cursor.close()
        self._connection.close()

    def __enter__(self) -> PostgresEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _views_for(self, tree: exp.Query) -> None:
        """Make the views of the data tables that a query reads, on first need."""
        for table in sorted((data_tables(tree) & self._sources.keys()) - self._views):
            source = exp.table_(self._names[table], db=self._schema, quoted=True)
            view = temporary(view_name(table), data_view(source, self._sources[table]), "VIEW")
            self._run(render(view, "postgres"))
            self._views.add(table)

    def _go(self) -> None:
        """Stop here where someone asked for it between two queries, when there was nothing to cancel."""
        if self._stopped:
            self._stopped = False
            raise Stopped("engine.stopped")

    def _run(self, statement: str) -> None:
        self._go()
        try:
            self._cursor.execute(statement)
        except driver.Error as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        """Raise a driver's error as an answer; its message may quote data, so people read its code only."""
        state = _state(error)
        if self._stopped or state == _CANCELLED:
            self._stopped = False
            raise Stopped("engine.stopped") from error
        if state == _MEMORY:
            raise Unavailable("engine.memory") from error
        if state == _DENIED:
            raise Unavailable("engine.denied") from error
        raise Unavailable("engine.failed", reason=f"SQLSTATE {state}" if state else type(error).__name__) from error


def split_url(url: str) -> tuple[str, str | None]:
    """Return the URL as the driver's library reads it, and the schema that ours may name besides."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    schemas = [value for key, value in pairs if key in SCHEMA_PARAMETERS]
    kept = [(key, value) for key, value in pairs if key not in SCHEMA_PARAMETERS]
    if "connect_timeout" not in dict(kept):
        kept.append(("connect_timeout", "10"))
    parts = SplitResult("postgresql", parts.netloc, parts.path, urlencode(kept, quote_via=quote), "")
    # An address without a host keeps its two slashes, which `urlunsplit` would drop.
    address = urlunsplit(parts) if parts.netloc else f"postgresql://{parts.path or '/'}?{parts.query}"
    return address, schemas[-1] if schemas else None


def place_of(url: str) -> str:
    """Return what may be said of a URL: host, port and database, never a user's name or password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
    return f"{unquote(host) or 'local'}/{unquote(parts.path.strip('/'))}"


def connect(address: str, place: str, *, autocommit: bool = True) -> Any:
    """Return a connection of the driver; `place` is what may be said of the address.

    Raises InvalidInput where the address is none (`engine.url_wrong`), Unavailable where the server is away or refuses
    the user (`engine.sign_in`, `engine.no_database`, `engine.server_away`).
    """
    try:
        return driver.connect(address, autocommit=autocommit)
    except driver.Error as error:
        words = str(error)
        if "FATAL" not in words and any(sign in words for sign in ("invalid", "missing")):
            raise InvalidInput("engine.url_wrong", place=place) from error
        if any(sign in words.lower() for sign in _PASSWORD):
            raise Unavailable("engine.sign_in", place=place) from error
        raise Unavailable("engine.no_database" if "FATAL" in words else "engine.server_away", place=place) from error


def _rows(cursor: Any, query: str, *values: str) -> list[dict[str, Any]]:
    cursor.execute(query, values or None)
    found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
    return found


def _without_numerics(tree: exp.Query, schema: pa.Schema) -> exp.Select:
    chosen = {
        field.name: sql.cast(sql.col("q", field.name), "DOUBLE")
        if isinstance(field.type, pa.OpaqueType)
        else sql.col("q", field.name)
        for field in schema
    }
    return sql.select(chosen, sql.sub(tree, "q"))


def _state(error: Exception) -> str:
    found = error.sqlstate if isinstance(error, adbc_driver_manager.Error) else None
    return str(found or "")


def _quoted(name: str) -> str:
    return exp.Identifier(this=name, quoted=True).sql(dialect="postgres")
