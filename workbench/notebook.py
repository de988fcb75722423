"""The notebook's door: `import workbench.notebook as wbn` and the same services, the same policy, the same log.

Who may read the home opens it (`open_home`). Everybody else asks the service account by commands (`ask`): rows stay in
the workspace, whatever a notebook is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench.governance.actors import Actor
from workbench.kernel.settings import load_settings
from workbench.services import people
from workbench.services.context import Workbench, open_workbench


class CommandFailed(Exception):
    """A command's answer was no; the text says what happened, what was not done and what to do."""


def open_home(home: str | Path | None = None, *, acting_as: str | None = None) -> tuple[Workbench, Actor]:
    """Open a home (as `--home` does) and return it with the actor; `acting_as` is for demonstration homes only."""
    wb = open_workbench(load_settings(Path(home) if home is not None else None))
    return wb, people.acting_as(wb, acting_as)


def ask(*arguments: str) -> Any:
    """Run a command, over the service's socket where `$WORKBENCH_SOCKET` names one, and return its JSON document.

    `ask("cohort", "count", "mine.json")`. Raises `CommandFailed` with the command's own sentences.
    """
    command = [sys.executable, "-m", "workbench", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return json.loads(done.stdout)
    raise CommandFailed(_sentences(done.stderr) or _sentences(done.stdout))


def _sentences(said: str) -> str:
    lines = said.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else {}
        return " ".join(answer[part] for part in ("what", "not_done", "do"))
    except (ValueError, KeyError, TypeError):
        return said.strip()
