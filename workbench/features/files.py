"""A feature set's files: Parquet, encrypted where a key is given, with the entry that the manifest holds of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.engines.content import content_digest
from workbench.governance.sealed import read_sealed, write_sealed
from workbench.kernel.errors import Unavailable


def write_table(frame: pl.DataFrame, name: str, into: Path, key: bytes | None) -> dict[str, Any]:
    """Write `into/<name>.parquet` and return its manifest entry (name, rows, schema, content_digest, files).

    `key` is the study's data secret, or None to write in the clear (tests and one's own data only).
    """
    table = _plain(frame.to_arrow())
    path = into / f"{name}.parquet"
    digest = content_digest(table)
    if key:
        write_sealed(table, path, key, label(name, digest))
    else:
        pq.write_table(table, path, compression="zstd")
    content = path.read_bytes()
    return {
        "name": name,
        "rows": table.num_rows,
        "schema": [{"name": field.name, "type": str(field.type)} for field in table.schema],
        "content_digest": digest,
        "files": [{"path": path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}],
    }


def read_table(folder: Path, entry: Mapping[str, Any], key: bytes | None) -> pl.DataFrame:
    """Read one table of a feature set after checking its file's SHA-256.

    Raises `Unavailable` (`model.features_damaged`) where the file is absent, changed, or another key is needed.
    """
    (file,) = entry["files"]
    path = folder / file["path"]
    try:
        _check_file(path, file["sha256"])
        if key:
            return pl.DataFrame(read_sealed(path, key, label(entry["name"], entry["content_digest"])))
        return pl.DataFrame(pq.ParquetFile(path).read())
    except (OSError, ValueError, pa.ArrowException, Unavailable) as problem:
        raise Unavailable("model.features_damaged", table=entry["name"]) from problem


def _check_file(path: Path, sha256: str) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ValueError("the file is not the one that the manifest describes")


def label(name: str, digest: str) -> str:
    """Return the label under which a table of a feature set is sealed."""
    return f"features/{name}/{digest}"


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with plain strings: what every Parquet reader and the content digest take."""
    types = [pa.string() if pa.types.is_large_string(field.type) or _is_view(field.type) else field.type
             for field in table.schema]  # fmt: skip
    return table.cast(pa.schema(list(zip(table.schema.names, types, strict=True))))


def _is_view(kind: pa.DataType) -> bool:
    return pa.types.is_string_view(kind)
