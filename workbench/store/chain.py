"""The audit chain: each entry names the hash of the one before, over canonical JSON.

An entry commits to its payload by a salted digest, so that a payload can be erased after its legal period
(CNIL: traces 6 to 12 months) while the chain still verifies.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from json.encoder import encode_basestring as _quoted
from typing import Any

from sqlalchemy import Connection, Text, insert, select, type_coerce

from workbench.kernel import clock
from workbench.kernel.digest import canonical_json
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


def hash_fields(
    seq: int,
    time: str,
    actor: str,
    role: str,
    study: str | None,
    verb: str,
    subject: str | None,
    before: str | None,
    after: str | None,
    outcome: str,
    reason: str | None,
    payload_digest: str,
    prev: str,
) -> str:
    """Return the SHA-256 of an entry: of its thirteen fields (all but its own hash) in RFC 8785 canonical JSON.

    Written out by hand, because a log of years is verified entry by entry: a test holds it against the library.
    Raises TypeError or ValueError for values that no entry has.
    """
    text = (
        f'{{"actor":{_quoted(actor)},"after":{_said(after)},"before":{_said(before)},"outcome":{_quoted(outcome)},'
        f'"payload_digest":{_quoted(payload_digest)},"prev":{_quoted(prev)},"reason":{_said(reason)},"role":{_quoted(role)},'
        f'"seq":{seq:d},"study":{_said(study)},"subject":{_said(subject)},"time":{_quoted(time)},"verb":{_quoted(verb)}}}'
    )
    return hashlib.sha256(text.encode()).hexdigest()


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's thirteen fields, given by name; see `hash_fields`."""
    return hash_fields(*(entry[name] for name in ENTRY_FIELDS))


def payload_digest(salt: str, canonical: str) -> str:
    """Return the digest by which an entry commits to its payload, given as canonical JSON: the SHA-256 of the canonical
    JSON of `{"body": payload, "salt": salt}`. The salt is random, so that an erased payload cannot be guessed."""
    return hashlib.sha256(f'{{"body":{canonical},"salt":{_quoted(salt)}}}'.encode()).hexdigest()


def _said(value: str | None) -> str:
    return "null" if value is None else _quoted(value)


def today(connection: Connection) -> date:
    """Return the current date, or that of the log's last entry where the clock stands before it."""
    last = connection.execute(select(audit.c.time).order_by(audit.c.seq.desc()).limit(1)).scalar()
    now = clock.today()
    return max(now, clock.day_of(last)) if last else now


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
    salt, payload = secrets.token_hex(16), canonical_json(body).decode()
    entry: dict[str, Any] = {
        "seq": seq, "time": time, "actor": event.actor, "role": event.role, "study": event.study, "verb": event.verb,
        "subject": event.subject, "before": event.before, "after": event.after, "outcome": event.outcome,
        "reason": event.reason, "payload_digest": payload_digest(salt, payload), "prev": prev,
    }  # fmt: skip
    entry["hash"] = entry_hash(entry)
    connection.execute(insert(audit).values(entry))
    connection.execute(insert(payloads).values(seq=seq, salt=salt, body=type_coerce(payload, Text)))
    return seq
