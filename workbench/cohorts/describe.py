"""A plan in one sentence, in French or in English, for a clinician."""

from __future__ import annotations

from workbench.cohorts.circe import Definition
from workbench.cohorts.describe_events import Words, events_text, tests_text
from workbench.cohorts.plan import (
    Bound,
    Clip,
    Demographics,
    DrugEra,
    Entry,
    Group,
    Match,
    Offset,
    Plan,
    Rule,
    Window,
)
from workbench.kernel.text import Lang


def describe(definition: Definition, lang: Lang) -> str:
    """Return what a definition says, in one sentence. Raises InvalidInput where it cannot be run."""
    return sentence(definition.plan, lang)


def sentence(plan: Plan, lang: Lang) -> str:
    """Return what a plan says, in one sentence."""
    words = Words(lang)
    parts = [_entry(plan.entry, words)]
    if plan.additional is not None and plan.additional.members:
        parts.append(words("additional", group=_group(plan.additional, words, "entry")))
    if plan.additional is not None and plan.qualified.kind != "all":
        parts.append(words(f"limit_{plan.qualified.kind}"))
    parts += [_rule(rule, words) for rule in plan.rules]
    if limit_tells(plan):
        parts.append(words(f"limit_{plan.limit.kind}"))
    parts.append(_exit(plan, words))
    if plan.collapse.pad > 0:
        parts.append(words("collapse", days=words.days(plan.collapse.pad)))
    if plan.clip != Clip(None, None):
        parts.append(_clip(plan.clip, words))
    return words("separator").join(parts) + "."


def limit_tells(plan: Plan) -> bool:
    """Return whether the last limit does anything: not where an earlier one left one event a person already."""
    qualified = plan.additional is not None and plan.qualified.kind != "all"
    return plan.limit.kind != "all" and plan.entry.limit.kind == "all" and not qualified


def member_text(member: Match | Demographics | Group, lang: Lang) -> str:
    """Return what one criterion, or a group, on the entry event says."""
    group = member if isinstance(member, Group) else Group("all", 0, (member,))
    return _group(group, Words(lang), "entry")


def event_group_text(group: Group, lang: Lang) -> str:
    """Return what a group says of an event that is its index."""
    return _group(group, Words(lang), "event")


def count_text(match: Match, lang: Lang) -> str:
    """Return which events a criterion asks for, and how many."""
    return _how_many(match, Words(lang))


def window_text(window: Window, lang: Lang, beyond: bool = False) -> str:
    """Return when an event must start (or end), seen from the entry event; empty where there is nothing to say."""
    return _window(window, Words(lang), "entry", beyond)


def exit_text(plan: Plan, lang: Lang) -> str:
    """Return when patients leave."""
    return _exit(plan, Words(lang))


def _entry(entry: Entry, words: Words) -> str:
    single = len(entry.events) == 1
    first = single and entry.events[0].first
    kinds = words.join("or", [_with_context(words, at, entry) for at in range(len(entry.events))])
    key = "enter_first" if first else f"enter_{entry.limit.kind}"
    return words(key, events=kinds, observed=_observed(entry, words))


def _with_context(words: Words, at: int, entry: Entry) -> str:
    events = entry.events[at]
    bare = events_text(events, words, form="first" if events.first else "one")
    if events.around is None:
        return bare
    return words("with_context", events=bare, group=_group(events.around, words, "event"))


def _observed(entry: Entry, words: Words) -> str:
    parts = [
        words(f"observed_{side}", days=words.days(days))
        for side, days in (("before", entry.prior_days), ("after", entry.post_days))
        if days
    ]
    return words("observed", sides=words.join("and", parts)) if parts else ""


def _rule(rule: Rule, words: Words) -> str:
    group = _group(rule.group, words, "entry")
    return words("rule", name=rule.name, group=group) if rule.name else words("rule_unnamed", group=group)


def _group(group: Group, words: Words, index: str) -> str:
    """A group as words: its members joined, in brackets where it is not the outermost and has several."""
    parts = [_member(member, words, index) for member in group.members]
    if not parts:
        return words("no_condition")
    if group.kind in ("all", "any") and len(parts) == 1:
        return parts[0]
    if group.kind == "all":
        return words.join("and", parts)
    if group.kind == "any":
        return words("any_of", parts=words.join("or", parts))
    key = "at_least_of" if group.kind == "at least" else "at_most_of"
    return words(key, count=group.count, parts=words("list_separator").join(parts))


def _member(member: Match | Demographics | Group, words: Words, index: str) -> str:
    if isinstance(member, Demographics):
        return tests_text(member.tests, words) or words("no_condition")
    if isinstance(member, Group):
        return words("bracketed", text=_group(member, words, index))
    return _match(member, words, index)


def _match(match: Match, words: Words, index: str) -> str:
    events = match.events
    how_many = _how_many(match, words)
    windows = [_window(window, words, index, match.beyond_observation) for window in match.windows]
    parts = [how_many, *(text for text in windows if text)]
    if match.same_visit:
        parts.append(words("same_visit"))
    text = " ".join(parts)
    if events.around is None:
        return text
    return words("with_context", events=text, group=_group(events.around, words, "event"))


def _how_many(match: Match, words: Words) -> str:
    domain = match.events.domain
    single = match.count == 1
    if match.count == 0 and match.operator in ("=", "<="):
        return words.by_gender("none", domain, events=events_text(match.events, words, "bare"))
    operator = {"=": "exactly", "<=": "at_most", ">=": "at_least"}[match.operator]
    key = f"{operator}_one" if single else operator
    text = words.by_gender(
        key, domain, count=match.count, events=events_text(match.events, words, "bare" if single else "many")
    )
    if match.distinct is None:
        return text
    return words("distinct", text=text, field=words(f"field_{match.distinct}"))


def _window(window: Window, words: Words, index: str, beyond: bool) -> str:
    """When an event must start (or end), seen from the index."""
    moment = words(f"{index}_{window.index}")
    low, high = window.low, window.high
    if low.days is None and high.days is None:
        text = words("anytime_beyond" if beyond else "anytime")
    elif low.days is None:
        text = words("until", point=_point(high, words, moment))
    elif high.days is None:
        text = words("since", point=_point(low, words, moment))
    elif low.days == high.days:
        text = words("on", point=_point(low, words, moment))
    else:
        text = words("between", low=_point(low, words, moment), high=_point(high, words, moment))
    return words("event_ends", text=text) if window.event == "end" else text


def _point(bound: Bound, words: Words, moment: str) -> str:
    days = bound.days or 0
    if days == 0:
        return words("day_of", moment=moment)
    return words("days_before" if days < 0 else "days_after", days=words.days(abs(days)), moment=moment)


def _exit(plan: Plan, words: Words) -> str:
    match plan.exit:
        case Offset():
            key = "exit_offset" if plan.exit.days else "exit_same"
            text = words(key, days=words.days(plan.exit.days), moment=words(f"entry_{plan.exit.side}"))
        case DrugEra():
            extra = words("exit_era_offset", days=words.days(plan.exit.offset)) if plan.exit.offset else ""
            text = words("exit_era", drug=plan.exit.label, gap=words.days(plan.exit.gap), extra=extra)
        case _:
            text = words("exit_observation")
    if plan.censoring:
        events = [events_text(each, words, "one") for each in plan.censoring]
        text = words("exit_censored", text=text, events=words.join("or", events))
    return text


def _clip(clip: Clip, words: Words) -> str:
    start = words("clip_start", day=clip.start.isoformat()) if clip.start else ""
    end = words("clip_end", day=clip.end.isoformat()) if clip.end else ""
    return words("clip", sides=" ".join(side for side in (start, end) if side))
