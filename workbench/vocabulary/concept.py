"""One concept and what surrounds it: above and below in the hierarchy, mapped from and to, synonyms, source codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.engines.duckdb import connect

_ITSELF = """
    SELECT concept_id, concept_name, concept_code, domain_id, vocabulary_id, concept_class_id, standard_concept,
        invalid_reason, CAST(valid_start_date AS VARCHAR), CAST(valid_end_date AS VARCHAR)
    FROM read_parquet($concept) WHERE concept_id = $id
"""
_SYNONYMS = """
    SELECT DISTINCT concept_synonym_name, language_concept_id FROM read_parquet($concept_synonym)
    WHERE concept_id = $id AND concept_synonym_name IS NOT NULL ORDER BY 2, 1
"""
_ABOVE = """
    SELECT c.concept_id, c.concept_name, c.vocabulary_id, c.concept_code, c.standard_concept,
        a.min_levels_of_separation AS levels, count(*) OVER () AS total
    FROM read_parquet($concept_ancestor) a JOIN read_parquet($concept) c ON c.concept_id = a.ancestor_concept_id
    WHERE a.descendant_concept_id = $id AND a.ancestor_concept_id <> $id ORDER BY levels, c.concept_name, 1 LIMIT $limit
"""
_BELOW = """
    SELECT c.concept_id, c.concept_name, c.vocabulary_id, c.concept_code, c.standard_concept,
        a.min_levels_of_separation AS levels, count(*) OVER () AS total
    FROM read_parquet($concept_ancestor) a JOIN read_parquet($concept) c ON c.concept_id = a.descendant_concept_id
    WHERE a.ancestor_concept_id = $id AND a.descendant_concept_id <> $id ORDER BY levels, c.concept_name, 1
    LIMIT $limit
"""
_MAPPED = """
    SELECT c.concept_id, c.concept_name, c.vocabulary_id, c.concept_code, c.standard_concept, 1 AS levels,
        count(*) OVER () AS total
    FROM read_parquet($concept_relationship) r JOIN read_parquet($concept) c ON c.concept_id = r.concept_id_2
    WHERE r.concept_id_1 = $id AND r.concept_id_2 <> $id AND r.relationship_id = $name AND r.invalid_reason IS NULL
    ORDER BY c.vocabulary_id, c.concept_code, 1 LIMIT $limit
"""
_CODES = """
    SELECT DISTINCT source_vocabulary_id, source_code, coalesce(source_code_description, '')
    FROM read_parquet($source_to_concept_map)
    WHERE target_concept_id = $id AND invalid_reason IS NULL ORDER BY 1, 2 LIMIT $limit
"""
_DESCENDANTS = """
    SELECT DISTINCT descendant_concept_id FROM read_parquet($concept_ancestor) WHERE ancestor_concept_id = $id
"""


@dataclass(frozen=True)
class Near:
    """A concept beside another; `levels`: how far above or below it is."""

    concept_id: int
    name: str
    vocabulary: str
    code: str
    standard: str | None
    levels: int


@dataclass(frozen=True)
class Several:
    """The first of some concepts, and how many there are in all."""

    concepts: tuple[Near, ...]
    total: int


@dataclass(frozen=True)
class Concept:
    """A concept as its vocabulary has it. `synonyms`: text and language concept; `codes`: source vocabulary, code and
    label of a hospital's own map; `family`: the ids of itself and its descendants."""

    concept_id: int
    name: str
    code: str
    domain: str
    vocabulary: str
    concept_class: str
    standard: str | None
    invalid: str | None
    valid_start: str
    valid_end: str
    synonyms: tuple[tuple[str, int], ...]
    above: Several
    below: Several
    maps_to: Several
    mapped_from: Several
    codes: tuple[tuple[str, str, str], ...]
    family: frozenset[int]

    def label(self, language: int) -> str | None:
        """Return the shortest synonym in a language (its concept), if there is any."""
        mine = sorted(
            (text for text, spoken in self.synonyms if spoken == language), key=lambda text: (len(text), text)
        )
        return mine[0] if mine else None


def read_concept(files: Mapping[str, Path], concept_id: int, limit: int = 50) -> Concept | None:
    """Return a concept from a release's Parquet files (table → file), or None where the vocabulary lacks it; of what
    surrounds it the nearest `limit`."""
    with connect() as connection:
        rows = _rows(connection, _ITSELF, files, id=concept_id)
        if not rows:
            return None
        family = {row[0] for row in _rows(connection, _DESCENDANTS, files, id=concept_id)}
        return Concept(
            *rows[0],
            synonyms=tuple(_rows(connection, _SYNONYMS, files, id=concept_id)),
            above=_several(_rows(connection, _ABOVE, files, id=concept_id, limit=limit)),
            below=_several(_rows(connection, _BELOW, files, id=concept_id, limit=limit)),
            maps_to=_several(_rows(connection, _MAPPED, files, id=concept_id, limit=limit, name="Maps to")),
            mapped_from=_several(_rows(connection, _MAPPED, files, id=concept_id, limit=limit, name="Mapped from")),
            codes=tuple(_rows(connection, _CODES, files, id=concept_id, limit=limit)),
            family=frozenset(family | {concept_id}),
        )


def _rows(connection: Any, query: str, files: Mapping[str, Path], **values: object) -> list[tuple[Any, ...]]:
    """Run a query whose `$name`s are values or tables; a table that the release lacks gives no row."""
    named = {name: str(path) for name, path in files.items() if f"read_parquet(${name})" in query}
    if query.count("read_parquet($") != sum(query.count(f"read_parquet(${name})") for name in named):
        return []
    return connection.execute(query, {**values, **named}).fetchall()


def _several(rows: list[tuple[Any, ...]]) -> Several:
    return Several(tuple(Near(*row[:-1]) for row in rows), int(rows[0][-1]) if rows else 0)
