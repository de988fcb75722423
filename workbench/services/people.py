"""Who acts: accounts, and the actor of a command or a session."""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services.context import Workbench, acting, event
from workbench.store.tables import users


@dataclass(frozen=True)
class Person:
    """An account: its name, the name shown, the role, and the operating system's user that acts as it."""

    name: str
    display: str
    role: Role
    os_user: str | None


STEWARD = Actor("steward", Role.DATA_STEWARD, "Data steward")


def people(wb: Workbench) -> list[Person]:
    """Return all accounts by name."""
    with wb.store.read() as connection:
        rows = connection.execute(select(users).order_by(users.c.name)).mappings().all()
    return [Person(row["name"], row["display"], Role(row["role"]), row["os_user"]) for row in rows]


def actor_named(wb: Workbench, name: str) -> Actor:
    """Return the actor of an account; raises `store.unknown_user` where there is none."""
    known = {person.name: person for person in people(wb)}
    if name not in known:
        names = ", ".join(sorted(known)) if wb.demo else "-"
        raise Refused("store.unknown_user", user=name, known=names)
    person = known[name]
    return Actor(person.name, person.role, person.display)


def acting_as(wb: Workbench, name: str | None) -> Actor:
    """Return the actor of a command: the operating system's user, or `name` (`--as`) in a demonstration home."""
    if name is not None:
        if not wb.demo:
            raise Refused("store.as_refused")
        return actor_named(wb, name)
    user = getpass.getuser()
    for person in people(wb):
        if person.os_user == user:
            return Actor(person.name, person.role, person.display)
    return actor_named(wb, user)


def first_steward(wb: Workbench) -> Actor:
    """Return the actor who may load into this home; a home without accounts makes its first user its data steward."""
    if people(wb):
        return acting_as(wb, None)
    user = getpass.getuser()
    steward = Actor(user, Role.DATA_STEWARD, user)
    _keep(wb, steward, Person(user, user, Role.DATA_STEWARD, user))
    return steward


def add_person(wb: Workbench, actor: Actor, person: Person) -> Person:
    """Add or change an account; only a data steward may. Nobody changes the own role."""
    with acting(wb, actor, "user.manage", subject=person.name):
        if person.name == actor.name:
            raise Refused("services.own_role")
        taken = [other.name for other in people(wb) if other.os_user and other.os_user == person.os_user]
        if taken and taken != [person.name]:
            raise InvalidInput("services.os_user_taken", os_user=person.os_user)
        _keep(wb, actor, person)
    return person


def _keep(wb: Workbench, actor: Actor, person: Person) -> None:
    payload = {"user": person.name, "role": person.role.value}
    with wb.store.write(event(actor, "user.manage", subject=person.name, payload=payload)) as write:
        write.connection.execute(delete(users).where(users.c.name == person.name))
        row = {"name": person.name, "display": person.display, "role": person.role.value, "os_user": person.os_user}
        write.connection.execute(insert(users).values(row))
