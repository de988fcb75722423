"""The files of an extract's MEDS form: sealed in the workspace, or plain where the protocol lets them be taken.

The standard's layout: `data/*.parquet` (all rows of a subject in one file), `metadata/codes.parquet`,
`metadata/subject_splits.parquet`, `metadata/dataset.json`; our `manifest.json` is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from workbench import __version__
from workbench.engines.content import content_digest
from workbench.extracts.meds import CORE, ORDER, ORIGIN, VERSION, Meds
from workbench.governance.date_forms import SHIFTED
from workbench.governance.sealed import read_sealed, write_sealed
from workbench.kernel.digest import digest_document, digest_manifest, short
from workbench.kernel.errors import Unavailable
from workbench.kernel.schemas import validate

FORMAT: Final = "workbench/meds/1"
SHARD_ROWS: Final = 1_000_000
"""About how many rows a file of data holds."""
DATASET: Final = "metadata/dataset.json"
_ORIGINS: Final = {
    ORIGIN: f"{ORIGIN} stands for day 0, the index: times are days from it, never dates",
    SHIFTED: "times are dates shifted back by a secret number of weeks of each subject's own, never true dates",
}
_PLACES: Final = {"codes": "metadata/codes.parquet", "subject_splits": "metadata/subject_splits.parquet"}


def write_meds(made: Meds, splits: pl.DataFrame, extract: Mapping[str, Any], into: Path, key: bytes) -> dict[str, Any]:
    """Write an extract's MEDS form sealed into the empty folder `into` and return its manifest.

    `splits` has `subject_id` and `split`; `extract` is the extract's manifest, `key` the study's data secret.
    """
    for folder in ("data", "metadata"):
        (into / folder).mkdir(mode=0o700)
    frames = {"data": made.data, "codes": made.codes, "subject_splits": splits}
    extract_digest = digest_manifest(extract)
    tables = [_write_table(name, frame, extract_digest, into, key) for name, frame in frames.items()]
    content = digest_document({entry["name"]: entry["content_digest"] for entry in tables})
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "study": extract["study"],
        "extract": extract_digest,
        "synthetic": extract["synthetic"],
        "time_origin": made.time_origin,
        "left_out": list(made.left_out),
        "splits": dict(sorted(splits.group_by("split").len().iter_rows())),
        "dataset": _dataset(made, extract, extract_digest),
        "tables": tables,
        "content_digest": content,
    }
    validate(manifest, "meds")
    _write_json(into / DATASET, manifest["dataset"])
    _write_json(into / "manifest.json", manifest)
    return manifest


def meds_id(manifest: Mapping[str, Any]) -> str:
    """Return the id of a MEDS form: `med-` and the first twelve digits of its manifest's digest."""
    return f"med-{short(digest_manifest(manifest))}"


def _dataset(made: Meds, extract: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """The standard's `dataset.json`; when it was made stands in the audit log alone."""
    more = [column for column in made.data.columns if column not in {*CORE, "unit"}]
    return {
        "dataset_name": f"{extract['study']}/ext-{short(digest)}",
        "dataset_version": digest,
        "etl_name": "workbench",
        "etl_version": __version__,
        "meds_version": VERSION,
        "time_origin": _ORIGINS[made.time_origin],
        "raw_source_id_columns": [],
        "code_modifier_columns": ["unit"],
        "site_id_columns": [column for column in more if column == "care_site_id"],
        "other_extension_columns": [column for column in more if column != "care_site_id"],
    }


def _write_table(name: str, frame: pl.DataFrame, extract: str, into: Path, key: bytes) -> dict[str, Any]:
    digest = content_digest(frame, order=ORDER if name == "data" else ())
    files: list[dict[str, Any]] = []
    for place, part in _shards(name, frame):
        write_sealed(_arrow(part), into / place, key, _label(extract, place, digest))
        with (into / place).open("rb") as file:
            os.fsync(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        files.append({"path": place, "sha256": sha256, "bytes": (into / place).stat().st_size})
    return {
        "name": name,
        "rows": frame.height,
        "schema": [{"name": field.name, "type": str(field.type)} for field in _arrow(frame.clear()).schema],
        "content_digest": digest,
        "files": files,
    }


def _shards(name: str, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the files of a table: of the data, so many rows each, cut between two subjects."""
    if name != "data":
        yield _PLACES[name], frame
        return
    subjects, start, number = frame.get_column("subject_id"), 0, 0
    while start < frame.height or not number:
        last = min(start + SHARD_ROWS, frame.height) - 1
        end = subjects.search_sorted(subjects[last], side="right") if frame.height else 0
        yield f"data/{number}.parquet", frame.slice(start, end - start)
        start, number = end, number + 1


def _arrow(frame: pl.DataFrame) -> pa.Table:
    """Return the rows with the standard's types: plain strings, but `text_value`, which it wants large."""
    rows = frame.cast({cs.enum(): pl.String}).to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [
        pa.field(field.name, pa.string(), nullable=field.nullable)
        if pa.types.is_large_string(field.type) and field.name != "text_value"
        else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _label(extract: str, place: str, digest: str) -> str:
    return f"meds/{extract}/{place}/{digest}"


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def read_meds(folder: Path, key: bytes) -> dict[str, pl.DataFrame]:
    """Return the tables `data`, `codes` and `subject_splits`, decrypted in memory, subjects in order.

    Raises `Unavailable` (`extract.not_found`, `governance.sealed_unreadable`).
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise Unavailable("extract.not_found", name=folder.name)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return {entry["name"]: _read(folder, manifest["extract"], entry, key) for entry in manifest["tables"]}


def _read(folder: Path, extract: str, entry: Mapping[str, Any], key: bytes) -> pl.DataFrame:
    digest = entry["content_digest"]
    parts = [read_sealed(folder / file["path"], key, _label(extract, file["path"], digest)) for file in entry["files"]]
    return pl.DataFrame(pa.concat_tables(parts))


def write_plain(tables: Mapping[str, pl.DataFrame], dataset: Mapping[str, Any], into: Path) -> None:
    """Write a MEDS data set that any tool of the standard reads, into the empty folder `into` (files 0600)."""
    for folder in ("data", "metadata"):
        (into / folder).mkdir(mode=0o700)
    for name, frame in tables.items():
        for place, part in _shards(name, frame):
            pq.write_table(_arrow(part), into / place, compression="zstd")
    _write_json(into / DATASET, dataset)
    for path in (path for path in into.rglob("*") if path.is_file()):
        path.chmod(0o600)
