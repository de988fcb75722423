"""Where the master key is: a file of the key folder (`master.key`), or the hospital's vault.

With a vault the folder holds `master.id` instead: the key's id there and a mark by which another key is known for
another. The mark tells nothing of the key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workbench.governance.key_files import BYTES, check_private, commitment
from workbench.governance.vault import Vault
from workbench.kernel.errors import Unavailable

FILE: Final = "master.key"
NOTE: Final = "master.id"


@dataclass(frozen=True)
class Master:
    """A master key about to be put in place: its bytes, and the one file that the key folder will hold of it."""

    key: bytes = field(repr=False)
    file: str
    content: bytes = field(repr=False)


def in_file(key: bytes) -> Master:
    """Return a master key that the key folder itself holds."""
    return Master(key, FILE, key)


def in_vault(key_id: str, key: bytes) -> Master:
    """Return a master key that the vault holds."""
    return Master(key, NOTE, json.dumps({"id": key_id, "mark": commitment(key)}).encode() + b"\n")


def exists(folder: Path) -> bool:
    """Answer whether a key folder has its master key, or says where it is."""
    return (folder / FILE).exists() or (folder / NOTE).exists()


def vault_id(folder: Path) -> str | None:
    """Return the id of the master key in the vault, None where it is a file.

    Raises `Unavailable` (`governance.keys_damaged`).
    """
    return _note(folder)[0] if (folder / NOTE).exists() else None


def read(folder: Path, vault: Vault | None) -> bytes:
    """Return the master key of a folder, from its file or from the vault.

    Raises `OSError` where there is none; `Refused` (`governance.keys_open_to_others`); `Unavailable`:
    `governance.keys_damaged`, `governance.vault_unset`, `governance.vault_wrong_key`; and as `Vault.current`.
    """
    if not (folder / NOTE).exists():
        check_private(folder / FILE)
        key = (folder / FILE).read_bytes()
        if len(key) != BYTES:
            raise Unavailable("governance.keys_damaged", name=FILE)
        return key
    key_id, mark = _note(folder)
    if vault is None:
        raise Unavailable("governance.vault_unset", id=key_id)
    key = vault.key(key_id)
    if commitment(key) != mark:
        raise Unavailable("governance.vault_wrong_key", id=key_id)
    return key


def _note(folder: Path) -> tuple[str, str]:
    path = folder / NOTE
    check_private(path)
    try:
        found = json.loads(path.read_bytes())
        return str(found["id"]), str(found["mark"])
    except (ValueError, TypeError, KeyError):
        raise Unavailable("governance.keys_damaged", name=NOTE) from None
