"""How the concepts of the vocabulary hang together: mappings, ancestors, synonyms, and the tables that name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import polars as pl

from workbench.hospital import concepts as v
from workbench.hospital.biology import METHODS
from workbench.hospital.coding import CIM10
from workbench.hospital.data import rows
from workbench.hospital.pathways import products

_RELATIONSHIPS: Final = (
    ("Maps to", "Non-standard to standard map", "0", "0", "Mapped from"),
    ("Mapped from", "Standard to non-standard map", "0", "0", "Maps to"),
    ("Is a", "Is a", "1", "0", "Subsumes"),
    ("Subsumes", "Subsumes", "1", "1", "Is a"),
)
_VERSIONS: Final = {
    "CIM10": "CIM-10 en français : une partie, libellés courts", "CCAM": "CCAM : une partie, libellés courts",
    "ATC": "ATC : une partie, en français", "UCD": "Codes de notre fabrication, à la forme d’un code UCD",
    "CHU": "Concepts de notre fabrication", "CHU médicament": "Substances de notre fabrication",
    "CHU unité": "Unités médicales de l’hôpital", "CHU biologie": "Codes du laboratoire de l’hôpital",
}  # fmt: skip
Pair = tuple[int, int]


def meta(concepts: Iterable[v.Concept]) -> tuple[list[v.Concept], Mapping[str, pl.DataFrame]]:
    """Return the concepts that stand for vocabularies, domains, classes and relationships, and their tables."""
    used = list(concepts)
    kinds = {
        "vocabulary": sorted({each[3] for each in used} | {"Vocabulary", "Domain", "Concept Class", "Relationship"}),
        "domain": sorted({each[2] for each in used} | {"Metadata"}),
        "concept_class": sorted({each[4] for each in used} | {"Vocabulary", "Domain", "Concept Class", "Relationship"}),
        "relationship": [name for name, *_ in _RELATIONSHIPS],
    }
    made: list[v.Concept] = []
    ids: dict[str, dict[str, int]] = {}
    for table, names in kinds.items():
        title = table.replace("_", " ").title()
        ids[table] = {name: v.own("meta", len(made) + place) for place, name in enumerate(names)}
        made += [(ids[table][name], name, "Metadata", title, title, None, f"CHU {name}") for name in names]
    return made, _meta_tables(ids)


def _meta_tables(ids: Mapping[str, Mapping[str, int]]) -> Mapping[str, pl.DataFrame]:
    vocabularies = [
        (name, _VERSIONS.get(name, name), "CHU de synthèse", v.VERSION if name == "None" else None, number)
        for name, number in ids["vocabulary"].items()
    ]
    names = ["vocabulary_id", "vocabulary_name", "vocabulary_reference", "vocabulary_version", "vocabulary_concept_id"]
    relations = [(*facts, ids["relationship"][facts[0]]) for facts in _RELATIONSHIPS]
    relation = [
        "relationship_id",
        "relationship_name",
        "is_hierarchical",
        "defines_ancestry",
        "reverse_relationship_id",
    ]
    tables = {
        "vocabulary": pl.DataFrame(vocabularies, schema=names, orient="row"),
        "relationship": pl.DataFrame(relations, schema=[*relation, "relationship_concept_id"], orient="row"),
    }
    for table in ("domain", "concept_class"):
        found = [(name, name, number) for name, number in ids[table].items()]
        names = [f"{table}_id", f"{table}_name", f"{table}_concept_id"]
        tables[table] = pl.DataFrame(found, schema=names, orient="row")
    return tables


def _conditions() -> Iterator[Pair]:
    for row in rows("standard"):
        for parent in row["parents"].split():
            yield v.standard()[parent], v.standard()[row["key"]]


def _cim10() -> Iterator[Pair]:
    place = {code: number for number, code in enumerate(CIM10)}
    for code, parent in v.parents().items():
        yield v.own("CIM10", place[parent]), v.own("CIM10", place[code])


def _drugs() -> Iterator[Pair]:
    """ATC level under level, ingredients under their code, and combinations under each of their ingredients."""
    place = {row["code"]: number for number, row in enumerate(rows("atc"))}
    parts = {7: 5, 5: 4, 4: 3, 3: 1}
    for row in rows("atc"):
        code = row["code"]
        if len(code) > 1:
            yield v.own("ATC", place[code[: parts[len(code)]]]), v.own("ATC", place[code])
        if row["ingredient"]:
            mine = v.ingredients()[row["ingredient"]]
            yield v.own("ATC", place[code]), mine
            for each in row["ingredient"].split(" / "):
                if each in v.ingredients() and each != row["ingredient"]:
                    yield v.ingredients()[each], mine


def ancestors(concepts: Iterable[v.Concept]) -> pl.DataFrame:
    """Return every pair of ancestor and descendant with the fewest and most steps between, each concept its own."""
    children: dict[int, list[int]] = {}
    for parent, child in [*_conditions(), *_cim10(), *_drugs()]:
        children.setdefault(parent, []).append(child)
    found: list[tuple[int, int, int, int]] = []
    for number in sorted({each[0] for each in concepts if each[5] or each[3] == "CIM10"}):
        found += [(number, below, low, high) for below, (low, high) in _below(number, children).items()]
    names = ["ancestor_concept_id", "descendant_concept_id", "min_levels_of_separation", "max_levels_of_separation"]
    return pl.DataFrame(found, schema=names, orient="row").sort(names)


def _below(number: int, children: Mapping[int, list[int]]) -> dict[int, tuple[int, int]]:
    steps = {number: (0, 0)}
    level, depth = {number}, 0
    while level:
        depth += 1
        level = {child for each in level for child in children.get(each, [])}
        for child in level:
            steps[child] = (steps.get(child, (depth, depth))[0], depth)
    return steps


def maps(concepts: Iterable[v.Concept]) -> pl.DataFrame:
    """Return "Maps to" (and back) from every code to its standard concept and from each of these to itself, "Is a"
    (and back) between standard concepts."""
    direct = [(number, number) for number, *_, mark, _ in concepts if mark == "S"]
    keys = v.mapped()
    direct += [(v.own("CIM10", place), v.standard()[keys[code]]) for place, code in enumerate(CIM10) if keys[code]]
    by_code = {row["code"]: v.ingredients()[row["ingredient"]] for row in rows("atc") if row["ingredient"]}
    direct += [(v.own("UCD", place), by_code[code]) for place, (code, _) in enumerate(products())]
    direct += [(v.own("CHU biologie", place), int(row["concept_id"])) for place, row in enumerate(METHODS)]
    pairs = [(one, two, "Maps to") for one, two in direct] + [(two, one, "Mapped from") for one, two in direct]
    links = [*_conditions(), *_cim10(), *_drugs()]
    pairs += [(child, parent, "Is a") for parent, child in links]
    pairs += [(parent, child, "Subsumes") for parent, child in links]
    names = ["concept_id_1", "concept_id_2", "relationship_id"]
    return pl.DataFrame(pairs, schema=names, orient="row").unique().sort(names)


def synonyms(language: int) -> pl.DataFrame:
    """Return French names of standard concepts, under which people here look for them."""
    found = [(int(row["concept_id"]), row["libelle"]) for row in rows("concepts")]
    found += [(int(row["concept_id"]), row["libelle"]) for row in METHODS]
    found += [(v.ingredients()[row["ingredient"]], row["libelle"]) for row in rows("atc") if row["ingredient"]]
    own = {row["standard"]: row["libelle"] for row in reversed(rows("cim10")) if row["standard"]}
    found += [(v.standard()[key], name) for key, name in own.items()]
    named = [(number, name, language) for number, name in sorted(set(found))]
    return pl.DataFrame(named, schema=["concept_id", "concept_synonym_name", "language_concept_id"], orient="row")


def source_map() -> pl.DataFrame:
    """Return the laboratory's codes as a map of the house: code → LOINC's concept."""
    found = [
        (v.local(place), 0, "CHU biologie", row["libelle"], int(row["concept_id"]), "LOINC")
        for place, row in enumerate(METHODS)
    ]
    names = ["source_code", "source_concept_id", "source_vocabulary_id", "source_code_description",
             "target_concept_id", "target_vocabulary_id"]  # fmt: skip
    return pl.DataFrame(found, schema=names, orient="row")
