"""What a number of persons may look like in the feasibility space: masked below 11, else rounded to 5.

There is no parameter: a threshold that configuration can switch off is not a threshold.

Zero stays hidden with 1 to 10. Shown apart, it would tell that "1 to 10" is not zero, and of a group that it holds
nobody: both are statements about single persons (a zero cell next to a known total gives its complement away).

Funnels and differences: shown numbers are multiples of 5, each up to 2 away from the truth (up to 4 below 18), so a
shown difference of 5 stands for any true difference from 1 to 9 and one of 10 for 6 to 14; where the workbench itself
shows a difference, it masks it below 11. So a shown difference never *states* 1 to 10 persons.

Repeated counting of nearly equal groups would average the rounding out. Where a person's own question decides who is
counted, numbers are therefore sticky (`show`): a group that differs by 1 to 10 persons from one shown before is shown
as that one was. `shown` alone is for numbers that a release fixes and nobody chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from workbench.governance.populations import Population
from workbench.kernel.text import say

THRESHOLD: Final = 11
"""The smallest number of persons that is shown at all (governance.md: 1–10 hidden)."""

BASE: Final = 5
"""Shown numbers are multiples of this."""

LOWEST: Final = 15
"""The smallest shown number: 11 and 12 become 15, not 10, which would be narrower than all others and look masked."""


@dataclass(frozen=True)
class Shown:
    """A number as people see it: `value` is rounded, or None where it is hidden, or `withheld` for another's sake."""

    value: int | None
    text_fr: str
    text_en: str
    withheld: bool = False


def not_shown() -> Shown:
    """Return how a number is shown that would give a hidden one away (`workbench.governance.suppression`)."""
    return Shown(None, *_both("governance.withheld"), withheld=True)


class Space(Protocol):
    """Who can count together, and what they were shown (`workbench.governance.sticky`)."""

    def values(self, populations: Sequence[Population]) -> list[int | None]:
        """Return the rounded number of each population, None where it is hidden: the one shown before, or a new one."""
        ...


def show(space: Space, population: Population) -> Shown:
    """Return how the number of a population is shown in a space, and remember it there."""
    return as_shown(space.values([population])[0])


def shown(n: int) -> Shown:
    """Return how a true number of persons `n` (0 or more) is shown; never the true number itself."""
    return as_shown(rounded(n))


def rounded(n: int) -> int | None:
    """Return a true number (0 or more) masked, then rounded: None below 11."""
    return None if n < THRESHOLD else max(LOWEST, BASE * ((n + BASE // 2) // BASE))


def as_shown(value: int | None) -> Shown:
    """Return the words of a number that is rounded, or hidden, already."""
    if value is None:
        return Shown(None, *_both("governance.hidden_count", limit=str(THRESHOLD)))
    french = f"{value:,}".replace(",", "\u202f")
    return Shown(value, say("governance.about", "fr", value=french), say("governance.about", "en", value=f"{value:,}"))


def shown_losses(steps: Sequence[int]) -> tuple[Shown, ...]:
    """Return how the losses between the successive steps of a funnel are shown, one fewer than `steps`.

    Each loss is the difference of the two *shown* steps, never the rounded true loss: a reader can subtract, so
    anything else would add information. It is hidden where either step is hidden or the difference is below 11.
    """
    return tuple(_loss(shown(before), shown(after)) for before, after in pairwise(steps))


def _loss(before: Shown, after: Shown) -> Shown:
    if before.value is None or after.value is None:
        return shown(0)
    return shown(before.value - after.value)


def _both(key: str, **facts: object) -> tuple[str, str]:
    return say(key, "fr", **facts), say(key, "en", **facts)
