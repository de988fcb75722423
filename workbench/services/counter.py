"""The process that counts: `python -m workbench.services.counter`, one line of JSON in, one out, until its input ends.

It reads one release's tables and knows no home, no person and no key but that of populations: what may be shown of its
numbers, and to whom, is settled where it is asked (`services/counting.py`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workbench.cohorts.circe import read_definition
from workbench.cohorts.event_files import EventFiles
from workbench.cohorts.live import LiveCounts
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import UserError


def main() -> int:
    """Answer definitions with their exact attrition and the populations behind it, or with the error for people."""
    opening: dict[str, Any] = json.loads(sys.stdin.readline())
    tables = {name: Path(path) for name, path in opening["tables"].items()}
    with DuckDBEngine.over_parquet(tables, memory=opening["memory"]) as engine:
        live = LiveCounts(engine, EventFiles(Path(opening["events"])))
        for line in sys.stdin:
            sys.stdout.write(json.dumps(_answer(live, line, bytes.fromhex(opening["key"]))) + "\n")
            sys.stdout.flush()
    return 0


def _answer(live: LiveCounts, line: str, key: bytes) -> dict[str, Any]:
    asked = json.loads(line)
    try:
        definition = read_definition(asked["definition"], name=asked["name"])
        return {"steps": [step.as_json() for step in live.steps(definition, key)]}
    except UserError as error:
        facts = {name: str(value) for name, value in error.facts.items()}
        return {"error": type(error).__name__, "code": error.code, "facts": facts}


if __name__ == "__main__":
    sys.exit(main())
