"""Verifying the audit log: is every entry what it was, and does the log still hold the heads that were saved?

The chain finds an entry that was edited, deleted, inserted or moved, and an edited payload; the heads find a cut, a
rebuild and the restore of an old copy. A payload may be gone only where the log says that it was erased after its
period (`workbench.governance.log_periods`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import ColumnElement, Connection, Text, func, literal_column, null, select, type_coerce
from sqlalchemy.exc import OperationalError

from workbench.governance import log_periods
from workbench.kernel.digest import canonical_json
from workbench.store.chain import ENTRY_FIELDS, GENESIS, hash_fields, payload_digest
from workbench.store.store import Store
from workbench.store.tables import audit, payloads

SEQ, TIME, VERB, PAYLOAD, PREV, HASH, SALT, BODY, TEXT = range(9)
"""Places in a row of the walk: of an entry's fields those that are judged, its hash, its payload's salt and text, and
the JSON of its thirteen fields."""

HASH_BYTES: Final = 32

SIGNED: Final = ("format", "seq", "hash", "time", "key_id")


@dataclass(frozen=True)
class Verdict:
    """What a verification found: `sound`, the number of entries, the head's hash, else the first entry that fails.

    `problem` is a code of the audit words: edited, out_of_order, broken_link, payload_edited, payload_missing, cut,
    rebuilt, head_forged.
    """

    sound: bool
    entries: int
    head: str
    first_bad: int | None = None
    problem: str | None = None


def verify(store: Store, heads: Iterable[Mapping[str, Any]], public_key: Ed25519PublicKey) -> Verdict:
    """Walk the whole chain, then hold it against signed heads saved before."""
    saved = sorted(heads, key=lambda head: int(head["seq"]))
    wanted = {int(head["seq"]) for head in saved}
    seen: dict[int, str] = {}
    prev, count = GENESIS, 0
    missing = _Missing()
    with store.read() as connection:
        for row in _rows(connection):
            problem = _entry_problem(connection, row, count + 1, prev)
            if row[SALT] is None or row[VERB] == log_periods.FORGET:
                problem = problem or missing.add(row)
            if problem:
                return Verdict(False, count, prev, count + 1, problem)
            prev, count = row[HASH], count + 1
            if count in wanted:
                seen[count] = prev
    if missing.entries:
        return Verdict(False, count, prev, missing.entries[0][0], "payload_missing")
    for head in saved:
        seq = int(head["seq"])
        problem = _head_problem(head, seen.get(seq), public_key)
        if problem:
            return Verdict(False, count, prev, min(seq, count + 1), problem)
    return Verdict(True, count, prev)


def placed(store: Store, verdict: Verdict, trail: bytes) -> Verdict:
    """Return a verdict that found something with the first entry that differs from the hashes kept of each.

    A chain whose hashes were made to fit breaks after the entry that was edited, and a head tells only that the log is
    another: where a trail says that an entry before differs, that one is named. A trail alone raises no alarm.
    """
    with store.read() as connection:
        try:
            first = _first_difference(connection, trail)
        except OperationalError:  # a text that is none, which the chain names itself
            first = None
    if verdict.sound or verdict.first_bad is None or first is None or first >= verdict.first_bad:
        return verdict
    problem = {"broken_link": "edited", "cut": "rebuilt"}.get(str(verdict.problem), verdict.problem)
    return replace(verdict, first_bad=first, problem=problem)


def _first_difference(connection: Connection, trail: bytes) -> int | None:
    rows = connection.execute(select(audit.c.seq, type_coerce(audit.c.hash, Text)).order_by(audit.c.seq))
    known = len(trail) // HASH_BYTES
    for place, (seq, found) in enumerate(rows, start=1):
        if place > known:
            return None
        if seq != place or found != trail[(place - 1) * HASH_BYTES : place * HASH_BYTES].hex():
            return place
    return None


def signed_part(head: Mapping[str, Any]) -> bytes:
    """Return the bytes of a head that its signature is made over."""
    return canonical_json({name: head[name] for name in SIGNED})


class _Missing:
    """Entries of accesses whose payload is gone, until an entry says that it was erased after its period."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, str]] = []

    def add(self, row: tuple[Any, ...]) -> str | None:
        """Take note of a row; return the problem of one that must have its payload and has not."""
        if row[SALT] is None:
            if row[VERB] not in log_periods.ACCESS_VERBS:
                return "payload_missing"
            self.entries.append((row[SEQ], row[TIME]))
        elif row[VERB] == log_periods.FORGET and self.entries:
            through, until = json.loads(row[BODY])["through"], log_periods.before(row[TIME])
            self.entries = [each for each in self.entries if each[0] > through or each[1] > until]
        return None


def _rows(connection: Connection) -> Generator[tuple[Any, ...]]:
    """Give the log's entries in order, straight from the driver: a log of years is long. SQLite puts each together as
    JSON, in half the time that it takes to hand over thirteen fields; from where it cannot, they come without. One that
    cannot be read as text, which none was ever written as, is given as a row of nothing."""
    last = None
    try:
        for row in _walk(connection, last, _entry_text()):
            last = row[SEQ]
            yield row
    except sqlite3.OperationalError:
        try:
            yield from _walk(connection, last, null())
        except sqlite3.OperationalError:
            yield (None,) * (TEXT + 1)


def _walk(connection: Connection, after: int | None, text: ColumnElement[Any]) -> Generator[tuple[Any, ...]]:
    judged = [audit.c[name] for name in ("seq", "time", "verb", "payload_digest", "prev", "hash")]
    query = select(*judged, payloads.c.salt, type_coerce(payloads.c.body, Text), text)
    query = query.outerjoin(payloads, payloads.c.seq == audit.c.seq)
    if after is not None:
        query = query.where(audit.c.seq > literal_column(str(after)))
    with closing(cast("sqlite3.Cursor", connection.connection.cursor())) as cursor:
        cursor.execute(str(query.order_by(audit.c.seq).compile(connection)))
        yield from cursor


def _entry_text() -> ColumnElement[Any]:
    pairs: list[ColumnElement[Any]] = []
    for name in sorted(ENTRY_FIELDS):
        pairs += [literal_column(f"'{name}'"), audit.c[name]]
    return func.json_object(*pairs)


def _entry_problem(connection: Connection, row: tuple[Any, ...], expected: int, prev: str) -> str | None:
    if row[SEQ] != expected:
        return "edited" if row[SEQ] is None else "out_of_order"
    if row[PREV] != prev:
        return "broken_link"
    as_said = row[TEXT] is not None and sha256(row[TEXT].encode()).hexdigest() == row[HASH]
    if not as_said and not _is_entry(connection, row):
        return "edited"
    return None if row[SALT] is None or _is_payload(row) else "payload_edited"


def _is_entry(connection: Connection, row: tuple[Any, ...]) -> bool:
    """Say whether an entry has its hash, by the canonical form itself: SQLite's JSON is that of nearly all texts."""
    query = select(*(audit.c[name] for name in ENTRY_FIELDS)).where(audit.c.seq == row[SEQ])
    try:
        return hash_fields(*connection.execute(query).one()) == row[HASH]
    except (TypeError, ValueError, OperationalError):  # a value of a kind that no entry has, a text that is none
        return False


def _is_payload(row: tuple[Any, ...]) -> bool:
    try:
        if payload_digest(row[SALT], row[BODY]) == row[PAYLOAD]:
            return True
        return any(payload_digest(row[SALT], text) == row[PAYLOAD] for text in _forms(json.loads(row[BODY])))
    except (TypeError, ValueError):
        return False


def _forms(payload: Any) -> Generator[str]:
    """Give the canonical form of a payload, which the first homes did not keep it in: as Python writes nearly all of
    it, then as RFC 8785 writes numbers too."""
    yield json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    yield canonical_json(payload).decode()


def _head_problem(head: Mapping[str, Any], found: str | None, public_key: Ed25519PublicKey) -> str | None:
    try:
        public_key.verify(bytes.fromhex(head["signature"]), signed_part(head))
    except (InvalidSignature, ValueError):
        return "head_forged"
    if found is None and int(head["seq"]) > 0:
        return "cut"
    if found is not None and found != head["hash"]:
        return "rebuilt"
    return None
