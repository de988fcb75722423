"""A feature set read back as what estimators take: a sparse matrix, labels, and the two sides of the split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from workbench.governance.sealed import read_sealed
from workbench.kernel.digest import digest_manifest
from workbench.kernel.errors import Unavailable


@dataclass(frozen=True)
class Features:
    """`matrix` is persons x covariates (row i is row_id i, columns in the order of `covariates`)."""

    manifest: Mapping[str, Any]
    matrix: csr_matrix
    rows: pl.DataFrame
    covariates: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """The identity of the feature set."""
        return digest_manifest(self.manifest)

    @property
    def outcome(self) -> NDArray[np.int8]:
        """The label of each person, 0 or 1."""
        return self.rows["outcome"].to_numpy()

    def side(self, name: str) -> NDArray[np.intp]:
        """Return the row numbers of the `train` or the `test` side."""
        return np.flatnonzero((self.rows["split"] == name).to_numpy())


def load_features(folder: Path, key: bytes | None = None) -> Features:
    """Read the feature set in `folder`, with the data secret it was sealed with.

    Raises `Unavailable` (`model.features_damaged`) where the manifest or a table is absent, changed, or sealed.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise Unavailable("model.features_damaged", table="manifest") from problem
    tables = {entry["name"]: _read(folder, entry, key) for entry in manifest["tables"]}
    covariates = tables["covariates"]["covariate_id"].sort().to_numpy()
    rows = tables["rows"].sort("row_id")
    values = tables["values"]
    places = np.searchsorted(covariates, values["covariate_id"].to_numpy())
    cells = (values["value"].to_numpy(), (values["row_id"].to_numpy(), places))
    return Features(manifest, csr_matrix(cells, shape=(rows.height, len(covariates))), rows, covariates)


def _read(folder: Path, entry: Mapping[str, Any], key: bytes | None) -> pl.DataFrame:
    (file,) = entry["files"]
    path = folder / file["path"]
    try:
        _check_file(path, file["sha256"])
        if key:
            return pl.DataFrame(read_sealed(path, key, f"features/{entry['name']}/{entry['content_digest']}"))
        return pl.DataFrame(pq.ParquetFile(path).read())
    except (OSError, ValueError, pa.ArrowException, Unavailable) as problem:
        raise Unavailable("model.features_damaged", table=entry["name"]) from problem


def _check_file(path: Path, sha256: str) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ValueError("the file is not the one that the manifest describes")
