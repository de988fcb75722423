"""Who acts: accounts, and the actor of a command or a session."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from workbench.governance import policy
from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services.context import Workbench, acting, event
from workbench.store.tables import audit, payloads, users


@dataclass(frozen=True)
class Person:
    """An account: its name, the name shown, the role, the operating system's user that acts as it, and whether it is
    closed."""

    name: str
    display: str
    role: Role
    os_user: str | None
    closed: bool = False


class _Asking:
    """The user of the operating system for whom this whole process works, where it is not its own."""

    user: str | None = None


STEWARD = Actor("steward", Role.DATA_STEWARD, "Data steward")


def people(wb: Workbench, connection: Connection | None = None) -> list[Person]:
    """Return all accounts by name, closed ones too; seen from within a transaction where its connection is given."""
    if connection is None:
        with wb.store.read() as reading:
            return people(wb, reading)
    rows = connection.execute(select(users).order_by(users.c.name)).mappings().all()
    return [
        Person(row["name"], row["display"], Role(row["role"]), row["os_user"], row["closed_at"] is not None)
        for row in rows
    ]


def open_account(wb: Workbench, name: str) -> Person:
    """Return an account that somebody can act as; raises `Refused`: `store.unknown_user` where there is none,
    `services.account_closed` where it was taken away."""
    person = next((each for each in people(wb) if each.name == name), None)
    if person is None:
        raise Refused("store.unknown_user", user=name, known=_known(wb))
    if person.closed:
        raise Refused("services.account_closed", name=name)
    return person


def actor_named(wb: Workbench, name: str) -> Actor:
    """Return the actor of an account; raises as `open_account`."""
    person = open_account(wb, name)
    return Actor(person.name, person.role, person.display)


def acting_as(wb: Workbench, name: str | None) -> Actor:
    """Return the actor of a command: the operating system's user, or `name` (`--as`) in a demonstration home."""
    if name is not None:
        if not wb.demo:
            raise Refused("store.as_refused")
        return actor_named(wb, name)
    user = system_user()
    for person in people(wb):
        if person.os_user == user:
            return Actor(person.name, person.role, person.display)
    raise Refused("store.unknown_user", user=user, known=_known(wb))


def sign_in(wb: Workbench, name: str, authentication: Mapping[str, Any] | None = None) -> Actor:
    """Record that a person opened a session of the app and return the actor; raises `store.unknown_user`.

    `authentication` is what the log keeps of it, where a provider vouched for the person.
    """
    actor = actor_named(wb, name)
    with wb.store.write(event(actor, "session.open", subject=actor.name, payload=dict(authentication or {}))):
        pass
    wb.seal()
    return actor


def act_for(user: str) -> None:
    """From now on this process acts for another user of the operating system, whom the kernel named at the other end of
    the service's socket. For the whole process and for good: no part of it may fall back to the service account."""
    _Asking.user = user


def system_user() -> str:
    """Return the operating system's user of this process: asked of the system, since an environment can be written."""
    if _Asking.user is not None:
        return _Asking.user
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        return f"uid-{os.getuid()}"


def _known(wb: Workbench) -> str:
    return ", ".join(person.name for person in people(wb) if not person.closed) if wb.demo else "-"


def first_steward(wb: Workbench) -> Actor:
    """Return the actor who may load into this home; a home without accounts makes its first user its data steward."""
    if people(wb):
        return acting_as(wb, None)
    user = system_user()
    steward = Actor(user, Role.DATA_STEWARD, user)
    person = {"name": user, "display": user, "role": Role.DATA_STEWARD.value, "os_user": user}
    with wb.store.write(event(steward, "user.manage", subject=user, payload={"first": True, "os_user": user})) as write:
        if write.connection.execute(select(users.c.name).limit(1)).first() is None:
            write.connection.execute(insert(users).values(person))
    return acting_as(wb, None)


def check_independent(wb: Workbench, actor: Actor, author: str, protocol: Mapping[str, Any]) -> None:
    """Check that a decision is somebody else's than the author's of what is decided, and nobody's of the study.

    Raises `Refused`: `governance.self_approval`; `governance.same_person` where both accounts are, or were, one user's
    of the operating system; `governance.own_study` where the protocol names the actor among its members, in whatever
    role: roles change, and who worked in a study does not decide on it.
    """
    policy.check_other_person(author, actor.name)
    behind = _os_users(wb)
    if behind.get(author.casefold(), set()) & behind.get(actor.name.casefold(), set()):
        raise Refused("governance.same_person", name=actor.name, author=author)
    if any(not policy.can_review(member["user"], actor.name) for member in protocol["members"]):
        raise Refused("governance.own_study", name=actor.name, study=protocol["study"])


def _os_users(wb: Workbench) -> dict[str, set[str]]:
    """Return every user of the operating system that each account was ever given, as the log has it, by the account's
    name in lower case."""
    query = select(audit.c.subject, payloads.c.body).join(payloads, payloads.c.seq == audit.c.seq)
    with wb.store.read() as connection:
        rows = connection.execute(query.where(audit.c.verb == "user.manage", audit.c.outcome == "done")).all()
    found: dict[str, set[str]] = {}
    for name, body in rows:
        if body.get("os_user"):
            found.setdefault(str(name).casefold(), set()).add(body["os_user"])
    return found


def add_person(wb: Workbench, actor: Actor, person: Person) -> Person:
    """Add or change an account; only a data steward may. Nobody changes the own role."""
    with acting(wb, actor, "user.manage", subject=person.name):
        if person.name == actor.name:
            raise Refused("services.own_role")
        if any(other.closed for other in people(wb) if other.name == person.name):
            raise Refused("services.account_closed", name=person.name)
        taken = [other.name for other in people(wb) if other.os_user and other.os_user == person.os_user]
        if taken and taken != [person.name]:
            raise InvalidInput("services.os_user_taken", os_user=person.os_user)
        _keep(wb, actor, person)
    return person


def _keep(wb: Workbench, actor: Actor, person: Person) -> None:
    before = next((other for other in people(wb) if other.name == person.name), None)
    payload = {
        "user": person.name,
        "role": person.role.value,
        "os_user": person.os_user,
        "role_before": before.role.value if before else None,
        "os_user_before": before.os_user if before else None,
    }
    with wb.store.write(event(actor, "user.manage", subject=person.name, payload=payload)) as write:
        write.connection.execute(delete(users).where(users.c.name == person.name))
        row = {"name": person.name, "display": person.display, "role": person.role.value, "os_user": person.os_user}
        write.connection.execute(insert(users).values(row))
