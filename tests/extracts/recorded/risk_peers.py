"""What pycanon and acro measure of awkward tables, recorded: `risk_peers.json`.

Both pin old libraries, so each runs in an environment of its own, and each adds its results to the file:

    python risk_peers.py pycanon && python risk_peers.py acro

pycanon leaves out rows without a value (pandas' groups do): its tables hold -1 in their place. A table without rows is
an error to both, which is recorded as null.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import random
import sys
from pathlib import Path
from typing import Any

import pandas as pd

PLACE = Path(__file__).with_suffix(".json")
NONE = -1
THRESHOLD = 10


def tables() -> dict[str, dict[str, list[int | None]]]:
    """Return table → column → values; `outcome` is the sensitive attribute, the others may be known."""
    drawn = random.Random(5)

    def many(rows: int, *values: int) -> dict[str, list[int | None]]:
        names = ("age", "sex", "site", "year")[: len(values)]
        columns: dict[str, list[int | None]] = {
            n: [drawn.randrange(v) for _ in range(rows)] for n, v in zip(names, values, strict=True)
        }
        return {**columns, "outcome": [int(drawn.random() < 0.2) for _ in range(rows)]}

    holes = many(300, 9, 2, 4)
    holes["site"] = [None if drawn.random() < 0.3 else value for value in holes["site"]]
    return {
        "empty": {"age": [], "sex": [], "outcome": []},
        "one_row": {"age": [40], "sex": [1], "outcome": [1]},
        "all_null": {"age": [None] * 12, "sex": [None] * 12, "outcome": [0, 1] * 6},
        "one_class": {"age": [50] * 30, "sex": [2] * 30, "outcome": [1] * 30},
        "one_value_of_the_outcome": {**many(60, 5, 2), "outcome": [0] * 60},
        "everybody_alone": {"age": list(range(40)), "sex": [0, 1] * 20, "outcome": [0, 1, 1, 2] * 10},
        "ordinary": many(300, 12, 2),
        "spread": {**many(400, 3, 2), "outcome": [drawn.randrange(5) for _ in range(400)]},
        "wide": many(400, 30, 2, 5, 6),
        "holes": holes,
    }


def frame(columns: dict[str, list[int | None]]) -> pd.DataFrame:
    """Return a table with -1 for no value."""
    filled = {name: [NONE if value is None else value for value in values] for name, values in columns.items()}
    return pd.DataFrame(filled).astype("int64")


def pycanon(columns: dict[str, list[int | None]]) -> dict[str, Any] | None:
    """Return k, l, entropy l and t of the outcome over all other columns; the outcome as text: no order of values."""
    from pycanon import anonymity

    known, quasi = frame(columns), [name for name in columns if name != "outcome"]
    known["outcome"] = known["outcome"].astype(str)
    try:
        return {
            "k": int(anonymity.k_anonymity(known, quasi)),
            "l": int(anonymity.l_diversity(known, quasi, ["outcome"])),
            "entropy_l": int(anonymity.entropy_l_diversity(known, quasi, ["outcome"])),
            "t": round(float(anonymity.t_closeness(known, quasi, ["outcome"])), 3),
        }
    except (ValueError, IndexError, KeyError, ZeroDivisionError):
        return None


def acro(columns: dict[str, list[int | None]]) -> dict[str, Any] | None:
    """Return the cells of age by sex that acro finds under its threshold and somebody is in, and their persons."""
    import acro as package

    known = frame(columns)
    with contextlib.redirect_stdout(sys.stderr):
        session = package.ACRO(suppress=False)
        session.crosstab(known["age"], known["sex"])
    record = session.results.get_index(0)
    if not len(known):
        return None  # it makes a table without cells
    counts = [int(record.output[0].iat[row, place]) for row, place in record.sdc["cells"]["MinimumThresholdCheck"]]
    return {"cells": sum(count > 0 for count in counts), "persons": sum(counts)}


def main(which: str) -> None:
    """Add one peer's results to the file."""
    kept = json.loads(PLACE.read_text(encoding="utf-8")) if PLACE.exists() else {"versions": {}, "threshold": THRESHOLD}
    kept["tables"] = tables()
    measure = {"pycanon": pycanon, "acro": acro}[which]
    kept[which] = {name: measure(columns) for name, columns in kept["tables"].items()}
    kept["versions"] |= {name: importlib.metadata.version(name) for name in (which, "pandas")}
    PLACE.write_text(json.dumps(kept, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
