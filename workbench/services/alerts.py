"""Alerts: patterns of one person's questions, noted in the log once a window and listed for the officer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from workbench.governance.actors import Actor
from workbench.governance.patterns import PATTERNS, VERBS, Pattern
from workbench.kernel import clock
from workbench.services.context import Workbench, acting
from workbench.services.expiry import SYSTEM
from workbench.store.chain import Event
from workbench.store.tables import audit, payloads

ALERT = "alert.raise"
LOOKED_AT = 20_000
"""Entries of the log, the newest, in which a pattern is looked for."""


@dataclass(frozen=True)
class Alert:
    """A pattern of one person's questions: which (a code of `governance.patterns`), how many in how many hours."""

    seq: int
    time: str
    person: str
    pattern: str
    questions: int
    hours: int


def watch(wb: Workbench, actor: Actor) -> None:
    """Raise an alert for each pattern that a person's questions make by now, where none was raised in its window."""
    now = clock.timestamp()
    raised, asked = _recent(wb, actor.name, min(_since(now, each) for each in PATTERNS))
    for pattern in PATTERNS:
        since = _since(now, pattern)
        if any(time >= since and body["pattern"] == pattern.code for time, body in raised):
            continue
        count = sum(time >= since and _is(pattern, body) for time, body in asked)
        if count >= pattern.questions:
            facts = {"pattern": pattern.code, "questions": count, "hours": pattern.hours}
            with wb.store.write(Event(SYSTEM, SYSTEM, ALERT, subject=actor.name, payload=facts)):
                pass


def _is(pattern: Pattern, body: dict[str, Any]) -> bool:
    return pattern.kind == "all" or body.get(pattern.kind, 0) > 0


def _since(now: str, pattern: Pattern) -> str:
    return clock.written(datetime.fromisoformat(now) - timedelta(hours=pattern.hours))


def _recent(wb: Workbench, person: str, since: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """The alerts about a person and the person's questions of late, each as time and payload."""
    with wb.store.read() as connection:
        last = connection.execute(select(audit.c.seq).order_by(audit.c.seq.desc()).limit(1)).scalar() or 0
        query = (
            select(audit.c.verb, audit.c.time, payloads.c.body)
            .join(payloads, payloads.c.seq == audit.c.seq)
            .where(audit.c.seq > last - LOOKED_AT, audit.c.time >= since, audit.c.outcome == "done")
        )
        alerts = connection.execute(query.where(audit.c.verb == ALERT, audit.c.subject == person)).all()
        asked = connection.execute(query.where(audit.c.verb.in_(VERBS), audit.c.actor == person)).all()
    return [(time, body) for _, time, body in alerts], [(time, body) for _, time, body in asked]


def list_alerts(wb: Workbench, actor: Actor) -> list[Alert]:
    """Return every alert, the newest first; for the ethics officer."""
    with acting(wb, actor, "alert.read"), wb.store.read() as connection:
        query = select(audit, payloads.c.body).join(payloads, payloads.c.seq == audit.c.seq)
        rows = connection.execute(query.where(audit.c.verb == ALERT).order_by(audit.c.seq.desc())).mappings()
        return [
            Alert(
                seq=row["seq"],
                time=row["time"],
                person=row["subject"],
                pattern=row["body"]["pattern"],
                questions=row["body"]["questions"],
                hours=row["body"]["hours"],
            )
            for row in rows
        ]
