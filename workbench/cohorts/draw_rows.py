"""A plan as the rows of its timeline: what is asked, in short words, and where it lies around the entry day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from workbench.cohorts.describe import count_text, event_group_text, event_text, exit_text, limit_tells, member_text
from workbench.cohorts.describe_events import Words, events_text
from workbench.cohorts.describe_windows import telling
from workbench.cohorts.plan import (
    Bound,
    Clip,
    Demographics,
    DrugEra,
    Entry,
    Events,
    Group,
    Match,
    Offset,
    Plan,
    Window,
)
from workbench.kernel.text import Lang, say

Kind = Literal["entry", "observed", "person", "asked", "barred", "cohort", "cohort_era", "censor"]
_SINGLE = 4
"""So many kinds of entry events get a row each; more share one row."""


@dataclass(frozen=True)
class Bar:
    """A stretch of days from the entry's start or end; None is the edge of observation. `mark` says how many."""

    low: int | None
    high: int | None
    kind: Kind
    from_end: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """One row: a heading (empty within a part), what is asked, when, and its bars; `depth` counts groups around it."""

    heading: str
    words: str
    when: str = ""
    bars: tuple[Bar, ...] = ()
    depth: int = 0


def rows(plan: Plan, lang: Lang) -> list[Row]:
    """Return the rows of a plan's timeline, from the entry events to the time in the cohort."""
    return list(_Rows(lang).of(plan))


@dataclass(frozen=True)
class _Rows:
    lang: Lang

    def say(self, key: str, **facts: object) -> str:
        return say(f"cohort.draw_{key}", self.lang, **facts)

    @property
    def words(self) -> Words:
        return Words(self.lang)

    def of(self, plan: Plan) -> Iterator[Row]:
        yield from self._entry(plan.entry)
        if plan.entry.prior_days or plan.entry.post_days:
            bar = Bar(-plan.entry.prior_days, plan.entry.post_days, "observed")
            yield Row(self.say("observed"), self._observed(plan.entry), bars=(bar,))
        if plan.additional is not None and plan.additional.members:
            yield from self._group(plan.additional, self.say("additional"), 0)
        if plan.additional is not None and plan.qualified.kind != "all":
            yield Row("", self.words(f"limit_{plan.qualified.kind}"))
        for number, rule in enumerate(plan.rules, 1):
            yield from self._group(rule.group, rule.name.strip() or self.say("rule", number=number), 0)
        if limit_tells(plan):
            yield Row(self.say("limit"), self.words(f"limit_{plan.limit.kind}"))
        yield from self._exit(plan)

    def _entry(self, entry: Entry) -> Iterator[Row]:
        heading, diamond = self.say("entry"), (Bar(0, 0, "entry"),)
        plain = [events for events in entry.events if events.around is None]
        if len(plain) > _SINGLE:
            texts = self.words("separator").join(self._event(events) for events in plain)
            yield Row(heading, self.say("one_of", count=len(plain), events=texts), bars=diamond)
            heading, plain = "", []
        for events in entry.events:
            if events in plain or events.around is not None:
                words = self._event(events)
                yield Row(heading, words if heading else self.say("or", text=words), bars=diamond)
                heading = ""
            if events.around is not None:
                yield from self._group(events.around, "", 1)
        if entry.limit.kind != "all" and not (len(entry.events) == 1 and entry.events[0].first):
            yield Row("", self.words(f"limit_{entry.limit.kind}"))

    def _event(self, events: Events) -> str:
        return events_text(events, self.words, "one")

    def _observed(self, entry: Entry) -> str:
        sides = (("before", entry.prior_days), ("after", entry.post_days))
        texts = [self.words(f"observed_{side}", days=self.words.days(days)) for side, days in sides if days]
        return self.words.join("and", texts)

    def _group(self, group: Group, heading: str, depth: int) -> Iterator[Row]:
        """The criteria of a group and of the groups in it, under a row that says how many must hold."""
        if group.kind != "all" and (len(group.members) > 1 or group.kind == "at most"):
            yield Row(heading, self._kind(group), depth=depth)
            heading, depth = "", depth + 1
        elif heading and len(group.members) > 1:
            yield Row(heading, self.say("group_all"), depth=depth)
            heading, depth = "", depth + 1
        for member in group.members:
            if isinstance(member, Group):
                yield from self._group(member, heading, depth)
            else:
                yield from self._member(member, heading, depth)
            heading = ""

    def _kind(self, group: Group) -> str:
        if group.kind == "at least" and group.count == 1:
            return self.say("group_any")
        return self.say(f"group_{group.kind.replace(' ', '_')}", count=group.count)

    def _member(self, member: Match | Demographics, heading: str, depth: int) -> Iterator[Row]:
        if isinstance(member, Demographics):
            yield Row(heading, member_text(member, self.lang), bars=(Bar(0, 0, "person"),), depth=depth)
            return
        bare = replace(member, events=replace(member.events, around=None))
        words = count_text(bare, self.lang)
        if member.same_visit:
            words = f"{words} {self.words('same_visit')}"
        windows = telling(member)
        paired, beyond = len(windows) > 1, member.beyond_observation
        when = self.words("separator").join(self._when(each, beyond, paired) for each in windows)
        bars = tuple(_bar(member, each, self.say("end_mark") if each.event == "end" else "") for each in windows)
        yield Row(heading, words, when, bars, depth)
        if member.events.around is not None:
            text = self.say("context", group=event_group_text(member.events.around, self.lang))
            yield Row("", text, depth=depth + 1)

    def _when(self, window: Window, beyond: bool, paired: bool) -> str:
        """A window in short words: “day −365 to −1”."""
        low, high = window.low.days, window.high.days
        if low is None and high is None:
            text = self.say("any_beyond" if beyond else "any")
        elif low is None:
            text = self.say("until", high=_day(window.high))
        elif high is None:
            text = self.say("since", low=_day(window.low))
        elif low == high:
            text = self.say("on", day=_day(window.low))
        else:
            text = self.say("between", low=_day(window.low), high=_day(window.high))
        text = self.say("from_end", when=text) if window.index == "end" else text
        if window.event == "end":
            return self.say("ending", when=text)
        return self.say("starting", when=text) if paired else text

    def _exit(self, plan: Plan) -> Iterator[Row]:
        text = exit_text(replace(plan, censoring=()), self.lang)
        yield Row(self.say("exit"), text[:1].upper() + text[1:], bars=(_cohort(plan),))
        for events in plan.censoring:
            text = self.say("censor", events=event_text(events, self.lang))
            yield Row("", text, bars=(Bar(0, None, "censor"),), depth=1)
        if plan.collapse.pad:
            yield Row("", self.words("collapse", days=self.words.days(plan.collapse.pad)), depth=1)
        if plan.clip != Clip(None, None):
            days = [self.words.date(day) if day else "…" for day in (plan.clip.start, plan.clip.end)]
            yield Row("", self.say("clip", start=days[0], end=days[1]), depth=1)


def _cohort(plan: Plan) -> Bar:
    if isinstance(plan.exit, Offset):
        return Bar(0, plan.exit.days, "cohort", from_end=plan.exit.side == "end")
    return Bar(0, None, "cohort_era" if isinstance(plan.exit, DrugEra) else "cohort")


def _bar(match: Match, window: Window, mark: str) -> Bar:
    barred = match.operator == "<=" or (match.operator == "=" and match.count == 0)
    kind: Kind = "barred" if barred else "asked"
    return Bar(window.low.days, window.high.days, kind, window.index == "end", mark or _mark(match))


def _mark(match: Match) -> str:
    """How many events a window must hold, where it is not simply one or more."""
    if match.count == 0 and match.operator in ("=", "<="):
        return "0"
    if match.operator == ">=" and match.count <= 1:
        return ""
    return f"{ {'=': '=', '<=': '≤', '>=': '≥'}[match.operator] } {match.count}"


def _day(bound: Bound) -> str:
    days = bound.days or 0
    return f"{days:+d}".replace("-", "−") if days else "0"
