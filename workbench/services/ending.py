"""The end of what a study has: its extracts and approvals close with it, each with its own entry in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Literal

from sqlalchemy import Connection

from workbench.governance import lifecycle
from workbench.governance.actors import Role
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


def granted(write: Write, study: str) -> list[State]:
    """Return the requests of a study that are approved, whether their extract was made or not."""
    found = documents.states_of(write.connection, "request")
    return [state for state in found if state.study == study and state.state in {"approved", "run"}]


def move_each(write: Write, states: Iterable[State], step: str, to: str, reason: str) -> None:
    """Move extracts and requests of a study to a state, in the transaction of a decision, each with an entry of its own
    by whoever decided. Raises `Refused` as `lifecycle.check_transition` where a request cannot take the step.
    """
    by = write.event
    for state in states:
        if state.kind == "request":
            lifecycle.check_transition("request", state.state, step, Role(by.role), reason)
        documents.move_state(write, state.kind, state.id, to)
        entry = Event(by.actor, by.role, f"{state.kind}.{step}", state.study, state.id, before=state.digest)
        entry.reason = reason
        chain.append(write.connection, entry)


def kept_until(connection: Connection, protocol_digest: str, last_day: date) -> str:
    """Return the day on which the retention of a study ends whose last day is given, as its protocol says."""
    document = documents.find(connection, protocol_digest)
    assert document is not None
    return (last_day + timedelta(days=document.body["retention_days"])).isoformat()
