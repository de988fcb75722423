"""A small vocabulary in Athena's form, written on the spot."""

from __future__ import annotations

import zipfile
from pathlib import Path

COLUMNS = {
    "CONCEPT": "concept_id concept_name domain_id vocabulary_id concept_class_id standard_concept concept_code"
    " valid_start_date valid_end_date invalid_reason",
    "CONCEPT_ANCESTOR": "ancestor_concept_id descendant_concept_id min_levels_of_separation max_levels_of_separation",
    "CONCEPT_RELATIONSHIP": "concept_id_1 concept_id_2 relationship_id valid_start_date valid_end_date invalid_reason",
    "CONCEPT_SYNONYM": "concept_id concept_synonym_name language_concept_id",
    "VOCABULARY": "vocabulary_id vocabulary_name vocabulary_reference vocabulary_version vocabulary_concept_id",
    "DOMAIN": "domain_id domain_name domain_concept_id",
}
FRENCH, ENGLISH = "4180190", "4180186"


def concept(
    number: int,
    name: str,
    *,
    vocabulary: str = "SNOMED",
    code: str = "",
    standard: str = "S",
    domain: str = "Condition",
) -> list[str]:
    """Return a row of CONCEPT.csv."""
    return [str(number), name, domain, vocabulary, "Class", standard, code or str(number), "19700101", "20991231", ""]


def maps_to(source: int, target: int) -> list[list[str]]:
    """Return the two rows of a mapping."""
    dates = ["19700101", "20991231", ""]
    return [[str(source), str(target), "Maps to", *dates], [str(target), str(source), "Mapped from", *dates]]


NONE = concept(0, "No matching concept", vocabulary="None", standard="", domain="Metadata", code="No matching concept")
ITSELF = ["None", "OMOP Standardized Vocabularies", "OMOP", "v5.0 27-FEB-26", "44819096"]
WHOLE = {
    "CONCEPT": [
        NONE,
        concept(8507, "MALE", vocabulary="Gender", code="M", domain="Gender"),
        concept(201826, 'Type 2 "diabetes" mellitus', code="44054006"),
        concept(201820, "Diabetes mellitus", code="73211009"),
        concept(35206882, "Type 2 diabetes mellitus", vocabulary="ICD10", code="E11", standard=""),
        concept(32882, "Standard algorithm from EHR", vocabulary="Type Concept", domain="Type Concept"),
        concept(77, "NA", code="00123"),
    ],
    "CONCEPT_ANCESTOR": [
        ["201820", "201826", "1", "1"],
        *([str(each), str(each), "0", "0"] for each in (77, 8507, 32882, 201820, 201826)),
    ],
    "CONCEPT_RELATIONSHIP": maps_to(35206882, 201826),
    "CONCEPT_SYNONYM": [["201826", "Diabète de type 2", FRENCH], ["201826", "Type II diabetes", ENGLISH]],
    "VOCABULARY": [ITSELF, ["SNOMED", "SNOMED CT", "x", "2026", "1"], ["ICD10", "ICD-10", "x", "2026", "2"]],
    "DOMAIN": [["Condition", "Condition", "19"], ["Gender", "Gender", "2"], ["Metadata", "Metadata", "7"]],
}
OWN = {
    "CONCEPT": [
        concept(2_000_000_011, "Diabète sucré de type 2", vocabulary="CIM10FR", code="E11", standard=""),
        concept(2_000_000_012, "Appendicectomie", vocabulary="CCAM", code="HHFA001", standard="", domain="Procedure"),
    ],
    "CONCEPT_RELATIONSHIP": maps_to(2_000_000_011, 201826),
    "VOCABULARY": [["CIM10FR", "CIM-10", "ATIH", "2026", "2000000001"], ["CCAM", "CCAM", "ATIH", "80", "2000000002"]],
}


def write(folder: Path, tables: dict[str, list[list[str]]]) -> Path:
    """Write tables as Athena does: tabs, no quotes, header in small letters."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        lines = ["\t".join(row) for row in [COLUMNS[name].split(), *rows]]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def zipped(folder: Path) -> Path:
    """Pack a folder, its files below a folder of their own as some archives have them."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"vocabulary_download/{file.name}")
    return path
