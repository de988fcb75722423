"""Why one person is in a cohort or not: rule by rule, with days from the entry event, read from the plan's own tables.

What it returns is about one person: who may see it, and whether the anchor date is shown, is governance's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlglot import exp

from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import INDEX, CohortScript, Script, compile_batch
from workbench.cohorts.compile_counts import matching
from workbench.cohorts.compile_criteria import Workshop
from workbench.cohorts.compile_groups import judge, leaves
from workbench.cohorts.generate import clean, plans_of, prepare
from workbench.cohorts.plan import Group, Match, Plan
from workbench.cohorts.survey import survey
from workbench.cohorts.why_words import Criterion, EntryEvent, Explanation, RuleVerdict
from workbench.engines import sql
from workbench.engines.base import Engine, Step
from workbench.engines.one_person import OnePerson
from workbench.kernel.progress import silent


def why(engine: Engine, definition: Definition, person_id: int) -> Explanation:
    """Return why a person is in a cohort or not, for every observed entry event of the person.

    The cohort's own plan is run on that person's rows alone. Raises InvalidInput where the definition cannot be run,
    Unavailable or Stopped as engines do. A person that the data lack has no entry event.
    """
    plans, failed = plans_of(engine, {definition.name: definition}, None)
    for error in failed.values():
        raise error
    script = compile_batch(plans)
    with OnePerson(engine, person_id) as mine:
        question = _Question(mine, plans[definition.name], script, script.cohorts[definition.name])
        try:
            prepare(mine, script, silent)
            for step in question.cohort.steps:
                question.make(step)
            return question.answer()
        finally:
            for name in question.made:
                mine.drop(name)
            clean(mine, script)


@dataclass
class _Question:
    engine: Engine
    plan: Plan
    script: Script
    cohort: CohortScript

    def __post_init__(self) -> None:
        self.made: list[str] = []
        self.workshop = Workshop(survey([self.plan]))

    def make(self, step: Step) -> None:
        self.made.append(step.name)
        self.engine.materialise(step)

    def answer(self) -> Explanation:
        # Before the rules are judged again, which makes tables of single criteria anew, under other numbers.
        counts = self._count(self.cohort.codes.copy()), self._count(self.cohort.entries.copy())
        seen = sorted(self._rows(self.cohort.observed), key=lambda row: (row["start_date"], row["event_id"]))
        anchor: date | None = seen[0]["start_date"] if seen else None
        groups = [self.plan.additional] if self.plan.additional else []
        additional = self._verdicts(self.cohort.observed, groups, "why_a")
        rules = self._verdicts(self.cohort.qualified, [rule.group for rule in self.plan.rules], "why_r")
        qualified = {row["event_id"] for row in self._rows(self.cohort.qualified)}
        included = {row["event_id"] for row in self._rows(self.cohort.included)}
        entries = tuple(
            EntryEvent(
                day=(row["start_date"] - seen[0]["start_date"]).days,
                observed_before=(row["start_date"] - row["op_start_date"]).days,
                observed_after=(row["op_end_date"] - row["start_date"]).days,
                additional=next(iter(additional.get(row["event_id"], ())), None),
                qualified=row["event_id"] in qualified,
                rules=self._named(rules.get(row["event_id"], ())),
                included=row["event_id"] in included,
            )
            for row in seen
        )
        return Explanation(
            events_with_codes=counts[0],
            events_with_attributes=counts[1],
            entries=entries,
            periods=tuple(self._periods(anchor)) if anchor is not None else (),
            anchor=anchor,
        )

    def _named(self, rules: Sequence[RuleVerdict]) -> tuple[RuleVerdict, ...]:
        named = zip(self.plan.rules, rules, strict=True) if rules else ()
        return tuple(RuleVerdict(rule.name, found.holds, found.criteria) for rule, found in named)

    def _rows(self, table: str) -> list[dict[str, Any]]:
        return self.engine.fetch(sql.select(sql.columns("q", *INDEX), sql.work_table(table, "q"))).to_pylist()

    def _count(self, query: exp.Query) -> int:
        tree = sql.select({"events": sql.count_all()}, sql.sub(query, "e"))
        return int(self.engine.tuples(tree)[0][0])

    def _periods(self, anchor: date) -> Iterator[tuple[int, int]]:
        columns = sql.columns("c", "cohort_start_date", "cohort_end_date")
        rows = self.engine.fetch(sql.select(columns, sql.work_table(self.cohort.cohort, "c")))
        for start, end in sorted(zip(*(column.to_pylist() for column in rows.columns), strict=True)):
            yield (start - anchor).days, (end - anchor).days

    def _verdicts(self, context: str, groups: Sequence[Group], prefix: str) -> dict[int, list[RuleVerdict]]:
        """Each group's verdict, and that of each criterion in it, by index event."""
        asked_leaves = list(dict.fromkeys(leaf for group in groups for leaf in leaves(group)))
        if not groups:
            return {}
        asked = [*groups, *(Group("all", 0, (leaf,)) for leaf in asked_leaves)]
        step = judge(self.workshop, context, asked, prefix)
        matches = [leaf for leaf in asked_leaves if isinstance(leaf, Match)]
        found = [matching(self.workshop, context, match) for match in matches]
        self._prepare()
        self.make(step)
        columns = sql.columns("j", "event_id", *(f"r{at}" for at in range(len(asked))))
        judged = self.engine.fetch(sql.select(columns, sql.work_table(step.name, "j"))).to_pylist()
        days = self._days(matches, found)
        place = {leaf: len(groups) + at for at, leaf in enumerate(asked_leaves)}
        return {
            row["event_id"]: [
                RuleVerdict("", row[f"r{at}"] == 1, tuple(self._criteria(group, row, place, days)))
                for at, group in enumerate(groups)
            ]
            for row in judged
        }

    def _criteria(
        self, group: Group, row: dict[str, Any], place: dict[Any, int], days: dict[Any, dict[int, list[int]]]
    ) -> Iterator[Criterion]:
        for leaf in leaves(group):
            found = tuple(sorted(days[leaf].get(row["event_id"], ()))) if isinstance(leaf, Match) else None
            yield Criterion(leaf, row[f"r{place[leaf]}"] == 1, found)

    def _days(self, matches: Sequence[Match], found: Sequence[exp.Select]) -> dict[Any, dict[int, list[int]]]:
        """For each match and index event the days of what it counts, all in one query."""
        days: dict[Any, dict[int, list[int]]] = {match: {} for match in matches}
        if not matches:
            return days
        numbered = [
            sql.select({**sql.columns("m", "event_id", "days"), "leaf": sql.number(at)}, sql.sub(tree, "m"))
            for at, tree in enumerate(found)
        ]
        for row in self.engine.fetch(sql.union_all(numbered)).to_pylist():
            days[matches[row["leaf"]]].setdefault(row["event_id"], []).append(row["days"])
        return days

    def _prepare(self) -> None:
        """Make the tables of single criteria that the cohort's own script has not made alike."""
        known = {step.name: step.tree for step in self.script.shared}
        for step in self.workshop.steps:
            if step.name not in self.made and known.get(step.name) != step.tree:
                self.make(step)
