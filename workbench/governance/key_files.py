"""What keys are made of: derivation, and files that are private, whole or absent, and overwritten before they go."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workbench.kernel.errors import Refused

BYTES: Final = 32
"""Length of every secret and key, in bytes."""


def derive(secret: bytes, purpose: str) -> bytes:
    """Return the 256-bit key of one purpose, by HKDF-SHA-256; keys of two purposes tell nothing of each other."""
    return HKDF(hashes.SHA256(), BYTES, salt=None, info=f"workbench/{purpose}/1".encode()).derive(secret)


def commitment(secret: bytes) -> str:
    """Return what a manifest may say of a secret: an auditor who holds it can check that it was used, nobody else."""
    return hashlib.sha256(b"workbench/commitment/1\n" + derive(secret, "commitment")).hexdigest()


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Generator[None]:
    """Hold a folder for the block: alone, or (`shared`) with other readers."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_private(path: Path) -> None:
    """Raise `Refused` (`governance.keys_open_to_others`) where another user of the machine could read a file."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused("governance.keys_open_to_others", name=path.name)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads (0600), aside and then renamed; on disk when this returns."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync(path.parent)


def shred(path: Path) -> None:
    """Overwrite a file with random bytes, on disk, then remove it."""
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(max(path.stat().st_size, BYTES)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def sync(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
