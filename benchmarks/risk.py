"""What measuring the risk of a table costs: 100,000 persons, 10 columns that somebody may know.

    python -m benchmarks.risk [--peer PYTHON]

Everything is measured that a report shows of the columns: k, persons alone, the worst column, pair and three, what each
column costs, l-diversity and t-closeness of one outcome. With `--peer`, pycanon (in an environment of its own: it pins
old versions) measures k, l and t of the same table, and the numbers must be equal.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from workbench.extracts.anonymity import Coded

ROWS = 100_000
VALUES = {"age": 91, "sex": 2, "race": 6, "ethnicity": 3, "index_year": 12, "care_site": 40, "death_month": 60,
          "department": 96, "profession": 30, "children": 8}  # fmt: skip
"""Column → number of values."""

_PEER = """
import sys, time, pandas, pycanon.anonymity as a
frame = pandas.read_csv(sys.argv[1]); quasi = list(frame.columns[:-1]); begun = time.process_time()
k, l = a.k_anonymity(frame, quasi), a.l_diversity(frame, quasi, ["outcome"])
print(k, l, a.t_closeness(frame, quasi, ["outcome"]), time.process_time() - begun)
"""


def table(rows: int, skewed: bool) -> pl.DataFrame:
    """Return a made table: one row a person, values skewed or even, an outcome of one person in ten."""
    drawn = np.random.default_rng(20261122)
    shares = {name: drawn.beta(1.2, 3.0, rows) if skewed else drawn.random(rows) for name in VALUES}
    columns = {name: (shares[name] * values).astype(np.int64) for name, values in VALUES.items()}
    return pl.DataFrame({**columns, "outcome": drawn.random(rows) < 0.1}).cast({"outcome": pl.Int64})


def measured(frame: pl.DataFrame) -> tuple[float, tuple[int, int, float]]:
    """Return the CPU seconds of all measures, and k, l and t."""
    begun = time.process_time()
    coded = Coded(frame, list(VALUES))
    groups, _, _ = coded.groups(coded.columns), coded.worst(3), coded.costs()
    told = coded.diversity(coded.columns, frame["outcome"])
    return time.process_time() - begun, (groups.k, told.l, told.t)


def peer(python: str, frame: pl.DataFrame) -> tuple[float, tuple[int, int, float]]:
    """Return pycanon's CPU seconds, and its k, l and t."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        frame.write_csv(path)
        said = subprocess.run([python, "-c", _PEER, str(path)], capture_output=True, text=True, check=True).stdout
    k, l_, t, cpu = said.split()[-4:]
    return float(cpu), (int(k), int(l_), round(float(t), 3))


def main(arguments: list[str]) -> None:
    """Measure each table five times, print the medians, and compare where a peer is given."""
    frame = table(ROWS, skewed=True)
    for name, made in (("skewed", frame), ("even", table(ROWS, skewed=False))):
        cpu = median(measured(made)[0] for _ in range(5))
        print(f"{ROWS:,} persons, {len(VALUES)} columns of {name} values: {cpu:.2f} CPU-s (target 0.5)")
    print(f"polars {pl.__version__}, numpy {np.__version__}, Python {platform.python_version()}")
    if "--peer" in arguments:
        small = frame.head(ROWS // 50)  # it loops over groups: the whole table takes it many minutes
        ours, theirs = measured(small), peer(arguments[arguments.index("--peer") + 1], small)
        if ours[1] != theirs[1]:
            sys.exit(f"not the same: {ours[1]} here, {theirs[1]} there")
        print(f"pycanon, k, l and t alone of {small.height:,} persons: {theirs[0]:.2f} CPU-s against {ours[0]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
