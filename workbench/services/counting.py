"""Governed counts while a definition is edited: exact underneath, shown masked, rounded and sticky."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from workbench.cohorts.circe import Definition, write_definition
from workbench.cohorts.left import Populations
from workbench.governance.actors import Actor
from workbench.governance.populations import Population
from workbench.kernel import errors
from workbench.kernel.errors import Stopped, Unavailable
from workbench.repository.releases import Release
from workbench.services import alerts, numbers
from workbench.services.cohorts import Step, governed_step
from workbench.services.context import Workbench, acting, event
from workbench.services.releases import current_release, verified_release

MEMORY: Final = "4GB"
"""What the process that counts may use; nothing of the patients is spilled to disk."""


@dataclass
class LiveCounter:
    """Counts one edit after another on the current release, in a process of its own that stays until `close`.

    One counter serves the edits of one person in one place; it is started by its first count and again after `stop`.
    """

    wb: Workbench
    _process: subprocess.Popen[str] | None = None
    _release: str = ""
    _stopped: bool = False
    _alone: Any = field(default_factory=Lock)

    def count(self, actor: Actor, definition: Definition) -> tuple[Step, ...]:
        """Return the attrition of a definition as the actor may see it; it is logged by the definition's digest.

        The numbers are those that generating it would give. Raises InvalidInput where the definition cannot be run,
        `engine.stopped` where `stop` was called meanwhile, `services.counter_lost` where the process died.
        """
        with acting(self.wb, actor, "cohort.count", subject=definition.digest):
            release = current_release(self.wb)
            with self._alone:
                rows = self._ask(release, definition)
            told = numbers.tell(self.wb, release, [_populations(row["populations"]) for row in rows])
            facts = {"subject": definition.digest, "before": release.digest, "payload": told.pattern}
            with self.wb.store.write(event(actor, "cohort.count", **facts)):
                pass
            alerts.watch(self.wb, actor)
            return tuple(map(governed_step, rows, numbers.funnel(told.rows)))

    def stop(self) -> None:
        """Stop the count that runs, from another thread: it raises Stopped and leaves nothing behind."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process; a counter can be used again after."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        process.wait()

    def _ask(self, release: Release, definition: Definition) -> list[dict[str, Any]]:
        self._stopped = False
        process = self._running(release)
        question = {"name": definition.name, "definition": write_definition(definition)}
        answer = self._exchange(process, json.dumps(question))
        if not answer:
            self.close()
            raise Stopped("engine.stopped") if self._stopped else Unavailable("services.counter_lost")
        found = json.loads(answer)
        if "error" in found:
            raise getattr(errors, found["error"])(found["code"], **found["facts"])
        return found["steps"]

    def _exchange(self, process: subprocess.Popen[str], question: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(question + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        return process.stdout.readline()

    def _running(self, release: Release) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None and self._release == release.id:
            return self._process
        self.close()
        tables = verified_release(self.wb, release.id).tables
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.services.counter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._release = release.id
        opening = {
            "tables": {name: str(path) for name, path in tables.items()},
            "events": str(self.wb.settings.cache / release.id / "events"),
            "memory": MEMORY,
            "key": self.wb.keys.disclosure_key().hex(),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(opening) + "\n")
        return self._process


def _populations(told: dict[str, Any]) -> Populations:
    return Populations(**{name: each and Population.from_json(each) for name, each in told.items()})
