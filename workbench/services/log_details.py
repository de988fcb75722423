"""The details of accesses: who opened what, and the erasing of these details after their period."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select

from workbench.governance import log_periods
from workbench.governance.actors import Actor
from workbench.kernel import clock
from workbench.kernel.errors import Refused
from workbench.services.context import Workbench, acting, event
from workbench.store.tables import audit, payloads


@dataclass(frozen=True)
class Forgotten:
    """What was erased: the payloads of `erased` accesses, up to entry `through`, all at least `days` old."""

    through: int
    erased: int
    days: int


@dataclass(frozen=True)
class Seen:
    """What one person looked at or took: which act on which thing, how often, and when first and last."""

    actor: str
    role: str
    verb: str
    study: str | None
    subject: str | None
    times: int
    first: str
    last: str


def forget(wb: Workbench, actor: Actor, reason: str, days: int = log_periods.USUAL) -> Forgotten:
    """Erase the payloads of accesses that are older than a period; who, when and what stay, and `verify` passes.

    Raises `InvalidInput` (`audit.period`) for a period outside what the law gives, `Refused`
    (`governance.reason_needed`) without a reason and `audit.nothing_to_forget` where nothing is that old.
    """
    with acting(wb, actor, log_periods.FORGET):
        period = log_periods.check_period(days)
        if not reason.strip():
            raise Refused("governance.reason_needed", transition="forget")
        until = clock.written(clock.now() - period)
        accesses = select(audit.c.seq).where(audit.c.verb.in_(log_periods.ACCESS_VERBS), audit.c.time <= until)
        with wb.store.write(event(actor, log_periods.FORGET, reason=reason)) as write:
            through = write.connection.execute(select(func.max(audit.c.seq)).where(audit.c.time <= until)).scalar()
            erased = write.connection.execute(delete(payloads).where(payloads.c.seq.in_(accesses))).rowcount
            if not erased:
                raise Refused("audit.nothing_to_forget", days=days)
            write.event.payload = {"through": through, "erased": erased, "days": days}
        wb.store.flush()
    return Forgotten(through or 0, erased, days)


def who_saw(wb: Workbench, actor: Actor, ref: str | None = None) -> list[Seen]:
    """Return who opened, counted or took what, the last first; of one study or one thing where `ref` names it."""
    with acting(wb, actor, "audit.read"), wb.store.read() as connection:
        what = (audit.c.actor, audit.c.role, audit.c.verb, audit.c.study, audit.c.subject)
        query = select(
            *what,
            func.count().label("times"),
            func.min(audit.c.time).label("first"),
            func.max(audit.c.time).label("last"),
        ).where(audit.c.verb.in_(log_periods.ACCESS_VERBS - {"session.open"}), audit.c.outcome == "done")
        if ref is not None:
            query = query.where((audit.c.study == ref) | (audit.c.subject == ref))
        rows = connection.execute(query.group_by(*what).order_by(func.max(audit.c.time).desc())).mappings()
        return [Seen(**dict(row)) for row in rows]
