"""All checks of the dashboard on the tables of a release: what failed, what passed, what had nothing to look at.

A check is *not applicable*, as the dashboard defines it, where its table or column is not there, where the table has no
row or the column no value, and where nothing was recorded of the concept that it is about. A table that lacks fails
`cdmTable` alone, an empty column `measureValueCompleteness` alone, where its values are required.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa

from workbench.engines import duckdb as driver
from workbench.intake.quality import grouped, lookups, observation, rowwise
from workbench.intake.quality.checks import Check, all_checks
from workbench.intake.quality.data import Data
from workbench.intake.quality.rowwise import Numbers
from workbench.kernel.progress import Progress, silent

Status = Literal["passed", "failed", "not_applicable", "error"]
Reason = Literal["no_table", "no_column", "no_rows", "no_values", "no_records"]
_CONCEPT_LEVEL = ("plausibleGender", "plausibleGenderUseDescendants", "plausibleUnitConceptIds")


@dataclass(frozen=True)
class Result:
    """What a check found: `failed` of `looked_at` rows (or persons, or values). `reason` says why it does not apply."""

    check: Check
    status: Status
    failed: int = 0
    looked_at: int = 0
    reason: Reason | None = None


def run(data: Data, today: date, use: pa.Table | None = None, progress: Progress = silent) -> tuple[Result, ...]:
    """Run every check on tables. `today` is the day after which dates lie in the future; `use` is what
    `workbench.vocabulary.use` counted of these tables, if it was."""
    checks = all_checks()
    numbers: Numbers = {}
    steps = _steps(data, checks, today, use)
    for done, (name, step) in enumerate(steps):
        progress(done / len(steps), name)
        with suppress(driver.duckdb.Error):  # its checks have no numbers then, which is what `error` says
            numbers.update(step())
    progress(1.0, "")
    return tuple(_judge(data, check, numbers) for check in checks)


def summary(results: Sequence[Result]) -> dict[Status, int]:
    """Return how many checks have each status."""
    counted = Counter(result.status for result in results)
    names: tuple[Status, ...] = ("passed", "failed", "not_applicable", "error")
    return {name: counted[name] for name in names}


def _steps(
    data: Data, checks: Sequence[Check], today: date, use: pa.Table | None
) -> list[tuple[str, Callable[[], Numbers]]]:
    """Return what is counted, one family after the other; the name of a table stands for its own rows."""
    steps: list[tuple[str, Callable[[], Numbers]]] = []
    if data.rows.get("person"):
        steps.append(("who", lambda: _nothing(rowwise.persons(data))))
    steps.append(("observed", lambda: _nothing(observation.persons(data))))
    for table in data.files:
        mine = [check for check in checks if check.table == table]
        steps.append((table, lambda table=table, mine=mine: rowwise.count(data, table, mine, today)))
    steps += [
        ("concepts", lambda: _of_concepts(data, checks, use)),
        ("references", lambda: lookups.references(data, checks)),
        ("visits", lambda: lookups.visits(data, checks)),
        ("keys", lambda: grouped.keys(data, checks)),
        ("completeness", lambda: grouped.completeness(data, checks)),
        ("overlaps", lambda: observation.overlaps(data, checks)),
        ("source_values", lambda: grouped.source_values(data, checks)),
        ("sexes", lambda: grouped.sexes(data, checks)),
        ("units", lambda: grouped.units(data, checks)),
    ]
    return steps


def _of_concepts(data: Data, checks: Sequence[Check], known: pa.Table | None) -> Numbers:
    lookups.concepts_in_use(data, checks, known)
    return lookups.concepts(data, checks) | lookups.unmapped(data, checks)


def _nothing(_: None) -> Numbers:
    return {}


def _judge(data: Data, check: Check, numbers: Numbers) -> Result:
    there = check.table in data.files
    if check.name == "cdmTable":
        return Result(check, "passed" if there else "failed", int(not there), 1)
    why = _not_applicable(data, check, numbers)
    if why is not None:
        return Result(check, "not_applicable", reason=why)
    if check.name == "cdmField":
        lacks = str(check.column) not in data.types[check.table]
        return Result(check, "failed" if lacks else "passed", int(lacks), 1)
    found = _filled(data, check) if check.name in {"isRequired", "measureValueCompleteness"} else numbers.get(check)
    if found is None:
        return Result(check, "error")
    failed, looked_at = found
    return Result(check, "failed" if _over(failed, looked_at, check.threshold) else "passed", failed, looked_at)


def _not_applicable(data: Data, check: Check, numbers: Numbers) -> Reason | None:
    """Return why a check does not apply, or None where it does."""
    if check.name == "measureConditionEraCompleteness":
        return None if data.rows.get("condition_occurrence") else "no_rows"
    if check.table not in data.files:
        return "no_table"
    if check.name in {"measurePersonCompleteness", "cdmField"}:
        return None
    if check.column is not None and check.column not in data.types[check.table]:
        return "no_column"
    return "no_rows" if not data.rows[check.table] else _empty(data, check, numbers)


def _empty(data: Data, check: Check, numbers: Numbers) -> Reason | None:
    if check.column is None or check.name == "measureValueCompleteness":
        return None
    if not data.filled[check.table, check.column]:
        return "no_values"
    nothing = check.name in _CONCEPT_LEVEL and numbers.get(check, (0, 1))[1] == 0
    return "no_records" if nothing else None


def _filled(data: Data, check: Check) -> tuple[int, int]:
    rows = data.rows[check.table]
    return rows - data.filled[check.table, str(check.column)], rows


def _over(failed: int, looked_at: int, threshold: float) -> bool:
    """Say whether more than `threshold` percent failed; at 0 percent a single one is too many."""
    return failed > 0 if threshold == 0 else failed * 100 > threshold * looked_at
