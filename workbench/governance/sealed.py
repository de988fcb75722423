"""Row-level files of a study at rest: Parquet, each encrypted with its own key, derived from the study's data secret.

Whatever is made from an extract (features, predictions) is sealed the same way: destroying one secret closes all.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.parquet
import pyarrow.parquet.encryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workbench.governance.keys import derive
from workbench.kernel.errors import Unavailable

# pyarrow has no types
pa: Any = pyarrow
pq: Any = pyarrow.parquet
encryption: Any = pyarrow.parquet.encryption

_EPOCH: Final = (946684800, 946684800)  # 2000-01-01: the file's time carries nothing
_ROWS: Final = 262_144
_NONCE: Final = 12


def write_sealed(table: Any, path: Path, data_secret: bytes, label: str) -> None:
    """Write a `pyarrow.Table` encrypted (AES-256-GCM, footer included), without statistics and without file times.

    `label` names what this is (study, table, content digest): key and authenticated data depend on it, so that files
    cannot be swapped and no two contents share a key. Content and order of rows are written as they are.
    """
    plain = table.replace_schema_metadata(None)
    pq.write_table(
        plain,
        path,
        compression="zstd",
        write_statistics=False,
        write_page_index=False,
        store_schema=False,
        row_group_size=_ROWS,
        encryption_properties=encryption.create_encryption_properties(
            derive(data_secret, f"sealed/{label}"), aad_prefix=label.encode(), store_aad_prefix=False
        ),
    )
    os.utime(path, _EPOCH)


class Sealed:
    """What `write_sealed` wrote under a label, opened: `schema` (pyarrow), `rows`; columns are read when asked for.

    Raises `Unavailable` (`governance.sealed_unreadable`) where the file is missing, damaged or of another secret, here
    or when a column is read.
    """

    def __init__(self, path: Path, data_secret: bytes, label: str) -> None:
        self._path = path
        key = derive(data_secret, f"sealed/{label}")
        properties = encryption.create_decryption_properties(key, aad_prefix=label.encode())
        with self._telling():
            self._file = pq.ParquetFile(path, decryption_properties=properties)
            self.schema = self._file.schema_arrow
            self.rows: int = self._file.metadata.num_rows

    def column(self, name: str) -> Any:
        """Return one column as a `pyarrow.ChunkedArray`."""
        with self._telling():
            return self._file.read([name]).column(0)

    def parts(self, name: str) -> Iterator[Any]:
        """Yield one column piece by piece, each a `pyarrow.ChunkedArray` of at least one row."""
        for group in range(self._file.num_row_groups):
            with self._telling():
                part = self._file.read_row_group(group, columns=[name], use_threads=False).column(0)
            if len(part):
                yield part

    def read(self) -> Any:
        """Return the whole `pyarrow.Table`."""
        with self._telling():
            return self._file.read()

    @contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except (OSError, pa.ArrowException):
            raise Unavailable("governance.sealed_unreadable", name=self._path.name) from None


def read_sealed(path: Path, data_secret: bytes, label: str) -> Any:
    """Return the `pyarrow.Table` that `write_sealed` wrote under the same label; raises what `Sealed` does."""
    return Sealed(path, data_secret, label).read()


def seal_bytes(content: bytes, data_secret: bytes, label: str) -> bytes:
    """Return a small file's bytes encrypted (AES-256-GCM); its key depends on `label`, as for `write_sealed`."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(derive(data_secret, f"sealed/{label}")).encrypt(nonce, content, label.encode())


def unseal_bytes(sealed: bytes, data_secret: bytes, label: str) -> bytes:
    """Return what `seal_bytes` took; raises `Unavailable` (`governance.sealed_unreadable`) where it is another."""
    try:
        cipher = AESGCM(derive(data_secret, f"sealed/{label}"))
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], label.encode())
    except (InvalidTag, ValueError):
        raise Unavailable("governance.sealed_unreadable", name=label) from None
