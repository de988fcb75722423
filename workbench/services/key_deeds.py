"""What a decision on keys asks of the key folder: done at once, and again at each opening where a process died between.

A decision is written first, with its entry; the deed follows; a second entry says that it is done, and only once it can
be seen to be. Every deed may be done twice. What was destroyed stays so: a key folder restored from a backup loses it
again at the next opening (docs/decisions/0017-key-rotation.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from sqlalchemy import Connection

from workbench.governance.keys import Secret
from workbench.kernel.errors import Refused, Unavailable
from workbench.store import documents
from workbench.store.chain import Event
from workbench.store.documents import State
from workbench.store.store import Write

if TYPE_CHECKING:
    from workbench.services.context import Workbench

KEY: Final = "key"
"""The kind of state of a decision on keys: `due` until the deed is done, then `done`."""
SYSTEM: Final = "workbench"
"""Who the log names for what nobody did."""
MASTER: Final = "master"
DESTROY, RENEW, PURGE = "destroy", "renew", "purge"
_VERBS: Final = {DESTROY: "key.destroy", RENEW: "key.rotate", PURGE: "study.purge"}


@dataclass(frozen=True)
class Deed:
    """One thing to do with keys: of a study a `what` and its detail (which secret, the how-manieth renewal), or of the
    master key (`what` is renew, no study)."""

    state: State
    what: str
    detail: str


def decide(write: Write, study: str | None, what: str, detail: str, digest: str) -> None:
    """Write down, in the transaction of a decision, what has to be done; `digest` is what the decision named."""
    name = f"{study}.{what}.{detail}" if study else f"{MASTER}.{what}.{detail}"
    documents.set_state(write, State(KEY, name, digest, study, "due", None, ""))


def deeds(connection: Connection) -> Iterator[Deed]:
    """Yield every decision on keys, done or due, the latest first."""
    for state in documents.states_of(connection, KEY):
        _, what, detail = state.id.split(".")
        yield Deed(state, what, detail)


def renewals(connection: Connection, study: str) -> int:
    """Return how often a study's secrets were renewed, by decision."""
    return sum(1 for each in deeds(connection) if each.what == RENEW and each.state.study == study)


def go_on(wb: Workbench) -> None:
    """Do what is due, and what was done and is undone since; nothing that cannot be done now stops an opening."""
    with suppress(Unavailable):
        carry_out(wb, Event(SYSTEM, SYSTEM, ""))


def carry_out(wb: Workbench, done_by: Event) -> None:
    """Do what decisions on keys ask for; `done_by` names who the log says did it.

    Raises `Unavailable` where the key folder, or the vault, is not what it should be; then that deed stays due, and the
    others are done: a vault that does not answer keeps no secret from being destroyed.
    """
    _destroy_revoked(wb)
    with wb.store.read() as connection:
        every = list(deeds(connection))
    failed: Unavailable | None = None
    for deed in reversed(every):
        try:
            if deed.state.state == "due":
                _do(wb, deed, done_by)
            elif deed.what in {DESTROY, PURGE}:
                _destroy(wb, deed)
        except Unavailable as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _destroy_revoked(wb: Workbench) -> None:
    """Destroy the data secret of every study whose extracts are revoked."""
    with wb.store.read() as connection:
        revoked = {state.study for state in documents.states_of(connection, "extract") if state.state == "revoked"}
    for study in sorted(study for study in revoked if study):
        if not wb.keys.is_gone(study, "data"):
            wb.keys.destroy(study, "data")


def _do(wb: Workbench, deed: Deed, done_by: Event) -> None:
    payload: dict[str, Any] = {}
    if deed.what == RENEW:
        payload = _renew(wb, deed)
    else:
        _destroy(wb, deed)
        payload = {"secrets": list(destroys(deed))}
    if deed.what == PURGE:
        payload["files"] = _remove_files(wb, deed.state.study or "")
    subject = deed.state.study or MASTER
    done = Event(done_by.actor, done_by.role, _VERBS[deed.what], deed.state.study, subject, before=deed.state.digest)
    done.payload = payload
    with suppress(Refused), wb.store.write(done) as write:  # refused: another process did it and said so
        documents.check_unchanged(write, deed.state, KEY, deed.state.id)
        documents.move_state(write, KEY, deed.state.id, "done")


def _renew(wb: Workbench, deed: Deed) -> dict[str, Any]:
    study = deed.state.study
    if study is None:
        if wb.keys.master_mark() == deed.state.digest:
            wb.keys.rotate_master()
        return {"former": deed.state.digest, "now": wb.keys.master_mark()}
    if not wb.keys.is_destroyed(study, "pseudonym"):
        wb.keys.renew(study, int(deed.detail))
    return {"renewals": wb.keys.renewals(study)}


def destroys(deed: Deed) -> tuple[Secret, ...]:
    """Return the secrets of its study that a deed destroys for good."""
    if deed.what == PURGE:
        return get_args(Secret)
    return (cast("Secret", deed.detail),) if deed.what == DESTROY else ()


def _destroy(wb: Workbench, deed: Deed) -> None:
    study = deed.state.study or ""
    for which in destroys(deed):
        if not wb.keys.is_gone(study, which):
            wb.keys.destroy(study, which)


def _remove_files(wb: Workbench, study: str) -> int:
    """Remove the encrypted tables of a study's extracts and features; manifests, models and cards stay, which hold no
    row. Returns how many files went."""
    with wb.store.read() as connection:
        ids = [each.id for each in documents.every(connection, "extract", study=study)]
    gone = [path for name in ids for path in sorted((wb.settings.extracts / name).rglob("*.parquet"))]
    for path in gone:
        path.unlink()
    return len(gone)
