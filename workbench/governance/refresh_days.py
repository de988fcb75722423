"""The days of a study's refreshes: listed, or an interval that is written out before anybody approves it.

The stored protocol holds days alone, so that its digest, which the officer approves, fixes each of them.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from workbench.kernel.errors import InvalidInput

MOST: Final = 120
"""Refreshes of one study, as the protocol's schema has it: ten years of months."""
_KNOWN: Final = frozenset({"every_months", "from", "until"})


def written_out(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return a protocol whose `refresh_on`, where it is an interval, is the list of its days; any other as it is.

    An interval is `{"every_months": 3, "from": "2027-01-31", "until": "2027-12-31"}`; without `until` it goes on to the
    study's last day (`ends_on`). Months are counted from the first day, and a month too short for it gives its own
    last day: 31 January, 30 April, 31 July. Raises `InvalidInput`: `governance.refresh_interval`, which says the form,
    and `governance.refresh_without_end` where nothing ends it.
    """
    asked = protocol.get("refresh_on")
    if not isinstance(asked, Mapping):
        return dict(protocol)
    interval: dict[str, Any] = {str(name): value for name, value in asked.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    months, first = _months(interval.get("every_months")), _day(interval.get("from"))
    last = _day(interval["until"]) if "until" in interval else _end(protocol)
    if first > last or not interval.keys() <= _KNOWN:
        raise InvalidInput("governance.refresh_interval")
    days: list[str] = []
    while (day := _after(first, months * len(days))) <= last:
        days.append(day.isoformat())
        if len(days) > MOST:
            raise InvalidInput("governance.refresh_interval")
    return {**protocol, "refresh_on": days}


def _months(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST:
        raise InvalidInput("governance.refresh_interval")
    return value


def _end(protocol: Mapping[str, Any]) -> date:
    if not protocol.get("ends_on"):
        raise InvalidInput("governance.refresh_without_end")
    return _day(protocol["ends_on"])


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise InvalidInput("governance.refresh_interval") from None


def _after(day: date, months: int) -> date:
    """Return the same day so many months later, or the last one of that month where it is shorter."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if year > date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
