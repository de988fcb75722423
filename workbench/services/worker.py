"""The worker process of one job: `python -m workbench.services.worker HOME JOB`."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.kernel.errors import UserError
from workbench.kernel.settings import load_settings
from workbench.services import people
from workbench.services.context import open_workbench
from workbench.services.jobs import work
from workbench.store import jobs


def main(home: str, job_id: str) -> int:
    """Run one queued job as the person who queued it; 0 when done, 1 when the answer is no."""
    wb = open_workbench(load_settings(Path(home)))
    try:
        row = jobs.job(wb.store, int(job_id))
        if row is None or row.state != "queued":
            return 1
        work(wb, people.actor_named(wb, row.actor), row)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}\n")
        return 1
    finally:
        wb.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
