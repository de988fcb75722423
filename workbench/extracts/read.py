"""Opening an extract: its manifest for those who may know of it, its rows only with the study's data secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from workbench.extracts.package import label
from workbench.governance.keys import StudySecrets
from workbench.governance.sealed import read_sealed
from workbench.kernel.errors import InvalidInput, Unavailable


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an extract; `Unavailable` (`extract.not_found`) where there is none."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise Unavailable("extract.not_found", name=folder.name)
    return json.loads(path.read_text(encoding="utf-8"))


def read_table(folder: Path, name: str, secrets: StudySecrets | bytes) -> pl.DataFrame:
    """Return the rows of one table, decrypted in memory.

    `secrets` are the study's, or its data secret alone: `KeyRing` raises where that was destroyed.
    Raises `InvalidInput` (`extract.no_such_table`) and `Unavailable` (`extract.not_found`,
    `governance.sealed_unreadable`).
    """
    manifest = read_manifest(folder)
    entries = {entry["name"]: entry for entry in manifest["tables"]}
    if name not in entries:
        raise InvalidInput("extract.no_such_table", name=name, known=", ".join(entries))
    return _read(folder, manifest, entries[name], secrets)


def read_tables(folder: Path, secrets: StudySecrets | bytes) -> dict[str, pl.DataFrame]:
    """Return all tables of an extract by name; raises as `read_table`."""
    manifest = read_manifest(folder)
    return {entry["name"]: _read(folder, manifest, entry, secrets) for entry in manifest["tables"]}


def _read(folder: Path, manifest: dict[str, Any], entry: dict[str, Any], secrets: StudySecrets | bytes) -> pl.DataFrame:
    data_secret = secrets.data if isinstance(secrets, StudySecrets) else secrets
    sealed_as = label(manifest["study"], entry["name"], entry["content_digest"])
    return pl.DataFrame(read_sealed(folder / entry["files"][0]["path"], data_secret, sealed_as))
