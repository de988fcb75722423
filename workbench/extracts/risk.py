"""How easily a person of the extract could be recognised, as numbers of persons, measured on what is delivered.

Three looks: what somebody outside may know (the columns of `quasi_identifiers.toml`), what a person lived through
(intervals between its days, its concepts), and what a group gives away of an outcome. The measures themselves are in
`anonymity.py`, the sentences in `risk_words.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.extracts import anonymity, lookup
from workbench.extracts.anonymity import Coded, Groups
from workbench.governance.date_forms import SHIFTED
from workbench.governance.deliverable import deliverable
from workbench.governance.disclosure import THRESHOLD
from workbench.governance.quasi_identifiers import QuasiIdentifier, quasi_identifiers

SMALL = THRESHOLD
WORST = 3
"""Every combination of up to so many columns is judged."""

INTERVALS = (1, 2, 3)
_Marks = npt.NDArray[np.bool_]
Tables = Mapping[str, pl.DataFrame]


def measure(
    tables: Tables, left_out: int, classes: Mapping[str, pl.Series], *, shifted: bool = False
) -> dict[str, Any]:
    """Return the risk document of an extract (members: docs/formats.md); numbers of persons, but for k, l and t.

    `tables` are the delivered ones, with days from the index: intervals are the same in dates that are `shifted`, which
    the document then says; `left_out` are persons of the cohort that the cuts of the observation left out;
    `classes` maps the sensitive classes that the protocol names to their concept ids.
    """
    ids = np.sort(tables["cohort"].get_column("person_id").to_numpy())
    known = {quasi: _known(quasi, tables[quasi.table], ids) for quasi in quasi_identifiers() if _given(quasi, tables)}
    names = [quasi.name for quasi in known]
    frame = pl.DataFrame([values.alias(quasi.name) for quasi, values in known.items()])
    coded = Coded(frame if names else pl.DataFrame({"": ids}), names, SMALL)
    whole, costs = coded.groups(names), coded.costs()
    persons = _numbered(tables, ids)
    pairs = {table: _main_concepts(table, rows) for table, rows in persons.items() if _main(table, rows)}
    every = anonymity.merged(list(pairs.values()))
    days = _days(persons)
    runs = [anonymity.unique_runs(days, length, ids.size) for length in INTERVALS]
    known_runs = np.logical_or.accumulate(runs)  # who knows three intervals in a row knows two
    sets = anonymity.unique_sets(every, ids.size)
    rare, carriers = anonymity.rare(_all_concepts(persons, pairs), SMALL, ids.size)
    told = [_told(coded, names, attribute, who) for attribute, who in _attributes(persons, classes, ids.size).items()]
    return {
        "persons": ids.size,
        "persons_left_out": left_out,
        **({"dates": SHIFTED} if shifted else {}),
        **_counted(whole),
        "quasi_identifiers": [
            {"name": quasi.name, "table": quasi.table, "column": quasi.column, "cost": costs[quasi.name]}
            for quasi in known
        ],
        "worst": [{"columns": list(worst.columns), **_counted(worst.groups)} for worst in coded.worst(WORST)],
        "intervals": [{"length": n, "persons": _sum(run)} for n, run in zip(INTERVALS, known_runs, strict=True)],
        "unique_by_concepts": {
            table: _sum(anonymity.unique_sets(rows, ids.size)) for table, rows in sorted(pairs.items())
        },
        "unique_by_all_concepts": _sum(sets),
        "rare_concepts": {"concepts": rare, "persons": _sum(carriers)},
        "diversity": [document for document, _ in told],
        "gauges": {
            "singling_out": whole.unique,
            "linkability": _sum(sets | known_runs[-1]),
            "inference": _sum(np.any([marks for _, marks in told], axis=0)) if told else None,
        },
    }


def _counted(groups: Groups) -> dict[str, int]:
    return {"k": groups.k, "unique": groups.unique, "in_small_groups": groups.small}


def _sum(marks: _Marks) -> int:
    return int(np.count_nonzero(marks))


# -- what may be known


def _given(quasi: QuasiIdentifier, tables: Tables) -> bool:
    return quasi.table in tables and (quasi.kind == "event" or quasi.column in tables[quasi.table].columns)


def _known(quasi: QuasiIdentifier, rows: pl.DataFrame, ids: npt.NDArray[np.int64]) -> pl.Series:
    """Return one value a person, in the order of `ids`: no value where the person has no row."""
    column = pl.col(quasi.column) if quasi.column in rows.columns else pl.lit(1)
    values = column.min()
    if quasi.kind == "set":  # equal sets have equal sums of hashes; 64 bits tell some millions of sets apart
        rows, values = rows.select("person_id", quasi.column).unique(), column.hash(1).sum()
    one = rows.group_by("person_id").agg(value=values)
    return pl.DataFrame({"person_id": ids}).join(one, on="person_id", how="left", maintain_order="left")["value"]


# -- what a person lived through


def _numbered(tables: Tables, ids: npt.NDArray[np.int64]) -> dict[str, pl.DataFrame]:
    """Return the tables of persons with a column `person`, the person's place in `ids`."""
    return {
        name: rows.with_columns(_places(rows["person_id"], ids))
        for name, rows in tables.items()
        if "person_id" in rows.columns and name != "cohort"
    }


def _places(persons: pl.Series, ids: npt.NDArray[np.int64]) -> pl.Series:
    """Look up each run of equal ids once: rows are sorted by person."""
    found = [pl.Series("person", [], pl.UInt32)]
    for chunk in persons.get_chunks():
        values = chunk.to_numpy()
        starts = lookup.run_starts(values)
        places = np.searchsorted(ids, values[starts]).astype(np.uint32)
        found.append(pl.Series("person", np.repeat(places, np.diff(np.append(starts, values.size)))))
    return pl.concat(found)


def _days(persons: Tables) -> pl.DataFrame:
    """Return the distinct days of each person on which anything starts, sorted."""
    days = [anonymity.distinct(rows, "start_day") for rows in persons.values() if "start_day" in rows.columns]
    return anonymity.merged(days).rename({"item": "day"})


def _main(table: str, rows: pl.DataFrame) -> str | None:
    """Return the concept that says what an event was; None for a table without events."""
    kinds = deliverable().get(table, {}) if "start_day" in rows.columns else {}
    return next((column for column, kind in kinds.items() if kind == "concept" and column in rows.columns), None)


def _main_concepts(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return anonymity.distinct(rows, _main(table, rows) or "")


def _all_concepts(persons: Tables, pairs: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the distinct persons and concepts of all columns of concepts; 0 (no concept) is none."""
    others = [
        anonymity.distinct(rows, column)
        for table, rows in persons.items()
        for column, kind in deliverable().get(table, {}).items()
        if kind in {"concept", "source_concept"} and column in rows.columns and column != _main(table, rows)
    ]
    return anonymity.merged([*pairs.values(), *others]).filter(pl.col("item") != 0)


# -- what a group gives away


def _attributes(persons: Tables, classes: Mapping[str, pl.Series], count: int) -> dict[str, _Marks]:
    """Return who has each outcome, and who has a concept of each sensitive class that is delivered."""
    outcome = persons["outcome"]
    found = {
        f"outcome:{name}": _marked(outcome.filter(pl.col("outcome") == name), count)
        for name in outcome["outcome"].unique().sort()
    }
    for code, concepts in sorted(classes.items()):
        who = np.zeros(count, dtype=np.bool_)
        for table, rows in persons.items():
            columns = [name for name in deliverable().get(table, {}) if name.endswith("_concept_id")]
            hits = [pl.col(name).is_in(concepts.implode()) for name in columns if name in rows.columns]
            who |= _marked(rows.filter(pl.any_horizontal(hits)), count) if hits else who
        found[f"class:{code}"] = who
    return found


def _marked(rows: pl.DataFrame, count: int) -> _Marks:
    marks = np.zeros(count, dtype=np.bool_)
    marks[rows["person"].to_numpy()] = True
    return marks


def _told(coded: Coded, names: list[str], attribute: str, who: _Marks) -> tuple[dict[str, Any], _Marks]:
    told = coded.diversity(names, pl.Series(who))
    document = {
        "attribute": attribute,
        "with": _sum(who),
        "l": told.l,
        "entropy_l": told.entropy_l,
        "t": told.t,
        "inferred": _sum(told.inferred),
        "inferred_with": _sum(told.inferred & who),
    }
    return document, told.inferred
