"""Keys: a master key outside the data folder, two random secrets per study, an audit signing key.

Files of the key folder (0700; files 0600): `master.key`, or `master.id` where the hospital's vault holds the master key
(`master.py`); `studies/STUDY.WHICH.key`, a secret wrapped (AES key wrap,
RFC 3394) with a key that is derived from the master key for this study and purpose alone, so that a file renamed
to another study does not open; `studies/STUDY.pseudonym.N.key`, the pseudonym secret before the N-th renewal;
`studies/STUDY.WHICH.destroyed`, the tombstone of a destroyed secret; `audit.key`. Once the master key was renewed,
`oppositions.key` and `disclosure.key` hold what derived from the first one (`rotation.py`).
Per-purpose keys derive from a secret by HKDF-SHA-256 (RFC 5869). Nothing here is ever logged or shown.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from workbench.governance import master as masters
from workbench.governance import rotation
from workbench.governance.key_files import (
    BYTES,
    check_private,
    commitment,
    derive,
    locked,
    shred,
    sync,
    write_private,
)
from workbench.governance.master import Master
from workbench.governance.rotation import wrapping
from workbench.governance.vault import Vault
from workbench.kernel.errors import InvalidInput, Unavailable

Secret = Literal["pseudonym", "data"]
Purpose = Literal["person", "visit", "provider", "care_site", "dates"]
Entropy = Callable[[str, int], bytes]
Condition = Literal["none", "whole", "destroyed", "damaged"]

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


class KeyRing:
    """An opened key folder. Make one with `KeyRing.open`.

    Which master key it is, is read anew at each use: another process may have renewed it (`rotation.py`).
    """

    def __init__(self, folder: Path, entropy: Entropy, vault: Vault | None = None) -> None:
        self._folder = folder
        self._entropy = entropy
        self._vault = vault

    @classmethod
    def open(
        cls, folder: Path, *, create: bool = False, entropy: Entropy = random_entropy, vault: Vault | None = None
    ) -> KeyRing:
        """Open a key folder; with `create`, make it (0700) with a master and a signing key where it is absent: the
        master key is then the newest of the `vault`, where there is one and the keys are not the demonstration's.

        Raises `Unavailable` (`governance.keys_missing`, `governance.keys_damaged`) and `Refused`
        (`governance.keys_open_to_others`) where another user of the machine could read it; and as `master.read`.
        """
        try:
            if folder.is_dir():
                check_private(folder)
                with locked(folder):
                    rotation.finish(folder)
            if create:
                _create(folder, entropy, vault)
            check_private(folder)
            masters.read(folder, vault)
        except OSError:
            raise Unavailable("governance.keys_missing", folder=folder) from None
        return cls(folder, entropy, vault)

    @property
    def demonstration(self) -> bool:
        """Whether these keys are the published ones of the demonstration."""
        return (self._folder / "demonstration").exists()

    def create_study_secrets(self, study: str) -> StudySecrets:
        """Make and store a study's two secrets and return them; what exists is kept.

        Raises `Unavailable` (`governance.secret_destroyed`): a destroyed secret is never made anew.
        """
        with self._writing() as master:
            for which in get_args(Secret):
                self._check_not_destroyed(study, which)
                if not self._path(study, which).exists():
                    secret = self._entropy(self._label(study, which), BYTES)
                    wrapped = aes_key_wrap(wrapping(master, f"{study}/{which}"), secret)
                    write_private(self._path(study, which), wrapped)
        return self.study_secrets(study)

    def study_secrets(self, study: str) -> StudySecrets:
        """Return both secrets of a study; `Unavailable` as `study_secret` where either is missing or destroyed."""
        return StudySecrets(study, self.study_secret(study, "pseudonym"), self.study_secret(study, "data"))

    def study_secret(self, study: str, which: Secret) -> bytes:
        """Return one secret of a study, the one in use now.

        Raises `Unavailable`: `governance.secret_destroyed`, `governance.secret_missing`, `governance.keys_damaged`.
        """
        self._check_not_destroyed(study, which)
        with self._reading() as master:
            path = self._path(study, which)
            if not path.is_file():
                raise Unavailable("governance.secret_missing", study=study)
            return _unwrapped(master, path)

    def pseudonym_secret_of(self, study: str, committed: str) -> bytes:
        """Return the pseudonym secret that a manifest committed to (`key_commitment`), in use now or renewed since.

        Raises `Unavailable` as `study_secret`; `governance.secret_missing` where none of them is the one.
        """
        self._check_not_destroyed(study, "pseudonym")
        with self._reading() as master:
            current = self._path(study, "pseudonym")
            for path in [*([current] if current.is_file() else []), *self._former(study)]:
                secret = _unwrapped(master, path)
                if commitment(secret) == committed:
                    return secret
        raise Unavailable("governance.secret_missing", study=study)

    def commitments(self, study: str, which: Secret) -> list[str]:
        """Return the commitments of a study's secret: the one in use, and of pseudonyms those before a renewal."""
        paths = [self._path(study, which), *(self._former(study) if which == "pseudonym" else [])]
        with self._reading() as master:
            return [commitment(_unwrapped(master, path)) for path in paths if path.is_file()]

    def condition(self, study: str, which: Secret) -> Condition:
        """Answer how a study's secret is: `none` where there is no file of it, made yet or any more."""
        if self.is_destroyed(study, which):
            return "destroyed"
        if not self._path(study, which).exists():
            return "none"
        try:
            self.study_secret(study, which)
        except Unavailable:
            return "damaged"
        return "whole"

    def renewals(self, study: str) -> int:
        """Return how often a study's secrets were renewed."""
        return len(self._former(study))

    def renew(self, study: str, renewals: int) -> None:
        """Retire a study's secrets so that they were renewed this often: the data secret is destroyed, the pseudonym
        secret put aside by its number; the next extract makes new ones. Safe to call again after a crash.

        Raises `Unavailable` (`governance.secret_destroyed`, `governance.secret_missing`).
        """
        with self._writing():
            former = self._path(study, "pseudonym").with_name(f"{study}.pseudonym.{renewals}.key")
            if former.exists():
                return
            for which in get_args(Secret):
                self._check_not_destroyed(study, which)
            if not self._path(study, "pseudonym").exists():
                raise Unavailable("governance.secret_missing", study=study)
            self._shred(study, "data")
            self._path(study, "pseudonym").replace(former)
            sync(former.parent)

    def destroy(self, study: str, which: Secret) -> None:
        """Destroy a secret for good: tombstone first, then every wrapped form under the folder overwritten and removed,
        those before a renewal too.

        Safe to call again after a crash. What other systems backed up from this folder must be destroyed there.
        """
        with self._writing():
            if not self.is_destroyed(study, which):
                write_private(self._tombstone(study, which), b"")
            self._shred(study, which)

    def is_gone(self, study: str, which: Secret) -> bool:
        """Answer whether this secret was destroyed and no wrapped form of it is left."""
        return self.is_destroyed(study, which) and not self._forms(study, which)

    def is_destroyed(self, study: str, which: Secret) -> bool:
        """Answer whether this secret was destroyed."""
        return self._tombstone(study, which).exists()

    def rotate_master(self) -> None:
        """Renew the master key: every secret is wrapped anew, none changes (`rotation.rotate`).

        With a vault the new one is the vault's newest, and a master key that was a file is destroyed. Raises
        `Unavailable` (`governance.keys_damaged`) where a secret cannot be unwrapped, and as `next_master`: then
        nothing changed.
        """
        kept = {name: self._lasting(name) for name in _DERIVED}
        with self._writing() as former:
            rotation.rotate(self._folder, former, self.next_master(), kept)

    def next_master(self) -> Master:
        """Return the master key that a renewal would put in place: random, or the newest of the vault.

        Raises `Unavailable` (`governance.vault_same_key`) where that is the one in use, and as `Vault.current`.
        """
        if self._vault is None:
            return masters.in_file(random_entropy("master", BYTES))
        key_id, key = self._vault.current()
        if key_id == masters.vault_id(self._folder) or key == masters.read(self._folder, self._vault):
            raise Unavailable("governance.vault_same_key", id=key_id)
        return masters.in_vault(key_id, key)

    @property
    def has_vault(self) -> bool:
        """Whether a vault is set; the master key may still be a file, until it is renewed."""
        return self._vault is not None

    def vault_id(self) -> str | None:
        """Return the id of the master key in the hospital's vault, None where it is a file of the key folder."""
        return masters.vault_id(self._folder)

    def master_mark(self) -> str:
        """Return what the log may say of the master key: another one has another mark."""
        with self._reading() as master:
            return commitment(master)

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the heads of the audit log."""
        try:
            with self._reading() as master:
                return Ed25519PrivateKey.from_private_bytes(_unwrapped(master, self._folder / "audit.key"))
        except OSError:
            raise Unavailable("governance.keys_damaged", name="audit.key") from None

    def opposition_key(self) -> bytes:
        """Return the key of the marks of persons who object (`workbench.governance.oppositions`)."""
        return self._lasting("oppositions")

    def disclosure_key(self) -> bytes:
        """Return the key under which populations are known again (`workbench.governance.populations`)."""
        return self._lasting("disclosure")

    def public_key(self) -> bytes:
        """Return the raw 32-byte Ed25519 public key with which anybody can check the heads."""
        return self.signing_key().public_key().public_bytes_raw()

    def _lasting(self, name: str) -> bytes:
        """Return a key that must outlive the master key: derived from the first one, wrapped by every later one."""
        path = self._folder / f"{name}.key"
        with self._reading() as master:
            return _unwrapped(master, path) if path.exists() else derive(master, name)

    @contextmanager
    def _reading(self) -> Generator[bytes]:
        """Give the master key while nobody renews it; a renewal that died half-way is carried through first."""
        if rotation.is_decided(self._folder):
            with self._writing():
                pass
        with self._held(shared=True) as master:
            yield master

    @contextmanager
    def _writing(self) -> Generator[bytes]:
        with self._held(shared=False) as master:
            yield master

    @contextmanager
    def _held(self, *, shared: bool) -> Generator[bytes]:
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._folder, shared=shared))
                if not shared:
                    rotation.finish(self._folder)
                master = masters.read(self._folder, self._vault)
            except OSError:
                raise Unavailable("governance.keys_missing", folder=self._folder) from None
            yield master

    def _label(self, study: str, which: Secret) -> str:
        """Return what names a secret to the demonstration's entropy: another one after each renewal."""
        done = self.renewals(study)
        return f"study/{study}/{which}/{done}" if done else f"study/{study}/{which}"

    def _path(self, study: str, which: Secret) -> Path:
        if not _STUDY.fullmatch(study):
            raise InvalidInput("governance.study_name")
        return self._folder / "studies" / f"{study}.{which}.key"

    def _former(self, study: str) -> list[Path]:
        return sorted(self._path(study, "pseudonym").parent.glob(f"{study}.pseudonym.*.key"))

    def _tombstone(self, study: str, which: Secret) -> Path:
        return self._path(study, which).with_suffix(".destroyed")

    def _check_not_destroyed(self, study: str, which: Secret) -> None:
        if self.is_destroyed(study, which):
            raise Unavailable("governance.secret_destroyed", study=study)

    def _forms(self, study: str, which: Secret) -> list[Path]:
        """Return every wrapped form of a secret under the folder: in use, before a renewal, half written, copied."""
        stem = self._path(study, which).name.removesuffix("key")
        return sorted({path for dot in ("", ".") for path in self._folder.rglob(f"{dot}{stem}*key*")})

    def _shred(self, study: str, which: Secret) -> None:
        for form in self._forms(study, which):
            shred(form)
        sync(self._folder / "studies")


_DERIVED: Final = ("oppositions", "disclosure")


def _unwrapped(master: bytes, path: Path) -> bytes:
    check_private(path)
    try:
        return aes_key_unwrap(wrapping(master, rotation.purpose_of(path)), path.read_bytes())
    except (InvalidUnwrap, ValueError):
        raise Unavailable("governance.keys_damaged", name=path.name) from None


def _create(folder: Path, entropy: Entropy, vault: Vault | None) -> None:
    """Make what a key folder needs, the master key last; does nothing where there is one. One process at a time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)
    with locked(folder):
        if masters.exists(folder):
            return
        (folder / "studies").mkdir(mode=0o700, exist_ok=True)
        if any((folder / "studies").iterdir()):  # secrets without their master: never cover up the loss
            raise Unavailable("governance.keys_damaged", name=masters.FILE)
        shown = entropy is demonstration_entropy
        master = (
            masters.in_vault(*vault.current()) if vault and not shown else masters.in_file(entropy("master", BYTES))
        )
        if shown:
            write_private(folder / "demonstration", b"published keys, for synthetic data only\n")
        write_private(folder / "audit.key", aes_key_wrap(wrapping(master.key, "audit"), entropy("audit", BYTES)))
        write_private(folder / master.file, master.content)
