"""How easily a person of the extract could be singled out, as numbers of persons, and those numbers in plain words.

Two looks: age band and sex alone (k: how many share them), and the set of concepts (longitudinal: what a person lived
through singles out almost everybody, whatever k says).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.kernel.text import Lang, say

BAND = 5
"""Years of an age band."""

SMALL = 11


def measure(tables: Mapping[str, pl.DataFrame], left_out: int) -> dict[str, Any]:
    """Return the risk measures of what is delivered; all numbers are numbers of persons but `k`.

    `k` is the smallest group over age band and sex (0 for an empty extract); `unique` those alone in theirs;
    `in_small_groups` those in groups under 11; `unique_by_concepts` table → persons whose set is theirs alone.
    `left_out` are persons of the cohort that the cuts of the observation left out.
    """
    persons = tables["cohort"].get_column("person_id").n_unique()
    sizes = _group_sizes(tables)
    return {
        "persons": persons,
        "persons_left_out": left_out,
        "k": int(sizes.min() or 0),  # type: ignore[arg-type]
        "quasi_identifiers": _quasi(tables.get("person")),
        "unique": int((sizes == 1).sum()),
        "in_small_groups": int(sizes.filter(sizes < SMALL).sum()),
        "unique_by_concepts": {
            name: count for name, frame in sorted(tables.items()) if (count := _unique_sets(frame)) is not None
        },
    }


def sentences(risk: Mapping[str, Any], lang: Lang) -> list[str]:
    """Return the measures as sentences."""
    said = [
        say("extract.risk_persons", lang, persons=risk["persons"], left_out=risk["persons_left_out"]),
        say("extract.risk_k", lang, k=risk["k"], unique=risk["unique"], small=risk["in_small_groups"]),
    ]
    return said + [
        say("extract.risk_concepts", lang, table=table, unique=count, persons=risk["persons"])
        for table, count in risk["unique_by_concepts"].items()
    ]


def _quasi(person: pl.DataFrame | None) -> list[str]:
    return [] if person is None else [name for name in ("age_at_index", "gender_concept_id") if name in person.columns]


def _group_sizes(tables: Mapping[str, pl.DataFrame]) -> pl.Series:
    """Return the number of persons of each group; all persons are one group where no quasi-identifier is delivered."""
    person = tables.get("person")
    names = _quasi(person)
    if person is None or not names:
        count = tables["cohort"].height
        return pl.Series([count] if count else [], dtype=pl.UInt32)
    bands = person.with_columns(pl.col("age_at_index") // BAND) if "age_at_index" in names else person
    return bands.group_by(names).len().get_column("len")


def _unique_sets(frame: pl.DataFrame) -> int | None:
    """Return how many persons have a set of main concepts that nobody else has; None where a table has no concepts."""
    concept = next((n for n in frame.columns if n.endswith("_concept_id")), None)
    if concept is None or "start_day" not in frame.columns:
        return None
    sets = frame.group_by("person_id").agg(pl.col(concept).unique().sort())
    return sets.group_by(concept).len().filter(pl.col("len") == 1).height
