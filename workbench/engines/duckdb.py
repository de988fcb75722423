"""DuckDB: the only file that imports its driver."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from workbench.engines.base import Capabilities, Step
from workbench.engines.columns import Form, Numbers, is_numbers
from workbench.engines.sql import CDM
from workbench.kernel.errors import Stopped, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

_SOURCE = "source"
_FORMS: Mapping[Form, str] = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER"}
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def connect(
    threads: int | None = None, memory: str | None = None, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection that can neither fetch extensions nor read Python variables as tables.

    `threads` and `memory` (such as "2GB") bound the instance; None keeps DuckDB's own defaults. What does not fit in
    memory goes to the folder `spill`; without one nothing of the patients is written, and the work fails instead of
    leaving rows in whatever folder is current. Files of this machine can be read (a release is files); call
    `lock(connection)` once everything is attached and registered.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
        "temp_directory": str(spill) if spill is not None else "",
    }
    if threads is not None:
        config["threads"] = threads
    if memory is not None:
        config["memory_limit"] = memory
    return duckdb.connect(":memory:", config=config)


def lock(connection: duckdb.DuckDBPyConnection, files: Iterable[Path] = ()) -> None:
    """Close the connection's doors: no file but these, no network, no change of configuration from here on."""
    allowed = ", ".join(_literal(str(path.absolute())) for path in files)
    if allowed:
        connection.execute(f"SET allowed_paths = [{allowed}]").fetchall()
    connection.execute("SET enable_external_access = false").fetchall()
    connection.execute("SET lock_configuration = true").fetchall()


def _quoted(text: str) -> str:
    return exp.Identifier(this=text, quoted=True).sql(dialect="duckdb")


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql(dialect="duckdb")


def _make_views(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, str], columns: _Columns) -> None:
    """Make the views of the data tables: columns by their lower-case names, those named `*_date` that hold a time of
    day as plain dates.

    `sources` are names and paths that are quoted already: a view takes no parameters.
    """
    connection.execute(f"CREATE SCHEMA {CDM}").fetchall()
    for table, source in sources.items():
        changed = any(name != name.lower() or _is_moment(name, kind) for name, kind in columns[table])
        chosen = ", ".join(_chosen(name, kind) for name, kind in columns[table]) if changed else "*"
        view = f"CREATE VIEW {CDM}.{_quoted(table)} AS SELECT {chosen} FROM {source}"  # noqa: S608
        connection.execute(view).fetchall()


def _chosen(name: str, kind: str) -> str:
    value = f"CAST({_quoted(name)} AS DATE)" if _is_moment(name, kind) else _quoted(name)
    return f"{value} AS {_quoted(name.lower())}"


def _is_moment(name: str, kind: str) -> bool:
    return kind.startswith("TIMESTAMP") and name.lower().endswith("_date")


_Columns = Mapping[str, list[tuple[str, str]]]
"""By table in lower case, the names of its columns as they stand and their types."""


def _columns_of_files(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, str]) -> _Columns:
    return {
        table: [(str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE FROM {source}").fetchall()]
        for table, source in sources.items()
    }


def _columns_in(connection: duckdb.DuckDBPyConnection, database: str, schema: str) -> dict[str, list[tuple[str, str]]]:
    """Return the columns of a schema's tables and views, by their names as they stand there."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = ? "
        "AND schema_name = ? ORDER BY table_name, column_index",
        [database, schema],
    ).fetchall()
    for table, column, kind in rows:
        found.setdefault(str(table), []).append((str(column), str(kind)))
    return found


class DuckDBEngine:
    """Runs steps over read-only data tables; work tables live in the instance's memory and vanish with it."""

    capabilities = Capabilities(dialect="duckdb", explain=True, cancel=True)

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: _Columns | None = None) -> None:
        """Wrap a connection whose schema `cdm` holds the data (columns as given, else looked up); use `over_parquet` or
        `over_database`."""
        columns = _columns_in(connection, "memory", CDM) if columns is None else columns
        self._connection = connection
        self._stopped = False
        self._types = {table: {name.lower(): kind for name, kind in found} for table, found in columns.items()}

    @classmethod
    def over_parquet(
        cls,
        tables: Mapping[str, Path],
        *,
        threads: int | None = None,
        memory: str | None = None,
        spill: Path | None = None,
        results: Iterable[Path] = (),
    ) -> DuckDBEngine:
        """Open an engine over one Parquet file a table; of other files, `write` may write `results` alone.

        Raises Unavailable where a file cannot be read.
        """
        connection = connect(threads, memory, spill)
        try:
            sources = {table: f"read_parquet({_literal(str(path.absolute()))})" for table, path in tables.items()}
            columns = _columns_of_files(connection, sources)
            _make_views(connection, sources, columns)
            lock(connection, (*tables.values(), *results))
            return cls(connection, columns)
        except duckdb.Error as error:
            connection.close()
            raise Unavailable("engine.source_unreadable", reason=_reason(error)) from error

    @classmethod
    def over_database(
        cls,
        path: Path,
        *,
        threads: int | None = None,
        memory: str | None = None,
        spill: Path | None = None,
        results: Iterable[Path] = (),
    ) -> DuckDBEngine:
        """Open an engine over a DuckDB file, read-only, tables in schema `main`; `write` may write `results` alone.

        Raises Unavailable where it cannot.
        """
        if not path.is_file():
            raise Unavailable("engine.source_missing", name=path.name)
        connection = connect(threads, memory, spill)
        try:
            connection.execute(f"ATTACH {_literal(str(path))} AS {_SOURCE} (READ_ONLY)").fetchall()
            found = _columns_in(connection, _SOURCE, "main")
            sources = {table.lower(): f"{_SOURCE}.main.{_quoted(table)}" for table in found}
            columns = {table.lower(): names for table, names in found.items()}
            _make_views(connection, sources, columns)
            lock(connection, results)
            return cls(connection, columns)
        except duckdb.Error as error:
            connection.close()
            if isinstance(error, duckdb.IOException) and "lock" in str(error).partition("\n")[0]:
                raise Unavailable("engine.source_locked", name=path.name) from error
            raise Unavailable("engine.source_unreadable", reason=_reason(error)) from error

    def columns(self, table: str) -> frozenset[str]:
        """Return the column names of a data table in lower case; empty where the database lacks the table."""
        return frozenset(self._types.get(table, ()))

    def type_of(self, table: str, column: str) -> str:
        """Return DuckDB's name of a column's type; empty where the data lack the column."""
        return self._types.get(table, {}).get(column, "")

    def load(self, table: str, rows: pa.Table | Numbers) -> None:
        """Make a work table from rows."""
        if is_numbers(rows):
            chosen = ", ".join(f"unnest(?::BIGINT[]) AS {_quoted(name)}" for name in rows)
            self._run(f"CREATE OR REPLACE TEMP TABLE {_quoted(table)} AS SELECT {chosen}", list(rows.values()))
            return
        self._connection.register("incoming", rows)
        try:
            self._run(f"CREATE OR REPLACE TEMP TABLE {_quoted(table)} AS FROM incoming").fetchall()
        finally:
            self._connection.unregister("incoming")

    def materialise(self, step: Step) -> None:
        """Run a step and keep its rows as a temporary table."""
        query = step.tree.sql(dialect="duckdb", copy=False)
        self._run(f"CREATE OR REPLACE TEMP TABLE {_quoted(step.name)} AS {query}").fetchall()

    def fetch(self, tree: exp.Query) -> pa.Table:
        """Run a query and return its rows as an Arrow table."""
        self._go()
        try:
            return self._connection.sql(tree.sql(dialect="duckdb", copy=False)).to_arrow_table()
        except (duckdb.Error, RuntimeError) as error:
            raise self._translated(error) from error

    def batches(self, tree: exp.Query, rows: int) -> Iterator[pa.RecordBatch]:
        """Run a query and yield its rows as Arrow, at most so many at a time; there is one batch at least."""
        self._go()
        try:
            with self._connection.sql(tree.sql(dialect="duckdb", copy=False)).to_arrow_reader(rows) as reader:
                empty = True
                for batch in reader:
                    empty = False
                    yield batch
                if empty:
                    import pyarrow  # noqa: PLC0415 - dear, and what makes cohorts does without it

                    arrow: Any = pyarrow
                    yield arrow.RecordBatch.from_pylist([], schema=reader.schema)
        except (duckdb.Error, RuntimeError, OSError) as error:
            raise self._translated(error) from error

    def tuples(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        """Run a query and return its few rows."""
        return self._run(tree.sql(dialect="duckdb", copy=False)).fetchall()

    def write(self, tree: exp.Query, path: Path, form: Form) -> None:
        """Run a query and write its rows to one of the `results` that the engine was opened with."""
        query = tree.sql(dialect="duckdb", copy=False)
        target = f"{_literal(str(path.absolute()))} ({_FORMS[form]}, USE_TMP_FILE false)"
        try:
            self._run(f"COPY ({query}) TO {target}")
        except Unavailable as error:
            text = str(error.__cause__)
            for number in _DISK:  # the driver hides the number and keeps the system's words
                if os.strerror(number) in text:
                    raise OSError(number, os.strerror(number)) from error
            raise

    def drop(self, table: str) -> None:
        """Forget a work table; done even after a stop, so that nothing remains."""
        try:
            self._connection.execute(f"DROP TABLE IF EXISTS {_quoted(table)}").fetchall()
        except (duckdb.Error, RuntimeError) as error:
            raise self._translated(error) from error

    def explain(self, tree: exp.Query) -> str:
        """Return DuckDB's physical plan of a query."""
        rows = self._run(f"EXPLAIN {tree.sql(dialect='duckdb', copy=False)}").fetchall()
        return "\n".join(str(row[-1]) for row in rows)

    def cancel(self) -> None:
        """Interrupt what runs now, from another thread: the running call, or the next one, raises Stopped."""
        self._stopped = True
        self._connection.interrupt()

    def progress(self) -> float:
        """Return the share done of the running query (0.0 to 1.0), or -1.0 where unknown."""
        share = self._connection.query_progress()
        return share / 100.0 if share >= 0 else -1.0

    def close(self) -> None:
        """Release the instance."""
        self._connection.close()

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _go(self) -> None:
        """Stop here where someone asked for it between two queries, when there was nothing to interrupt."""
        if self._stopped:
            self._stopped = False
            raise Stopped("engine.stopped")

    def _run(self, sql: str, values: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        self._go()
        try:
            return self._connection.execute(sql, values)
        except (duckdb.Error, RuntimeError) as error:
            raise self._translated(error) from error

    def _translated(self, error: duckdb.Error | RuntimeError | OSError) -> Exception:
        # Ctrl-C in the middle of a query comes as a RuntimeError of the driver.
        if self._stopped or isinstance(error, duckdb.InterruptException | RuntimeError):
            self._stopped = False
            return Stopped("engine.stopped")
        if isinstance(error, duckdb.OutOfMemoryException):
            return Unavailable("engine.memory")
        return Unavailable("engine.failed", reason=_reason(error))


def _reason(error: duckdb.Error | RuntimeError | OSError) -> str:
    """Return the kind of a driver's error; its message may quote data or paths, so people do not read it."""
    return type(error).__name__
