"""`workbench user`: accounts, for the data steward."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, Reason, give, opened, table, tell, words
from workbench.governance.actors import Role
from workbench.services import account_review, closing, people
from workbench.services.account_review import Account, ReviewView
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


@app.command("review")
def review(
    confirm: Annotated[
        str, typer.Option("--confirm", help="Record this review, by the digest that was read; needs --reason.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="What was found, and what was done about it.")] = "",
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Review the rights: who holds which role, in which study, last used when; and confirm it, once a year."""
    with opened(home, as_name) as (wb, actor):
        if confirm:
            view = account_review.confirm_review(wb, actor, digest=confirm, reason=reason)
            give(as_json, _document(view, "confirmed"), words("user_reviewed", next=view.due.next.isoformat()))
            return
        view = account_review.show_review(wb, actor)
    give(as_json, _document(view, "overdue" if view.due.overdue else "due"))
    if not as_json:
        heads = [words(name) for name in ("id", "role", "os_user", "user_signed_in", "user_acted", "user_studies")]
        table([*heads, ""], [_reviewed(each) for each in view.accounts])
        last = view.due.last.isoformat() if view.due.last else words("user_never")
        late = words("user_overdue") if view.due.overdue else ""
        tell(words("user_review", digest=view.digest, last=last, next=view.due.next.isoformat(), overdue=late))


def _document(view: ReviewView, state: str) -> dict[str, object]:
    return {"state": state, **asdict(view)}


def _reviewed(account: Account) -> tuple[str, ...]:
    places = [
        f"{at.study} ({at.role}{', ' + words('user_unused') if at.unused else ''})" for at in account.studies
    ]  # fmt: skip
    remark = words("user_is_closed") if account.closed else words("user_unused") if account.unused else ""
    days = [day.isoformat() if day else "–" for day in (account.signed_in, account.acted)]
    return (account.name, account.role, account.os_user or "–", *days, "; ".join(places) or "–", remark)


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="user")
