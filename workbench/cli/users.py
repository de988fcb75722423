"""`workbench user`: accounts, for the data steward."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, Reason, give, opened, table, words
from workbench.governance.actors import Role
from workbench.services import closing, people
from workbench.services.people import Person

app = typer.Typer(no_args_is_help=True, help="Accounts: who acts, in which role.")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The account's name; it stays.")],
    role: Annotated[Role, typer.Option("--role", help="What this person may do.")],
    display: Annotated[str, typer.Option("--display", help="The name that pages show.")] = "",
    os_user: Annotated[str | None, typer.Option("--os-user", help="This person's user on this machine.")] = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Add or change an account."""
    with opened(home, as_name) as (wb, actor):
        person = people.add_person(wb, actor, Person(name, display or name, role, os_user))
    give(
        as_json,
        {"id": person.name, "state": "active", **asdict(person)},
        words("user_added", name=name, role=role.value),
    )


@app.command("close")
def close(
    name: Annotated[str, typer.Argument(help="The account's name.")],
    reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Close an account for good: its sessions end at once, its roles in studies end."""
    with opened(home, as_name) as (wb, actor):
        person = closing.close_account(wb, actor, name, reason)
    give(as_json, {"id": person.name, "state": "closed", **asdict(person)}, words("user_closed", name=name))


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the accounts."""
    with opened(home, as_name) as (wb, _actor):
        found = people.people(wb)
    give(as_json, [asdict(person) for person in found])
    if not as_json:
        rows = [
            (p.name, p.display, p.role.value, p.os_user or "–", words("user_is_closed") if p.closed else "")
            for p in found
        ]
        table((words("id"), words("name"), words("role"), words("os_user"), ""), rows)


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="user")
