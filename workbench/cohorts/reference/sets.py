"""Concept sets: which concepts an expression stands for."""

from __future__ import annotations

from workbench.cohorts.reference.database import Database
from workbench.cohorts.reference.values import Json, flag, whole


def resolve(expression: Json, database: Database) -> frozenset[int]:
    """Return the concepts of every included item, without those of any excluded item."""
    included: set[int] = set()
    excluded: set[int] = set()
    for item in expression.get("items") or ():
        (excluded if flag(item.get("isExcluded")) else included).update(_of_item(item, database))
    return frozenset(included - excluded)


def _of_item(item: Json, database: Database) -> set[int]:
    concept = whole(item["concept"]["CONCEPT_ID"])
    found = _itself(concept, database)
    if flag(item.get("includeDescendants")):
        found |= _descendants(concept, database)
    if flag(item.get("includeMapped")):
        found |= {source for target in found for source in _mapped_to(target, database)}
    return found


def _itself(concept: int, database: Database) -> set[int]:
    """A concept that the vocabulary lacks is none; a withdrawn one still counts where it is named itself."""
    return {concept} if database.where("concept", "concept_id", concept) else set()


def _descendants(concept: int, database: Database) -> set[int]:
    """Descendants count only while they are valid."""
    below = {row["descendant_concept_id"] for row in database.where("concept_ancestor", "ancestor_concept_id", concept)}
    return {
        each
        for each in below
        if any(row.get("invalid_reason") is None for row in database.where("concept", "concept_id", each))
    }


def _mapped_to(concept: int, database: Database) -> set[int]:
    """What a valid 'Maps to' leads from."""
    return {
        row["concept_id_1"]
        for row in database.where("concept_relationship", "concept_id_2", concept)
        if row["relationship_id"] == "Maps to" and row.get("invalid_reason") is None
    }
