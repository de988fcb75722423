"""The process that counts: `python -m workbench.services.counter`, one line of JSON in, one out, until its input ends.

It reads one release's tables and knows no home, no person and no key but that of populations: what may be shown of its
numbers, and to whom, is settled where it is asked (`services/counting.py`).

It keeps rows in memory between questions, so it ends by itself soon after its release is gone: erased or retired.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any, Final

from workbench.cohorts.circe import read_definition
from workbench.cohorts.event_files import EventFiles
from workbench.cohorts.live import LiveCounts
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import UserError

LOOK_SECONDS: Final = 2.0
"""How often it looks whether its release is still there."""


def main() -> int:
    """Answer definitions with their exact attrition and the populations behind it, or with the error for people."""
    opening: dict[str, Any] = json.loads(sys.stdin.readline())
    tables = {name: Path(path) for name, path in opening["tables"].items()}
    Thread(target=_end_with, args=(tables["person"],), daemon=True).start()
    with DuckDBEngine.over_parquet(tables, memory=opening["memory"]) as engine:
        live = LiveCounts(engine, EventFiles(Path(opening["events"])))
        for line in sys.stdin:
            sys.stdout.write(json.dumps(_answer(live, line, bytes.fromhex(opening["key"]))) + "\n")
            sys.stdout.flush()
    return 0


def _end_with(table: Path) -> None:
    """End this process, and what it remembers, once a table is gone; who asks holds the release while it counts."""
    while table.exists():
        time.sleep(LOOK_SECONDS)
    os._exit(0)


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
