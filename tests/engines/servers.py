"""Real servers for the tests: PostgreSQL in a temporary folder, reached by a socket only; Sail inside this process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import absent

PASSWORD = "correct horse"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
}


def _programs() -> Path:
    """The folder of the newest PostgreSQL, 15 or later, as Debian lays them out."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    usable = [path for path in found if int(path.parent.name) >= 15]
    if not usable:
        absent("a PostgreSQL server", "apt-get install postgresql")
    return max(usable, key=lambda path: int(path.parent.name))


def _as_server(*command: str) -> None:
    """Run as somebody whom PostgreSQL accepts: it refuses root."""
    other = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    done = subprocess.run([*other, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{command[0]} exited {done.returncode}\n{done.stdout}\n{done.stderr}")


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server of its own and give the URL of its database; user `workbench`, and `locked` with a password."""
    programs = _programs()
    folder = Path(mkdtemp(prefix="wb-pg-"))
    data = folder / "data"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        options = ("--no-sync", "--no-instructions", "-A", "trust", "-U", "workbench", "-E", "UTF8", "--locale", "C")
        _as_server(str(programs / "initdb"), "-D", str(data), *options)
        access = data / "pg_hba.conf"
        access.write_text("local all locked scram-sha-256\n" + access.read_text())
        settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        _as_server(str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql://workbench@/postgres?host={quote(str(folder), safe='')}"
        finally:
            if (data / "postmaster.pid").exists():  # a test may have killed it
                _as_server(str(programs / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(url: str, schema: str, tables: Mapping[str, Path | pa.Table]) -> str:
    """Make a schema with these tables; return the URL that names it."""
    from adbc_driver_postgresql import dbapi as driver

    with driver.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}")
        for name, source in tables.items():
            rows = pq.read_table(source) if isinstance(source, Path) else source
            cursor.adbc_ingest(name, rows, mode="create", db_schema_name=schema)
        cursor.execute("ANALYZE")
    return f"{url}&schema={schema}"


def statements(url: str, *texts: str) -> None:
    """Run statements as the server's owner."""
    from adbc_driver_postgresql import dbapi as driver

    with driver.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)
