"""The end of what a study has: its extracts and approvals close with it, each with its own entry in the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal

from sqlalchemy import Connection

from workbench.governance import lifecycle
from workbench.services.key_deeds import SYSTEM
from workbench.store import chain, documents
from workbench.store.chain import Event
from workbench.store.documents import State
from workbench.store.store import Write

ENDS = {"extract": frozenset({"open"}), "request": frozenset({"checked", "approved", "run"})}
"""The states that end with their study."""


def belongings(connection: Connection, study: str) -> Iterator[State]:
    """Yield the extracts and requests of a study that are still under way."""
    for kind, states in ENDS.items():
        yield from (s for s in documents.states_of(connection, kind) if s.study == study and s.state in states)


def end_belongings(write: Write, study: str, why: str, step: Literal["expire", "void"] = "expire") -> list[str]:
    """Move what a study has under way to `expired`, in the transaction that ends the study, or (`step` is `void`) its
    requests to `voided`, where what was approved is no longer valid; return the ids.

    `why` is the verb that ended it, and stands in each entry as its reason.
    """
    ended = list(belongings(write.connection, study))
    for state in ended:
        to, done = "expired", "expire"
        if state.kind == "request":
            to, done = lifecycle.check_transition("request", state.state, step, SYSTEM, why), step
        documents.move_state(write, state.kind, state.id, to)
        entry = Event(SYSTEM, SYSTEM, f"{state.kind}.{done}", study, state.id, before=state.digest, reason=why)
        chain.append(write.connection, entry)
    return [state.id for state in ended]


def kept_until(connection: Connection, protocol_digest: str, last_day: date) -> str:
    """Return the day on which the retention of a study ends whose last day is given, as its protocol says."""
    document = documents.find(connection, protocol_digest)
    assert document is not None
    return (last_day + timedelta(days=document.body["retention_days"])).isoformat()
