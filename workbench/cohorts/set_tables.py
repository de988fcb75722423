"""Plan → steps laid out for editing: one table of events a concept set, so that a change redoes only what hangs on it.

The same plan and the same compiler as a batch's; only where events stand differs. A batch reads each data table once
for all its sets; here each set has its own table, and each count of a group its own step, which stay as they are when
another part of the definition changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from workbench.cohorts import places
from workbench.cohorts.compile import CohortScript, cohort_script
from workbench.cohorts.compile_counts import KEY, Counts, one_count
from workbench.cohorts.compile_criteria import Workshop
from workbench.cohorts.domains import DOMAINS
from workbench.cohorts.event_tables import Found, read, read_any
from workbench.cohorts.plan import Events, Match, Plan
from workbench.cohorts.survey import Needs, SetsOf, Survey, all_events, note_columns, sets_of, survey
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr
from workbench.vocabulary.concept_sets import ConceptSet

EVENTS = "ev_set_"
"""What the names of tables of events begin with: those worth keeping on disk."""


@dataclass(frozen=True)
class Apart:
    """One definition laid out for editing: its steps by name, the concept sets behind the names of their tables."""

    cohort: CohortScript
    steps: Mapping[str, Step]
    sets: Mapping[str, ConceptSet]


def compile_apart(plan: Plan) -> Apart:
    """Return the steps of one plan, each concept set with tables of its own."""
    found = survey([plan])
    found.apart = True
    workshop = SetWorkshop(found, plan)
    cohort = cohort_script(workshop, plan, "d")
    steps = {step.name: step for step in (*places.steps([plan]), *workshop.steps, *cohort.steps)}
    return Apart(cohort, steps, {found.members(concepts)[0]: concepts for concepts in found.sets})


class SetWorkshop(Workshop):
    """A workshop whose events stand in one table a domain and concept set."""

    def __init__(self, found: Survey, plan: Plan) -> None:
        """Note what each table must hold; tables are made on first need."""
        self._tables: dict[SetsOf, str] = {}
        self._needs: dict[SetsOf, Needs] = {}
        for events, distinct in all_events(plan):
            note_columns(self._needs.setdefault(sets_of(events), Needs(visits=True)), events, distinct)
        super().__init__(found)

    def _start(self) -> None:
        """Nothing is shared by a whole domain."""

    def needs(self, events: Events) -> Needs:
        """Return what the table of a criterion's sets must hold."""
        return self._needs[sets_of(events)]

    def base(self, events: Events, alias: str) -> tuple[str, list[Expr]]:  # noqa: ARG002 - no condition needs it
        """Return the table of a criterion's sets; all its events are the criterion's."""
        key = sets_of(events)
        if key not in self._tables:
            roles = {"concept": events.concepts, "source": events.source}
            tables = {role: self._members(concepts) for role, concepts in roles.items() if concepts is not None}
            tree = read(events.spec, self.needs(events), tables, dict.fromkeys(tables, ""))
            self._keep(key, tree)
        return self._tables[key], []

    def exposures(self, concepts: ConceptSet, alias: str) -> tuple[str, list[Expr]]:  # noqa: ARG002 - nor here
        """Return the table of drug exposures by a set's concepts, source ones included."""
        key = ("exposures", concepts, concepts)
        if key not in self._tables:
            members = self._members(concepts)
            self._keep(key, read_any(DOMAINS["DrugExposure"], Needs(), {"concept": members, "source": members}))
        return self._tables[key], []

    def any_of(self, kinds: Sequence[Events], alias: str) -> list[Expr]:  # noqa: ARG002 - nor here
        """Return nothing: all events of a table are of the kinds asked for."""
        return []

    def near(self, events: Events) -> None:
        """Return nothing: a table for several criteria would change with each of them."""

    def counts(self, context: str, matches: Mapping[Match, str], name: str) -> Counts:
        """Return how matches are counted on a context: each in a step of its own, which stays when another changes."""
        if not matches:
            return Counts({}, {})
        parts: list[exp.Query] = []
        for at, match in enumerate(matches):
            table, conditions = self.source(match.events, "a")
            step = Step(f"{name}_n{at}", one_count(context, sql.work_table(table, "a"), match, conditions, "n"), True)
            self.steps.append(step)
            columns = {**sql.columns("u", *KEY, "n"), "match": sql.number(at)}
            parts.append(sql.select(columns, sql.work_table(step.name, "u")))
        stacked = sql.select(
            {**sql.columns("u", *KEY), **{column: _of_match(at) for at, column in enumerate(matches.values())}},
            sql.sub(sql.union_all(parts), "u"),
            group=[sql.col("u", key) for key in KEY],
        )
        return Counts({"t": sql.sub(stacked, "t")}, {match: sql.col("t", column) for match, column in matches.items()})

    def _members(self, concepts: ConceptSet) -> Found:
        return Found(self.survey.members(concepts)[0])

    def _keep(self, key: SetsOf, tree: exp.Query) -> None:
        self._tables[key] = f"{EVENTS}{len(self._tables)}"
        self.steps.append(Step(self._tables[key], tree, keep=True))


def _of_match(number: int) -> Expr:
    chosen = sql.when(sql.compare(sql.col("u", "match"), "=", sql.number(number)), sql.col("u", "n"))
    return sql.aggregate(exp.Max, chosen)
