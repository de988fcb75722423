"""What is said of one person and one cohort: values, and their words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from workbench.cohorts.describe import member_text
from workbench.cohorts.plan import Demographics, Match
from workbench.kernel.text import Lang, say


def _say(key: str, lang: Lang, **facts: object) -> str:
    return say(f"cohort.why_{key}", lang, **facts)


@dataclass(frozen=True)
class Criterion:
    """One criterion on one entry event: whether it holds, and the days from that event to what it counted.

    `days` is None for what is asked of the person (age, sex); it holds the earliest ones, `found` counts them all.
    """

    asked: Match | Demographics
    holds: bool
    days: tuple[int, ...] | None
    found: int

    def text(self, lang: Lang) -> str:
        """Return the criterion, its verdict and the days."""
        verdict, words = _say("yes" if self.holds else "no", lang), member_text(self.asked, lang)
        if self.days is None:
            return _say("person_test", lang, verdict=verdict, text=words)
        days = ", ".join(str(day).replace("-", "−") for day in self.days)
        if self.found > len(self.days):
            days = _say("more", lang, days=days, more=self.found - len(self.days))
        found = _say("found", lang, days=days) if self.days else _say("none_found", lang)
        return _say("criterion", lang, verdict=verdict, text=words, found=found)


@dataclass(frozen=True)
class RuleVerdict:
    """One rule on one entry event, with each of its criteria (those of nested groups too)."""

    name: str
    holds: bool
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True)
class EntryEvent:
    """One observed entry event: its day (from the first one), the days observed around it, what was judged on it.

    `rules` is empty where it was not `qualified`: rules are judged on what the additional criteria and limits leave.
    """

    day: int
    observed_before: int
    observed_after: int
    additional: RuleVerdict | None
    qualified: bool
    rules: tuple[RuleVerdict, ...]
    included: bool

    @property
    def verdict(self) -> str:
        """Return the code of what became of it: kept, additional_failed, rule_failed or limit."""
        if self.included:
            return "kept"
        if self.additional is not None and not self.additional.holds:
            return "additional_failed"
        return "rule_failed" if any(not rule.holds for rule in self.rules) else "limit"


@dataclass(frozen=True)
class Explanation:
    """Why one person is in a cohort or not. `periods` are days from the first entry event, whose date is `anchor`."""

    events_with_codes: int
    events_with_attributes: int
    entries: tuple[EntryEvent, ...]
    periods: tuple[tuple[int, int], ...]
    anchor: date | None

    @property
    def in_cohort(self) -> bool:
        """Return whether the person has a period in the cohort."""
        return bool(self.periods)

    def lines(self, lang: Lang) -> list[str]:
        """Return the explanation, one line a fact, without any date."""
        return list(self._lines(lang))

    def _lines(self, lang: Lang) -> Iterator[str]:
        periods = ", ".join(_say("period", lang, start=start, end=end) for start, end in self.periods)
        yield _say("in", lang, periods=periods) if self.periods else _say("out", lang)
        counts = {"events": self.events_with_codes, "attributes": self.events_with_attributes}
        yield _say("codes", lang, observed=len(self.entries), **counts)
        if not self.entries:
            yield _say("no_entry", lang)
        for entry in self.entries:
            facts = {"day": entry.day, "before": entry.observed_before, "after": entry.observed_after}
            yield _say("entry", lang, verdict=_say(entry.verdict, lang), **facts)
            if entry.additional is not None:
                verdict = _say("yes" if entry.additional.holds else "no", lang)
                yield f"  {_say('additional', lang, verdict=verdict)}"
                yield from (f"    {each.text(lang)}" for each in entry.additional.criteria)
            for number, rule in enumerate(entry.rules, 1):
                verdict = _say("yes" if rule.holds else "no", lang)
                key = "rule" if rule.name else "rule_unnamed"
                yield f"  {_say(key, lang, name=rule.name, number=number, verdict=verdict)}"
                yield from (f"    {each.text(lang)}" for each in rule.criteria)
