"""Spark through Spark Connect: the only file that imports its client. The server may be Apache Spark or Sail.

Data tables are Parquet files under temporary views; a work table is Parquet in a scratch folder of its own under a
temporary view, so that each step runs once and its rows stay with the cluster. The folder goes with the engine.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as functions_of
from pyspark.sql.types import StructField, StructType
from sqlglot import exp

from workbench.engines.base import Capabilities, Step
from workbench.engines.columns import Form, Numbers, nullable, to_arrow, tuples, write_arrow
from workbench.engines.dialects import data_tables, render, view_name
from workbench.kernel.errors import Stopped, Unavailable

_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}


class SparkEngine:
    """Runs steps over Parquet files that it only reads; what it makes goes when it is closed."""

    capabilities = Capabilities(dialect="spark", explain=True, cancel=True)

    def __init__(self, session: Any, server: Any, tables: Mapping[str, Path], scratch: Path) -> None:
        """Wrap a session; use `over_parquet`."""
        self._session, self._server, self._scratch = session, server, scratch
        self._paths = tables
        self._schemas = {table: pq.read_schema(path) for table, path in tables.items()}
        self._views: set[str] = set()
        self._folders: dict[str, Path] = {}
        self._made = 0
        self._stopped = False

    @classmethod
    def over_parquet(
        cls, tables: Mapping[str, Path], *, remote: str | None = None, scratch: Path | None = None
    ) -> SparkEngine:
        """Open a session over one Parquet file a table, on the server `remote` (`sc://host:port`).

        Without `remote`: a Sail server inside this process, on the loopback interface. The server must reach the files,
        and write in a folder that is made in `scratch` (else where this machine keeps temporary files) and removed
        again. Raises Unavailable where the server is away, cannot be started, or a file cannot be read.
        """
        if remote is not None:
            _knock(remote)
        server = _local_server() if remote is None else None
        folder = Path(mkdtemp(prefix="workbench-spark-", dir=scratch))
        try:
            session = _session(remote or _address(server))
            return cls(session, server, {name.lower(): path for name, path in tables.items()}, folder)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if server is not None:
                server.stop()
            if isinstance(error, PySparkException | grpc.RpcError):
                raise Unavailable("engine.spark_away", place=_place(remote or "")) from error
            if isinstance(error, pa.ArrowInvalid | OSError):
                raise Unavailable("engine.source_unreadable", reason=type(error).__name__) from error
            raise

    def columns(self, table: str) -> frozenset[str]:
        """Return the column names of a data table in lower case; empty where the database lacks the table."""
        return frozenset(name.lower() for name in self._schemas[table].names) if table in self._schemas else frozenset()

    def type_of(self, table: str, column: str) -> str:
        """Return Arrow's name of a column's type; empty where the data lack the column."""
        fields = self._schemas.get(table, ())
        return next((str(field.type) for field in fields if field.name.lower() == column), "")

    def load(self, table: str, rows: pa.Table | Numbers) -> None:
        """Make a work table from rows."""
        self._go()
        folder = self._folder(table)
        folder.mkdir()
        path = folder / "rows.parquet"
        pq.write_table(to_arrow(rows), path)
        self._guarded(lambda: self._session.read.parquet(path.as_uri()).createOrReplaceTempView(table))

    def materialise(self, step: Step) -> None:
        """Run a step and keep its rows under a temporary view."""
        self._views_for(step.tree)
        folder = self._folder(step.name)

        def run() -> None:
            frame = self._session.sql(render(step.tree, "spark", views=True))
            frame.write.parquet(folder.as_uri())
            # Sail writes no file, and no folder, for no rows; and wider numbers than a UNION's own schema says.
            written = any(folder.glob("*.parquet"))
            schema = self._session.read.parquet(folder.as_uri()).schema if written else frame.schema
            reader = self._session.read.schema(_all_nullable(schema))
            reader.parquet(folder.as_uri()).createOrReplaceTempView(step.name)

        self._guarded(run)

    def fetch(self, tree: exp.Query) -> pa.Table:
        """Run a query and return its rows as an Arrow table."""
        self._views_for(tree)
        found: pa.Table = self._guarded(lambda: self._session.sql(render(tree, "spark", views=True)).toArrow())
        return nullable(found)

    def tuples(self, tree: exp.Query) -> list[tuple[Any, ...]]:
        """Run a query and return its few rows."""
        return tuples(self.fetch(tree))

    def write(self, tree: exp.Query, path: Path, form: Form) -> None:
        """Run a query and write its rows to a file."""
        write_arrow(self.fetch(tree), path, form)

    def drop(self, table: str) -> None:
        """Forget a work table; done even after a stop, so that nothing remains."""
        folder = self._folders.pop(table, None)
        if folder is not None:
            try:
                self._session.sql(f"DROP VIEW IF EXISTS {exp.to_identifier(table)}")
            except (PySparkException, grpc.RpcError) as error:
                self._raise(error)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def explain(self, tree: exp.Query) -> str:
        """Return Spark's plan of a query."""
        self._views_for(tree)
        text = f"EXPLAIN {render(tree, 'spark', views=True)}"
        return str(self._guarded(lambda: self._session.sql(text).toArrow()).column(0)[0].as_py())

    def cancel(self) -> None:
        """Interrupt what runs now, from another thread: the running call, or the next one, raises Stopped."""
        self._stopped = True
        self._session.interruptAll()

    def progress(self) -> float:
        """Return -1.0: how far a query is, the protocol tells only where the server does."""
        return -1.0

    def close(self) -> None:
        """End the session and remove every work table. Raises Unavailable where rows remain in the scratch folder."""
        with ExitStack() as closing:
            closing.callback(shutil.rmtree, self._scratch, ignore_errors=True)
            if self._server is not None:
                closing.callback(self._server.stop)
            closing.callback(self._session.stop)
        if self._scratch.exists():
            raise Unavailable("engine.scratch_left", folder=str(self._scratch))

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _folder(self, table: str) -> Path:
        """Return a new place for a work table; a table of the same name is forgotten."""
        self.drop(table)
        self._made += 1
        self._folders[table] = self._scratch / f"{self._made:06d}"
        return self._folders[table]

    def _views_for(self, tree: exp.Query) -> None:
        """Make the views of the data tables that a query reads, on first need."""
        for table in sorted((data_tables(tree) & self._schemas.keys()) - self._views):
            self._guarded(lambda each=table: self._view(each))
            self._views.add(table)

    def _view(self, table: str) -> None:
        """Columns in lower case; those named `*_date` that hold a time of day as plain dates."""
        chosen: list[Any] = []
        for field in self._schemas[table]:
            column: Any = functions_of.col(f"`{field.name}`")
            if pa.types.is_timestamp(field.type) and field.name.lower().endswith("_date"):
                column = column.cast("date")
            chosen.append(column.alias(field.name.lower()))
        path = self._paths[table].absolute().as_uri()
        frame = self._session.read.schema(_all_nullable(self._session.read.parquet(path).schema)).parquet(path)
        frame.select(*chosen).createOrReplaceTempView(view_name(table))

    def _go(self) -> None:
        """Stop here where someone asked for it between two queries, when there was nothing to interrupt."""
        if self._stopped:
            self._stopped = False
            raise Stopped("engine.stopped")

    def _guarded(self, work: Any) -> Any:
        self._go()
        try:
            return work()
        except (PySparkException, grpc.RpcError) as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        """Raise a client's error as an answer; its message may quote data, so people read its kind only."""
        if self._stopped:
            self._stopped = False
            raise Stopped("engine.stopped") from error
        raise Unavailable("engine.failed", reason=type(error).__name__) from error


def _all_nullable(schema: Any) -> StructType:
    """Columns of a file may all be NULL, as in Apache Spark. Sail keeps what it deduces, and then fails on a CASE."""
    return StructType([StructField(field.name, field.dataType, nullable=True) for field in schema])


def _place(remote: str) -> str:
    """Return host and port of an address, without the token that may follow."""
    return urlsplit(remote).netloc.partition(";")[0] or "local"


def _knock(remote: str) -> None:
    """Raise Unavailable where nobody listens at an address: the client itself would try again for minutes."""
    try:
        host, _, port = _place(remote).partition(":")
        socket.create_connection((host, int(port or 15002)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise Unavailable("engine.spark_away", place=_place(remote)) from error


def _address(server: Any) -> str:
    host, port = server.listening_address
    return f"sc://{host}:{port}"


def _session(remote: str) -> Any:
    builder: Any = SparkSession.builder
    session = builder.remote(remote).create()
    for key, value in _SESSION.items():
        session.conf.set(key, value)
    return session


def _local_server() -> Any:
    """Start Sail, a server of the protocol in one wheel; raises Unavailable where it is not installed.

    While it runs, whoever can open a port of this machine's loopback interface can use it: it is for development, on a
    machine of one's own.
    """
    os.environ.setdefault("RUST_LOG", "error")  # it would tell each session on the terminal
    try:
        from pysail.spark import SparkConnectServer  # noqa: PLC0415 - not needed where a cluster is named
    except ImportError as error:
        raise Unavailable("engine.no_spark_server") from error
    server: Any = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    return server
