"""The vocabulary: Athena's form, whole hierarchies, mappings that lead to standard concepts, OMOP's own ids."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.hospital.conftest import Hospital
from workbench.intake.omop import demo_source

OWN = 2_000_000_000


def known_concepts(shared: Path) -> pl.DataFrame:
    """Concepts as OHDSI's own cohort definitions and GiBleed name them: id, vocabulary, code."""
    found: set[tuple[int, str, str]] = set()
    for path in (shared / "data" / "circe" / "phenotype_library").rglob("*.json"):
        for concepts in json.loads(path.read_text(encoding="utf-8")).get("ConceptSets", []):
            for item in concepts["expression"]["items"]:
                concept = item["concept"]
                found.add((concept["CONCEPT_ID"], concept.get("VOCABULARY_ID"), concept.get("CONCEPT_CODE")))
    with duckdb.connect(str(demo_source()), read_only=True) as connection:
        query = "SELECT try_cast(concept_id AS BIGINT), vocabulary_id, concept_code FROM concept"
        found |= {row for row in connection.execute(query).fetchall() if row[0] is not None}
    frame = pl.DataFrame(sorted(found, key=str), schema=["concept_id", "vocabulary_id", "concept_code"], orient="row")
    return frame.filter(pl.col("concept_code").is_not_null()).unique("concept_id")


def test_omops_own_ids_are_omops(hospital: Hospital, shared: Path) -> None:
    ours = hospital.omop("concept").filter((pl.col("concept_id") < OWN) & (pl.col("concept_id") > 0))
    both = ours.join(known_concepts(shared), on="concept_id", suffix="_known")
    assert both.height > 250
    wrong = both.filter(pl.col("concept_code") != pl.col("concept_code_known"))
    assert wrong.select("concept_id", "concept_code", "concept_code_known").rows() == []


def test_the_download_is_in_athenas_form(hospital: Hospital) -> None:
    folder = hospital.folder / "vocabulaire"
    names = {path.stem for path in folder.glob("*.csv")}
    assert names == {
        "CONCEPT", "CONCEPT_ANCESTOR", "CONCEPT_RELATIONSHIP", "CONCEPT_SYNONYM", "VOCABULARY", "DOMAIN",
        "CONCEPT_CLASS", "RELATIONSHIP",
    }  # fmt: skip
    lines = (folder / "CONCEPT.csv").read_text(encoding="utf-8").split("\n")
    header = lines[0].split("\t")
    assert header[0] == "concept_id"
    assert all(len(line.split("\t")) == len(header) and '"' not in line for line in lines[:-1])
    assert len(lines) - 2 == hospital.omop("concept").height
    row = dict(zip(header, next(line for line in lines if "\tE11.9\t" in line).split("\t"), strict=True))
    assert row["concept_name"] == "Diabète sucré de type 2, sans complication"
    assert (row["vocabulary_id"], row["valid_end_date"], row["standard_concept"]) == ("CIM10", "20991231", "")


def test_ancestors_go_all_the_way(hospital: Hospital) -> None:
    concept = hospital.omop("concept")
    ids = {(row["vocabulary_id"], row["concept_code"]): row["concept_id"] for row in concept.iter_rows(named=True)}
    rows = hospital.omop("concept_ancestor").rows()
    pairs = {(ancestor, descendant): (low, high) for ancestor, descendant, low, high in rows}
    assert len(pairs) == len(rows)
    code = [ids["CIM10", name] for name in ("E11.9", "E11", "E10-E14", "E00-E90")]
    assert [pairs[each, code[0]][0] for each in code] == [0, 1, 2, 3]
    metformin = ids["RxNorm", "6809"]
    levels = [ids["ATC", name] for name in ("A10BA02", "A10BA", "A10B", "A10", "A")]
    assert [pairs[each, metformin][0] for each in levels] == [1, 2, 3, 4, 5]
    assert pairs[ids["SNOMED", "73211009"], ids["SNOMED", "44054006"]] == (1, 1)  # diabetes, type 2 diabetes
    below = {descendant for ancestor, descendant in pairs if ancestor == ids["SNOMED", "84114007"]}
    assert {ids["SNOMED", "42343007"], ids["SNOMED", "85232009"]} <= below  # congestive, left heart failure
    table = hospital.omop("concept_ancestor")
    two_steps = table.join(table, left_on="descendant_concept_id", right_on="ancestor_concept_id")
    reached = two_steps.select("ancestor_concept_id", descendant_concept_id="descendant_concept_id_right")
    assert reached.join(table, on=["ancestor_concept_id", "descendant_concept_id"], how="anti").height == 0


def test_codes_map_to_standard_concepts(hospital: Hospital) -> None:
    concept = hospital.omop("concept")
    maps = hospital.omop("concept_relationship").filter(pl.col("relationship_id") == "Maps to")
    target = maps.join(concept, left_on="concept_id_2", right_on="concept_id")
    assert target["standard_concept"].unique().to_list() == ["S"]
    assert not maps.join(
        concept.filter(pl.col("vocabulary_id") == "CCAM"), left_on="concept_id_1", right_on="concept_id"
    ).height
    for vocabulary in ("CIM10", "UCD", "CHU biologie"):
        codes = concept.filter((pl.col("vocabulary_id") == vocabulary) & ~pl.col("concept_code").str.starts_with("U"))
        assert codes.join(maps, left_on="concept_id", right_on="concept_id_1", how="anti").height == 0, vocabulary
    back = hospital.omop("concept_relationship").filter(pl.col("relationship_id") == "Mapped from")
    assert back.height == maps.height


@pytest.mark.parametrize("table", ["domain", "vocabulary", "concept_class"])
def test_what_a_concept_names_is_named(hospital: Hospital, table: str) -> None:
    used = hospital.omop("concept")[f"{table}_id"].unique()
    assert used.is_in(hospital.omop(table)[f"{table}_id"].implode()).all()


def test_a_few_thousand_concepts_with_french_names(hospital: Hospital) -> None:
    concept = hospital.omop("concept")
    assert concept.height > 2500
    assert concept["concept_id"].max() < 2**31
    names = hospital.omop("concept_synonym")
    found = names.filter(pl.col("concept_synonym_name") == "Metformine")
    assert found["concept_id"].to_list() == [1503297]
    assert names["language_concept_id"].unique().to_list() == [4180190]
