"""Questions about a definition as a whole: what runs, limits, exit, periods, dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise

from workbench.cohorts.check_reading import Question, Reading, days_in_words
from workbench.cohorts.compile_exit import one_a_person
from workbench.cohorts.plan import DrugEra, EndOfObservation, Match, Offset
from workbench.kernel.text import LANGS

LONG = 3650
"""Days observed before entry that few databases have for many persons."""


def _runs(reading: Reading) -> Iterator[Question]:
    if reading.error is not None:
        error = reading.error
        reason = {lang: error.text(lang).what for lang in LANGS}
        yield Question("cannot_run", str(error.facts.get("path", "$")), {"reason": reason})
    yield from (Question("unknown_member", path) for path in reading.definition.unknown)


def _limits(reading: Reading) -> Iterator[Question]:
    """Limits that do nothing, and limits that ask for what an earlier one took away."""
    plan = reading.plan
    if plan is None:
        return
    asked = reading.root.get("QualifiedLimit").get("Type")
    idle = plan.additional is None and plan.qualified.kind != "all"
    if idle and plan.limit.kind == plan.entry.limit.kind == "all":
        yield Question("qualified_idle", "$.QualifiedLimit", {"limit": asked.value})
    kinds = [plan.entry.limit.kind, plan.qualified.kind if plan.additional is not None else "all", plan.limit.kind]
    paths = ["$.PrimaryCriteria.PrimaryCriteriaLimit", "$.QualifiedLimit", "$.ExpressionLimit"]
    told = [(kind, path) for kind, path in zip(kinds, paths, strict=True) if kind != "all"]
    for (first, _), (later, path) in pairwise(told):
        if first != later:
            yield Question("limits_contradict", path, {"earlier": first, "later": later})
    single = len(plan.entry.events) == 1 and plan.entry.events[0].first
    if single and told and told[0][0] == "last":
        yield Question("limit_idle", told[0][1])


def _observation(reading: Reading) -> Iterator[Question]:
    if reading.plan is None:
        return
    window = "$.PrimaryCriteria.ObservationWindow"
    for member, days in (("PriorDays", reading.plan.entry.prior_days), ("PostDays", reading.plan.entry.post_days)):
        if days < 0:
            yield Question("days_negative", f"{window}.{member}", {"days": days})
        elif days > LONG:
            yield Question("prior_long", f"{window}.{member}", {"days": days})


def _exit(reading: Reading) -> Iterator[Question]:
    """Cohorts that end as they begin, before, or never; an exposure that has nothing to do with entry."""
    plan = reading.plan
    if plan is None:
        return
    path = "$.EndStrategy.DateOffset"
    if isinstance(plan.exit, Offset):
        if plan.exit.days < 0:
            code = "exit_negative" if plan.exit.side == "start" else "exit_before_end"
            yield Question(code, path, {"days": days_in_words(-plan.exit.days)})
        elif plan.exit.days == 0 and plan.exit.side == "start":
            yield Question("exit_zero", path)
    if isinstance(plan.exit, DrugEra):
        drugs = [events for events in plan.entry.events if events.domain in ("DrugExposure", "DrugEra", "DoseEra")]
        if not any(plan.exit.concepts in (events.concepts, events.source) for events in drugs):
            yield Question("exit_drug_foreign", "$.EndStrategy.CustomEra", {"name": plan.exit.label})
        if plan.exit.gap < 0:
            yield Question("days_negative", "$.EndStrategy.CustomEra.GapDays", {"days": plan.exit.gap})
    everything = plan.entry.limit.kind == plan.limit.kind == "all"
    if everything and isinstance(plan.exit, EndOfObservation) and not plan.censoring and not one_a_person(plan):
        yield Question("all_until_observation_ends", "$.EndStrategy")


def _collapse(reading: Reading) -> Iterator[Question]:
    """Gaps that are bridged: negative, without effect, or as long as the time that a new episode must be free."""
    plan = reading.plan
    if plan is None:
        return
    pad, path = plan.collapse.pad, "$.CollapseSettings.EraPad"
    if pad < 0:
        yield Question("days_negative", path, {"days": pad})
    elif pad and one_a_person(plan):
        yield Question("pad_idle", path, {"days": days_in_words(pad)})
    washouts = [
        -window.low.days
        for each in reading.required
        if isinstance(each.member, Match) and each.member.count == 0 and each.member.operator != ">="
        for window in each.member.windows[:1]
        if window.low.days is not None and window.low.days < 0 and window.high.days in (0, -1)
        and any(_same_kind(each.member, events) for events in plan.entry.events)
    ]  # fmt: skip
    if washouts and pad > max(washouts):
        facts = {"days": days_in_words(pad), "washout": days_in_words(max(washouts))}
        yield Question("pad_over_washout", path, facts)


def _same_kind(match: Match, events: object) -> bool:
    entry = match.events
    return getattr(events, "domain", None) == entry.domain and getattr(events, "concepts", None) == entry.concepts


def _calendar(reading: Reading) -> Iterator[Question]:
    """Calendar days that do not exist yet, and a calendar window that holds none."""
    clip = reading.root.get("CensorWindow")
    start, end = clip.get("StartDate"), clip.get("EndDate")
    if start and end and start.day() > end.day():
        yield Question("clip_empty", clip.path, {"low": str(start.value), "high": str(end.value)})
    for part in reading.parts:
        for member in part.members():
            if member.name in ("Value", "Extent", "StartDate", "EndDate") and isinstance(member.value, str):
                found = _day(member.value)
                if found is not None and found > reading.today and member.name != "EndDate":
                    yield Question("date_future", member.path, {"day": found.isoformat()})


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip().split("T")[0])
    except ValueError:
        return None


CHECKS: tuple[Callable[[Reading], Iterator[Question]], ...] = (
    _runs, _limits, _observation, _exit, _collapse, _calendar,
)  # fmt: skip
