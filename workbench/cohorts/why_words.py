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


MOST_DAYS = 20
"""So many days are written out; the rest are counted."""


@dataclass(frozen=True)
class Criterion:
    """One criterion on one entry event: whether it holds, and the days from that event to what it counted.

    `days` is None for what is asked of the person (age, sex). Where `holds` is None too, neither is shown: what the
    criterion reads is not the reader's to see.
    """

    asked: Match | Demographics
    holds: bool | None
    days: tuple[int, ...] | None

    @property
    def found(self) -> int:
        """Return how many events it counted."""
        return len(self.days or ())

    def text(self, lang: Lang) -> str:
        """Return the criterion, its verdict and the days."""
        words = member_text(self.asked, lang)
        if self.holds is None:
            return _say("withheld", lang, text=words)
        verdict = _say("yes" if self.holds else "no", lang)
        if self.days is None:
            return _say("person_test", lang, verdict=verdict, text=words)
        days = ", ".join(str(day).replace("-", "−") for day in self.days[:MOST_DAYS])
        if self.found > MOST_DAYS:
            days = _say("more", lang, days=days, more=self.found - MOST_DAYS)
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

    def judged(self, lang: Lang) -> Iterator[tuple[str, RuleVerdict]]:
        """Yield what was judged on it, each with its name and verdict in words."""
        if self.additional is not None:
            yield _say("additional", lang, verdict=_verdict(self.additional, lang)), self.additional
        for number, rule in enumerate(self.rules, 1):
            key = "rule" if rule.name else "rule_unnamed"
            yield _say(key, lang, name=rule.name, number=number, verdict=_verdict(rule, lang)), rule


@dataclass(frozen=True)
class Explanation:
    """Why one person is in a cohort or not. `periods` are days from the first entry event, whose date is `anchor`.

    The two counts of events are None where they are not the reader's to see.
    """

    events_with_codes: int | None
    events_with_attributes: int | None
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
        if self.events_with_codes is not None:
            counts = {"events": self.events_with_codes, "attributes": self.events_with_attributes}
            yield _say("codes", lang, observed=len(self.entries), **counts)
        if not self.entries and not self.periods:
            yield _say("no_entry", lang)
        for entry in self.entries:
            facts = {"day": entry.day, "before": entry.observed_before, "after": entry.observed_after}
            yield _say("entry", lang, verdict=_say(entry.verdict, lang), **facts)
            for title, rule in entry.judged(lang):
                yield f"  {title}"
                yield from (f"    {each.text(lang)}" for each in rule.criteria)


def _verdict(rule: RuleVerdict, lang: Lang) -> str:
    return _say("yes" if rule.holds else "no", lang)
