"""The cohort engine against the reference engine (Circe's own SQL): CPU, memory, compile time, counts while editing.

    python -m benchmarks.cohorts --tools TOOLS --phenotypes FOLDER [--persons N] [--ancestors N] [--runs N] [--alone]

`--tools` is the folder of `make_large_database.py`, `make_database.py` and `reference_rows.py`, `--phenotypes` the one
of the library's definitions. Both sides run as whole processes, by turns, and must give the same rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow.parquet as pq

from benchmarks.large_database import build
from benchmarks.measure import Cost, cost, middle
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.compile import compile_batch
from workbench.cohorts.generate import attrition
from workbench.cohorts.live import LiveCounts
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import UserError

TEN = (10, 100, 945, 726, 218, 216, 294, 1318, 1091, 1035)
SCARCE = (945, 726, 218, 1091, 1318)


def main() -> None:
    """Build the database where it is not there yet, compare, and print one JSON document."""
    given = _arguments()
    files = [given.phenotypes / f"{number}.json" for number in TEN]
    database = given.scratch / f"large-{given.persons}-{given.ancestors}.duckdb"
    if not database.exists():
        _build(given, database, files)
    report: dict[str, Any] = {"persons": given.persons, "ancestors": given.ancestors, "duckdb": duckdb.__version__}
    report["ten"] = _compared(given, database, files)
    if given.alone:
        report["alone"] = {file.stem: _compared(given, database, [file]) for file in files}
    report["compile_ms"] = _compile_times(sorted(given.phenotypes.glob("*.json")))
    report["live_ms"] = {file.stem: _edits(database, file) for file in files}
    print(json.dumps(report, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--phenotypes", type=Path, required=True)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--ancestors", type=int, default=80_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="each definition by itself too")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp"))
    return parser.parse_args()


def _build(given: argparse.Namespace, database: Path, files: list[Path]) -> None:
    """Build in a process of its own: a child's peak memory counts what its parent held when it was started."""
    scarce = [_file(given, each) for each in SCARCE]
    arguments = (given.tools, database, given.persons, given.ancestors, files, scarce)
    process = get_context("spawn").Process(target=build, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("the database could not be built")


def _file(given: argparse.Namespace, number: int) -> Path:
    return given.phenotypes / f"{number}.json"


def _compared(given: argparse.Namespace, database: Path, files: list[Path]) -> dict[str, Any]:
    """Medians of both sides, taken by turns, and their ratio; rows must be equal, and are counted."""
    ours, theirs = given.scratch / "ours.parquet", given.scratch / "theirs.parquet"
    names = [str(file) for file in files]
    own = [sys.executable, "-m", "workbench", "cohort", "generate", *names]
    own += ["--database", str(database), "--out", str(ours)]
    other = [sys.executable, str(given.tools / "reference_rows.py"), str(database), str(theirs), *names]
    pairs = [(cost(own), cost(other)) for _ in range(given.runs)]
    rows = _equal_rows(ours, theirs)
    mine, reference = middle([pair[0] for pair in pairs]), middle([pair[1] for pair in pairs])
    return {
        "ours": _figures(mine),
        "reference": _figures(reference),
        "times_less_cpu": round(reference.cpu / mine.cpu, 2),
        "rows": {file.stem: rows.get(file.stem, 0) for file in files},
    }


def _figures(found: Cost) -> dict[str, float]:
    return {"cpu_s": round(found.cpu, 2), "memory_mb": round(found.memory)}


def _equal_rows(ours: Path, theirs: Path) -> dict[str, int]:
    mine, reference = pq.read_table(ours), pq.read_table(theirs)
    order = [(name, "ascending") for name in mine.column_names]
    if not mine.equals(reference.cast(mine.schema).sort_by(order)):
        sys.exit("the two engines differ: no comparison")
    counted = mine.group_by("cohort").aggregate([("subject_id", "count")]).to_pydict()
    return dict(zip(counted["cohort"], counted["subject_id_count"], strict=True))


def _compile_times(files: list[Path]) -> dict[str, float]:
    """Milliseconds from a file to SQL text, each definition alone; those that Circe itself refuses are left out."""
    taken: list[float] = []
    for file in files:
        start = time.process_time()
        try:
            script = compile_batch({file.stem: read_definition(file).plan})
        except UserError:
            continue
        for step in (*script.shared, *script.cohorts[file.stem].steps):
            step.tree.sql(dialect="duckdb", copy=False)
        taken.append((time.process_time() - start) * 1000)
    return {"median": round(median(taken), 1), "worst": round(max(taken), 1), "definitions": len(taken)}


def _edits(database: Path, file: Path) -> dict[str, Any]:
    """Milliseconds to a new count after an edit; each count must be the one that a batch gives."""
    document = read_definition(file).document
    with DuckDBEngine.over_database(database, threads=2) as engine, DuckDBEngine.over_database(database) as other:
        live = LiveCounts(engine)
        found = {"opened": _timed(live, Definition(document, file.stem), other)}
        for name, edited in _edited(json.loads(json.dumps(document))).items():
            found[name] = _timed(live, Definition(edited, file.stem), other)
    return found


KEY = b"benchmark".ljust(32)
"""With a key, the populations behind the numbers are made too: what a home asks for."""


def _timed(live: LiveCounts, definition: Definition, other: DuckDBEngine) -> float:
    start = time.perf_counter()
    rows = [step.row for step in live.steps(definition, KEY)]
    taken = time.perf_counter() - start
    if rows != attrition(other, definition):
        sys.exit(f"{definition.name}: the live count is not the plan's")
    return round(taken * 1000)


def _edited(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The edits that authors make, one after the other: days observed, a rule's window, its concept set, and back."""
    edits: dict[str, dict[str, Any]] = {}

    def keep(name: str) -> None:
        edits[name] = json.loads(json.dumps(document))

    criterion = _first_criterion(document)
    if criterion is not None:
        window = criterion["StartWindow"]["Start"]
        window["Days"] = (window.get("Days") or 0) + 11
        keep("window")
        kind = next(iter(criterion["Criteria"].values()))
        before = kind.get("CodesetId")
        others = [each["id"] for each in document["ConceptSets"] if each["id"] != before]
        if others and before is not None:
            kind["CodesetId"] = others[-1]
            keep("concept set, new")
            kind["CodesetId"] = before
            window["Days"] += 3
            keep("concept set, known")
    document["PrimaryCriteria"]["ObservationWindow"]["PriorDays"] += 30
    keep("days observed before")
    return edits


def _first_criterion(document: dict[str, Any]) -> dict[str, Any] | None:
    for rule in document.get("InclusionRules") or []:
        waiting = [rule["expression"]]
        while waiting:
            group = waiting.pop()
            for each in group.get("CriteriaList") or []:
                return each
            waiting += group.get("Groups") or []
    return None


if __name__ == "__main__":
    main()
