"""The values of a Circe document, read one by one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from workbench.kernel.errors import InvalidInput

Json = Mapping[str, Any]
Row = Mapping[str, Any]


def not_covered(where: str, feature: str) -> InvalidInput:
    """Return the error that the interpreter has no rule for something: nothing is skipped in silence."""
    return InvalidInput("cohort.not_supported", path=where, feature=feature)


def number(value: Any) -> Decimal:
    """Return a number; ATLAS writes some as text."""
    return Decimal(str(value).strip())


def whole(value: Any) -> int:
    """Return a whole number, cut towards zero; absent is zero."""
    return 0 if value is None else int(number(value))


def four_decimals(value: Any) -> Decimal:
    """Return a number as Circe writes it: four decimals, halves away from zero."""
    return number(value).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def flag(value: Any) -> bool:
    """Return a yes or no; absent is no, and so are the texts for it."""
    return bool(value) and str(value).lower() not in ("false", "null")


def day(value: Any) -> date:
    """Return a date written year-month-day, with or without a time of day."""
    year, month, day_of_month = (int(part) for part in str(value).strip().split("T")[0].split("-"))
    return date(year, month, day_of_month)


def later(moment: date | None, days: int | None) -> date | None:
    """Return the date some days later; unknown where either is. Beyond the calendar is its edge."""
    if moment is None or days is None:
        return None
    try:
        return moment + timedelta(days)
    except OverflowError:
        return date.max if days > 0 else date.min
