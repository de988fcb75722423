"""The quality document of a release: every check with what it found, and the counts that researchers look at first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.engines.duckdb import connect
from workbench.intake.quality import dashboard
from workbench.intake.quality.checks import facts
from workbench.intake.quality.dashboard import Result
from workbench.intake.quality.data import Data
from workbench.intake.quality.profile import profile
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate

FORMAT = "workbench/quality/1"
_MEMORY = "1500MB"
"""DuckDB's; look-ups by place take at most 512 MB beside it."""


def assess(
    release: str, files: Mapping[str, Path], use: pa.Table, today: date, spill: Path, progress: Progress = silent
) -> dict[str, Any]:
    """Return the quality document of a release (its digest), whose tables lie in `files`.

    `use` is how often each concept stands in each column (`workbench.vocabulary.use`); `today` is the day after which
    dates lie in the future, and is part of the document. Work spills into the folder `spill`.
    """
    with connect(memory=_MEMORY, spill=spill) as connection:
        data = Data.of(connection, files)
        results = dashboard.run(data, today, use, part(progress, 0.0, 0.8))
        counts = profile(data, use)  # with the work table of persons that the checks made
    document: dict[str, Any] = {
        "format": FORMAT,
        "release": release,
        "checks_version": facts()["version"],
        "as_of": today.isoformat(),
        "summary": dashboard.summary(results),
        "checks": [_check(result) for result in results],
        "profile": counts,
    }
    validate(document, "quality")
    progress(1.0, "")
    return document


def _check(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {"id": result.check.id, "status": result.status}
    if result.status in {"passed", "failed"}:
        found |= {"failed": result.failed, "looked_at": result.looked_at}
    return found if result.reason is None else {**found, "reason": result.reason}
