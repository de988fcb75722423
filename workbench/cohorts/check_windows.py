"""Questions about criteria in groups: their windows, their counts, the groups themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workbench.cohorts.check_reading import LISTS, Question, Reading, days_in_words
from workbench.cohorts.document import Part
from workbench.cohorts.plan import Entry, Match, Window
from workbench.kernel.text import LANGS, Lang, say


def _shapes(reading: Reading) -> Iterator[Question]:
    """Windows that hold nothing by their own two sides."""
    for part in reading.parts:
        if part.name not in ("StartWindow", "EndWindow"):
            continue
        edges = [part.get("Start"), part.get("End")]
        days, signs = [edge.get("Days") for edge in edges], [edge.get("Coeff").whole(0) for edge in edges]
        negative = next((edge.path for edge, day in zip(edges, days, strict=True) if day and day.whole() < 0), None)
        if negative:
            yield Question("window_negative_days", negative)
        if all(days):
            low, high = (sign * day.whole() for sign, day in zip(signs, days, strict=True))
            if low > high:
                yield Question("window_empty", part.path, {"low": low, "high": high})
        elif not days[1] and signs[1] == -1:
            yield Question("window_before_observation", part.path)
        elif not days[0] and signs[0] == 1:
            yield Question("window_after_observation", part.path)


FOREVER = 9999
"""From so many days on a window means all of the past, or all that follows."""


def _reach(reading: Reading) -> Iterator[Question]:
    """Windows that exclude each other, or look where nobody need have been observed."""
    for each in reading.placed:
        match = each.member
        if not isinstance(match, Match):
            continue
        start, *others = match.windows
        if any(_contradict(start, other) for other in others):
            yield Question("windows_contradict", each.part.path)
        if not each.nested and reading.plan is not None:
            yield from _unobserved(each.part, match, start, reading.plan.entry)
        asked = match.count > 0 and match.operator in ("=", ">=")
        late = start.high.days is not None and start.high.days < 0
        if match.events.domain == "Death" and asked and late and not each.nested:
            yield Question("death_before", each.part.path)


def _unobserved(part: Part, match: Match, window: Window, entry: Entry) -> Iterator[Question]:
    """Absence over days that need not have been observed, or few events over them."""
    if match.beyond_observation or match.operator == ">=" or (match.operator == "=" and match.count > 0):
        return
    before, after = -(window.low.days or 0), window.high.days or 0
    if entry.prior_days < before < FOREVER:
        facts = {"what": _wanted(match.count), "days": days_in_words(before), "asked": _asked(entry.prior_days)}
        yield Question("window_unobserved", f"{part.path}.StartWindow", facts)
    elif entry.post_days < after < FOREVER and window.index == "start":
        facts = {"what": _wanted(match.count), "days": days_in_words(after), "asked": _asked(entry.post_days)}
        yield Question("follow_up_unobserved", f"{part.path}.StartWindow", facts)


def _wanted(count: int) -> dict[Lang, str]:
    key = {0: "none", 1: "one"}.get(count, "few")
    return {lang: say(f"cohort.asked_{key}", lang, count=count) for lang in LANGS}


def _asked(count: int) -> dict[Lang, str]:
    """How much observation is required, in both languages."""
    if count == 0:
        return {lang: say("cohort.asked_unobserved", lang) for lang in LANGS}
    return {lang: say("cohort.asked_observed", lang, days=days) for lang, days in days_in_words(count).items()}


def _contradict(start: Window, end: Window) -> bool:
    """Whether an event that starts in one window cannot end in the other."""
    if start.index != end.index or start.event != "start" or end.event != "end":
        return False
    return start.low.days is not None and end.high.days is not None and end.high.days < start.low.days


def _counts(reading: Reading) -> Iterator[Question]:
    """Counts that everything meets, or nothing."""
    for each in reading.placed:
        match = each.member
        if not isinstance(match, Match):
            continue
        path = f"{each.part.path}.Occurrence"
        wanted = match.count if match.operator in ("=", ">=") else 0
        if match.operator == ">=" and match.count == 0:
            yield Question("count_at_least_zero", path)
        if match.events.first and wanted > 1:
            yield Question("first_many", path, {"count": wanted})
        if match.distinct is not None and match.operator == ">=" and match.count == 1:
            yield Question("distinct_one", path)
        if match.same_visit and not match.events.spec.visit:
            yield Question("visit_never", f"{each.part.path}.RestrictVisit", {"table": match.events.spec.table})


def _groups(reading: Reading) -> Iterator[Question]:
    """Groups that everything meets, or nothing; rules without criteria."""
    for rule in reading.root.get("InclusionRules").each():
        if not str(rule.get("name").value or "").strip():
            yield Question("rule_unnamed", rule.path)
    for part in reading.parts:
        kind = part.get("Type").value
        if not isinstance(kind, str) or not any(name in part.value for name in LISTS):
            continue
        members = sum(len(list(part.get(name).each())) for name in LISTS)
        count = part.get("Count").whole(0) if kind.upper().startswith("AT_") else 0
        yield from _group(part, kind.upper(), members, count)


def _group(part: Part, kind: str, members: int, count: int) -> Iterator[Question]:
    facts = {"count": count, "members": members}
    if members == 0 and kind in ("ALL", "ANY", "AT_LEAST", "AT_MOST"):
        yield Question("group_empty", part.path)
    elif kind == "AT_LEAST" and count > members:
        yield Question("group_impossible", part.path, facts)
    elif (kind == "AT_LEAST" and count <= 0) or (kind == "AT_MOST" and count >= members > 0):
        yield Question("group_idle", part.path, facts)


CHECKS: tuple[Callable[[Reading], Iterator[Question]], ...] = (_shapes, _reach, _counts, _groups)
