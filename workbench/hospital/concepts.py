"""The concepts of the hospital's vocabulary: the codes that it uses, and standard concepts.

Ids of standard concepts are OMOP's own where we know them for certain; all others begin at 2,000,000,000, as OMOP
leaves to each house. CCAM has no standard concept, as in OMOP: its acts are kept with concept 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from workbench.hospital.biology import ANALYTES, METHODS
from workbench.hospital.coding import CIM10
from workbench.hospital.data import rows
from workbench.hospital.pathways import products

OWN: Final = 2_000_000_000
_BASES: Final[Mapping[str, int]] = {
    "CIM10": 100_000, "CCAM": 200_000, "ATC": 300_000, "UCD": 400_000, "CHU": 500_000, "CHU médicament": 600_000,
    "CHU unité": 700_000, "CHU biologie": 800_000, "meta": 900_000,
}  # fmt: skip
UNKNOWN: Final = OWN + 147_000_000
"""The id of a concept that the vocabulary lacks: a planted error."""
VERSION: Final = "CHU de synthèse 1"
Concept = tuple[int, str, str, str, str, str | None, str]


def own(kind: str, place: int) -> int:
    """Return the id of our own concept at a place of a kind."""
    return OWN + _BASES[kind] + place


@cache
def standard() -> Mapping[str, int]:
    """Return the ids of standard conditions by our key."""
    return {row["key"]: int(row["concept_id"] or own("CHU", place)) for place, row in enumerate(rows("standard"))}


@cache
def parents() -> Mapping[str, str]:
    """Return the parent of each CIM-10 code: code → category → block → chapter."""
    ranges = [code for code in CIM10 if "-" in code]
    result: dict[str, str] = {}
    for code in CIM10:
        if "." in code:
            head = code[: code.index(".")]
            result[code] = code[:-1] if code[:-1] in CIM10 and len(code) > 5 else head
        else:
            first, _, last = code.partition("-")
            wider = [each for each in ranges if each != code and _inside(first, last or first, each)]
            if wider:
                result[code] = min(wider, key=_width)
    return result


def _inside(first: str, last: str, span: str) -> bool:
    low, high = span.split("-")
    return low <= first and last <= high


def _width(span: str) -> tuple[int, str]:
    low, high = span.split("-")
    return (ord(high[0]) - ord(low[0])) * 100 + int(high[1:]) - int(low[1:]), span


@cache
def mapped() -> Mapping[str, str]:
    """Return the key of the standard concept of each CIM-10 code: its own, else that of what it lies in."""
    keys = {row["code"]: row["standard"] for row in rows("cim10")}

    def nearest(code: str) -> str:
        return keys[code] or (nearest(parents()[code]) if code in parents() else "")

    return {code: nearest(code) for code in CIM10}


def _cim10() -> Iterator[Concept]:
    for place, row in enumerate(rows("cim10")):
        code, key = row["code"], mapped()[row["code"]]
        kind = "chapter or block" if "-" in code else "code" if "." in code else "category"
        yield own("CIM10", place), row["libelle"], domains()[key], "CIM10", f"CIM10 {kind}", None, code


@cache
def domains() -> Mapping[str, str]:
    """Return the domain of each key of a standard condition."""
    return {"": "Observation", **{row["key"]: row["domain"] for row in rows("standard")}}


def _conditions() -> Iterator[Concept]:
    for row in rows("standard"):
        number, known = standard()[row["key"]], bool(row["concept_id"])
        name = "Disorder" if row["domain"] == "Condition" else "Clinical Finding"
        code = row["code"] if known else row["key"]
        yield number, row["name"], row["domain"], "SNOMED" if known else "CHU", name, "S", code


@cache
def ingredients() -> Mapping[str, int]:
    """Return the ids of ingredients by their English name."""
    found: dict[str, int] = {}
    for place, row in enumerate(rows("atc")):
        if row["ingredient"]:
            found[row["ingredient"]] = int(row["concept_id"] or own("CHU médicament", place))
    return found


def _drugs() -> Iterator[Concept]:
    for place, row in enumerate(rows("atc")):
        yield own("ATC", place), row["libelle"], "Drug", "ATC", f"ATC {_level(row['code'])}", "C", row["code"]
        if row["ingredient"]:
            known = bool(row["concept_id"])
            code = row["rxnorm"] if known else row["code"]
            where = "RxNorm" if known else "CHU médicament"
            yield ingredients()[row["ingredient"]], row["ingredient"], "Drug", where, "Ingredient", "S", code
    names = {row["code"]: row["libelle"] for row in rows("atc")}
    for place, (code, form) in enumerate(products()):
        yield own("UCD", place), f"{names[code].upper()} {form}", "Drug", "UCD", "UCD", None, ucd(place)


def _level(code: str) -> str:
    return {1: "1st", 3: "2nd", 4: "3rd", 5: "4th", 7: "5th"}[len(code)]


def ucd(product: int) -> str:
    """Return the code of a product: in the form of a UCD code, of our own making."""
    return f"9{product:06d}"


@cache
def loinc() -> Mapping[str, int]:
    """Return the ids of LOINC codes."""
    return {row["loinc"]: int(row["concept_id"]) for row in METHODS}


@cache
def units() -> Mapping[str, int]:
    """Return the ids of units by how the hospital writes them ("" for none: 0)."""
    return {"": 0, **{row["libelle"]: int(row["concept_id"]) for row in rows("unites")}}


def local(method: int) -> str:
    """Return the laboratory's own code of a method: the analyte, and the number of its earlier or later method."""
    row = METHODS[method]
    return row["code"] if method < len(ANALYTES) else f"{row['code']}_B"


def _others() -> Iterator[Concept]:
    yield 0, "No matching concept", "Metadata", "None", "Undefined", None, "No matching concept"
    for row in rows("concepts"):
        identity = (int(row["concept_id"]), row["nom"], row["domaine"], row["vocabulaire"], row["classe"])
        yield (*identity, "S", row["code"])
    for row in rows("unites"):
        yield int(row["concept_id"]), row["nom"], "Unit", "UCUM", "Unit", "S", row["ucum"]
    for number, row in {int(row["concept_id"]): row for row in METHODS}.items():
        yield number, row["nom"], "Measurement", "LOINC", "Lab Test", "S", row["loinc"]
    for method, row in enumerate(METHODS):
        name = f"{row['libelle']} ({row['unite']})" if row["unite"] else row["libelle"]
        yield own("CHU biologie", method), name, "Measurement", "CHU biologie", "Code local", None, local(method)
    for place, row in enumerate(rows("unites_medicales")):
        yield own("CHU unité", place), row["libelle"], "Visit", "CHU unité", "Unité médicale", None, row["code"]
    for place, row in enumerate(rows("ccam")):
        yield own("CCAM", place), row["libelle"], "Procedure", "CCAM", "CCAM", None, row["code"]


@cache
def concepts() -> tuple[Concept, ...]:
    """Return every concept but those that stand for the vocabulary's own tables."""
    return (*_others(), *_conditions(), *_drugs(), *_cim10())
