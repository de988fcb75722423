"""Taking an account away: for good, with a reason, in one transaction with what the person leaves.

The row stays and the name is never given again, since the log and the protocols go on naming it. Whoever comes back
gets another account, and a study that wants them says so in a protocol that is approved anew.
"""

from __future__ import annotations

from sqlalchemy import Connection, update

from workbench.governance.actors import Actor, Role
from workbench.kernel import clock
from workbench.kernel.errors import Refused
from workbench.services.context import Workbench, acting, event
from workbench.services.people import Person, open_account, people
from workbench.store import chain, documents, jobs
from workbench.store.tables import users

KEPT = (Role.ETHICS_OFFICER, Role.DATA_STEWARD)
"""Roles that a home cannot be left without: nobody else decides, nobody else manages accounts."""
LEAVE = "study.leave"
_OVER = frozenset({"closed", "expired", "purged", "abandoned"})


def close_account(wb: Workbench, actor: Actor, name: str, reason: str) -> Person:
    """Close a person's account: sessions end at once, work under way is stopped, roles in studies end.

    Each study that is left gets its own entry in the log. Raises `Refused`: `governance.reason_needed`,
    `store.unknown_user`, `services.account_closed` where it is closed already, `services.last_of_role` for the last
    open account of an ethics officer or a data steward, one's own included.
    """
    with acting(wb, actor, "user.close", subject=name):
        if not reason.strip():
            raise Refused("governance.reason_needed", transition="close")
        person = open_account(wb, name)
        with wb.store.write(event(actor, "user.close", subject=name, reason=reason)) as write:
            # Read where nobody else writes: two who close the last two would each still see the other.
            _check_may_close(wb, write.connection, person)
            left = _studies_of(write.connection, person)
            for study, digest in left.items():
                facts = {"study": study, "subject": name, "before": digest, "reason": reason}
                chain.append(write.connection, event(actor, LEAVE, **facts))
            now = clock.timestamp()
            write.connection.execute(update(users).where(users.c.name == name).values(closed_at=now, os_user=None))
            write.event.payload = {"role": person.role.value, "os_user": person.os_user, "studies": list(left)}
    for row in jobs.list_jobs(wb.store):
        if row.actor == name and row.state in {"queued", "running"}:
            jobs.cancel(wb.store, row.id)
    return next(each for each in people(wb) if each.name == name)


def _check_may_close(wb: Workbench, connection: Connection, person: Person) -> None:
    now = people(wb, connection)
    if any(each.closed for each in now if each.name == person.name):
        raise Refused("services.account_closed", name=person.name)
    others = [each for each in now if each.role is person.role and each.name != person.name]
    if person.role in KEPT and all(each.closed for each in others):
        raise Refused("services.last_of_role", name=person.display, role=person.role.value)


def _studies_of(connection: Connection, person: Person) -> dict[str, str]:
    """Return the studies, not over yet, whose protocol names the person, with the protocol's digest."""
    found: dict[str, str] = {}
    for state in documents.states_of(connection, "study"):
        document = documents.find(connection, state.digest) if state.state not in _OVER else None
        if document and any(member["user"] == person.name for member in document.body["members"]):
            found[state.id] = state.digest
    return dict(sorted(found.items()))
