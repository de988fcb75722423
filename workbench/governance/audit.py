"""The audit log's entries, their export, and its signed heads.

A chain alone sees neither a cut at its end nor a full rebuild: a signed head, kept where the application's data is
not, sees both (governance.md, Audit). The workbench keeps one in the keys folder after every verb; `export --head`
gives one to keep elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from workbench.governance.verifying import HASH_BYTES, signed_part
from workbench.kernel import clock
from workbench.kernel.digest import digest_bytes
from workbench.kernel.errors import InvalidInput
from workbench.store import files
from workbench.store.chain import GENESIS
from workbench.store.store import Store
from workbench.store.tables import audit, payloads

HEAD_FORMAT = "workbench/audit-head/1"


class Signer(Protocol):
    """Who signs heads: the key ring."""

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the audit signing key."""
        ...


@dataclass(frozen=True)
class Entry:
    """One entry of the log, with its payload and that digest's salt: None where they were erased after their period."""

    seq: int
    time: str
    actor: str
    role: str
    study: str | None
    verb: str
    subject: str | None
    before: str | None
    after: str | None
    outcome: str
    reason: str | None
    payload_digest: str
    prev: str
    hash: str
    salt: str | None
    payload: dict[str, Any] | None


def entries(connection: Connection, *, newest_first: bool = False, limit: int | None = None) -> list[Entry]:
    """Return the log's entries with their payloads."""
    order = audit.c.seq.desc() if newest_first else audit.c.seq
    query = select(audit, payloads.c.salt, payloads.c.body.label("payload")).outerjoin(
        payloads, payloads.c.seq == audit.c.seq
    )
    return [Entry(**dict(row)) for row in connection.execute(query.order_by(order).limit(limit)).mappings()]


def payloads_of(connection: Connection, verbs: Collection[str], after: str) -> list[dict[str, Any]]:
    """Return the payloads of the `done` entries of some verbs that made a digest."""
    wanted = (audit.c.verb.in_(verbs), audit.c.after == after, audit.c.outcome == "done")
    query = select(payloads.c.body).join(audit, payloads.c.seq == audit.c.seq).where(*wanted)
    return list(connection.execute(query).scalars())


def attested(connection: Connection, verb: str) -> set[tuple[str | None, str | None]]:
    """Return the digests (before, after) of all `done` entries of a verb."""
    wanted = (audit.c.verb == verb, audit.c.outcome == "done")
    return {(row.before, row.after) for row in connection.execute(select(audit.c.before, audit.c.after).where(*wanted))}


def key_id(public_key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of the raw public key: the name by which an auditor knows it."""
    return digest_bytes(public_key.public_bytes_raw())


def sign_head(store: Store, signer: Signer) -> dict[str, Any]:
    """Return the log's present head, signed (Ed25519), with the public key that checks it."""
    with store.read() as connection:
        last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    key = signer.signing_key()
    head: dict[str, Any] = {
        "format": HEAD_FORMAT,
        "seq": last.seq if last else 0,
        "hash": last.hash if last else GENESIS,
        "time": clock.timestamp(),
        "key_id": key_id(key.public_key()),
    }
    return {
        **head,
        "signature": key.sign(signed_part(head)).hex(),
        "public_key": key.public_key().public_bytes_raw().hex(),
    }


def read_head(path: Path) -> dict[str, Any]:
    """Read a saved head; raises `audit.not_a_head` where the file is absent or something else."""
    try:
        head: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        texts = [head[name] for name in ("hash", "time", "key_id", "signature")]
        right = all(isinstance(text, str) for text in texts) and type(head["seq"]) is int
        complete = head["format"] == HEAD_FORMAT and right
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput("audit.not_a_head", file=path.name) from error
    if not complete:
        raise InvalidInput("audit.not_a_head", file=path.name)
    return head


def is_empty(store: Store) -> bool:
    """Answer whether the log has no entry yet."""
    with store.read() as connection:
        return connection.execute(select(audit.c.seq).limit(1)).first() is None


def kept_heads(store: Store, saved: Path) -> list[dict[str, Any]] | None:
    """Return the head kept beside the keys, as a list; None where there is none although the log has entries."""
    if saved.exists():
        return [read_head(saved)]
    return [] if is_empty(store) else None


def extends(store: Store, saved: Path, seq: int) -> bool:
    """Answer whether a head at `seq` goes beyond the one saved in a file, in a log that still holds that one.

    Yes where none was saved and the log is new; a head that is missing beside an old log stays missing, so that
    `verify` can say so.
    """
    if not saved.exists():
        return seq == 0
    head = read_head(saved)
    if head["seq"] == 0 or head["seq"] >= seq:
        return bool(head["seq"] < seq)
    with store.read() as connection:
        found = connection.execute(select(audit.c.hash).where(audit.c.seq == head["seq"])).scalar()
    return found == head["hash"]


def save_head(path: Path, head: Mapping[str, Any]) -> None:
    """Write a signed head to a file, whole or not at all."""
    files.write_text(path, json.dumps(head, indent=1) + "\n")


def extend_trail(store: Store, trail: Path) -> None:
    """Write the hash of each entry that a file of hashes lacks at its end: 32 bytes an entry, the first one first.

    A head tells that the log is another; the trail tells from which entry on (`workbench.governance.verifying.placed`).
    It is kept where the heads are, apart from the data.
    """
    whole = trail.stat().st_size // HASH_BYTES if trail.exists() else 0
    with store.read() as connection:
        query = select(audit.c.hash).where(audit.c.seq > whole).order_by(audit.c.seq)
        try:
            new = b"".join(bytes.fromhex(each) for each in connection.execute(query).scalars())
        except (OperationalError, ValueError, TypeError):  # no hash that this program wrote: `verify` says so
            return
    with files.user_errors(trail):
        handle = os.open(trail, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, whole * HASH_BYTES)  # a process died while it wrote
            os.lseek(handle, 0, os.SEEK_END)
            left = memoryview(new)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)


def read_trail(trail: Path) -> bytes:
    """Return a file of hashes, empty where there is none."""
    with files.user_errors(trail):
        return trail.read_bytes() if trail.exists() else b""


def as_json(log: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return entries as JSON values."""
    return [asdict(entry) for entry in log]
