"""A plan in one sentence, in French or in English, for a clinician."""

from __future__ import annotations

from workbench.cohorts.circe import Definition
from workbench.cohorts.describe_events import Form, Words, events_text, tests_text
from workbench.cohorts.describe_windows import window_text as one_window
from workbench.cohorts.describe_windows import windows_text
from workbench.cohorts.plan import Clip, Demographics, DrugEra, Entry, Events, Group, Match, Offset, Plan, Rule, Window
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


def event_text(events: Events, lang: Lang) -> str:
    """Return a kind of event with all that is asked of it, what must lie around it too."""
    return _with_context(events, Words(lang), "one")


def count_text(match: Match, lang: Lang) -> str:
    """Return which events a criterion asks for, and how many."""
    return _how_many(match, Words(lang))


def window_text(window: Window, lang: Lang) -> str:
    """Return when an event must start (or end), seen from the entry event."""
    return one_window(window, Words(lang), "entry")


def exit_text(plan: Plan, lang: Lang) -> str:
    """Return when patients leave."""
    return _exit(plan, Words(lang))


def _entry(entry: Entry, words: Words) -> str:
    """How patients enter: at each of some events, or at the first or last of a person."""
    limit, observed = entry.limit.kind, _observed(entry, words)
    events, *others = entry.events
    if others:
        kinds = words.join("or", [_with_context(each, words, "one") for each in entry.events])
        return words(f"enter_{limit}_of", events=kinds, observed=observed)
    key = "enter_their" if events.first else f"enter_{limit}"  # of one event, the last is the first
    return words.by_gender(key, events.domain, events=_with_context(events, words, "bare"), observed=observed)


def _with_context(events: Events, words: Words, form: Form) -> str:
    text = events_text(events, words, form)
    if events.around is None:
        return text
    return words("with_context", events=text, group=_group(events.around, words, "event"))


def _observed(entry: Entry, words: Words) -> str:
    sides = (("before", entry.prior_days), ("after", entry.post_days))
    parts = [words(f"observed_{side}", days=words.days(days)) for side, days in sides if days]
    return words("observed", sides=words.join("and", parts)) if parts else ""


def _rule(rule: Rule, words: Words) -> str:
    group, name = _group(rule.group, words, "entry"), " ".join(rule.name.split())
    return words("rule", name=name, group=group) if name else words("rule_unnamed", group=group)


def _group(group: Group, words: Words, index: str) -> str:
    """A group as words: its members joined, in brackets where it is not the outermost and has several."""
    parts = [_member(member, words, index) for member in group.members]
    if not parts:
        return words("no_condition")
    if len(parts) == 1 and not _counts(group):
        return parts[0]
    if group.kind == "all":
        return words.join("and", parts)
    if group.kind == "any" or (group.kind == "at least" and group.count == 1):
        return words("any_of", parts=words.join("or", parts))
    key = "at_least_of" if group.kind == "at least" else "at_most_of"
    return words("none_of" if group.kind == "at most" and group.count == 0 else key, count=group.count,
                 parts=words.list(parts))  # fmt: skip


def _counts(group: Group) -> bool:
    """Return whether a group of one member asks for more, or less, than that member."""
    return not (group.kind in ("all", "any") or (group.kind == "at least" and group.count == 1))


def _member(member: Match | Demographics | Group, words: Words, index: str) -> str:
    if isinstance(member, Demographics):
        return tests_text(member.tests, words) or words("no_condition")
    if isinstance(member, Group):
        inner = member.members[0] if len(member.members) == 1 and not _counts(member) else None
        if isinstance(inner, Group):
            return _member(inner, words, index)
        text = _group(member, words, index)
        return words("bracketed", text=text) if member.members else text
    return _match(member, words, index)


def _match(match: Match, words: Words, index: str) -> str:
    parts = [_how_many(match, words), windows_text(match, words, index)]
    if match.same_visit:
        parts.append(words("same_visit"))
    text = " ".join(parts)
    if match.events.around is None:
        return text
    return words("with_context", events=text, group=_group(match.events.around, words, "event"))


def _how_many(match: Match, words: Words) -> str:
    events, domain, single = match.events, match.events.domain, match.count == 1
    if match.count == 0 and match.operator in ("=", "<="):
        text = words.by_gender("none", domain, events=events_text(events, words, "bare"))
    elif single and match.operator == ">=" and events.first:
        text = events_text(events, words, "one")
    else:
        operator = {"=": "exactly", "<=": "at_most", ">=": "at_least"}[match.operator]
        told = events_text(events, words, "bare" if single else "many")
        text = words.by_gender(f"{operator}_one" if single else operator, domain, count=match.count, events=told)
    if match.distinct is None:
        return text
    return words("distinct", text=text, field=words(f"field_{match.distinct}"))


def _exit(plan: Plan, words: Words) -> str:
    match plan.exit:
        case Offset():
            days, side = plan.exit.days, plan.exit.side
            key = "exit_offset" if days > 0 else "exit_before" if days else f"exit_same_{side}"
            text = words(key, days=words.days(abs(days)), moment=words(f"entry_{side}"))
        case DrugEra():
            extra = words("exit_era_offset", days=words.days(plan.exit.offset)) if plan.exit.offset else ""
            supply = plan.exit.days_supply
            extra += words("exit_era_supply", days=words.days(supply)) if supply is not None else ""
            gap = words("exit_era_gap", days=words.days(plan.exit.gap)) if plan.exit.gap else words("exit_era_no_gap")
            text = words("exit_era", drug=plan.exit.label, gap=gap, extra=extra)
        case _:
            text = words("exit_observation")
    if plan.censoring:
        events = [_with_context(each, words, "one") for each in plan.censoring]
        text = words("exit_censored", text=text, events=words.join("or", events))
    return text


def _clip(clip: Clip, words: Words) -> str:
    start = words("clip_start", day=words.date(clip.start)) if clip.start else ""
    end = words("clip_end", day=words.date(clip.end)) if clip.end else ""
    return words("clip", sides=" ".join(side for side in (start, end) if side))
