"""What time does by itself: approvals and extracts close on their day, studies too, and what a study kept to find
persons again is destroyed when its retention ends. The only transitions that the workbench itself owns.

The day is that of the clock, or of the log's last entry where the clock stands before it: nothing comes back to life
because a clock was set back.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from sqlalchemy import Connection

from workbench.governance import lifecycle
from workbench.kernel.errors import Refused
from workbench.services import ending, key_deeds
from workbench.services.context import Workbench
from workbench.services.key_deeds import PURGE, SYSTEM
from workbench.store import chain, documents
from workbench.store.chain import Event
from workbench.store.documents import State

OPEN = {"extract": frozenset({"open"}), "request": frozenset({"approved", "run"})}
"""The states that end with their day."""


def today(wb: Workbench) -> date:
    """Return the day by which everything expires: never before that of the log's last entry."""
    with wb.store.read() as connection:
        return chain.today(connection)


def expire(wb: Workbench) -> None:
    """Move every approval, extract and study that is past its day on, each with its entry in the log."""
    with wb.store.read() as connection:
        now = chain.today(connection)
        late = [state for kind in OPEN for state in _late(connection, kind, now)]
        ended = [state for state in _late(connection, "study", now) if state.state == "open"]
        kept = [state for state in _late(connection, "study", now) if state.state in {"closed", "expired"}]
    for state in ended:
        with suppress(Refused):  # another process was first
            _end_study(wb, state)
    for state in late:
        with suppress(Refused):
            _expire(wb, state)
    for state in kept:
        with suppress(Refused):
            _purge(wb, state)
    if kept:
        key_deeds.go_on(wb)


def _late(connection: Connection, kind: str, now: date) -> list[State]:
    return [
        state
        for state in documents.states_of(connection, kind)
        if state.expires_on and state.expires_on < now.isoformat() and state.state in OPEN.get(kind, {state.state})
    ]


def _expire(wb: Workbench, state: State) -> None:
    if state.kind == "request":
        lifecycle.check_transition("request", state.state, "expire", SYSTEM)
    verb = f"{state.kind}.expire"
    closing = Event(SYSTEM, SYSTEM, verb, study=state.study, subject=state.id, before=state.digest)
    with wb.store.read() as connection:
        if documents.state(connection, state.kind, state.id) != state:
            return  # it ended with its study
    with wb.store.write(closing) as write:
        # Another process may have closed it in between: then nothing is done, and the log says nothing of it.
        documents.check_unchanged(write, state, state.kind, state.id)
        documents.move_state(write, state.kind, state.id, "expired")


def _end_study(wb: Workbench, state: State) -> None:
    """Close a study whose protocol's last day is over, and what it has under way."""
    to = lifecycle.check_transition("study", state.state, "expire", SYSTEM)
    assert state.expires_on is not None
    closing = Event(SYSTEM, SYSTEM, "study.expire", state.id, state.id, before=state.digest)
    with wb.store.write(closing) as write:
        documents.check_unchanged(write, state, "study", state.id)
        until = ending.kept_until(write.connection, state.digest, date.fromisoformat(state.expires_on))
        closing.payload = {"closed": ending.end_belongings(write, state.id, "study.expire"), "kept_until": until}
        documents.set_state(write, State("study", state.id, state.digest, state.id, to, until, ""))


def _purge(wb: Workbench, state: State) -> None:
    """Decide that what a study kept goes: both its secrets, and its encrypted files. The deed's own entry follows."""
    to = lifecycle.check_transition("study", state.state, "purge", SYSTEM)
    decided = Event(SYSTEM, SYSTEM, "study.purge", state.id, state.id, before=state.digest, outcome="intent")
    decided.payload = {"kept_until": state.expires_on}
    with wb.store.write(decided) as write:
        documents.check_unchanged(write, state, "study", state.id)
        documents.set_state(write, State("study", state.id, state.digest, state.id, to, None, ""))
        key_deeds.decide(write, state.id, PURGE, "all", state.digest)
