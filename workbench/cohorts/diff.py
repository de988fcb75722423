"""The difference of two definitions in words: what was added, removed or changed, each with its path.

Parts are compared as they stand in the documents (their plans, with concept sets by value, would show a changed set
once for each criterion that uses it) and told in the words of the plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

from workbench.cohorts.circe import Definition
from workbench.cohorts.describe import count_text, exit_text, member_text, window_text
from workbench.cohorts.describe_events import Words, events_text
from workbench.cohorts.diff_sets import as_members, as_read, canonical, kind_text, line, names_of, sets
from workbench.cohorts.document import Part
from workbench.cohorts.plan import Demographics, Events, Group, Match, Plan, Rule
from workbench.kernel.text import Lang, say

Node = Match | Demographics | Group | Events
Place = tuple[Part, Node]
_LISTS = ("CriteriaList", "DemographicCriteriaList", "Groups")
_VALUES: Mapping[str, tuple[str, ...]] = {
    "title": ("Title",),
    "prior": ("PrimaryCriteria", "ObservationWindow", "PriorDays"),
    "post": ("PrimaryCriteria", "ObservationWindow", "PostDays"),
    "pad": ("CollapseSettings", "EraPad"),
    "clip_start": ("CensorWindow", "StartDate"),
    "clip_end": ("CensorWindow", "EndDate"),
}


def diff(before: Definition, after: Definition, lang: Lang) -> list[str]:
    """Return what differs from one definition to another, one line a difference, in the order of a definition.

    Every line ends with the path of the part (in the later document; what was removed, in the earlier one). Two equal
    documents give one line that says so. Raises InvalidInput where one of them cannot be run.
    """
    if before.digest == after.digest:
        return [say("cohort.diff_none", lang)]
    return list(_Diff(before, after, lang).lines()) or [say("cohort.diff_no_effect", lang)]


@dataclass(frozen=True)
class _Diff:
    before: Definition
    after: Definition
    lang: Lang

    @property
    def _plans(self) -> tuple[Plan, Plan]:
        return self.before.plan, self.after.plan

    @property
    def _roots(self) -> tuple[Part, Part]:
        return Part(self.before.document), Part(self.after.document)

    def _say(self, key: str, **facts: object) -> str:
        return say(f"cohort.diff_{key}", self.lang, **facts)

    def _line(self, key: str, path: str, **facts: object) -> str:
        return line(key, self.lang, path, **facts)

    @cached_property
    def _names(self) -> tuple[dict[int, str], dict[int, str]]:
        return names_of(*self._roots)

    def _plain(self, part: Part, side: int) -> Any:
        return canonical(part.value, self._names[side])

    def _key(self, part: Part, side: int) -> str:
        return json.dumps(self._plain(part, side), sort_keys=True, ensure_ascii=False)

    def _same(self, old: Part, new: Part) -> bool:
        return self._key(old, 0) == self._key(new, 1)

    def lines(self) -> Iterator[str]:
        """Yield all differences in the order of a definition."""
        (old, new), (plan, plan_after) = self._roots, self._plans
        yield from self._value("title")
        yield from sets(old, new, self.lang)
        entry = [part.get("PrimaryCriteria") for part in (old, new)]
        yield from self._list(
            list(zip(entry[0].get("CriteriaList").each(), plan.entry.events, strict=True)),
            list(zip(entry[1].get("CriteriaList").each(), plan_after.entry.events, strict=True)),
            self._say("entry"),
        )
        yield from self._value("prior")
        yield from self._value("post")
        yield from self._changed(
            "entry_limit",
            f"{entry[1].path}.PrimaryCriteriaLimit",
            self._limit(plan.entry.limit.kind),
            self._limit(plan_after.entry.limit.kind),
        )
        yield from self._additional()
        yield from self._rules()
        yield from self._ending()

    def _value(self, key: str) -> Iterator[str]:
        old, new = self._roots
        for member in _VALUES[key]:
            old, new = old.get(member), new.get(member)
        shown = [part.value if part.value not in (None, "") else None for part in (old, new)]
        if key != "title":
            shown = [as_read(value) for value in shown]
        if key in ("prior", "post", "pad"):
            shown = [value or 0 for value in shown]
        if shown[0] != shown[1]:
            texts = [self._say("absent") if value is None else value for value in shown]
            yield self._line("changed", new.path, where=self._say(key), old=texts[0], new=texts[1])

    def _limit(self, kind: str) -> str:
        return self._say(f"limit_{kind}")

    def _changed(self, where: str, path: str, old: str, new: str) -> Iterator[str]:
        if old != new:
            yield self._line("changed", path, where=self._say(where), old=old, new=new)

    def _additional(self) -> Iterator[str]:
        (old, new), (plan, after) = self._roots, self._plans
        parts = old.get("AdditionalCriteria"), new.get("AdditionalCriteria")
        groups = plan.additional or Group("all", 0, ()), after.additional or Group("all", 0, ())
        yield from self._group(parts, groups, self._say("additional"))
        kinds = [self._limit(each.qualified.kind if each.additional is not None else "all") for each in (plan, after)]
        yield from self._changed("qualified", "$.QualifiedLimit", *kinds)

    def _ending(self) -> Iterator[str]:
        (old, new), (plan, after) = self._roots, self._plans
        yield from self._changed(
            "limit", "$.ExpressionLimit", self._limit(plan.limit.kind), self._limit(after.limit.kind)
        )
        strategies = old.get("EndStrategy"), new.get("EndStrategy")
        if not self._same(*strategies):
            texts = [exit_text(_without_censoring(each), self.lang) for each in (plan, after)]
            if texts[0] != texts[1]:
                yield self._line("changed", "$.EndStrategy", where=self._say("exit"), old=texts[0], new=texts[1])
            else:
                yield from self._raw(*strategies, self._say("exit"))
        yield from self._list(
            list(zip(old.get("CensoringCriteria").each(), plan.censoring, strict=True)),
            list(zip(new.get("CensoringCriteria").each(), after.censoring, strict=True)),
            self._say("censoring"),
        )
        for key in ("pad", "clip_start", "clip_end"):
            yield from self._value(key)

    def _rules(self) -> Iterator[str]:
        """Rules are the same rule by their name; of the others, by what they say; then by their place."""
        old, new = (
            list(zip(root.get("InclusionRules").each(), plan.rules, strict=True))
            for root, plan in zip(self._roots, self._plans, strict=True)
        )
        pairs = self._paired_rules(old, new)
        gone, come = {one for one, _ in pairs}, {other for _, other in pairs}
        for at, (part, rule) in enumerate(old):
            if at not in gone:
                yield self._line("rule_removed", part.path, name=self._name(rule, at), text=self._text(rule.group))
        for at, (part, rule) in enumerate(new):
            if at not in come:
                yield self._line("rule_added", part.path, name=self._name(rule, at), text=self._text(rule.group))
        for one, other in sorted(pairs, key=lambda pair: pair[1]):
            (part, rule), (part_after, rule_after) = old[one], new[other]
            if rule.name != rule_after.name:
                names = {"name": self._name(rule, one), "new": self._name(rule_after, other)}
                yield self._line("rule_renamed", part_after.path, **names)
            parts = part.get("expression"), part_after.get("expression")
            where = self._say("rule", name=rule_after.name) if rule_after.name else self._name(rule_after, other)
            yield from self._group(parts, (rule.group, rule_after.group), where)
        order = [other for _, other in sorted(pairs)]
        if order != sorted(order):
            yield self._line("rules_moved", "$.InclusionRules")

    def _paired_rules(self, old: list[tuple[Part, Rule]], new: list[tuple[Part, Rule]]) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []

        def named(one: int, other: int) -> bool:
            return bool(old[one][1].name) and old[one][1].name == new[other][1].name

        def saying(one: int, other: int) -> bool:
            return self._same(old[one][0].get("expression"), new[other][0].get("expression"))

        def placed(one: int, other: int) -> bool:
            return one == other and not old[one][1].name and not new[other][1].name

        for same in (named, saying, placed):
            for one in [at for at in range(len(old)) if at not in [pair[0] for pair in found]]:
                left = [at for at in range(len(new)) if at not in [pair[1] for pair in found]]
                found += [(one, other) for other in left if same(one, other)][:1]
        return found

    def _name(self, rule: Rule, at: int) -> str:
        return rule.name or self._say("rule_unnamed", number=at + 1)

    def _text(self, node: Node) -> str:
        if isinstance(node, Events):
            return events_text(node, Words(self.lang), "one")
        return member_text(node, self.lang)

    def _group(self, parts: tuple[Part, Part], groups: tuple[Group, Group], where: str) -> Iterator[str]:
        if self._same(*parts):
            return
        old, new = groups
        if (old.kind, old.count) != (new.kind, new.count) and (old.members or new.members):
            facts = {"old": kind_text(old, self.lang), "new": kind_text(new, self.lang)}
            yield self._line("changed", parts[1].path, where=self._say("group", where=where), **facts)
        yield from self._list(_members(parts[0], old), _members(parts[1], new), where)

    def _list(self, old: list[Place], new: list[Place], where: str) -> Iterator[str]:
        """Criteria of a list: those that are equal stay; of the others, one of a kind became another of it."""
        keys = [[self._key(part, side) for part, _ in places] for side, places in enumerate((old, new))]
        for tag, from_old, to_old, from_new, to_new in SequenceMatcher(
            a=keys[0], b=keys[1], autojunk=False
        ).get_opcodes():
            if tag != "equal":
                yield from self._replaced(old[from_old:to_old], new[from_new:to_new], where)

    def _replaced(self, old: list[Place], new: list[Place], where: str) -> Iterator[str]:
        left = list(new)
        for part, node in old:
            match = next((place for place in left if _kin(node, place[1])), None)
            if match is None:
                yield self._line("removed", part.path, where=where, text=self._text(node))
            else:
                left.remove(match)
                found = list(self._node((part, match[0]), (node, match[1]), where))
                yield from found or self._raw(part, match[0], where)
        for part, node in left:
            yield self._line("added", part.path, where=where, text=self._text(node))

    def _node(self, parts: tuple[Part, Part], nodes: tuple[Node, Node], where: str) -> Iterator[str]:
        old, new = nodes
        if isinstance(old, Group) and isinstance(new, Group):
            yield from self._group(parts, (old, new), where)
        elif isinstance(old, Match) and isinstance(new, Match):
            yield from self._match(parts, (old, new), where)
        else:
            texts = self._text(old), self._text(new)
            if texts[0] != texts[1]:
                yield self._line("changed", parts[1].path, where=where, old=texts[0], new=texts[1])
            if isinstance(old, Events) and isinstance(new, Events):
                yield from self._around(parts, (old, new), where)

    def _match(self, parts: tuple[Part, Part], matches: tuple[Match, Match], where: str) -> Iterator[str]:
        old, new = matches
        path, name = parts[1].path, events_text(new.events, Words(self.lang), "bare")
        counts = count_text(old, self.lang), count_text(new, self.lang)
        if counts[0] != counts[1]:
            yield self._line("changed", path, where=self._say("events", where=where), old=counts[0], new=counts[1])
        for at, key in enumerate(("window", "end_window")):
            texts = [self._window(match, at) for match in matches]
            if texts[0] != texts[1]:
                place = f"{path}.{'EndWindow' if at else 'StartWindow'}"
                yield self._line(
                    "changed", place, where=self._say(key, where=where, events=name), old=texts[0], new=texts[1]
                )
        for member, on, off in (
            ("same_visit", "same_visit", "any_visit"),
            ("beyond_observation", "beyond_observation", "in_observation"),
        ):
            if getattr(old, member) != getattr(new, member):
                facts = {
                    "old": self._say(on if getattr(old, member) else off),
                    "new": self._say(on if getattr(new, member) else off),
                }
                yield self._line("changed", path, where=self._say("visit", where=where, events=name), **facts)
        criteria = parts[0].get("Criteria"), parts[1].get("Criteria")
        yield from self._around(criteria, (old.events, new.events), where)

    def _window(self, match: Match, at: int) -> str:
        if at >= len(match.windows):
            return self._say("absent")
        return window_text(match.windows[at], self.lang)

    def _around(self, parts: tuple[Part, Part], events: tuple[Events, Events], where: str) -> Iterator[str]:
        inner = tuple(part.get(each.domain).get("CorrelatedCriteria") for part, each in zip(parts, events, strict=True))
        groups = tuple(each.around or Group("all", 0, ()) for each in events)
        name = events_text(events[1], Words(self.lang), "bare")
        around = self._say("context", where=where, events=name)
        yield from self._group((inner[0], inner[1]), (groups[0], groups[1]), around)

    def _raw(self, old: Part, new: Part, where: str) -> Iterator[str]:
        """What words do not tell: member by member, as it stands in the documents."""
        values = self._plain(old, 0), self._plain(new, 1)
        for member, one, other in _leaves(values[0], values[1], ""):
            shown = [
                self._say("absent") if each is None else json.dumps(each, ensure_ascii=False) for each in (one, other)
            ]
            facts = {"member": member.lstrip("."), "old": shown[0], "new": shown[1]}
            yield self._line("value", f"{new.path}{member}", where=where, **facts)


def _without_censoring(plan: Plan) -> Plan:
    return replace(plan, censoring=())


def _members(part: Part, group: Group) -> list[Place]:
    parts = [each for member in _LISTS for each in part.get(member).each()]
    return list(zip(parts, group.members, strict=True))


def _kin(old: Node, new: Node) -> bool:
    """Whether one criterion may have become the other: the same kind of thing, of the same domain."""
    if isinstance(old, Match) and isinstance(new, Match):
        return old.events.domain == new.events.domain and old.events.label == new.events.label
    if isinstance(old, Events) and isinstance(new, Events):
        return old.domain == new.domain
    return type(old) is type(new)


def _leaves(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield each place where two values differ, as deep as both have the same shape."""
    members, others = as_members(old), as_members(new)
    if old == new:
        return
    if members is None or others is None or (isinstance(old, list) and len(members) != len(others)):
        yield path, old, new
        return
    for member in dict.fromkeys([*members, *others]):
        yield from _leaves(members.get(member), others.get(member), f"{path}{member}")
