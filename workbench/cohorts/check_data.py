"""Questions about a definition on some data: their vocabulary, and (on one's own data) their events.

The vocabulary is public. That no event has a code, or how long the longest period is, tells of persons: `events` asks
for it, and who may ask is governance's matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from sqlglot import exp

from workbench.cohorts.check import check
from workbench.cohorts.check_criteria import DOMAINS_OF, wrong_domains
from workbench.cohorts.check_reading import Criterion, Question, Reading, days_in_words, set_id
from workbench.cohorts.check_sets import flags_of, items_of, looks_for_standard, name_of, told
from workbench.cohorts.circe import Definition
from workbench.cohorts.document import Part
from workbench.cohorts.places import places_of
from workbench.cohorts.plan import Plan
from workbench.cohorts.requirements import lacking
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.kernel import clock
from workbench.vocabulary.concept_sets import ConceptSet, Item
from workbench.vocabulary.lookup import Concept, look_up
from workbench.vocabulary.resolve import resolve

_ASKED = "check_concepts"
_REPLACED = frozenset({"domain_wrong", "domain_partly_wrong", "not_standard", "concept_invalid"})
"""What the document says of its concepts; the vocabulary knows better."""
_VOCABULARY = frozenset({"concept", "concept_ancestor", "concept_relationship"})


def check_data(
    engine: Engine, definition: Definition, *, events: bool = False, today: date | None = None
) -> list[Question]:
    """Return the questions about a definition on an engine's data: what the data lack for it to run, then the others in
    the order of the document.

    `events` asks about persons' rows too, where the definition can run. Raises Unavailable or Stopped as engines do.
    """
    day = today or clock.today()
    known = check(definition, today=day)
    reading = Reading.of(definition, day)
    if reading.plan is None:
        return known
    absent = list(_lacking(reading.plan, engine))
    if not engine.columns("concept") or any(each.facts["table"] in _VOCABULARY for each in absent):
        return [*absent, *known]
    asked = _Asked(engine, reading)
    found = [question for question in known if question.code not in _REPLACED]
    found += [*asked.vocabulary(), *(asked.events() if events and not absent else ())]
    order = {path: at for at, path in enumerate(dict.fromkeys(question.path for question in [*known, *found]))}
    return absent + sorted(found, key=lambda question: order[question.path])


def _lacking(plan: Plan, engine: Engine) -> Iterator[Question]:
    """Name each table and column once that the definition reads and the data lack, by the first part that reads it."""
    named: set[tuple[object, object]] = set()
    for error in lacking(replace(plan, places=places_of(engine)), engine):
        facts = {key: value for key, value in error.facts.items() if key != "path"}
        what = (facts["table"], facts.get("column"))
        if what not in named:
            named.add(what)
            yield Question(error.code.partition(".")[2], str(error.facts["path"]), facts)


@dataclass
class _Asked:
    engine: Engine
    reading: Reading

    def __post_init__(self) -> None:
        self.used = {key: part for key, part in self.reading.sets.items() if key in self.reading.used}
        whole = {key: ConceptSet(tuple(_item(item) for item in items_of(part))) for key, part in self.used.items()}
        lines = [ConceptSet((replace(item, excluded=False),)) for each in whole.values() for item in each.items]
        kept = [ConceptSet(tuple(item for item in each.items if not item.excluded)) for each in whole.values()]
        self.members = resolve(self.engine, [*whole.values(), *lines, *kept])
        self.whole = whole
        ids = {item.concept_id for each in whole.values() for item in each.items}
        self.concepts = look_up(self.engine, ids.union(*(self.members[each] for each in whole.values())))

    def vocabulary(self) -> Iterator[Question]:
        """Sets that hold nothing here, concepts that are unknown, not standard, no longer valid or elsewhere."""
        for key, part in self.used.items():
            items = items_of(part)
            kept = [item for item in items if not flags_of(item)[0]]
            if kept and not self.members[self.whole[key]]:
                yield Question("set_resolves_nothing", part.path, {"name": name_of(part)})
            unknown = [item for item in items if _item(item).concept_id not in self.concepts]
            yield from told("concept_unknown", part, unknown)
            if looks_for_standard(self.reading, key):
                yield from told("not_standard", part, [item for item in kept if self._finds_nothing(item)])
            invalid = [item for item in kept if (found := self._known(item)) is not None and found.invalid]
            yield from told("concept_invalid", part, invalid)
            yield from told("exclusion_idle", part, [item for item in items if self._idle(key, item)])
        for each in self.reading.criteria:
            yield from self._domains(each)

    def _finds_nothing(self, item: Part) -> bool:
        """Not standard, and nothing standard comes with it: neither below it nor by a mapping."""
        found, members = self._known(item), self.members[ConceptSet((_item(item),))]
        return (
            found is not None
            and found.standard != "S"
            and not any(self.concepts[each].standard == "S" for each in members if each in self.concepts)
        )

    def _known(self, item: Part) -> Concept | None:
        return self.concepts.get(_item(item).concept_id)

    def _idle(self, key: int, item: Part) -> bool:
        line = _item(item)
        kept = ConceptSet(tuple(each for each in self.whole[key].items if not each.excluded))
        taken = self.members.get(ConceptSet((replace(line, excluded=False),)), frozenset())
        return line.excluded and not taken & self.members[kept]

    def _domains(self, each: Criterion) -> Iterator[Question]:
        chosen = self.reading.set_of(each.part.get("CodesetId"))
        if chosen is None or each.spec.criteria not in DOMAINS_OF:
            return
        members = self.members[self.whole[set_id(chosen.get("id"))]]
        standard = [self.concepts[one] for one in sorted(members) if self.concepts[one].standard == "S"]
        yield from wrong_domains(self.reading, chosen, each, [concept.domain for concept in standard])

    def events(self) -> Iterator[Question]:
        """Criteria whose codes no event has, and observation that nobody has."""
        for each in self.reading.criteria:
            chosen = self.reading.set_of(each.part.get("CodesetId"))
            members = self.members[self.whole[set_id(chosen.get("id"))]] if chosen is not None else frozenset[int]()
            table, column = each.spec.table, each.spec.concept or ""
            if chosen is None or not members or not column or each.spec.made:
                continue
            if not _any_event(self.engine, table, column, members):
                facts = {"name": name_of(chosen), "table": table}
                yield Question("set_without_events", f"{each.part.path}.CodesetId", facts)
        yield from self._observation()

    def _observation(self) -> Iterator[Question]:
        assert self.reading.plan is not None
        entry = self.reading.plan.entry
        most = _longest_period(self.engine) if entry.prior_days or entry.post_days else None
        if most is not None and entry.prior_days + entry.post_days > most:
            facts = {"days": days_in_words(entry.prior_days + entry.post_days), "most": days_in_words(most)}
            yield Question("observation_unreachable", "$.PrimaryCriteria.ObservationWindow", facts)


def _item(part: Part) -> Item:
    return Item(part.get("concept").get("CONCEPT_ID").whole(), *flags_of(part))


def _any_event(engine: Engine, table: str, column: str, members: frozenset[int]) -> bool:
    engine.load(_ASKED, {"concept_id": sorted(members)})
    try:
        on = sql.compare(sql.col("a", "concept_id"), "=", sql.col("t", column))
        joins = [sql.join(sql.work_table(_ASKED, "a"), on)]
        counted = engine.tuples(sql.select({"events": sql.count_all()}, sql.cdm_table(table, "t"), joins=joins))
    finally:
        engine.drop(_ASKED)
    return bool(counted[0][0])


def _longest_period(engine: Engine) -> int | None:
    length = sql.day_diff(sql.col("o", "observation_period_end_date"), sql.col("o", "observation_period_start_date"))
    tree = sql.select({"days": sql.aggregate(exp.Max, length)}, sql.cdm_table("observation_period", "o"))
    found: int | None = engine.tuples(tree)[0][0]
    return found
