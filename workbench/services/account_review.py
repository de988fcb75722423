"""The review of rights: who holds which role, in which study, and when it was last used; confirmed once a year.

An officer confirms the digest of what was read. It names accounts, roles, studies and remarks, and no time of day: what
was only used meanwhile is still what was read (docs/decisions/0025-reviews-and-vaults.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from workbench.governance.actors import Actor
from workbench.kernel import clock
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import Refused
from workbench.kernel.schemas import validate
from workbench.services import people, studies
from workbench.services.context import Workbench, acting, event
from workbench.services.expiry import today
from workbench.store import documents
from workbench.store.documents import State
from workbench.store.store import Write
from workbench.store.tables import audit

REVIEW: Final = "account_review"
UNUSED_DAYS: Final = 182
"""Six months: from then on an account, or a role in a study, counts as unused."""
_LIVE: Final = frozenset({"draft", "open"})


@dataclass(frozen=True)
class Place:
    """A role in a study under way; `last` is the day of the person's last entry about it, None without any."""

    study: str
    title: str
    role: str
    last: date | None
    unused: bool


@dataclass(frozen=True)
class Account:
    """An account as a review sees it: `signed_in` and `acted` are the days of the last session of the app and of the
    last entry of the log, None without any."""

    name: str
    display: str
    role: str
    os_user: str | None
    closed: bool
    signed_in: date | None
    acted: date | None
    unused: bool
    studies: tuple[Place, ...]


@dataclass(frozen=True)
class Due:
    """When a review is due: the day of the last one, None without any, and the day by which the next is owed."""

    last: date | None
    next: date
    overdue: bool


@dataclass(frozen=True)
class ReviewView:
    """What there is to review now, its digest, when the last review was and the next is due."""

    id: str
    digest: str
    accounts: tuple[Account, ...]
    due: Due


def show_review(wb: Workbench, actor: Actor) -> ReviewView:
    """Return accounts with their rights and use: open ones first, unused before used, by name."""
    with acting(wb, actor, "user.review"):
        mine = [view for view in studies.list_studies(wb, actor) if view.state in _LIVE]
        with wb.store.read() as connection:
            return _view(wb, connection, mine)


def confirm_review(wb: Workbench, actor: Actor, *, digest: str, reason: str) -> ReviewView:
    """Record that the rights were reviewed, as they were read; what is wrong is mended before, or said in the reason.

    Raises `Refused`: `governance.reason_needed`, `services.review_changed` where `digest` is not the one that stands.
    """
    with acting(wb, actor, "user.review"):
        if not reason.strip():
            raise Refused("governance.reason_needed", transition="review")
        mine = [view for view in studies.list_studies(wb, actor) if view.state in _LIVE]
        confirmed = event(actor, "user.review", reason=reason)
        with wb.store.write(confirmed) as write:
            view = _view(wb, write.connection, mine)
            if digest != view.digest:
                raise Refused("services.review_changed")
            _keep(write, view)
    return show_review(wb, actor)


def review_due(wb: Workbench) -> Due:
    """Return when the rights are to be reviewed: a year after the last review, or after the home was made."""
    with wb.store.read() as connection:
        return _due(wb, connection)


def _keep(write: Write, view: ReviewView) -> None:
    body = _body(view.accounts)
    validate(body, REVIEW)
    write.event.subject = view.id
    write.event.after = documents.put(write, REVIEW, view.id, body)
    write.event.payload = {"unused": sum(each.unused for each in view.accounts if not each.closed)}
    documents.set_state(write, State(REVIEW, "accounts", view.digest, None, "confirmed", None, ""))


def _view(wb: Workbench, connection: Connection, mine: Sequence[studies.StudyView]) -> ReviewView:
    seen = (
        select(audit.c.actor, audit.c.study, func.max(audit.c.time))
        .where(audit.c.outcome != "denied")
        .group_by(audit.c.actor, audit.c.study)
    )
    used = {(name, study): _day(moment) for name, study, moment in connection.execute(seen)}
    opened = select(audit.c.actor, func.max(audit.c.time)).where(audit.c.verb == "session.open")
    sessions = {name: _day(moment) for name, moment in connection.execute(opened.group_by(audit.c.actor))}
    since = today(wb) - timedelta(days=UNUSED_DAYS)
    found: list[Account] = []
    for person in people.people(wb, connection):
        acted = max((day for (name, _), day in used.items() if day and name == person.name), default=None)
        places = [
            _place(view, member["role"], used.get((person.name, view.id)), since)
            for view in mine
            for member in view.protocol["members"]
            if member["user"] == person.name and not person.closed
        ]
        idle = not person.closed and (acted is None or acted < since)
        found.append(
            Account(
                person.name, person.display, person.role.value, person.os_user, person.closed,
                sessions.get(person.name), acted, idle, tuple(places),
            )
        )  # fmt: skip
    accounts = tuple(sorted(found, key=lambda each: (each.closed, not each.unused, each.name)))
    digest = digest_document(_body(accounts))
    return ReviewView(f"rev-{short(digest)}", digest, accounts, _due(wb, connection))


def _place(view: studies.StudyView, role: str, last: date | None, since: date) -> Place:
    return Place(view.id, view.title, role, last, last is None or last < since)


def _body(accounts: Sequence[Account]) -> dict[str, Any]:
    return {
        "format": "workbench/account_review/1",
        "accounts": [
            {
                "name": each.name, "role": each.role, "os_user": each.os_user, "closed": each.closed,
                "unused": each.unused,
                "studies": [{"study": at.study, "role": at.role, "unused": at.unused} for at in each.studies],
            }
            for each in sorted(accounts, key=lambda each: each.name)
        ],
    }  # fmt: skip


def _due(wb: Workbench, connection: Connection) -> Due:
    state = documents.state(connection, REVIEW, "accounts")
    last = _day(state.changed_at) if state else None
    return due_after(wb, last, last or _day(connection.execute(select(func.min(audit.c.time))).scalar()))


def due_after(wb: Workbench, last: date | None, begun: date | None) -> Due:
    """Return when something that is owed once a year is due: `review_days` after `begun`."""
    now = today(wb)
    owed = (begun or now) + timedelta(days=wb.settings.review_days)
    return Due(last, owed, owed < now)


def _day(moment: str | None) -> date | None:
    return clock.day_of(moment) if moment else None
