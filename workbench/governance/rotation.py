"""Renewing the master key: every secret is wrapped anew under another one, and the former one is destroyed.

All is written aside first; one rename decides; then each file takes its place, the master key last. A process that
dies before the rename leaves what was; after it, whoever opens the folder next carries it through. Secrets themselves
do not change, so nothing that was made has to be made again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from workbench.governance import master as masters
from workbench.governance.key_files import derive, shred, sync, write_private
from workbench.governance.master import Master
from workbench.kernel.errors import Unavailable

DECIDED: Final = "rotation"
_ASIDE: Final = ".rotation"


def wrapping(master: bytes, purpose: str) -> bytes:
    """Return the key that wraps the secret of one purpose (`STUDY/WHICH`, `audit`, …) under a master key."""
    return derive(master, f"wrap/{purpose}")


def purpose_of(path: Path) -> str:
    """Return what a wrapped file holds: its wrapping key depends on it, so that a renamed file does not open."""
    if path.parent.name == "studies":
        study, which, *_ = path.name.split(".")
        return f"{study}/{which}"
    return path.stem


def wrapped(folder: Path) -> list[Path]:
    """Return every wrapped secret of a key folder, in order of names."""
    return sorted(
        path for path in [*folder.glob("*.key"), *(folder / "studies").glob("*.key")] if path.name != masters.FILE
    )


def rotate(folder: Path, former: bytes, new: Master, kept: dict[str, bytes]) -> None:
    """Put a new master key in the place of the `former`, under the caller's lock; `kept` are secrets (name → bytes)
    that derived from the former one and must stay what they are.

    Raises `Unavailable` (`governance.keys_damaged`) where a secret cannot be unwrapped; then nothing changed.
    """
    aside = folder / _ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "studies").mkdir(mode=0o700, parents=True)
    aside.chmod(0o700)
    for path in wrapped(folder):
        purpose = purpose_of(path)
        try:
            secret = aes_key_unwrap(wrapping(former, purpose), path.read_bytes())
        except (InvalidUnwrap, ValueError):
            raise Unavailable("governance.keys_damaged", name=path.name) from None
        write_private(aside / path.relative_to(folder), aes_key_wrap(wrapping(new.key, purpose), secret))
    for name, secret in kept.items():
        write_private(aside / f"{name}.key", aes_key_wrap(wrapping(new.key, name), secret))
    write_private(aside / new.file, new.content)
    aside.rename(folder / DECIDED)
    sync(folder)
    finish(folder)


def is_decided(folder: Path) -> bool:
    """Answer whether a renewal was decided and is not carried through yet."""
    return (folder / DECIDED).is_dir()


def finish(folder: Path) -> None:
    """Carry a decided renewal through, under the caller's lock; what was only prepared is thrown away.

    Safe to call again after a crash at any point: a file that is gone from the prepared folder is in its place.
    """
    shutil.rmtree(folder / _ASIDE, ignore_errors=True)
    decided = folder / DECIDED
    if not decided.is_dir():
        return
    last = [decided / name for name in (masters.FILE, masters.NOTE) if (decided / name).exists()]
    for path in [*(path for path in sorted(decided.rglob("*.key")) if path not in last), *last]:
        place = folder / path.relative_to(decided)
        if place.exists():
            shred(place)
        path.replace(place)
        sync(place.parent)
    if (folder / masters.NOTE).exists() and (folder / masters.FILE).exists():
        shred(folder / masters.FILE)  # the master key moved into the vault
    shutil.rmtree(decided)
    sync(folder)
