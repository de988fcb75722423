"""Concepts that some data use and a definition's concept sets do not have, though they are close to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from workbench.cohorts.diagnose_events import Count
from workbench.cohorts.domains import DOMAINS, Domain
from workbench.cohorts.left import Counts, ExactCounts
from workbench.cohorts.plan import Plan
from workbench.cohorts.survey import all_events
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.sql import Expr
from workbench.kernel.progress import Progress, silent
from workbench.vocabulary.concept_sets import ConceptSet
from workbench.vocabulary.lookup import Concept, look_up
from workbench.vocabulary.resolve import resolve
from workbench.vocabulary.words import words

Relation = Literal["below", "above", "mapped", "words", "unmapped"]
"""Below or above a concept of the set, mapped to one, with the same words; or a source code with them and no standard
concept."""

MOST = 50
_ASKED = "orphan_candidates"
_COMMON = frozenset(
    {"and", "the", "with", "without", "for", "from", "not", "other", "unspecified", "due", "des", "les", "une", "par",
     "avec", "sans", "pour", "dans", "autre", "autres", "mention", "disorder", "disease", "finding", "nos", "type"}
)  # fmt: skip
_RANK: Mapping[Relation, int] = {"below": 0, "above": 1, "mapped": 2, "words": 3, "unmapped": 4}


@dataclass(frozen=True)
class Orphan:
    """One concept that is close to a set, the table that uses it, how it is close, and how often it is there."""

    concept: Concept
    table: str
    relation: Relation
    count: Count


@dataclass(frozen=True)
class _Asked:
    """One concept set with its name and the tables in which criteria look for it."""

    concepts: ConceptSet
    domains: tuple[Domain, ...]


def orphans(
    engine: Engine, plan: Plan, progress: Progress = silent, way: Counts | None = None
) -> dict[str, tuple[Orphan, ...]]:
    """Return for each concept set (by name) its orphans, the most persons first, no more than `MOST`.

    Only concepts that the data use count; they are counted in this way. Raises as engines do.
    """
    way = way or ExactCounts(engine)
    asked = _asked(plan)
    members = resolve(engine, (each for one in asked.values() for each in _kin(one.concepts)))
    domains = {domain.table: domain for one in asked.values() for domain in one.domains}
    seen = _Seen.of(engine, domains.values())
    progress(0.4, "words")
    close = {name: _close(engine, name, one, members, seen) for name, one in asked.items()}
    counts: dict[tuple[str, bool], dict[int, Count]] = {}
    for at, (table, domain) in enumerate(domains.items()):
        progress(0.5 + 0.5 * at / len(domains), table)
        for source, used in ((False, seen.used[table]), (True, seen.unmapped[table])):
            wanted = {concept for name, one in asked.items() if domain in one.domains for concept in close[name]}
            counts[table, source] = _counted(engine, way, domain, wanted & used, source=source)
    found = {name: tuple(_orphans(one, close[name], counts, seen)) for name, one in asked.items()}
    return {name: tuple(sorted(rows, key=_by_persons)[:MOST]) for name, rows in found.items() if rows}


@dataclass(frozen=True)
class _Seen:
    """What the data use: standard concepts by table, source concepts of rows without one by table, their names, and
    the concepts whose name has a word."""

    used: Mapping[str, frozenset[int]]
    unmapped: Mapping[str, frozenset[int]]
    names: Mapping[int, Concept]
    holders: Mapping[str, set[int]]

    @classmethod
    def of(cls, engine: Engine, domains: Iterable[Domain]) -> _Seen:
        listed = list(domains)
        used = {domain.table: _used(engine, domain) for domain in listed}
        unmapped = {domain.table: _unmapped(engine, domain) for domain in listed}
        names = look_up(engine, {concept for each in (*used.values(), *unmapped.values()) for concept in each})
        holders: dict[str, set[int]] = {}
        for concept in names.values():
            for word in words_of(concept.name):
                holders.setdefault(word, set()).add(concept.id)
        return cls(used, unmapped, names, holders)

    def with_words(self, queries: Iterable[frozenset[str]]) -> frozenset[int]:
        """Return the concepts whose name has all the words of a query."""
        found: set[int] = set()
        for query in queries:
            found |= set[int].intersection(*(self.holders.get(word, set[int]()) for word in query))
        return frozenset(found)


def _orphans(
    one: _Asked, close: Mapping[int, Relation], counts: Mapping[tuple[str, bool], Mapping[int, Count]], seen: _Seen
) -> Iterator[Orphan]:
    for domain in one.domains:
        for source in (False, True):
            for concept, count in counts[domain.table, source].items():
                if concept in close and concept in seen.names:
                    relation = "unmapped" if source else close[concept]
                    yield Orphan(seen.names[concept], domain.table, relation, count)


def _by_persons(each: Orphan) -> tuple[int, int, int, str]:
    return -each.count.persons, _RANK[each.relation], each.concept.id, each.table


def _asked(plan: Plan) -> dict[str, _Asked]:
    """The sets of criteria by their names, with the tables that have a concept of their own to look in."""
    found: dict[str, _Asked] = {}
    for events, _ in all_events(plan):
        domain = DOMAINS[events.domain]
        if events.concepts is None or events.concepts.literal or domain.concept is None or domain.made:
            continue
        known = found.get(events.label)
        domains = known.domains if known else ()
        if domain not in domains:
            found[events.label] = _Asked(events.concepts, (*domains, domain))
    return found


def _kin(concepts: ConceptSet) -> tuple[ConceptSet, ConceptSet, ConceptSet]:
    """The set itself, all that is below its concepts, and all that maps to them."""
    kept = [item for item in concepts.items if not item.excluded]
    below = tuple(replace(item, descendants=True, mapped=False) for item in kept)
    mapped = tuple(replace(item, mapped=True) for item in kept)
    return concepts, ConceptSet(below), ConceptSet(mapped)


def _close(
    engine: Engine, name: str, one: _Asked, members: Mapping[ConceptSet, frozenset[int]], seen: _Seen
) -> dict[int, Relation]:
    """Each used concept that is close to a set and not in it, with its closest relation."""
    whole, below, mapped = (members[each] for each in _kin(one.concepts))
    tables = [domain.table for domain in one.domains]
    here = frozenset[int]().union(*(seen.used[table] | seen.unmapped[table] for table in tables)) - whole
    kept = {item.concept_id for item in one.concepts.items if not item.excluded}
    near: tuple[tuple[frozenset[int], Relation], ...] = (
        (seen.with_words(_queries(engine, name, kept)), "words"),
        (mapped, "mapped"),
        (_parents(engine, kept), "above"),
        (below, "below"),
    )
    return {concept: relation for concepts, relation in near for concept in concepts & here}


def _used(engine: Engine, domain: Domain) -> frozenset[int]:
    """The concepts that a table uses."""
    column = sql.col("t", domain.concept or domain.key)
    rows = engine.fetch(sql.select({"concept": column}, sql.cdm_table(domain.table, "t"), distinct=True))
    return frozenset(value for value in rows["concept"].to_pylist() if value)


def _unmapped(engine: Engine, domain: Domain) -> frozenset[int]:
    """The source concepts of rows that have no standard concept."""
    if domain.source is None or domain.source not in engine.columns(domain.table):
        return frozenset()
    rows = engine.fetch(
        sql.select(
            {"concept": sql.col("t", domain.source)},
            sql.cdm_table(domain.table, "t"),
            where=[_without_standard(domain)],
            distinct=True,
        )
    )
    return frozenset(value for value in rows["concept"].to_pylist() if value)


def _without_standard(domain: Domain) -> Expr:
    return sql.compare(sql.coalesce(sql.col("t", domain.concept or domain.key), sql.number(0)), "=", sql.number(0))


def _counted(engine: Engine, way: Counts, domain: Domain, concepts: set[int], *, source: bool) -> dict[int, Count]:
    """How many persons and rows of a table have each of some concepts, as their concept or as their source."""
    if not concepts:
        return {}
    column = (domain.source if source else domain.concept) or domain.key
    engine.load(_ASKED, {"concept_id": sorted(concepts)})
    try:
        on = sql.compare(sql.col("a", "concept_id"), "=", sql.col("t", column))
        tree = sql.select(
            {"concept": sql.col("t", column), "person_id": sql.col("t", "person_id")},
            sql.cdm_table(domain.table, "t"),
            joins=[sql.join(sql.work_table(_ASKED, "a"), on)],
            where=[_without_standard(domain)] if source else [],
        )
        return {concept: Count.of(left) for (concept,), left in way.by(sql.sub(tree, "e"), ["concept"])}
    finally:
        engine.drop(_ASKED)


def _parents(engine: Engine, concepts: Iterable[int]) -> frozenset[int]:
    """The concepts just above some, by the vocabulary's own levels."""
    if "min_levels_of_separation" not in engine.columns("concept_ancestor"):
        return frozenset()
    engine.load(_ASKED, {"concept_id": sorted(concepts)})
    try:
        on = sql.compare(sql.col("a", "concept_id"), "=", sql.col("r", "descendant_concept_id"))
        tree = sql.select(
            {"concept": sql.col("r", "ancestor_concept_id")},
            sql.cdm_table("concept_ancestor", "r"),
            joins=[sql.join(sql.work_table(_ASKED, "a"), on)],
            where=[sql.compare(sql.col("r", "min_levels_of_separation"), "=", sql.number(1))],
            distinct=True,
        )
        return frozenset(engine.fetch(tree)["concept"].to_pylist())
    finally:
        engine.drop(_ASKED)


def words_of(text: str) -> frozenset[str]:
    """Return the telling words of a name: three letters or more, folded as the concept search does, not too common."""
    return frozenset(word for word in words(text) if len(word) > 2 and not word.isdigit()) - _COMMON


def _queries(engine: Engine, name: str, kept: Iterable[int]) -> list[frozenset[str]]:
    """The words of a set's own name and those of each of its concepts: what a near name must have all of."""
    texts = [name, *(concept.name for concept in look_up(engine, kept).values())]
    return [query for query in dict.fromkeys(map(words_of, texts)) if query]
