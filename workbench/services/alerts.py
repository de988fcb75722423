"""Alerts: patterns of one person's questions, noted in the log once a window and listed for the officer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, case, func, select

from workbench.governance.actors import Actor
from workbench.governance.patterns import PATTERNS, VERBS, Pattern
from workbench.kernel import clock
from workbench.services.context import Workbench, acting
from workbench.services.expiry import SYSTEM
from workbench.store.chain import Event
from workbench.store.tables import audit, payloads

ALERT = "alert.raise"
LOOKED_AT = 5_000
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
    now = clock.now()
    since = {each: clock.written(now - timedelta(hours=each.hours)) for each in PATTERNS}
    counts, raised = _recent(wb, actor.name, since)
    for pattern in PATTERNS:
        if counts[pattern] < pattern.questions or raised.get(pattern.code, "") >= since[pattern]:
            continue
        facts = {"pattern": pattern.code, "questions": counts[pattern], "hours": pattern.hours}
        with wb.store.write(Event(SYSTEM, SYSTEM, ALERT, subject=actor.name, payload=facts)):
            pass


def _recent(wb: Workbench, person: str, since: Mapping[Pattern, str]) -> tuple[dict[Pattern, int], dict[str, str]]:
    """How many questions of each pattern a person asked of late, and when each pattern was last raised."""
    with wb.store.read() as connection:
        last = connection.execute(select(audit.c.seq).order_by(audit.c.seq.desc()).limit(1)).scalar() or 0
        lately = (audit.c.seq > last - LOOKED_AT, audit.c.time >= min(since.values()), audit.c.outcome == "done")
        sums = [func.sum(case((and_(audit.c.time >= since[each], *_is(each)), 1), else_=0)) for each in since]
        joined = select(*sums).join_from(audit, payloads, payloads.c.seq == audit.c.seq)
        row = connection.execute(joined.where(*lately, audit.c.verb.in_(VERBS), audit.c.actor == person)).one()
        alerts = select(audit.c.time, payloads.c.body).join(payloads, payloads.c.seq == audit.c.seq)
        told = connection.execute(alerts.where(*lately, audit.c.verb == ALERT, audit.c.subject == person)).all()
    counts = {each: int(count or 0) for each, count in zip(since, row, strict=True)}
    return counts, {body["pattern"]: time for time, body in sorted(told, key=lambda each: each[0])}


def _is(pattern: Pattern) -> list[ColumnElement[bool]]:
    """The condition that a question is of a pattern's kind."""
    return [] if pattern.kind == "all" else [payloads.c.body[pattern.kind].as_integer() > 0]


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
