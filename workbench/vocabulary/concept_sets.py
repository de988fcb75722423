"""Concept sets → concept ids: all sets of a batch are resolved at once, into one table.

Rules (as Circe's): an item counts its own concept where the vocabulary has it, its valid descendants on request, and
on request what maps to these; excluded items are resolved alike and taken away. Ids travel as data, never as SQL text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.columns import Numbers

ITEMS = "set_items"
LISTS = "set_lists"
MEMBERS = "set_members"
SETS = "sets"


@dataclass(frozen=True)
class Item:
    """One line of a concept set."""

    concept_id: int
    excluded: bool = False
    descendants: bool = False
    mapped: bool = False


@dataclass(frozen=True)
class ConceptSet:
    """A set of concepts by value: equal sets of different definitions are one set.

    `literal` sets are plain lists of ids (genders, units, visit types): taken as they are, not looked up.
    """

    items: tuple[Item, ...]
    literal: bool = False


def uploads(sets: Mapping[ConceptSet, int]) -> dict[str, Numbers]:
    """Return the tables of items (to resolve) and of literal members that `steps` read; numbers name the sets."""
    items = [(number, item) for each, number in sets.items() if not each.literal for item in each.items]
    lists = sorted({(number, item.concept_id) for each, number in sets.items() if each.literal for item in each.items})
    return {
        ITEMS: {
            "set_id": [number for number, _ in items],
            "concept_id": [item.concept_id for _, item in items],
            "excluded": [int(item.excluded) for _, item in items],
            "descendants": [int(item.descendants) for _, item in items],
            "mapped": [int(item.mapped) for _, item in items],
        },
        LISTS: {"set_id": [number for number, _ in lists], "concept_id": [concept for _, concept in lists]},
    }


def _own() -> exp.Select:
    """Items whose concept the vocabulary has."""
    return sql.select(
        {**sql.columns("i", "set_id", "excluded", "mapped"), "concept_id": sql.col("c", "concept_id")},
        sql.work_table(ITEMS, "i"),
        joins=[sql.join(sql.cdm_table("concept", "c"), sql.same("i", "c", "concept_id"))],
    )


def _descendants() -> exp.Select:
    """Valid descendants of the items that ask for them."""
    ancestor = sql.compare(sql.col("a", "ancestor_concept_id"), "=", sql.col("i", "concept_id"))
    child = sql.compare(sql.col("c", "concept_id"), "=", sql.col("a", "descendant_concept_id"))
    return sql.select(
        {**sql.columns("i", "set_id", "excluded", "mapped"), "concept_id": sql.col("c", "concept_id")},
        sql.work_table(ITEMS, "i"),
        joins=[
            sql.join(sql.cdm_table("concept_ancestor", "a"), ancestor),
            sql.join(sql.cdm_table("concept", "c"), child),
        ],
        where=[
            sql.compare(sql.col("i", "descendants"), "=", sql.number(1)),
            sql.is_null(sql.col("c", "invalid_reason")),
        ],
    )


def _mapped() -> exp.Select:
    """What maps to the members of items that ask for it."""
    target = sql.compare(sql.col("r", "concept_id_2"), "=", sql.col("m", "concept_id"))
    return sql.select(
        {**sql.columns("m", "set_id", "excluded"), "concept_id": sql.col("r", "concept_id_1")},
        sql.work_table(MEMBERS, "m"),
        joins=[sql.join(sql.cdm_table("concept_relationship", "r"), target)],
        where=[
            sql.compare(sql.col("m", "mapped"), "=", sql.number(1)),
            sql.compare(sql.col("r", "relationship_id"), "=", sql.text("Maps to")),
            sql.is_null(sql.col("r", "invalid_reason")),
        ],
    )


def _resolved(any_mapped: bool) -> exp.Query:
    """Members that are included and not excluded; a group by decides, so that no set is read twice."""
    parts: list[exp.Query] = [
        sql.select(sql.columns("m", "set_id", "excluded", "concept_id"), sql.work_table(MEMBERS, "m"))
    ]
    if any_mapped:
        parts.append(_mapped())
    union = sql.sub(sql.union_all(parts), "u")
    return sql.select(
        sql.columns("u", "set_id", "concept_id"),
        union,
        group=[sql.col("u", "set_id"), sql.col("u", "concept_id")],
        having=sql.compare(sql.aggregate(exp.Max, sql.col("u", "excluded")), "=", sql.number(0)),
    )


def needs(sets: Iterable[ConceptSet]) -> dict[str, tuple[str, ...]]:
    """Return the vocabulary tables that resolving these sets reads, with their columns."""
    items = [item for each in sets if not each.literal for item in each.items]
    wanted: dict[str, tuple[str, ...]] = {"concept": ("concept_id",)} if items else {}
    if any(item.descendants for item in items):
        wanted["concept"] = ("concept_id", "invalid_reason")
        wanted["concept_ancestor"] = ("ancestor_concept_id", "descendant_concept_id")
    if any(item.mapped for item in items):
        wanted["concept_relationship"] = ("concept_id_1", "concept_id_2", "relationship_id", "invalid_reason")
    return wanted


def steps(sets: Mapping[ConceptSet, int]) -> list[Step]:
    """Return the steps that make the table `sets` (set_id, concept_id) of every set of a batch, without duplicates."""
    wanted = needs(sets)
    lists: exp.Query = sql.select(sql.columns("l", "set_id", "concept_id"), sql.work_table(LISTS, "l"))
    if not wanted:
        return [Step(SETS, lists, keep=True)]
    members = [_own()] + ([_descendants()] if "concept_ancestor" in wanted else [])
    union = sql.sub(sql.union_all(members), "u")
    first = sql.select(sql.columns("u", "set_id", "excluded", "mapped", "concept_id"), union)
    resolved = sql.select(
        sql.columns("r", "set_id", "concept_id"), sql.sub(_resolved("concept_relationship" in wanted), "r")
    )
    return [Step(MEMBERS, first, keep=True), Step(SETS, sql.union_all([resolved, lists]), keep=True)]
