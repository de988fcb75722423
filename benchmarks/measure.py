"""What a command costs as a whole process: CPU of all its threads, and the most memory it held."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Cost:
    """CPU seconds (user and system, all threads), peak resident memory in MB, and seconds on the clock."""

    cpu: float
    memory: float
    clock: float = 0.0


def cost(command: Sequence[str]) -> Cost:
    """Run a command and return what it cost. Raises SystemExit with its last words where it fails."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command[:4])}…: {said.read().decode()[-800:]}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.monotonic() - begun)


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(median(each.cpu for each in costs), median(each.memory for each in costs))
