"""Keys: a master key outside the data folder, two random secrets per study, an audit signing key.

Files of the key folder (0700; files 0600): `master.key`; `studies/STUDY.WHICH.key`, a secret wrapped (AES key wrap,
RFC 3394) with a key that is derived from the master key for this study and purpose alone, so that a file renamed
to another study does not open; `studies/STUDY.WHICH.destroyed`, the tombstone of a destroyed secret; `audit.key`.
Per-purpose keys derive from a secret by HKDF-SHA-256 (RFC 5869). Nothing here is ever logged or shown.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from workbench.kernel.errors import InvalidInput, Refused, Unavailable

Secret = Literal["pseudonym", "data"]
Purpose = Literal["person", "visit", "provider", "care_site", "dates"]
Entropy = Callable[[str, int], bytes]

BYTES: Final = 32
PUBLIC_SEED: Final = b"workbench demonstration keys: published, for synthetic data only"
_STUDY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class StudySecrets:
    """A study's two 256-bit secrets in the clear, in memory only; never printed."""

    study: str
    pseudonym: bytes = field(repr=False)
    data: bytes = field(repr=False)


def random_entropy(label: str, count: int) -> bytes:  # noqa: ARG001  (the label serves the demonstration only)
    """Return `count` bytes from the operating system's generator; what every real installation uses."""
    return secrets.token_bytes(count)


def demonstration_entropy(label: str, count: int) -> bytes:
    """Return `count` bytes that anybody can compute: the same demonstration, digest by digest, on every machine.

    A key folder made with it carries the mark `demonstration`; services refuse it for data that are not synthetic.
    """
    return HKDF(hashes.SHA256(), count, salt=None, info=label.encode()).derive(PUBLIC_SEED)


def derive(secret: bytes, purpose: str) -> bytes:
    """Return the 256-bit key of one purpose, by HKDF-SHA-256; keys of two purposes tell nothing of each other."""
    return HKDF(hashes.SHA256(), BYTES, salt=None, info=f"workbench/{purpose}/1".encode()).derive(secret)


def commitment(secret: bytes) -> str:
    """Return what a manifest may say of a secret: an auditor who holds it can check that it was used, nobody else."""
    return hashlib.sha256(b"workbench/commitment/1\n" + derive(secret, "commitment")).hexdigest()


class KeyRing:
    """An opened key folder. Make one with `KeyRing.open`."""

    def __init__(self, folder: Path, master: bytes, entropy: Entropy) -> None:
        self._folder = folder
        self._master = master
        self._entropy = entropy

    @classmethod
    def open(cls, folder: Path, *, create: bool = False, entropy: Entropy = random_entropy) -> KeyRing:
        """Open a key folder; with `create`, make it (0700) with a master and a signing key where it is absent.

        Raises `Unavailable` (`governance.keys_missing`, `governance.keys_damaged`) and `Refused`
        (`governance.keys_open_to_others`) where another user of the machine could read it.
        """
        try:
            if create:
                _create(folder, entropy)
            for place in (folder, folder / "master.key"):
                _check_private(place)
            master = (folder / "master.key").read_bytes()
        except OSError:
            raise Unavailable("governance.keys_missing", folder=folder) from None
        if len(master) != BYTES:
            raise Unavailable("governance.keys_damaged", name="master.key")
        return cls(folder, master, entropy)

    @property
    def demonstration(self) -> bool:
        """Whether these keys are the published ones of the demonstration."""
        return (self._folder / "demonstration").exists()

    def create_study_secrets(self, study: str) -> StudySecrets:
        """Make and store a study's two secrets and return them; what exists is kept.

        Raises `Unavailable` (`governance.secret_destroyed`): a destroyed secret is never made anew.
        """
        with _locked(self._folder):
            for which in get_args(Secret):
                self._check_not_destroyed(study, which)
                if not self._path(study, which).exists():
                    secret = self._entropy(f"study/{study}/{which}", BYTES)
                    _write_private(self._path(study, which), aes_key_wrap(self._wrapping(study, which), secret))
        return self.study_secrets(study)

    def study_secrets(self, study: str) -> StudySecrets:
        """Return both secrets of a study; `Unavailable` as `study_secret` where either is missing or destroyed."""
        return StudySecrets(study, self.study_secret(study, "pseudonym"), self.study_secret(study, "data"))

    def study_secret(self, study: str, which: Secret) -> bytes:
        """Return one secret of a study.

        Raises `Unavailable`: `governance.secret_destroyed`, `governance.secret_missing`, `governance.keys_damaged`.
        """
        self._check_not_destroyed(study, which)
        path = self._path(study, which)
        if not path.is_file():
            raise Unavailable("governance.secret_missing", study=study)
        _check_private(path)
        try:
            return aes_key_unwrap(self._wrapping(study, which), path.read_bytes())
        except (InvalidUnwrap, InvalidTag, ValueError):
            raise Unavailable("governance.keys_damaged", name=path.name) from None

    def destroy(self, study: str, which: Secret) -> None:
        """Destroy a secret for good: tombstone first, then every wrapped form under the folder overwritten and removed.

        Safe to call again after a crash. What other systems backed up from this folder must be destroyed there.
        """
        path = self._path(study, which)
        with _locked(self._folder):
            if not self.is_destroyed(study, which):
                _write_private(self._tombstone(study, which), b"")
            for copy in sorted([*self._folder.rglob(f"{path.name}*"), *self._folder.rglob(f".{path.name}*")]):
                _shred(copy)
            _sync(path.parent)

    def is_gone(self, study: str, which: Secret) -> bool:
        """Answer whether this secret was destroyed and no wrapped form of it is left."""
        return self.is_destroyed(study, which) and not self._path(study, which).exists()

    def is_destroyed(self, study: str, which: Secret) -> bool:
        """Answer whether this secret was destroyed."""
        return self._tombstone(study, which).exists()

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the heads of the audit log."""
        try:
            raw = aes_key_unwrap(derive(self._master, "wrap/audit"), (self._folder / "audit.key").read_bytes())
        except (OSError, InvalidUnwrap, ValueError):
            raise Unavailable("governance.keys_damaged", name="audit.key") from None
        return Ed25519PrivateKey.from_private_bytes(raw)

    def opposition_key(self) -> bytes:
        """Return the key of the marks of persons who object (`workbench.governance.oppositions`)."""
        return derive(self._master, "oppositions")

    def disclosure_key(self) -> bytes:
        """Return the key under which populations are known again (`workbench.governance.populations`)."""
        return derive(self._master, "disclosure")

    def public_key(self) -> bytes:
        """Return the raw 32-byte Ed25519 public key with which anybody can check the heads."""
        return self.signing_key().public_key().public_bytes_raw()

    def _wrapping(self, study: str, which: Secret) -> bytes:
        return derive(self._master, f"wrap/{study}/{which}")

    def _path(self, study: str, which: Secret) -> Path:
        if not _STUDY.fullmatch(study):
            raise InvalidInput("governance.study_name")
        return self._folder / "studies" / f"{study}.{which}.key"

    def _tombstone(self, study: str, which: Secret) -> Path:
        return self._path(study, which).with_suffix(".destroyed")

    def _check_not_destroyed(self, study: str, which: Secret) -> None:
        if self.is_destroyed(study, which):
            raise Unavailable("governance.secret_destroyed", study=study)


def _create(folder: Path, entropy: Entropy) -> None:
    """Make what a key folder needs, the master key last; does nothing where there is one. One process at a time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(folder)
    with _locked(folder):
        if (folder / "master.key").exists():
            return
        (folder / "studies").mkdir(mode=0o700, exist_ok=True)
        if any((folder / "studies").iterdir()):  # secrets without their master: never cover up the loss
            raise Unavailable("governance.keys_damaged", name="master.key")
        if entropy is demonstration_entropy:
            _write_private(folder / "demonstration", b"published keys, for synthetic data only\n")
        master = entropy("master", BYTES)
        _write_private(folder / "audit.key", aes_key_wrap(derive(master, "wrap/audit"), entropy("audit", BYTES)))
        _write_private(folder / "master.key", master)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _check_private(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused("governance.keys_open_to_others", name=path.name)


def _write_private(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync(path.parent)


def _shred(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(max(path.stat().st_size, BYTES)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
