"""Patterns of questions: noted once, for the officer alone, and nothing is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workbench.governance.actors import Actor
from workbench.governance.patterns import PATTERNS
from workbench.kernel import clock
from workbench.kernel.errors import Refused
from workbench.kernel.text import LANGS, say
from workbench.services import alerts
from workbench.services.alerts import Alert, list_alerts, watch
from workbench.services.context import Workbench, event

START = datetime(2036, 1, 1, 8, tzinfo=UTC)


def ask(wb: Workbench, actor: Actor, times: int, **pattern: int) -> None:
    """Log questions with such a pattern, and look after each, as the services that count do."""
    for _ in range(times):
        with wb.store.write(event(actor, "cohort.count", payload=dict(pattern))):
            pass
        watch(wb, actor)


def at(patch: pytest.MonkeyPatch, moment: datetime) -> None:
    patch.setattr(clock, "now", lambda: moment)


def told(found: list[Alert]) -> list[tuple[str, str, int]]:
    return [(alert.person, alert.pattern, alert.questions) for alert in found]


def test_many_nearly_equal_questions_in_an_hour_are_noted_once(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, START)
    ask(wb, researcher, 29, near=1, new=3)
    ask(wb, researcher, 20, near=0, new=3)
    ask(wb, scientist, 29, near=9)
    assert list_alerts(wb, officer) == []
    ask(wb, researcher, 10, near=2)
    assert told(list_alerts(wb, officer)) == [("researcher", "differencing", 30)]
    at(monkeypatch, START + timedelta(minutes=61))
    ask(wb, scientist, 1, near=1)
    assert len(list_alerts(wb, officer)) == 1, "the hour is over"
    ask(wb, researcher, 30, near=1)
    assert told(list_alerts(wb, officer)) == [("researcher", "differencing", 30)] * 2


def test_slow_and_many_questions_are_noted_too(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(8):
        at(monkeypatch, START + timedelta(hours=2 * hour))
        ask(wb, researcher, 20, near=1)
    assert told(list_alerts(wb, officer)) == [("researcher", "differencing_slowly", 150)]


def test_who_may_read_them(wb: Workbench, researcher: Actor, steward: Actor) -> None:
    for actor in (researcher, steward):
        with pytest.raises(Refused):
            list_alerts(wb, actor)


def test_every_pattern_has_its_words() -> None:
    for pattern in PATTERNS:
        for lang in LANGS:
            assert say(f"audit.alert_{pattern.code}", lang, questions=3, hours=1)
    assert max(pattern.questions for pattern in PATTERNS) < alerts.LOOKED_AT
