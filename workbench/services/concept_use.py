"""How often each concept stands in a release's records: counted once, kept in the release's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.engines.duckdb import connect
from workbench.repository.cdm import TABLES, VOCABULARY
from workbench.repository.releases import Release
from workbench.services.context import Workbench
from workbench.store import files
from workbench.vocabulary.use import SCHEMA, Used, count_use

_MEMORY = "2GB"
_RELEASE, _SUM = b"release", b"sha256"


def use_of(wb: Workbench, release: Release) -> pa.Table:
    """Return the records of every concept in every column of a release (`workbench.vocabulary.use.SCHEMA`).

    From the cache where it holds this release's counts, whole; else counted and kept there.
    """
    path = wb.settings.cache / release.id / "concept_use.parquet"
    cached = _cached(path, release.digest)
    if cached is not None:
        return cached
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with connect(memory=_MEMORY, spill=path.parent / ".spill") as connection:
        use = count_use(connection, records_of(release))
    marks = {_RELEASE: release.digest.encode(), _SUM: _sum(use)}
    with files.writing(path) as aside:
        pq.write_table(use.replace_schema_metadata(marks), aside, compression="zstd")
    return use


def records_of(release: Release) -> list[Used]:
    """Return the tables of a release that are not of its vocabulary, with their columns of concepts."""
    return [
        Used(
            table=name,
            path=path,
            columns=[each.name for each in TABLES[name].fields if each.references == "concept"],
            person=TABLES[name].has_person,
        )
        for name, path in release.tables.items()
        if name not in VOCABULARY
    ]


def _cached(path: Path, release: str) -> pa.Table | None:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):  # absent or damaged: a cache can be lost at any time
        return None
    marks: dict[bytes, bytes] = dict(table.schema.metadata or {})
    plain = table.replace_schema_metadata(None).cast(SCHEMA)
    whole = marks.get(_RELEASE) == release.encode() and marks.get(_SUM) == _sum(plain)
    return plain if whole else None


def _sum(table: pa.Table) -> bytes:
    """Return the SHA-256 of the rows as Arrow writes them, in one piece."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest().encode()
