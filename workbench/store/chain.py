"""The audit chain: each entry names the hash of the one before, over canonical JSON.

An entry commits to its payload by a salted digest, so that a payload can be erased after its legal period
(CNIL: traces 6 to 12 months) while the chain still verifies.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.store.tables import audit, payloads

GENESIS = "0" * 64
ENTRY_FIELDS = (
    "seq", "time", "actor", "role", "study", "verb", "subject", "before", "after", "outcome", "reason",
    "payload_digest", "prev",
)  # fmt: skip


@dataclass
class Event:
    """What an actor does, as the audit log will name it. `subject`, `before` and `after` are ids or digests.

    `outcome` is `done`, `denied`, `intent` or `aborted`; `payload` holds facts for people, never identifiers.
    """

    actor: str
    role: str
    verb: str
    study: str | None = None
    subject: str | None = None
    before: str | None = None
    after: str | None = None
    outcome: str = "done"
    reason: str | None = None
    payload: dict[str, Any] = field(default_factory=dict[str, Any])


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's thirteen fields (all but its own hash) in canonical JSON."""
    return digest_document({name: entry[name] for name in ENTRY_FIELDS})


def payload_digest(salt: str, body: Mapping[str, Any]) -> str:
    """Return the digest by which an entry commits to its payload: salted, so that it cannot be guessed."""
    return digest_document({"salt": salt, "body": body})


def append(connection: Connection, event: Event) -> int:
    """Append one entry inside the caller's writing transaction and return its sequence number (from 1).

    Time never runs backwards in the chain: where the clock was set back, the entry takes the last entry's time and
    says so in its payload.
    """
    last = connection.execute(
        select(audit.c.seq, audit.c.hash, audit.c.time).order_by(audit.c.seq.desc()).limit(1)
    ).first()
    seq, prev, last_time = (last.seq + 1, last.hash, last.time) if last else (1, GENESIS, "")
    time = clock.timestamp()
    body = dict(event.payload)
    if time < last_time:
        body["clock_set_back"] = time
        time = last_time
    salt = secrets.token_hex(16)
    entry: dict[str, Any] = {
        "seq": seq, "time": time, "actor": event.actor, "role": event.role, "study": event.study, "verb": event.verb,
        "subject": event.subject, "before": event.before, "after": event.after, "outcome": event.outcome,
        "reason": event.reason, "payload_digest": payload_digest(salt, body), "prev": prev,
    }  # fmt: skip
    entry["hash"] = entry_hash(entry)
    connection.execute(insert(audit).values(entry))
    connection.execute(insert(payloads).values(seq=seq, salt=salt, body=body))
    return seq
