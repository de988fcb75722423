"""Questions about criteria beside each other: the same twice, the opposite, what can exclude nobody or everybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations
from math import inf

from workbench.cohorts.check_reading import LISTS, Placed, Question, Reading
from workbench.cohorts.document import Part
from workbench.cohorts.plan import Bound, Compare, Demographics, Events, InSet, Match, Window


def _twice(reading: Reading) -> Iterator[Question]:
    """The same criterion twice in one list, the same rule twice under any name."""
    lists = [part.get(name) for part in reading.parts for name in LISTS]
    lists.append(reading.root.get("CensoringCriteria"))
    for part in lists:
        yield from _repeated("criterion_twice", list(part.each()), "")
    yield from _repeated("rule_twice", list(reading.root.get("InclusionRules").each()), "expression")


def _repeated(code: str, parts: list[Part], member: str) -> Iterator[Question]:
    seen: dict[str, Part] = {}
    for part in parts:
        value = part.get(member).value if member else part.value
        text = json.dumps(value, sort_keys=True, default=str)
        if text in seen:
            yield Question(code, part.path, {"other": seen[text].path})
        seen.setdefault(text, part)


@dataclass(frozen=True)
class _Range:
    low: float
    high: float

    def meets(self, other: _Range) -> bool:
        return self.low <= other.high and other.low <= self.high

    def within(self, other: _Range) -> bool:
        return other.low <= self.low and self.high <= other.high


def _counted(match: Match) -> _Range:
    if match.operator == "=":
        return _Range(match.count, match.count)
    return _Range(match.count, inf) if match.operator == ">=" else _Range(0, match.count)


def _days(window: Window) -> _Range:
    def edge(bound: Bound, open_side: float) -> float:
        return open_side if bound.days is None else bound.days

    return _Range(edge(window.low, -inf), edge(window.high, inf))


def _comparable(one: Match, other: Match) -> bool:
    """Whether two matches count the same events, in start windows seen from the same day."""
    if len(one.windows) != 1 or len(other.windows) != 1:
        return False
    same = ("events", "distinct", "same_visit", "beyond_observation")
    sides = one.windows[0].index == other.windows[0].index and one.windows[0].event == other.windows[0].event
    return sides and all(getattr(one, name) == getattr(other, name) for name in same)


def _against(reading: Reading) -> Iterator[Question]:
    """Two criteria that must both hold and cannot, or of which one follows from the other."""
    matches = [(each, each.member) for each in reading.required if isinstance(each.member, Match)]
    implied: set[str] = set()
    for (first, one), (second, other) in combinations(matches, 2):
        if not _comparable(one, other) or one == other:
            continue
        if _excludes(one, other) or _excludes(other, one):
            yield Question("contradiction", second.part.path, {"other": first.part.path})
            continue
        for cause, effect in ((first, second), (second, first)):
            holds = _implies(one, other) if cause is first else _implies(other, one)
            if holds and effect.part.path not in implied:
                implied.add(effect.part.path)
                yield Question("rule_implied", effect.part.path, {"other": cause.part.path})
                break


def _excludes(one: Match, other: Match) -> bool:
    """Whether the events that one asks for, lying in the other's window too, are too many for the other."""
    inside = _days(one.windows[0]).within(_days(other.windows[0]))
    return inside and _counted(one).low > _counted(other).high


def _implies(one: Match, other: Match) -> bool:
    """Whether what one asks for is enough for the other."""
    mine, its = _counted(one), _counted(other)
    inside = _days(one.windows[0]).within(_days(other.windows[0]))
    around = _days(other.windows[0]).within(_days(one.windows[0]))
    enough = its.high == inf and inside and mine.low >= its.low
    return enough or (its.low == 0 and mine.low == 0 and around and mine.high <= its.high < inf)


def _itself(reading: Reading) -> Iterator[Question]:
    """Criteria that the entry event itself meets or breaks, and censoring events that it is."""
    plan = reading.plan
    if plan is None:
        return
    for each in reading.required:
        match = each.member
        if not isinstance(match, Match) or not all(_is_one(events, match.events) for events in plan.entry.events):
            continue
        held = all(window.event == "start" and _holds_zero(window) for window in match.windows) and not match.distinct
        if held and _counted(match).high < 1:
            yield Question("excludes_everybody", each.part.path)
        elif held and _counted(match).low <= 1 and _counted(match).high == inf and match.count > 0:
            yield Question("excludes_nobody", each.part.path)
    for at, events in enumerate(plan.censoring):
        if all(_is_one(entry, events) for entry in plan.entry.events):
            yield Question("censor_at_entry", f"$.CensoringCriteria[{at}]")


def _holds_zero(window: Window) -> bool:
    return window.index == "start" and _Range(0, 0).within(_days(window))


def _is_one(entry: Events, asked: Events) -> bool:
    """Whether each entry event is surely among the events asked for: the same sets, and nothing more asked."""
    if asked.tests or asked.around or asked.adjust or asked.first or asked.period_start or asked.period_end:
        return False
    bare = replace(entry, tests=(), around=None, first=False)
    return bare.adjust is None and bare == asked


def _people(reading: Reading) -> Iterator[Question]:
    """Ages or sexes that must both hold and have nobody in common."""
    found = [(each, each.member) for each in reading.required if isinstance(each.member, Demographics)]
    for (first, one), (second, other) in combinations(found, 2):
        if _disjoint(one, other):
            yield Question("contradiction", second.part.path, {"other": first.part.path})
    yield from _entry_people(reading, [each for each, _ in found])


def _entry_people(reading: Reading, required: list[Placed]) -> Iterator[Question]:
    """Demographics that the entry event's own attributes already exclude."""
    if reading.plan is None or len(reading.plan.entry.events) != 1:
        return
    own = Demographics(tuple(_personal(reading.plan.entry.events[0])))
    for each in required:
        if isinstance(each.member, Demographics) and _disjoint(own, each.member):
            entry = "$.PrimaryCriteria.CriteriaList[0]"
            yield Question("contradiction", each.part.path, {"other": entry})


def _personal(events: Events) -> Iterator[Compare | InSet]:
    moved = events.adjust is not None or events.period_start is not None
    for test in events.tests:
        if isinstance(test, Compare | InSet) and test.field in ("age_at_start", "gender") and not moved:
            yield test


def _disjoint(one: Demographics, other: Demographics) -> bool:
    ages = [_ages(each) for each in (one, other)]
    sexes = [_sexes(each) for each in (one, other)]
    apart = all(each is not None for each in sexes) and not (sexes[0] or set()) & (sexes[1] or set())
    return apart or not ages[0].meets(ages[1])


def _ages(asked: Demographics) -> _Range:
    low, high = -inf, inf
    for test in asked.tests:
        if isinstance(test, Compare) and test.field == "age_at_start" and isinstance(test.value, Decimal):
            value, extent = float(test.value), float(test.extent) if isinstance(test.extent, Decimal) else inf
            bounds = {"=": (value, value), ">=": (value, inf), ">": (value + 1, inf), "<=": (-inf, value),
                      "<": (-inf, value - 1), "between": (value, extent)}.get(test.operator, (-inf, inf))  # fmt: skip
            low, high = max(low, bounds[0]), min(high, bounds[1])
    return _Range(low, high)


def _sexes(asked: Demographics) -> set[int] | None:
    for test in asked.tests:
        if isinstance(test, InSet) and test.field == "gender" and test.concepts is not None and not test.negated:
            return {item.concept_id for item in test.concepts.items} if test.concepts.literal else None
    return None


CHECKS: tuple[Callable[[Reading], Iterator[Question]], ...] = (_twice, _against, _itself, _people)
