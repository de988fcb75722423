"""Plan → steps: the events of one criterion as a table of their own, where a condition does not suffice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from workbench.cohorts.compile_counts import Counts, joined_counts
from workbench.cohorts.compile_events import (
    EVENT,
    Resolve,
    bit,
    field_of,
    has_sets,
    in_any_set,
    is_plain,
    one_bit,
    test_sql,
)
from workbench.cohorts.compile_groups import judge
from workbench.cohorts.compile_people import OBSERVED_TWICE, candidates, found_at_once, is_wide, observed_twice
from workbench.cohorts.domains import DOMAINS
from workbench.cohorts.event_tables import shared_steps, shared_table
from workbench.cohorts.plan import CARE_REGION, Abnormal, Events, Group, Match, Test
from workbench.cohorts.survey import Needs, SetsOf, Survey, sets_of
from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.sql import Expr
from workbench.vocabulary.concept_sets import ConceptSet

_JOINS = {
    "age_at_start": "person",
    "age_at_end": "person",
    "gender": "person",
    "race": "person",
    "ethnicity": "person",
    "visit_type": "visit_occurrence",
    "specialty": "provider",
    "place_of_service": "care_site",
    CARE_REGION: "care_site",
}
_COLUMNS = {
    "age_at_start": "year_of_birth",
    "age_at_end": "year_of_birth",
    "gender": "gender_concept_id",
    "race": "race_concept_id",
    "ethnicity": "ethnicity_concept_id",
    "visit_type": "visit_concept_id",
    "specialty": "specialty_concept_id",
    "place_of_service": "place_of_service_concept_id",
}
_KEYS = {
    "person": ("person_id",),
    "visit_occurrence": ("visit_occurrence_id", "person_id"),
    "provider": ("provider_id",),
    "care_site": ("care_site_id",),
}
"""The tables that tests join, in the order of the joins, and by what."""


def joined_tables(events: Events) -> tuple[str, ...]:
    """Return the other tables that a criterion's tests read, in a stable order."""
    wanted = {_JOINS[test.field] for test in events.tests if not isinstance(test, Abnormal) and test.field in _JOINS}
    return tuple(table for table in _KEYS if table in wanted)


def joined_columns(tests: Iterable[Test]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the columns of other tables that tests read, with those that the tables are joined by."""
    for test in tests:
        if not isinstance(test, Abnormal) and test.field in _JOINS:
            table = _JOINS[test.field]
            yield table, (*_KEYS[table], *((_COLUMNS[test.field],) if test.field in _COLUMNS else ()))


class Workshop:
    """Makes and remembers the shared steps of a batch: each distinct part once, whoever needs it.

    Its events stand in one table a domain, with bits for the concept sets: what is read once serves a whole batch.
    """

    def __init__(self, survey: Survey) -> None:
        """Start with the shared event tables of every domain of the survey."""
        self.survey = survey
        self.steps: list[Step] = []
        self._made: dict[Events, str] = {}
        self._near: dict[SetsOf, str | None] = {}
        self._start()

    def _start(self) -> None:
        for name in self.survey.domains:
            self.steps += shared_steps(DOMAINS[name], self.survey)

    def needs(self, events: Events) -> Needs:
        """Return what the table that holds an event must hold."""
        return self.survey.domains[events.domain]

    def base(self, events: Events, alias: str) -> tuple[str, list[Expr]]:
        """Return the table that holds a criterion's events and the conditions that their concepts meet there."""
        return shared_table(events.spec), has_sets(events, self.needs(events), alias)

    def exposures(self, concepts: ConceptSet, alias: str) -> tuple[str, list[Expr]]:
        """Return the table of drug exposures and the conditions of those by a set's concepts, source ones included."""
        needs = self.survey.domains["DrugExposure"]
        either = [bit(alias, "c", needs.concept_bits[concepts]), bit(alias, "s", needs.source_bits[concepts])]
        return shared_table(DOMAINS["DrugExposure"]), [sql.either(either)]

    def source(self, events: Events, alias: str) -> tuple[str, list[Expr]]:
        """Return a table and the conditions on it (under an alias) that give a criterion's events."""
        if not is_plain(events):
            return self.made(events), []
        table, conditions = self.base(events, alias)
        resolve = field_of(alias)
        return table, conditions + [test_sql(test, resolve, self.survey) for test in events.tests]

    def one_bit(self, events: Events) -> tuple[str, int] | None:
        """Return the word and the bit of the shared table that alone tell a criterion's events, if one does."""
        return one_bit(events, self.needs(events)) if is_plain(events) else None

    def any_of(self, kinds: Sequence[Events], alias: str) -> list[Expr]:
        """Return a condition (or none) that all events of some plain criteria of one domain meet, and few others."""
        return in_any_set(kinds, self.needs(kinds[0]), alias)

    def counts(self, context: str, matches: Mapping[Match, str], name: str) -> Counts:  # noqa: ARG002
        """Return how matches are counted on a context: in joins of the step itself."""
        return joined_counts(self, context, matches)

    def observed_twice(self) -> str:
        """Return the table of the persons with observation periods that overlap, making it on first need."""
        if not any(step.name == OBSERVED_TWICE for step in self.steps):
            self.steps.append(Step(OBSERVED_TWICE, observed_twice(), keep=True))
        return OBSERVED_TWICE

    def made(self, events: Events) -> str:
        """Return the table of a criterion's own events, making it on first need."""
        if events not in self._made:
            name = f"x{len(self._made) + 1}"
            self._made[events] = name
            self._make(events, name)
        return self._made[events]

    def _make(self, events: Events, name: str) -> None:
        if events.around is None:
            self.steps.append(Step(name, self._select(events), keep=True))
            return
        plain = f"{name}_all"
        people = candidates(self, events.around) if is_wide(events) else None
        self.steps.append(Step(plain, self._select(events, people), keep=True))
        context = f"{name}_in"
        self.steps.append(Step(context, _in_observation(plain), keep=True))
        judged = replace(judge(self, context, [events.around], name, nested=True), keep=True)
        self.steps.append(judged)
        kept = sql.both([sql.same("r", "e", "person_id", "event_id"), _is_one("r", "r0")])
        columns = (*EVENT, "sort_date", *self._extra(events))
        tree = sql.select(
            sql.columns("e", *columns),
            sql.work_table(plain, "e"),
            joins=[sql.join(sql.work_table(judged.name, "r"), kept)],
        )
        self.steps.append(Step(name, tree, keep=True))

    def near(self, events: Events) -> str | None:
        """Return a table of what a wide criterion reads, of all persons whom criteria on the same sets want: a wide
        table is then read once for them, not once for each. None where no other criterion wants it."""
        key = sets_of(events)
        kin = [each for each in self.survey.with_context.get(key, ()) if each.around and found_at_once(each.around)]
        if events not in kin:
            return None
        if key not in self._near:
            self._near[key] = self._make_near(events, [each.around for each in kin if each.around])
        return self._near[key]

    def _make_near(self, events: Events, contexts: Sequence[Group]) -> str | None:
        wanted = [people for each in contexts if (people := candidates(self, each)) is not None]
        if len(wanted) < 2:
            return None
        name, conditions = self.base(events, "e")
        columns = sql.columns("e", *_columns(self.needs(events)))
        tree = sql.select(columns, sql.work_table(name, "e"), joins=_of(sql.union_all(wanted)), where=conditions)
        step = Step(f"near{len(self._near) + 1}", tree, keep=True)
        self.steps.append(step)
        return step.name

    def _extra(self, events: Events) -> list[str]:
        counted = self.survey.counts.get(events, set())
        return sorted(counted - {"start_date", "end_date", "visit_occurrence_id", "event_id"})

    def _select(self, events: Events, people: exp.Query | None = None) -> exp.Select:
        """The criterion's events before its context is looked at; of some persons only, where such are given.

        All events of a person are there or none, so that the first of a person stays the first.
        """
        near = self.near(events) if people is not None else None
        name, conditions = (near, []) if near else self.base(events, "e")
        base: Expr = sql.work_table(name, "e")
        joins = _of(people) if people is not None else []
        if events.first:
            base, conditions = sql.sub(_ordered(base, conditions, self.needs(events)), "e"), [_is_one("e", "ordinal")]
        resolve = _resolve(events)
        if events.adjust is not None:
            conditions.append(sql.compare(resolve("end_date"), ">=", resolve("start_date")))
        conditions += _user_period(events, resolve)
        conditions += [test_sql(test, resolve, self.survey) for test in events.tests]
        chosen = {
            **sql.columns("e", "person_id", "event_id"),
            "start_date": sql.day(events.period_start) if events.period_start else resolve("start_date"),
            "end_date": sql.day(events.period_end) if events.period_end else resolve("end_date"),
            "visit_occurrence_id": sql.col("e", "visit_occurrence_id"),
            "sort_date": resolve("start_date"),
        }
        for extra in self._extra(events):
            chosen[extra] = resolve(extra) if extra != "length" else _length(chosen)
        return sql.select(chosen, base, joins=[*joins, *_joins(events)], where=conditions)


def _length(chosen: dict[str, Expr]) -> Expr:
    """The days that others see: those of the author's own period, where there is one."""
    return sql.day_diff(chosen["end_date"].copy(), chosen["start_date"].copy())


def _is_one(alias: str, column: str) -> Expr:
    return sql.compare(sql.col(alias, column), "=", sql.number(1))


def _ordered(table: Expr, conditions: list[Expr], needs: Needs) -> exp.Select:
    """Events numbered within each person: by start, then by id (then by end and concept, should ids repeat)."""
    keys = [(sql.col("e", name), False) for name in ("start_date", "event_id", "end_date", "concept_id")]
    ordinal = sql.over(exp.RowNumber(), [sql.col("e", "person_id")], keys)
    return sql.select({**sql.columns("e", *_columns(needs)), "ordinal": ordinal}, table, where=conditions)


def _columns(needs: Needs) -> list[str]:
    names = [*EVENT, "concept_id", *(["source_concept_id"] if needs.source else []), *sorted(needs.columns)]
    return list(dict.fromkeys(names))


def _of(people: exp.Query) -> list[exp.Join]:
    """Events of some persons only."""
    once = sql.select(sql.columns("w", "person_id"), sql.sub(people, "w"), distinct=True)
    return [sql.join(sql.sub(once, "wanted"), sql.same("wanted", "e", "person_id"))]


def _resolve(events: Events) -> Resolve:
    """What fields are for a criterion: adjusted dates, ages and concepts of joined tables, else columns."""
    plain = field_of("e")

    def resolve(name: str) -> Expr:
        if name == "start_date" and events.adjust is not None:
            return sql.add_days(sql.col("e", f"{events.adjust.start_from}_date"), events.adjust.start_days)
        if name == "end_date" and events.adjust is not None:
            return sql.add_days(sql.col("e", f"{events.adjust.end_from}_date"), events.adjust.end_days)
        if name == "length":
            return sql.day_diff(resolve("end_date"), resolve("start_date"))
        if name in ("age_at_start", "age_at_end"):
            moment = resolve("start_date" if name == "age_at_start" else "end_date")
            return sql.age_at(moment, sql.col("person", "year_of_birth"))
        if name in _COLUMNS:
            return sql.col(_JOINS[name], _COLUMNS[name])
        return plain(name)

    return resolve


def _user_period(events: Events, resolve: Resolve) -> list[Expr]:
    """A user-defined period must lie in the event's own period, end by end."""
    found: list[Expr] = []
    for moment in (events.period_start, events.period_end):
        if moment is not None:
            found.append(sql.compare(resolve("start_date"), "<=", sql.day(moment)))
            found.append(sql.compare(resolve("end_date"), ">=", sql.day(moment)))
    return found


def _joins(events: Events) -> list[exp.Join]:
    # An event without a provider is kept, one without its visit, care site or person is not: as in Circe.
    return [
        sql.join(
            sql.cdm_table(table, table), sql.same(table, "e", *_KEYS[table]), "LEFT" if table == "provider" else ""
        )
        for table in joined_tables(events)
    ]


def _in_observation(table: str) -> exp.Select:
    """Events as index events of their own context, each with the observation periods that hold its start."""
    inside = sql.both(
        [
            sql.same("o", "e", "person_id"),
            sql.compare(sql.col("o", "observation_period_start_date"), "<=", sql.col("e", "start_date")),
            sql.compare(sql.col("o", "observation_period_end_date"), ">=", sql.col("e", "start_date")),
        ]
    )
    return sql.select(
        {
            **sql.columns("e", *EVENT),
            "op_start_date": sql.col("o", "observation_period_start_date"),
            "op_end_date": sql.col("o", "observation_period_end_date"),
        },
        sql.work_table(table, "e"),
        joins=[sql.join(sql.cdm_table("observation_period", "o"), inside)],
    )
