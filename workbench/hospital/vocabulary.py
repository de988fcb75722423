"""The hospital's vocabulary: its tables in Athena's form, and the concept of everything that the hospital writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from workbench.hospital import concepts as ids
from workbench.hospital.biology import METHODS
from workbench.hospital.chance import Flags, Ints
from workbench.hospital.coding import CCAM, CIM10
from workbench.hospital.data import rows
from workbench.hospital.pathways import products
from workbench.hospital.relations import ancestors, maps, meta, source_map, synonyms
from workbench.hospital.stays import UNITS

_FRENCH: Final = 4180190
_FIRST, _LAST = "1970-01-01", "2099-12-31"
_CONCEPT: Final = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "standard_concept",
                   "concept_code")  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """The tables by name, and for each code that the hospital writes (by its place) its concept and standard concept
    (0: none). `observation`: diagnoses whose standard concept is an observation."""

    tables: Mapping[str, pl.DataFrame]
    cim10: Ints
    cim10_standard: Ints
    observation: Flags
    ccam: Ints
    product: Ints
    product_standard: Ints
    method: Ints
    method_standard: Ints
    unit: Ints
    ward: Ints


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary; the same on every call."""
    concepts = ids.concepts()
    tables = _tables(concepts)
    keys = [ids.mapped()[code] for code in CIM10]
    method_units = [ids.units()[row["unite"]] for row in METHODS]
    atc = [row["ingredient"] for code, _ in products() for row in rows("atc") if row["code"] == code]
    return Vocabulary(
        tables=tables,
        cim10=ids.own("CIM10", 0) + np.arange(len(CIM10)),
        cim10_standard=np.array([ids.standard()[key] if key else 0 for key in keys]),
        observation=np.array([ids.domains()[key] == "Observation" for key in keys]),
        ccam=ids.own("CCAM", 0) + np.arange(len(CCAM)),
        product=ids.own("UCD", 0) + np.arange(len(products())),
        product_standard=np.array([ids.ingredients()[name] for name in atc]),
        method=ids.own("CHU biologie", 0) + np.arange(len(METHODS)),
        method_standard=np.array([int(row["concept_id"]) for row in METHODS]),
        unit=np.array(method_units),
        ward=ids.own("CHU unité", 0) + np.arange(len(UNITS)),
    )


def _tables(concepts: tuple[ids.Concept, ...]) -> Mapping[str, pl.DataFrame]:
    known, meta_tables = meta(concepts)
    frame = pl.DataFrame([*concepts, *known], schema=list(_CONCEPT), orient="row").unique("concept_id", keep="first")
    valid = {"valid_start_date": pl.lit(_FIRST).str.to_date(), "valid_end_date": pl.lit(_LAST).str.to_date()}
    nothing = pl.lit(None, pl.String).alias("invalid_reason")
    return {
        "concept": frame.sort("concept_id").with_columns(**valid).with_columns(nothing),
        "concept_relationship": maps(concepts).with_columns(**valid).with_columns(nothing),
        "concept_ancestor": ancestors(concepts),
        "concept_synonym": synonyms(_FRENCH),
        "source_to_concept_map": source_map().with_columns(**valid).with_columns(nothing),
        **meta_tables,
    }


def write_athena(folder: Path) -> None:
    """Write the vocabulary as a download from Athena: tab-separated text, no quotes, dates as 20991231."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in vocabulary().tables.items():
        if name != "source_to_concept_map":
            dates = [column for column, kind in frame.schema.items() if kind == pl.Date]
            text = frame.with_columns(pl.col(dates).dt.strftime("%Y%m%d")) if dates else frame
            text.write_csv(folder / f"{name.upper()}.csv", separator="\t", quote_style="never")
