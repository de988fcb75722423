"""Closing what is past its day: the only transitions that the workbench itself owns after a decision."""

from __future__ import annotations

from workbench.governance import lifecycle
from workbench.kernel import clock
from workbench.services.context import Workbench
from workbench.store import documents
from workbench.store.chain import Event

OPEN = {"extract": frozenset({"open"}), "request": frozenset({"approved", "run"})}
"""The states that end with their day."""

SYSTEM = "workbench"
"""Who the log names for what nobody did."""


def expire(wb: Workbench) -> None:
    """Move every approval and extract that is past its day to `expired`, each with its entry in the log."""
    today = clock.today().isoformat()
    with wb.store.read() as connection:
        late = [
            state
            for kind, states in OPEN.items()
            for state in documents.states_of(connection, kind)
            if state.expires_on and state.expires_on < today and state.state in states
        ]
    for state in late:
        if state.kind == "request":
            lifecycle.check_transition("request", state.state, "expire", SYSTEM)
        verb = f"{state.kind}.expire"
        closing = Event(SYSTEM, SYSTEM, verb, study=state.study, subject=state.id, before=state.digest)
        with wb.store.write(closing) as write:
            # Another process may have closed it in between: then there is nothing left to do.
            if documents.state(write.connection, state.kind, state.id) == state:
                documents.move_state(write, state.kind, state.id, "expired")
