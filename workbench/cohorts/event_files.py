"""The events of concept sets, kept on disk between sessions: one Parquet file a table, named by what it holds.

A file's name is the digest of the query that made it, then the digest of its bytes: what was cut short or has rotted
is seen before it is read, thrown away, and read anew from the release. Patients' events lie here: the folder has the
protection of the releases and is emptied with them.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class EventFiles:
    """A folder of event tables of one data release, shared by all processes; it can be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        """Keep tables in a folder, made on first need, that its owner alone can read."""
        self._folder = folder

    def get(self, name: str) -> pa.Table | None:
        """Return a table, or None where it is not there or its bytes are not those that were written."""
        for path in self._folder.glob(f"{name}-*.parquet"):
            content = path.read_bytes()
            if path.stem == f"{name}-{_digest(content)}":
                return pq.read_table(pa.BufferReader(content))
            path.unlink(missing_ok=True)
        return None

    def put(self, name: str, rows: pa.Table) -> None:
        """Keep a table: written aside, then renamed. Where the disk refuses, nothing is kept and nothing is said: the
        events are read again next time."""
        written = pa.BufferOutputStream()
        pq.write_table(rows, written, compression="zstd", compression_level=1)
        content = written.getvalue()
        path = self._folder / f"{name}-{_digest(content)}.parquet"
        aside = self._folder / f".{name}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            aside.replace(path)
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
